//! The changes of a job's parallelism, as Flink tells them.

use flott_core::{
    id::{Digest, JobId},
    job_graph::JobGraph,
    view::{Extent, FigureSummary, JobView, Percentiles, RescaleView},
};
use flott_jobmaster::{Adaptive, RESCALES_MAX, Timeouts};

use super::{checkpoint::figure, rescale::trigger_cause};
use crate::rest::shapes::{
    LatestRescales, RescaleConfig, RescaleCounts, RescaleOverview, RescaleRecord, RescaleSummary, RescaledVertex,
    SchedulerState,
};

/// How a change has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Completed,
    Failed,
    Ignored,
}

fn end(rescale: &RescaleView) -> Option<End> {
    rescale.ended_at?;
    Some(match &rescale.failure {
        Some(_) => End::Failed,
        None if rescale.vertices.is_empty() => End::Ignored,
        None => End::Completed,
    })
}

/// The settings after which a job's parallelism is changed.
pub fn rescale_config(adaptive: Adaptive, slot_wait: u64) -> RescaleConfig {
    RescaleConfig {
        rescale_history_max: RESCALES_MAX,
        scheduler_execution_mode: adaptive.reactive.then_some("REACTIVE"),
        submission_resource_wait_timeout_in_millis: slot_wait,
        submission_resource_stabilization_timeout_in_millis: adaptive.submission_stabilization,
        slot_idle_timeout_in_millis: 0,
        executing_cooldown_timeout_in_millis: adaptive.cooldown,
        executing_resource_stabilization_timeout_in_millis: adaptive.executing_stabilization,
        maximum_delay_for_triggering_rescale_in_millis: Timeouts::default().rescale_checkpoint,
        rescale_on_failed_checkpoint_count: 1,
    }
}

/// Made of what it is, as nobody has given it one.
fn uuid(of: &[&dyn std::fmt::Debug]) -> String {
    let digest = Digest::of(format!("{of:?}").as_bytes()).to_string();
    digest.get(..32).unwrap_or_default().to_owned()
}

fn record(job: JobId, rescale: &RescaleView) -> RescaleRecord {
    let end = end(rescale);
    let wanted: Vec<_> = rescale.vertices.iter().map(|vertex| (vertex.id, vertex.after)).collect();
    RescaleRecord {
        rescale_uuid: uuid(&[&job, &rescale.began_at, &rescale.cause, &rescale.vertices]),
        resource_requirements_uuid: uuid(&[&job, &wanted]),
        rescale_attempt_id: 1,
        vertices: Default::default(),
        slots: Default::default(),
        scheduler_states: Vec::new(),
        start_timestamp_in_millis: rescale.began_at,
        end_timestamp_in_millis: rescale.ended_at,
        terminal_state: end.map(|end| match end {
            End::Completed => "COMPLETED",
            End::Failed => "FAILED",
            End::Ignored => "IGNORED",
        }),
        trigger_cause: trigger_cause(rescale.cause),
        terminated_reason: end.map(|end| match end {
            End::Completed => "SUCCEEDED",
            End::Failed => "EXCEPTION_OCCURRED",
            End::Ignored => "NO_RESOURCES_OR_PARALLELISMS_CHANGE",
        }),
    }
}

fn state(state: &'static str, from: u64, to: Option<u64>, exception: Option<String>) -> SchedulerState {
    SchedulerState {
        state,
        enter_timestamp_in_millis: from,
        leave_timestamp_in_millis: to,
        duration_in_millis: to.map(|to| to.saturating_sub(from)),
        stringified_exception: exception,
    }
}

fn details(job: JobId, graph: &JobGraph, rescale: &RescaleView) -> RescaleRecord {
    let is_through = end(rescale) == Some(End::Completed);
    let vertices = rescale.vertices.iter().map(|vertex| {
        let id = vertex.id.to_string();
        let group = graph.vertex(vertex.id).map(|of| of.slot_sharing_group.clone());
        let rescaled = RescaledVertex {
            job_vertex_id: id.clone(),
            job_vertex_name: vertex.name.clone(),
            slot_sharing_group_id: group.as_ref().map(|group| uuid(&[&job, group])),
            slot_sharing_group_name: group,
            desired_parallelism: vertex.after,
            sufficient_parallelism: vertex.after,
            pre_rescale_parallelism: vertex.before,
            post_rescale_parallelism: is_through.then_some(vertex.after),
        };
        (id, rescaled)
    });
    let failure = rescale.failure.as_ref().map(|failure| failure.report());
    let scheduler_states = match rescale.stopped_at {
        None => vec![state("Executing", rescale.began_at, rescale.ended_at, failure)],
        Some(stopped) => vec![
            state("Executing", rescale.began_at, Some(stopped), None),
            state("Restarting", stopped, rescale.ended_at, failure),
        ],
    };
    RescaleRecord { vertices: vertices.collect(), scheduler_states, ..record(job, rescale) }
}

/// All that are remembered, newest first.
pub fn rescale_history(view: &JobView) -> Vec<RescaleRecord> {
    view.rescales.iter().map(|rescale| record(view.job, rescale)).collect()
}

/// The one with this id.
pub fn rescale_details(view: &JobView, graph: &JobGraph, id: &str) -> Option<RescaleRecord> {
    let mut all = view.rescales.iter().map(|rescale| details(view.job, graph, rescale));
    all.find(|record| record.rescale_uuid == id)
}

fn counts(view: &JobView) -> RescaleCounts {
    let mut counts = RescaleCounts::default();
    for rescale in &view.rescales {
        match end(rescale) {
            None => counts.in_progress += 1,
            Some(End::Completed) => counts.completed += 1,
            Some(End::Failed) => counts.failed += 1,
            Some(End::Ignored) => counts.ignored += 1,
        }
    }
    counts
}

/// How many there were, and the latest.
pub fn rescale_overview(view: &JobView) -> RescaleOverview {
    let latest = |wanted| {
        let found = view.rescales.iter().find(|rescale| end(rescale) == Some(wanted));
        found.map(|rescale| record(view.job, rescale))
    };
    let latest = LatestRescales {
        completed: latest(End::Completed),
        failed: latest(End::Failed),
        ignored: latest(End::Ignored),
    };
    RescaleOverview { rescales_counts: counts(view), latest }
}

/// How long they took.
pub fn rescale_summary(view: &JobView) -> RescaleSummary {
    let stats = |counts: &dyn Fn(End) -> bool| {
        let mut times: Vec<u64> = view
            .rescales
            .iter()
            .filter(|rescale| end(rescale).is_some_and(counts))
            .filter_map(|rescale| Some(rescale.ended_at?.saturating_sub(rescale.began_at)))
            .collect();
        times.sort_unstable();
        let mut extent = Extent::default();
        times.iter().for_each(|time| extent.add(*time));
        figure(&FigureSummary { extent, percentiles: Percentiles::of(&times) })
    };
    RescaleSummary {
        rescales_counts: counts(view),
        rescales_duration_stats_in_millis: stats(&|_| true),
        completed_rescales_duration_stats_in_millis: stats(&|end| end == End::Completed),
        ignored_rescales_duration_stats_in_millis: stats(&|end| end == End::Ignored),
        failed_rescales_duration_stats_in_millis: stats(&|end| end == End::Failed),
    }
}
