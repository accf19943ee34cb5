use std::collections::BTreeMap;

use flott_core::{
    config::{MASK, is_secret},
    job_graph::{ExecutionMode, JobGraph, RestartPolicy, RestartStrategy, plan::rest_plan},
    status::{ExecutionState, JobStatus},
    view::{JobView, PendingReason, VertexView},
};

use super::{numbers, signed, time_or_not_yet};
use crate::rest::shapes::{
    ExecutionConfig, JobConfig, JobDetails, JobOverview, JobVertexDetails, Pending, PendingEntry,
};

/// Flink names its schedulers; this is the one that stands for "deploys what the graph says".
const SCHEDULER: &str = "Default";

/// A job in the list of jobs.
pub fn job_overview(view: &JobView, mode: ExecutionMode, now: u64) -> JobOverview {
    let states = || view.vertices.iter().flat_map(|vertex| &vertex.subtasks).map(|subtask| subtask.current.state);
    let mut tasks: BTreeMap<String, u32> =
        numbers::counts(states()).into_iter().map(|(state, count)| (state.to_lowercase(), count)).collect();
    tasks.insert("total".to_owned(), u32::try_from(states().count()).unwrap_or(u32::MAX));
    let changes = view
        .vertices
        .iter()
        .flat_map(|vertex| &vertex.subtasks)
        .flat_map(|subtask| subtask.current.entered.values())
        .chain(view.entered.values());
    JobOverview {
        jid: view.job.to_string(),
        name: view.name.clone(),
        job_type: mode.as_str().to_owned(),
        scheduler_type: SCHEDULER.to_owned(),
        start_time: signed(view.started_at),
        end_time: time_or_not_yet(view.ended_at),
        duration: duration(view, now),
        state: view.status,
        last_modification: signed(changes.copied().max().unwrap_or(view.started_at)),
        tasks,
        pending_operators: 0,
    }
}

pub(super) fn duration(view: &JobView, now: u64) -> i64 {
    signed(view.ended_at.unwrap_or(now).saturating_sub(view.started_at))
}

/// A job with its vertices.
pub fn job_details(view: &JobView, graph: &JobGraph, default_parallelism: u32, now: u64) -> JobDetails {
    let vertices: Vec<_> = view.vertices.iter().map(|vertex| vertex_details(vertex, now)).collect();
    let mut timestamps: BTreeMap<String, u64> = JobStatus::ALL.iter().map(|status| (status.to_string(), 0)).collect();
    timestamps.extend(view.entered.iter().map(|(status, at)| (status.to_string(), *at)));
    JobDetails {
        jid: view.job.to_string(),
        application_id: view.job.to_string(),
        name: view.name.clone(),
        is_stoppable: false,
        state: view.status,
        job_type: graph.mode.as_str().to_owned(),
        scheduler_type: SCHEDULER.to_owned(),
        start_time: signed(view.started_at),
        end_time: time_or_not_yet(view.ended_at),
        duration: duration(view, now),
        max_parallelism: -1,
        now,
        timestamps,
        status_counts: numbers::counts(view.vertices.iter().map(state_of)),
        vertices,
        plan: rest_plan(graph, default_parallelism),
        pending_operators: 0,
    }
}

fn states_of(vertex: &VertexView) -> Vec<ExecutionState> {
    vertex.subtasks.iter().map(|subtask| subtask.current.state).collect()
}

fn state_of(vertex: &VertexView) -> ExecutionState {
    numbers::together(&states_of(vertex))
}

fn vertex_details(vertex: &VertexView, now: u64) -> JobVertexDetails {
    let attempts = || vertex.subtasks.iter().map(|subtask| &subtask.current);
    let numbers::Span { start, end, duration } = numbers::span(attempts(), now);
    JobVertexDetails {
        id: vertex.id.to_string(),
        slot_sharing_group_id: group_id(&vertex.slot_sharing_group),
        name: vertex.name.clone(),
        max_parallelism: vertex.max_parallelism,
        parallelism: vertex.parallelism,
        status: state_of(vertex).to_string(),
        start_time: start,
        end_time: end,
        duration,
        tasks: numbers::counts(states_of(vertex)),
        metrics: numbers::io_metrics(&numbers::sum(attempts())),
    }
}

/// Flink identifies groups by ids; Flott by names. Equal names give equal ids.
fn group_id(group: &str) -> String {
    flott_core::id::OperatorId::from_structure(&[b"slot sharing group", group.as_bytes()]).to_string()
}

/// The settings of a job.
pub fn job_config(view: &JobView, graph: &JobGraph, default_parallelism: u32) -> JobConfig {
    let shown =
        |(key, value): (&String, &String)| (key.clone(), if is_secret(key) { MASK.to_owned() } else { value.clone() });
    JobConfig {
        jid: view.job.to_string(),
        name: view.name.clone(),
        execution_config: ExecutionConfig {
            restart_strategy: restart_words(&graph.restart),
            job_parallelism: default_parallelism,
            object_reuse_mode: true,
            user_config: graph.configuration.iter().map(shown).collect(),
        },
    }
}

fn restart_words(policy: &RestartPolicy) -> String {
    let seconds = |ms: u64| format!("PT{}S", ms as f64 / 1000.0);
    match policy {
        RestartPolicy::Cluster => "Cluster level default restart strategy".to_owned(),
        RestartPolicy::Own(RestartStrategy::None) => "Restart deactivated.".to_owned(),
        RestartPolicy::Own(RestartStrategy::FixedDelay { attempts, delay_ms }) => {
            format!("Restart with fixed delay ({}). #{attempts} restart attempts.", seconds(*delay_ms))
        }
        RestartPolicy::Own(RestartStrategy::FailureRate { failures_per_interval_max, interval_ms, delay_ms }) => {
            format!(
                "Failure rate restart with maximum of {failures_per_interval_max} failures within interval {} \
                 and fixed delay {}.",
                seconds(*interval_ms),
                seconds(*delay_ms)
            )
        }
        RestartPolicy::Own(RestartStrategy::ExponentialDelay {
            initial_backoff_ms,
            max_backoff_ms,
            multiplier,
            reset_threshold_ms,
            jitter,
            attempts_max,
        }) => format!(
            "Restart with exponential delay: starting at {}, increasing by {multiplier}, with maximum {}. \
             Delay resets after {} with jitter {jitter}. {}",
            seconds(*initial_backoff_ms),
            seconds(*max_backoff_ms),
            seconds(*reset_threshold_ms),
            attempts_max
                .map_or_else(|| "Unlimited restart attempts.".to_owned(), |max| format!("#{max} restart attempts."))
        ),
    }
}

/// Why a job waits.
pub fn pending(view: &JobView, reasons: &[PendingReason]) -> Pending {
    let entry = |reason: &PendingReason| PendingEntry {
        slots_missing: reason.slots_missing,
        profile: reason.profile.to_string(),
        cpu_millicores: reason.profile.cpu_millicores,
        memory_bytes: reason.profile.memory_bytes,
        since: reason.since,
        reason: reason.reason.clone(),
    };
    Pending { id: view.job.to_string(), status: view.status.to_string(), reasons: reasons.iter().map(entry).collect() }
}
