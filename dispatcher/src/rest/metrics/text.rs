//! From facts to families.

use std::collections::BTreeMap;

use flott_core::{
    id::WorkerId,
    metrics::{
        Exposition, Family, Labels, Value,
        table::{cluster, cluster::workers, job, jobmanager, task, taskmanager},
    },
    status::{ExecutionState, JobStatus},
    view::{AttemptView, CheckpointView, JobView, LATE_RECORDS_DROPPED, PendingReason, TaskMetrics, WorkerView},
};

use super::{facts::Facts, process::Process};
use crate::dispatcher::{Measured, MeasuredJob, Stage};

/// Characters of a name that is a label.
const NAME_MAX: usize = 256;
const STAGES: [(Stage, &str); 4] = [
    (Stage::Leading, "LEADING"),
    (Stage::StandingBy, "STANDING_BY"),
    (Stage::Opening, "OPENING"),
    (Stage::Ending, "ENDING"),
];

/// Writes all that is known.
pub fn write<S: FnMut(String) -> bool>(facts: &Facts, text: &mut Exposition<S>) {
    write_own(facts, &Process::read(), text);
    if let Some(measured) = &facts.cluster {
        write_cluster(facts, measured, text);
        write_workers(facts, &measured.census.registered, text);
        write_jobs(facts, &measured.jobs, text);
        write_tasks(measured, text);
    }
}

fn write_own<S: FnMut(String) -> bool>(facts: &Facts, process: &Process, text: &mut Exposition<S>) {
    let own = Labels::new(&jobmanager::LABELS, [&facts.host]);
    text.family(&jobmanager::VERSION, [(&own, Some(env!("CARGO_PKG_VERSION")), true)]);
    text.family(&jobmanager::STAGE, STAGES.iter().map(|(stage, name)| (&own, Some(*name), *stage == facts.stage)));
    text.plain(&jobmanager::MEMORY_RESIDENT, process.resident_bytes.map(|bytes| (&own, bytes)));
    text.plain(&jobmanager::CPU_SECONDS, process.cpu.map(|time| (&own, time.as_secs_f64())));
    text.plain(&jobmanager::THREADS, process.threads.map(|threads| (&own, threads)));
}

fn write_cluster<S: FnMut(String) -> bool>(facts: &Facts, measured: &Measured, text: &mut Exposition<S>) {
    let own = Labels::new(&cluster::LABELS, [&facts.host]);
    let (census, statuses) = (&measured.census, &measured.statuses);
    let total: usize = census.registered.iter().map(|worker| worker.slots.len()).sum();
    let available: usize = census.registered.iter().map(free_slots).sum();
    let count = |wanted: &dyn Fn(JobStatus) -> bool| statuses.iter().filter(|status| wanted(**status)).count();
    let mut plain = |family, value: usize| text.plain(family, [(&own, value)]);
    plain(&cluster::REGISTERED, census.registered.len());
    plain(&cluster::PENDING, census.pending);
    plain(&cluster::STOPPING, census.stopping);
    plain(&cluster::SLOTS_TOTAL, total);
    plain(&cluster::SLOTS_AVAILABLE, available);
    plain(&cluster::RUNNING_JOBS, count(&|status| !status.is_terminal()));
    let jobs = JobStatus::ALL.iter().map(|wanted| (&own, Some(wanted.as_str()), count(&|status| status == *wanted)));
    text.family(&cluster::JOBS, jobs);
}

fn free_slots(worker: &WorkerView) -> usize {
    worker.slots.len().saturating_sub(worker.allocated.len())
}

