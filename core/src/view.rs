//! A job and a cluster as REST, the command line and the archive show them: plain data, times in milliseconds since
//! the epoch.
//!
//! # Layout
//! - `checkpoint`: checkpoints
//! - `counters`: what user functions count
//! - `rescale`: changes of parallelism

mod checkpoint;
mod counters;
mod rescale;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    id::{AllocationId, InstanceId, JobId, VertexId, WorkerId},
    job_graph::scale::ParallelismBounds,
    resource::ResourceProfile,
    status::{ExecutionState, JobStatus},
};

pub use checkpoint::{
    CheckpointStatus, CheckpointView, CheckpointsSummary, CheckpointsView, Extent, FigureSummary, Percentiles,
    RestoredView, SubtaskSnapshotView, VertexSnapshotView,
};
pub use counters::{COUNTER_NAME_BYTES_MAX, COUNTERS_MAX, Counters, FURTHER_COUNTERS, LATE_RECORDS_DROPPED};
pub use rescale::{RescaleCause, RescaleView, VertexRescaleView};

/// Figures of one attempt. Those that count are cumulative since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct TaskMetrics {
    /// Records that came in over channels.
    pub records_in: u64,
    /// Records that went out over channels.
    pub records_out: u64,
    /// Bytes that came in over the network.
    pub bytes_in: u64,
    /// Bytes that went out over the network.
    pub bytes_out: u64,
    /// Records that sources of the task have read.
    pub records_read: u64,
    /// Milliseconds of work.
    pub busy_ms: u64,
    /// Milliseconds without input.
    pub idle_ms: u64,
    /// Milliseconds with full output channels.
    pub backpressured_ms: u64,
    /// The watermark that its input, or its source, has come to; none before the first.
    pub watermark: Option<i64>,
    /// What its user functions have counted.
    pub counters: Counters,
}

impl TaskMetrics {
    /// Adds another attempt's figures; of watermarks the least counts.
    pub fn add(&mut self, other: &Self) {
        self.records_in += other.records_in;
        self.records_out += other.records_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.records_read += other.records_read;
        self.busy_ms += other.busy_ms;
        self.idle_ms += other.idle_ms;
        self.backpressured_ms += other.backpressured_ms;
        self.watermark = match (self.watermark, other.watermark) {
            (Some(own), Some(other)) => Some(own.min(other)),
            (own, other) => own.or(other),
        };
        self.counters.merge(&other.counters);
    }
}

/// Gauges of a TaskManager, its job processes included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct WorkerMetrics {
    /// Resident bytes of the TaskManager itself.
    pub resident_bytes: u64,
    /// Resident bytes of its job processes.
    pub jobs_resident_bytes: u64,
    /// CPU milliseconds of the TaskManager itself, cumulative.
    pub cpu_ms: u64,
    /// CPU milliseconds of its job processes, ended ones included, cumulative.
    pub jobs_cpu_ms: u64,
    /// Job processes that run.
    pub processes: u32,
}

/// A named result of a job, merged over subtasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accumulator {
    /// Sum of whole numbers.
    LongCounter(i64),
    /// Sum of floating-point numbers.
    DoubleCounter(f64),
    /// Smallest.
    LongMinimum(i64),
    /// Largest.
    LongMaximum(i64),
    /// Records that a `collect` sink has gathered, each as JSON text.
    List(Vec<String>),
}

impl Accumulator {
    /// Merges `other` into this; `false` if they are of different types, and nothing has changed.
    #[must_use]
    pub fn merge(&mut self, other: Self) -> bool {
        match (self, other) {
            (Self::LongCounter(a), Self::LongCounter(b)) => *a = a.wrapping_add(b),
            (Self::DoubleCounter(a), Self::DoubleCounter(b)) => *a += b,
            (Self::LongMinimum(a), Self::LongMinimum(b)) => *a = b.min(*a),
            (Self::LongMaximum(a), Self::LongMaximum(b)) => *a = b.max(*a),
            (Self::List(a), Self::List(b)) => a.extend(b),
            _ => return false,
        }
        true
    }
}

/// A job with all its history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Identity.
    pub job: JobId,
    /// Name.
    pub name: String,
    /// State.
    pub status: JobStatus,
    /// When the job was accepted.
    pub started_at: u64,
    /// When it ended.
    pub ended_at: Option<u64>,
    /// When each state was entered last.
    pub entered: BTreeMap<JobStatus, u64>,
    /// Vertices in the order of the graph.
    pub vertices: Vec<VertexView>,
    /// What ended the job, or the failure it last restarted from.
    pub failure: Option<Failure>,
    /// Failures, newest first, bounded.
    pub exceptions: Vec<ExceptionView>,
    /// Whether older failures were dropped.
    pub exceptions_truncated: bool,
    /// Restarts so far.
    pub restarts: u32,
    /// Results by name.
    pub accumulators: BTreeMap<String, Accumulator>,
    /// Why the job waits; empty when it does not.
    pub pending: Vec<PendingReason>,
    /// Its checkpoints.
    #[serde(default)]
    pub checkpoints: CheckpointsView,
    /// Changes of its parallelism, newest first, bounded.
    #[serde(default)]
    pub rescales: Vec<RescaleView>,
}

