//! The snapshots of one task.

use std::{collections::BTreeMap, fmt, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use flott_core::{
    checkpoint::Barrier,
    config::{
        ConfigValue,
        keys::checkpointing::{CheckpointingMode, MODE},
    },
    failure::Failure,
    id::{AttemptId, OperatorId, SubtaskIndex},
    key_group::{KeyGroupAssignment, KeyGroupRange, MaxParallelism},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Cut, Restored, RestoredTask, StateSink};
use crate::{error::TaskResult, state::GroupSpace};

/// Who stores what a task gives. Called from the task's thread; never blocks.
pub trait SnapshotPort: Send + Sync {
    /// Stores `cut` of `attempt`, and says so to the JobMaster when it is done or has failed.
    fn store(&self, attempt: AttemptId, cut: Cut);
}

/// What a task knows of its snapshots.
pub struct TaskSnapshots {
    groups: GroupSpace,
    exactly_once: bool,
    /// None: nobody stores anything, and barriers cut nothing.
    port: Option<Arc<dyn SnapshotPort>>,
    restored: RestoredTask,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// How long the first input waited for the last at the barrier that comes next.
    alignment: Duration,
    cut: Option<Cut>,
}

impl fmt::Debug for TaskSnapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskSnapshots").field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl Default for TaskSnapshots {
    fn default() -> Self {
        let max = MaxParallelism::LARGEST;
        Self {
            groups: GroupSpace { max, held: KeyGroupRange::all(max) },
            exactly_once: true,
            port: None,
            restored: RestoredTask::default(),
            current: Mutex::default(),
        }
    }
}

impl TaskSnapshots {
    /// Those of subtask `subtask` of a vertex.
    pub fn new(
        subtask: SubtaskIndex,
        parallelism: u32,
        max_parallelism: u32,
        configuration: &BTreeMap<String, String>,
        restored: RestoredTask,
        port: Arc<dyn SnapshotPort>,
    ) -> Self {
        // A configuration is checked where it is taken in: what does not parse is not there.
        let mode = configuration.get(MODE.key()).and_then(|text| CheckpointingMode::parse(text).ok());
        Self {
            groups: groups(subtask, parallelism, max_parallelism),
            exactly_once: mode != Some(CheckpointingMode::AtLeastOnce),
            port: Some(port),
            restored,
            current: Mutex::default(),
        }
    }

    /// Whether inputs wait for each other at a barrier.
    pub(crate) fn is_exactly_once(&self) -> bool {
        self.exactly_once
    }

    /// The key groups of the task.
    pub fn groups(&self) -> GroupSpace {
        self.groups
    }

    /// What `operator` had in the snapshot that the task starts from. Once.
    pub(crate) fn take_restored(&self, operator: OperatorId) -> Restored {
        self.restored.take(operator)
    }

    /// After an operator has been opened: whether it has asked for all that it had.
    pub(crate) fn check_restored(&self, restored: &Restored) -> TaskResult {
        self.restored.check(restored)
    }

    /// All inputs have come to a barrier; the first of them did at `since`.
    pub(crate) fn aligned(&self, since: Instant) {
        self.current.lock().alignment = since.elapsed();
    }

    /// A barrier comes to the chain.
    pub(crate) fn begin(&self, barrier: Barrier) {
        let mut current = self.current.lock();
        let alignment = mem::take(&mut current.alignment);
        current.cut = Some(Cut::new(barrier, alignment));
    }

    /// The barrier has come to `operator`, which gives its state. If it cannot, the snapshot is of no use.
    pub(crate) fn cut(&self, operator: OperatorId, give: impl FnOnce(&mut StateSink<'_>) -> TaskResult) {
        // User code is called without the lock.
        let cut = self.current.lock().cut.take();
        let Some(mut cut) = cut else { return };
        if cut.failure.is_none() && self.port.is_some() {
            cut.failure = give(&mut StateSink::new(operator, self.groups, &mut cut)).err();
        }
        self.current.lock().cut = Some(cut);
    }

    /// A sink has prepared something.
    pub(crate) fn prepared(&self, operator: OperatorId, data: Bytes) {
        if let Some(cut) = &mut self.current.lock().cut {
            cut.prepared.push((operator, data));
        }
    }

    /// A source says what it has left of its splits.
    pub(crate) fn splits(&self, operator: OperatorId, splits: Vec<Bytes>) {
        if let Some(cut) = &mut self.current.lock().cut {
            cut.splits.push((operator, splits));
        }
    }

    /// The cut is of no use.
    pub(crate) fn fail(&self, failure: Box<Failure>) {
        if let Some(cut) = &mut self.current.lock().cut {
            cut.failure.get_or_insert(failure);
        }
    }

    /// The barrier has left the chain.
    pub(crate) fn finish(&self, attempt: AttemptId) {
        let cut = self.current.lock().cut.take();
        if let (Some(mut cut), Some(port)) = (cut, &self.port) {
            cut.sync = cut.began.elapsed();
            port.store(attempt, cut);
        }
    }
}

/// The key groups of a subtask. A deployment has no more subtasks than groups; if it had, each would do without the check of
/// what is its own.
pub(crate) fn groups(subtask: SubtaskIndex, parallelism: u32, max_parallelism: u32) -> GroupSpace {
    let max = MaxParallelism::new(max_parallelism).unwrap_or(MaxParallelism::LARGEST);
    let assignment = KeyGroupAssignment::new(max, parallelism).ok();
    let held = assignment.and_then(|assignment| assignment.range_of(subtask));
    GroupSpace { max, held: held.unwrap_or(KeyGroupRange::all(max)) }
}