fn write_workers<S: FnMut(String) -> bool>(facts: &Facts, registered: &[WorkerView], text: &mut Exposition<S>) {
    let labels = |worker: &WorkerView| Labels::new(&workers::LABELS, [&worker.host, &worker.worker.0]);
    let labels: Vec<_> = registered.iter().map(labels).collect();
    let mut of = |family: &Family, figure: &dyn Fn(&WorkerView) -> Value| {
        text.plain(family, labels.iter().zip(registered).map(|(labels, worker)| (labels, figure(worker))));
    };
    of(&workers::SLOTS_TOTAL, &|worker| worker.slots.len().into());
    of(&workers::SLOTS_AVAILABLE, &|worker| free_slots(worker).into());
    of(&workers::SILENCE, &|worker| facts.now.saturating_sub(worker.heard_at).into());
    if facts.asks_workers {
        return;
    }
    of(&taskmanager::MEMORY_LIMIT, &|worker| worker.memory.into());
    of(&taskmanager::MEMORY_RESIDENT, &|worker| worker.metrics.resident_bytes.into());
    of(&taskmanager::CPU_SECONDS, &|worker| seconds(worker.metrics.cpu_ms));
    of(&taskmanager::PROCESSES, &|worker| worker.metrics.processes.into());
    of(&taskmanager::JOBS_MEMORY_RESIDENT, &|worker| worker.metrics.jobs_resident_bytes.into());
    of(&taskmanager::JOBS_CPU_SECONDS, &|worker| seconds(worker.metrics.jobs_cpu_ms));
}

fn seconds(ms: u64) -> Value {
    (ms as f64 / 1000.0).into()
}

fn write_jobs<S: FnMut(String) -> bool>(facts: &Facts, jobs: &[MeasuredJob], text: &mut Exposition<S>) {
    let labels =
        |view: &JobView| Labels::new(&job::LABELS, [&facts.host, &view.job.to_string(), shortened(&view.name)]);
    let jobs: Vec<_> = jobs.iter().map(|one| (labels(&one.view), &*one.view)).collect();
    let statuses = jobs.iter().flat_map(|(labels, view)| {
        JobStatus::ALL.iter().map(move |status| (labels, Some(status.as_str()), view.status == *status))
    });
    text.family(&job::STATUS, statuses);
    let mut of = |family: &Family, figure: &dyn Fn(&JobView) -> Option<Value>| {
        text.plain(family, jobs.iter().filter_map(|(labels, view)| Some((labels, figure(view)?))));
    };
    of(&job::UPTIME, &|view| {
        let since = view.entered.get(&JobStatus::Running).filter(|_| view.status == JobStatus::Running)?;
        Some(facts.now.saturating_sub(*since).into())
    });
    of(&job::RESTARTS, &|view| Some(view.restarts.into()));
    of(&job::PENDING_REASONS, &|view| Some(view.pending.len().into()));
    let missing = |reason: &PendingReason| u64::from(reason.slots_missing);
    of(&job::SLOTS_MISSING, &|view| Some(view.pending.iter().map(missing).sum::<u64>().into()));
    of(&job::CHECKPOINTS, &|view| {
        let counts = &view.checkpoints;
        Some((counts.completed + counts.failed + counts.in_progress).into())
    });
    of(&job::COMPLETED, &|view| Some(view.checkpoints.completed.into()));
    of(&job::FAILED, &|view| Some(view.checkpoints.failed.into()));
    of(&job::IN_PROGRESS, &|view| Some(view.checkpoints.in_progress.into()));
    of(&job::LAST_ID, &|view| Some(latest(view)?.id.0.into()));
    of(&job::LAST_COMPLETED_AT, &|view| Some(latest(view)?.ended_at?.into()));
    of(&job::LAST_DURATION, &|view| {
        let latest = latest(view)?;
        Some(latest.ended_at?.saturating_sub(latest.triggered_at).into())
    });
    of(&job::LAST_SIZE, &|view| Some(latest(view)?.stored_bytes.into()));
    of(&job::LAST_FULL_SIZE, &|view| Some(latest(view)?.state_bytes.into()));
    of(&job::LAST_PROCESSED, &|view| Some(latest(view)?.processed_bytes.into()));
    of(&job::LAST_PERSISTED, &|view| Some(latest(view)?.persisted_bytes.into()));
    of(&job::LAST_RESTORED_AT, &|view| Some(view.checkpoints.latest_restored.as_ref()?.restored_at.into()));
    let by_state = jobs.iter().flat_map(|(labels, view)| {
        let mut counts = [0u64; ExecutionState::ALL.len()];
        for subtask in view.vertices.iter().flat_map(|vertex| &vertex.subtasks) {
            let place = ExecutionState::ALL.iter().position(|state| *state == subtask.current.state);
            place.into_iter().for_each(|place| counts[place] += 1);
        }
        ExecutionState::ALL.iter().zip(counts).map(move |(state, count)| (labels, Some(state.as_str()), count))
    });
    text.family(&job::TASKS, by_state);
}

