//! What a JobMaster is started with.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    config::{
        ConfigValue, Configuration,
        keys::jobmanager::{EXCEPTION_HISTORY_SIZE, FAILOVER_STRATEGY, FailoverStrategy},
    },
    id::{CheckpointId, Digest, JobMasterEpoch, JobSecret},
    job_graph::{JobGraph, RestartPolicy, RestartStrategy, scale::Scale},
    message::{Committable, JobSetup},
    past::Past,
    view::CheckpointView,
};

use crate::{core::RestorePoint, time::Millis};

/// A job to run. Plain data; a JobMaster started twice with equal specs and events decides equally.
#[derive(Debug, Clone)]
pub struct JobSpec {
    /// What to run. It has passed the checks of its document.
    pub graph: Arc<JobGraph>,
    /// The document's digest, by which TaskManagers fetch it.
    pub graph_digest: Digest,
    /// Which JobMaster of the job this is.
    pub epoch: JobMasterEpoch,
    /// Shared by the processes of the job.
    pub secret: JobSecret,
    /// The job's effective configuration (the cluster's, overlaid with the job's), handed to its processes.
    pub configuration: BTreeMap<String, String>,
    /// Parallelism of vertices that name none.
    pub default_parallelism: u32,
    /// Used where the job asks for the cluster's restart strategy.
    pub cluster_restart: RestartStrategy,
    /// How long each thing is waited for.
    pub timeouts: Timeouts,
    /// How the job goes after the slots there are, where it may have more or fewer subtasks.
    pub adaptive: Adaptive,
    /// The commit manifest, where an earlier JobMaster had one persisted: all tasks had finished, or the savepoint that
    /// the job stops with was complete, and all that is left to do is the commit.
    pub restored_commit: Option<Vec<Committable>>,
    /// Where its checkpoints go, and what it starts from.
    pub snapshots: SnapshotSpec,
    /// Its numbers of subtasks, if it was rescaled under an earlier JobMaster.
    pub scale: Scale,
    /// What earlier JobMasters have written down of it.
    pub past: Past,
    /// Whether an earlier JobMaster may have left tasks that run.
    pub recovered: bool,
    /// When the job was accepted.
    pub accepted_at: Millis,
    /// Seed of the jitter in restart delays.
    pub seed: u64,
}

/// Where the checkpoints of a job go, and what it starts from.
#[derive(Debug, Clone)]
pub struct SnapshotSpec {
    /// Directory of the job's checkpoints, as a location; tasks write there. `None`: it takes none.
    pub directory: Option<String>,
    /// Number of the next checkpoint.
    pub next: CheckpointId,
    /// The checkpoint or savepoint that the job starts from.
    pub restore: Option<Arc<RestorePoint>>,
    /// Checkpoints of earlier JobMasters that are there, the oldest first, with what the job starts from if it is one of them.
    /// Those that are complete are kept on; of others it is known that they are damaged.
    pub found: Vec<CheckpointView>,
    /// Whether a newer checkpoint is there that cannot be restored. Tasks that run may build on it.
    pub is_damaged: bool,
    /// Whether state in it that the job has no operator for is left behind, rather than refused.
    pub ignore_unclaimed: bool,
}

impl Default for SnapshotSpec {
    fn default() -> Self {
        Self {
            directory: None,
            next: CheckpointId(1),
            restore: None,
            found: Vec::new(),
            is_damaged: false,
            ignore_unclaimed: false,
        }
    }
}

/// How a job goes after the slots there are, where its vertices may have more or fewer subtasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adaptive {
    /// Every vertex that has the parallelism of the job may have as many subtasks as there are slots
    /// (`scheduler-mode: reactive`).
    pub reactive: bool,
    /// Milliseconds after a rescale in which a job that runs is not rescaled again
    /// (`jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling`).
    pub cooldown: u64,
    /// Milliseconds for more slots to come before those that have come are used
    /// (`jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout`).
    pub executing_stabilization: u64,
    /// Milliseconds for slots that a job misses to come before it makes do with those that it has
    /// (`jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout`).
    pub submission_stabilization: u64,
}

impl Default for Adaptive {
    fn default() -> Self {
        Self { reactive: false, cooldown: 30_000, executing_stabilization: 60_000, submission_stabilization: 10_000 }
    }
}

/// The named waits of a JobMaster, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For slots, from the moment they are asked for; then the job fails (`slot.request.timeout`).
    pub slot_request: u64,
    /// For slots that the cluster may never have: TaskManagers that nobody here has started may be on their way back to
    /// a JobManager that is new.
    pub slot_hopeless: u64,
    /// For a job process to come up; then its regions fail.
    pub process_start: u64,
    /// For cancelled tasks to end. The TaskManager kills their process before (`task.cancellation.timeout`); this is the
    /// longer wait after which a TaskManager that did not is given up.
    pub cancellation: u64,
    /// For prepared results to be removed when the job ends without them; then it ends anyway.
    pub abort: u64,
    /// For one try at the commit.
    pub commit: u64,
    /// For what is in the way of a commit to be mended: a disk that is full, a broker that does not answer. Then tries are counted.
    pub mending: u64,
    /// For the answer whether the last checkpoint is complete, when no task is left; then the job ends without it.
    pub store: u64,
    /// For the checkpoint that a job is rescaled from; then the latest one serves.
    pub rescale_checkpoint: u64,
    /// For the tasks that an earlier JobMaster has left, all of them; then the job starts over.
    pub reconcile: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            slot_request: 300_000,
            slot_hopeless: 10_000,
            process_start: 120_000,
            cancellation: 240_000,
            abort: 60_000,
            commit: 600_000,
            mending: u64::MAX,
            store: 60_000,
            rescale_checkpoint: 60_000,
            reconcile: 10_000,
        }
    }
}

impl JobSpec {
    /// The restart strategy in force.
    pub fn restart(&self) -> RestartStrategy {
        match self.graph.restart {
            RestartPolicy::Cluster => self.cluster_restart,
            RestartPolicy::Own(strategy) => strategy,
        }
    }

    /// What starts over when a task fails (`jobmanager.execution.failover-strategy`).
    pub fn failover_strategy(&self) -> FailoverStrategy {
        let set = self.configuration.get(FAILOVER_STRATEGY.key()).map(String::as_str);
        // A configuration is checked where it is taken in: what does not parse is not there.
        set.and_then(|text| FailoverStrategy::parse(text).ok()).unwrap_or(FailoverStrategy::Region)
    }

    /// Failures that are kept to be shown (`web.exception-history-size`).
    pub fn exceptions_kept(&self) -> usize {
        // As above.
        let configuration = Configuration::try_from(self.configuration.clone()).unwrap_or_default();
        configuration.get(&EXCEPTION_HISTORY_SIZE) as usize
    }

    /// What TaskManagers need to start a process of this job.
    pub fn setup(&self) -> JobSetup {
        let JobGraph { job_id, name, program, .. } = &*self.graph;
        JobSetup {
            job: *job_id,
            name: name.clone(),
            graph: self.graph_digest,
            program: program.digest,
            program_name: program.file_name.clone(),
            arguments: program.arguments.clone(),
            secret: self.secret,
            configuration: self.configuration.clone(),
        }
    }
}
