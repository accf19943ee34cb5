//! The snapshots of one task.

use std::{collections::BTreeMap, fmt, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Barrier, Overtaking},
    config::{
        ConfigValue,
        keys::checkpointing::{CheckpointingMode, MODE},
    },
    failure::Failure,
    id::{AttemptId, CheckpointId, OperatorId, SubtaskIndex},
    key_group::{KeyGroupAssignment, KeyGroupRange, MaxParallelism},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Cut, Piece, Restored, RestoredTask, StateSink, in_flight::Segment, sink::STEP_BYTES};
use crate::{
    error::TaskResult,
    state::{Extent, GroupSpace},
};

/// Who stores what a task gives. Called from the task's thread; never blocks.
pub trait SnapshotPort: Send + Sync {
    /// A cut of `attempt` begins: what it is to have of keyed state. It is followed by any number of [`give`](Self::give) and one
    /// [`store`](Self::store), before another cut begins, unless the attempt ends.
    fn begin(&self, attempt: AttemptId, barrier: Barrier) -> Extent;

    /// Takes some of the state.
    fn give(&self, attempt: AttemptId, pieces: Vec<Piece>);

    /// Takes some of the records that the barrier has overtaken.
    fn give_in_flight(&self, attempt: AttemptId, pieces: Vec<Piece>);

    /// Whether there is room for more of it. It is taken in any case; but who asks need not fill the memory.
    fn has_room(&self, attempt: AttemptId) -> bool;

    /// Nothing is to become of the cut that was begun last: what is written for it is dropped, and there is room.
    fn give_up(&self, _attempt: AttemptId) {}

    /// Whether nothing becomes of the cut that was begun last, so that the rest of it need not be given. It is to be
    /// [completed](Self::store) all the same: what sinks have prepared at its barrier is in no other.
    fn is_given_up(&self, _attempt: AttemptId) -> bool {
        false
    }

    /// All of the state was given: completes the cut, and says so to the JobMaster when it is stored or has failed.
    fn store(&self, attempt: AttemptId, cut: Cut);
}