/// The latest that is complete, savepoints included, as in Flink.
fn latest(view: &JobView) -> Option<&CheckpointView> {
    let checkpoints = &view.checkpoints;
    [&checkpoints.latest_completed, &checkpoints.latest_savepoint].into_iter().flatten().max_by_key(|view| view.id)
}

/// A subtask that has something to tell.
struct Told<'a> {
    labels: Labels,
    metrics: &'a TaskMetrics,
    is_source: bool,
}

fn write_tasks<S: FnMut(String) -> bool>(measured: &Measured, text: &mut Exposition<S>) {
    let hosts: BTreeMap<_, _> =
        measured.census.registered.iter().map(|worker| (&worker.worker, worker.host.as_str())).collect();
    let told: Vec<_> = measured.jobs.iter().flat_map(|one| told(one, &hosts)).collect();
    let mut of = |family: &Family, figure: fn(&TaskMetrics) -> Value| {
        text.plain(family, told.iter().map(|one| (&one.labels, figure(one.metrics))));
    };
    of(&task::RECORDS_IN, |metrics| metrics.records_in.saturating_add(metrics.records_read).into());
    of(&task::RECORDS_OUT, |metrics| metrics.records_out.into());
    of(&task::BYTES_IN, |metrics| metrics.bytes_in.into());
    of(&task::BYTES_OUT, |metrics| metrics.bytes_out.into());
    of(&task::BUSY, |metrics| metrics.busy_ms.into());
    of(&task::IDLE, |metrics| metrics.idle_ms.into());
    of(&task::BACKPRESSURED, |metrics| metrics.backpressured_ms.into());
    of(&task::LATE_RECORDS_DROPPED, |metrics| metrics.counters.get(LATE_RECORDS_DROPPED).into());
    for (family, of_sources) in [(&task::INPUT_WATERMARK, false), (&task::OUTPUT_WATERMARK, true)] {
        let those = told.iter().filter(|one| one.is_source == of_sources);
        text.plain(family, those.filter_map(|one| Some((&one.labels, one.metrics.watermark?))));
    }
}

fn told<'a>(measured: &'a MeasuredJob, hosts: &BTreeMap<&WorkerId, &str>) -> impl Iterator<Item = Told<'a>> {
    let MeasuredJob { view, sources } = measured;
    let (id, name) = (view.job.to_string(), shortened(&view.name));
    view.vertices.iter().flat_map(move |vertex| {
        let (task, task_name, is_source) =
            (vertex.id.to_string(), shortened(&vertex.name), sources.contains(&vertex.id));
        let id = id.clone();
        let subtasks = (0u32..).zip(&vertex.subtasks).filter(|(_, subtask)| has_reported(&subtask.current));
        // Few, and to be written next.
        let told: Vec<_> = subtasks
            .map(|(index, subtask)| {
                let attempt = &subtask.current;
                let worker = attempt.worker.as_ref();
                let host = worker.and_then(|worker| hosts.get(worker)).copied().unwrap_or_default();
                let worker = worker.map_or("", |worker| &worker.0);
                let (number, index) = (attempt.attempt.to_string(), index.to_string());
                let values = [host, worker, &id, name, &task, task_name, &number, &index];
                Told { labels: Labels::new(&task::LABELS, values), metrics: &attempt.metrics, is_source }
            })
            .collect();
        told
    })
}

/// Whether its job process has told anything of it. Whatever it tells, time has passed.
fn has_reported(attempt: &AttemptView) -> bool {
    attempt.metrics != TaskMetrics::default()
}

fn shortened(name: &str) -> &str {
    name.char_indices().nth(NAME_MAX).map_or(name, |(end, _)| &name[..end])
}