impl JobView {
    /// A job that was accepted and has ended so, of which nothing else is known.
    pub fn ended(job: JobId, name: String, status: JobStatus, accepted_at: u64, now: u64) -> Self {
        Self {
            job,
            name,
            status,
            started_at: accepted_at,
            ended_at: Some(now),
            entered: BTreeMap::from([(JobStatus::Initializing, accepted_at), (status, now)]),
            vertices: Vec::new(),
            failure: None,
            exceptions: Vec::new(),
            exceptions_truncated: false,
            restarts: 0,
            accumulators: BTreeMap::new(),
            pending: Vec::new(),
            checkpoints: CheckpointsView::default(),
            rescales: Vec::new(),
        }
    }
}

/// A vertex with its subtasks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VertexView {
    /// Identity.
    pub id: VertexId,
    /// Name.
    pub name: String,
    /// Subtasks.
    pub parallelism: u32,
    /// Key groups.
    pub max_parallelism: u32,
    /// What was asked for, if that is not simply its parallelism.
    #[serde(default)]
    pub bounds: Option<ParallelismBounds>,
    /// Slot sharing group.
    pub slot_sharing_group: String,
    /// One per subtask, in order.
    pub subtasks: Vec<SubtaskView>,
}

/// A subtask: its current attempt and those before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubtaskView {
    /// The current attempt.
    pub current: AttemptView,
    /// Earlier attempts, oldest first, bounded.
    pub previous: Vec<AttemptView>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// From 0.
    pub attempt: u32,
    /// State.
    pub state: ExecutionState,
    /// When each state was entered.
    pub entered: BTreeMap<ExecutionState, u64>,
    /// The slot it has.
    pub allocation: Option<AllocationId>,
    /// Its TaskManager.
    pub worker: Option<WorkerId>,
    /// Host and data port of its process.
    pub endpoint: Option<String>,
    /// Figures.
    pub metrics: TaskMetrics,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// A failure in a job's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExceptionView {
    /// When.
    pub at: u64,
    /// What.
    pub failure: Failure,
    /// Failures that came with it while the region was being cancelled.
    pub concurrent: Vec<Failure>,
}

/// Why something that is wanted is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PendingReason {
    /// Slots that are wanted and not there.
    pub slots_missing: u32,
    /// Of this size.
    pub profile: ResourceProfile,
    /// Since when.
    pub since: u64,
    /// Why, in a line: for example `waiting for 2 workers that are starting`, `quota: …`, `no backend can start workers`.
    pub reason: String,
    /// Whether no waiting helps: it is more than the cluster may ever have.
    #[serde(default)]
    pub unattainable: bool,
}

/// A TaskManager as the ResourceManager sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Name.
    pub worker: WorkerId,
    /// Life.
    pub instance: InstanceId,
    /// Host that peers reach it at.
    pub host: String,
    /// Process id.
    pub pid: u32,
    /// When it registered.
    pub registered_at: u64,
    /// When it was last heard.
    pub heard_at: u64,
    /// Cores of its machine.
    pub cpu_cores: u32,
    /// Memory of its machine in bytes.
    pub physical_memory: u64,
    /// Its own memory number in bytes.
    pub memory: u64,
    /// What each of its slots offers.
    pub slots: Vec<ResourceProfile>,
    /// Slots that are given to jobs.
    pub allocated: Vec<(JobId, ResourceProfile)>,
    /// Latest gauges.
    pub metrics: WorkerMetrics,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_watermarks_the_least_counts_and_of_the_rest_the_sum() {
        #[track_caller]
        fn check(a: Option<i64>, b: Option<i64>, expected: Option<i64>) {
            let figures = |watermark| TaskMetrics { records_in: 3, watermark, ..TaskMetrics::default() };
            for (a, b) in [(a, b), (b, a)] {
                let mut sum = figures(a);
                sum.add(&figures(b));
                assert_eq!(sum, TaskMetrics { records_in: 6, ..figures(expected) });
            }
        }
        check(Some(7), Some(-5), Some(-5));
        check(Some(7), None, Some(7));
        check(None, None, None);
    }
}