/// What a task knows of its snapshots.
pub struct TaskSnapshots {
    groups: GroupSpace,
    exactly_once: bool,
    /// None: nobody stores anything, and barriers cut nothing.
    port: Option<Arc<dyn SnapshotPort>>,
    restored: Mutex<RestoredTask>,
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
            restored: Mutex::default(),
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
        port: Arc<dyn SnapshotPort>,
    ) -> Self {
        // A configuration is checked where it is taken in: what does not parse is not there.
        let mode = configuration.get(MODE.key()).and_then(|text| CheckpointingMode::parse(text).ok());
        Self {
            groups: groups(subtask, parallelism, max_parallelism),
            exactly_once: mode != Some(CheckpointingMode::AtLeastOnce),
            port: Some(port),
            restored: Mutex::default(),
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

    /// What the task starts from, before its operators are opened.
    pub(crate) fn restore(&self, restored: RestoredTask) {
        *self.restored.lock() = restored;
    }

    /// What `operator` had in the snapshot that the task starts from. Once.
    pub(crate) fn take_restored(&self, operator: OperatorId) -> Restored {
        self.restored.lock().take(operator)
    }

    /// After an operator has been opened: whether it has asked for all that it had.
    pub(crate) fn check_restored(&self, restored: &Restored) -> TaskResult {
        self.restored.lock().check(restored)
    }

    /// All inputs have come to a barrier; the first of them did at `since`.
    pub(crate) fn aligned(&self, since: Instant) {
        self.current.lock().alignment = since.elapsed();
    }

    /// A barrier comes to the chain. A cut that was not finished has failed.
    pub(crate) fn begin(&self, attempt: AttemptId, barrier: Barrier) {
        let checkpoint = barrier.checkpoint;
        self.fail(Box::new(Failure::environment(format!("checkpoint {checkpoint} has come before all was given"))));
        self.finish(attempt);
        let extent = self.port.as_ref().map_or(Extent::Whole, |port| port.begin(attempt, barrier));
        let mut current = self.current.lock();
        let alignment = mem::take(&mut current.alignment);
        let mut cut = Cut::new(barrier, extent, alignment);
        cut.unaligned = barrier.overtaking == Overtaking::Now;
        current.cut = Some(cut);
        drop(current);
        self.heed_abort(attempt);
    }

    /// Nobody waits for whoever stores the cut any more.
    pub(crate) fn give_up(&self, attempt: AttemptId, why: &Failure) {
        self.fail(Box::new(why.clone()));
        if let Some(port) = &self.port {
            port.give_up(attempt);
        }
    }

    /// If nothing becomes of the cut, operators need give no more of it.
    pub(crate) fn heed_abort(&self, attempt: AttemptId) {
        if self.port.as_ref().is_some_and(|port| port.is_given_up(attempt)) {
            self.fail(Box::new(Failure::environment("the snapshot was given up before all was given")));
        }
    }

    /// The barrier has come to `operator`, or goes on from there: it gives of its state. If it cannot, the snapshot is of no
    /// use. Nothing happens while nobody wants it.
    pub(crate) fn give<R>(
        &self,
        attempt: AttemptId,
        operator: OperatorId,
        give: impl FnOnce(&mut StateSink<'_>) -> TaskResult<R>,
    ) -> Option<R> {
        // User code is called without the lock.
        let port = self.port.as_ref()?;
        let mut cut = self.current.lock().cut.take_if(|cut| cut.failure.is_none())?;
        let mut pieces = Vec::new();
        let given = give(&mut StateSink::new(operator, self.groups, STEP_BYTES, &mut cut, &mut pieces));
        port.give(attempt, pieces);
        let given = given.map_err(|failure| cut.failure = Some(failure)).ok();
        self.current.lock().cut = Some(cut);
        given
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

    /// The barrier has left the chain: the task goes on.
    pub(crate) fn passed(&self) {
        if let Some(cut) = &mut self.current.lock().cut {
            cut.sync = cut.began.elapsed();
        }
    }

    // ------------------------------------------------------------ records under way

    /// Parts of streams into input `input` of `operator` that the task starts with. Once.
    pub(crate) fn take_in_flight(&self, operator: OperatorId, input: u32) -> Vec<Segment> {
        self.restored.lock().take_in_flight(operator, input)
    }

    /// After a task is built: whether all parts of streams were asked for.
    pub(crate) fn check_in_flight(&self) -> TaskResult {
        self.restored.lock().check_in_flight()
    }

    /// Whether records without an owner may be left behind.
    pub(crate) fn ignores_unclaimed(&self) -> bool {
        self.restored.lock().ignores_unclaimed()
    }

    fn with_cut<R>(&self, checkpoint: CheckpointId, f: impl FnOnce(&mut Cut) -> R) -> Option<R> {
        self.current.lock().cut.as_mut().filter(|cut| cut.barrier.checkpoint == checkpoint).map(f)
    }

    /// Somebody may give parts of streams for the cut of `checkpoint`; until it is [closed](Self::close_streams), the cut is not
    /// whole.
    pub(crate) fn open_streams(&self, checkpoint: CheckpointId) {
        self.with_cut(checkpoint, |cut| cut.streams += 1);
    }

    /// Who said [`open_streams`](Self::open_streams) has given all.
    pub(crate) fn close_streams(&self, checkpoint: CheckpointId) {
        self.with_cut(checkpoint, |cut| cut.streams = cut.streams.saturating_sub(1));
    }

    /// Whether nobody has more parts of streams to give that are of use.
    pub(crate) fn has_all_streams(&self) -> bool {
        self.current.lock().cut.as_ref().is_none_or(|cut| cut.streams == 0 || cut.failure.is_some())
    }

    /// Takes a part of a stream. Nothing happens if that cut is over.
    pub(crate) fn in_flight(&self, attempt: AttemptId, checkpoint: CheckpointId, segment: &Segment) {
        let Some(port) = &self.port else { return };
        let piece = segment.piece();
        let given = self.with_cut(checkpoint, |cut| {
            cut.persisted += segment.bytes() as u64;
            cut.unaligned |= !segment.items.is_empty();
            piece.map_err(|failure| cut.failure.get_or_insert(failure).clone()).ok()
        });
        if let Some(piece) = given.flatten() {
            port.give_in_flight(attempt, vec![piece]);
        }
    }

    /// The first input has waited for so long for the last, when it came.
    pub(crate) fn waited(&self, checkpoint: CheckpointId, time: Duration) {
        self.with_cut(checkpoint, |cut| cut.alignment = time);
    }

    /// Records among those were processed before the last barrier had come.
    pub(crate) fn processed(&self, checkpoint: CheckpointId, bytes: usize) {
        self.with_cut(checkpoint, |cut| cut.processed += bytes as u64);
    }

    /// Whether more may be given now.
    pub(crate) fn has_room(&self, attempt: AttemptId) -> bool {
        self.port.as_ref().is_none_or(|port| port.has_room(attempt))
    }

    /// All has been given.
    pub(crate) fn finish(&self, attempt: AttemptId) {
        let cut = self.current.lock().cut.take();
        if let (Some(mut cut), Some(port)) = (cut, &self.port) {
            if cut.failure.is_none()
                && let Some((operator, name)) = cut.open.first()
            {
                let message = format!("operator {operator} has begun to give {name}, and not given all of it");
                cut.failure = Some(Box::new(Failure::internal(message)));
            }
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

#[cfg(test)]
mod tests {
    use flott_core::{
        checkpoint::{Behind, SnapshotKind},
        id::{AttemptNumber, VertexId},
    };

    use super::*;

    /// Keeps what is completed.
    #[derive(Default)]
    struct Completed(Mutex<Vec<Cut>>);

    impl SnapshotPort for Completed {
        fn begin(&self, _: AttemptId, _: Barrier) -> Extent {
            Extent::Whole
        }

        fn give(&self, _: AttemptId, _: Vec<Piece>) {}

        fn give_in_flight(&self, _: AttemptId, _: Vec<Piece>) {}

        fn has_room(&self, _: AttemptId) -> bool {
            true
        }

        fn store(&self, _: AttemptId, cut: Cut) {
            self.0.lock().push(cut);
        }
    }

    #[test]
    fn what_was_prepared_for_a_snapshot_that_the_next_one_ends_is_told() {
        let completed = Arc::new(Completed::default());
        let snapshots = TaskSnapshots::new(SubtaskIndex(0), 1, 128, &BTreeMap::new(), completed.clone());
        let attempt =
            AttemptId { vertex: VertexId::from_bytes([1; 16]), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
        let sink = OperatorId::from_bytes([2; 16]);
        for checkpoint in (1..=2).map(CheckpointId) {
            let kind = SnapshotKind::Checkpoint;
            snapshots.begin(
                attempt,
                Barrier { checkpoint, kind, behind: Behind::GoOn, overtaking: Overtaking::Now, full: false },
            );
            snapshots.prepared(sink, Bytes::from(format!("at {checkpoint}")));
            // Records that the first overtakes have not come when the second does.
            snapshots.open_streams(checkpoint);
            assert!(!snapshots.has_all_streams());
        }
        let told = completed.0.lock();
        let [first] = &told[..] else { panic!("{told:?}") };
        assert_eq!((first.barrier.checkpoint, &first.prepared[..]), (CheckpointId(1), &[(sink, "at 1".into())][..]));
        assert!(first.failure.is_some());
    }
}
