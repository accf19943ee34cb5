//! The files that the snapshots of a task consist of.

use std::collections::{BTreeMap, HashMap};

use flott_core::{
    checkpoint::{Barrier, SnapshotKind, StateFile},
    id::{AttemptId, CheckpointId},
};
use parking_lot::Mutex;

use crate::state::Extent;

/// Files of a chain. A restore opens each of them.
const FILES_MAX: usize = 32;

/// The chains of all tasks of a host.
#[derive(Debug, Default)]
pub(super) struct Chains(Mutex<HashMap<AttemptId, Chain>>);

/// A whole file, and what changed after it, file by file: what the next snapshot can build on.
///
/// When what changed comes to more than the whole, the next file is a whole one again: so a restore reads no more than twice
/// what there is, and on average no byte is written more than twice.
///
/// A snapshot builds on the one before it, if that was stored when it began, and on nothing else. So once one is stored, later ones
/// have files of it and of later ones alone: all others can be removed, unless a manifest names them
/// ([`Log::sweep`](flott_snapshot::Log::sweep)).
#[derive(Debug, Default)]
struct Chain {
    files: Vec<StateFile>,
    /// What each snapshot builds on that is being stored.
    under_way: BTreeMap<CheckpointId, Vec<StateFile>>,
    /// The snapshot that was cut last, unless nothing can build on it.
    last: Option<CheckpointId>,
}

impl Chain {
    fn extent(&self) -> Extent {
        let (whole, changed) = match self.files.split_first() {
            Some((whole, changed)) => (whole.bytes, changed.iter().map(|file| file.bytes).sum::<u64>()),
            None => return Extent::Whole,
        };
        // One that is being stored may fail.
        let is_open = self.under_way.is_empty() && self.last.is_some() && self.files.len() < FILES_MAX;
        if is_open && changed <= whole { Extent::Changed } else { Extent::Whole }
    }
}

impl Chains {
    /// A snapshot of `attempt` is being cut: what it is to have.
    pub fn begin(&self, attempt: AttemptId, barrier: Barrier) -> Extent {
        let mut chains = self.0.lock();
        let chain = chains.entry(attempt).or_default();
        let extent = if barrier.is_whole() { Extent::Whole } else { chain.extent() };
        // What changes after a savepoint is counted from there, and its files are not the job's to build on.
        chain.last = (barrier.kind == SnapshotKind::Checkpoint).then_some(barrier.checkpoint);
        let base = if extent == Extent::Changed { chain.files.clone() } else { Vec::new() };
        chain.under_way.insert(barrier.checkpoint, base);
        extent
    }

    /// It was stored, in `file` if there was anything; gives all its files.
    pub fn stored(&self, attempt: AttemptId, checkpoint: CheckpointId, file: Option<StateFile>) -> Vec<StateFile> {
        let mut chains = self.0.lock();
        let Some(chain) = chains.get_mut(&attempt) else { return file.into_iter().collect() };
        let mut files = chain.under_way.remove(&checkpoint).unwrap_or_default();
        files.extend(file);
        if chain.last == Some(checkpoint) {
            chain.files.clone_from(&files);
        }
        files
    }

    /// It was not stored.
    pub fn failed(&self, attempt: AttemptId, checkpoint: CheckpointId) {
        if let Some(chain) = self.0.lock().get_mut(&attempt) {
            chain.under_way.remove(&checkpoint);
            chain.last = chain.last.filter(|last| *last != checkpoint);
        }
    }

    /// The attempt has ended.
    pub fn forget(&self, attempt: AttemptId) {
        self.0.lock().remove(&attempt);
    }
}

#[cfg(test)]
mod tests {
    use flott_core::{
        checkpoint::Overtaking,
        id::{AttemptNumber, SubtaskIndex, VertexId},
    };
    use proptest::prelude::*;

    use super::*;

    const ATTEMPT: AttemptId =
        AttemptId { vertex: VertexId::from_bytes([1; 16]), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };

    fn barrier(checkpoint: u64, kind: SnapshotKind) -> Barrier {
        Barrier { kind, ..crate::testing::barrier(checkpoint, Overtaking::Never) }
    }

    fn begin(chains: &Chains, checkpoint: u64) -> Extent {
        chains.begin(ATTEMPT, barrier(checkpoint, SnapshotKind::Checkpoint))
    }

    fn stored(chains: &Chains, checkpoint: u64, bytes: u64) -> Vec<u64> {
        let file = StateFile { path: checkpoint.to_string(), bytes, checksum: 0 };
        let files = chains.stored(ATTEMPT, CheckpointId(checkpoint), Some(file));
        files.iter().map(|file| file.path.parse().unwrap()).collect()
    }

    #[test]
    fn what_changed_follows_a_whole_one_until_it_comes_to_more() {
        let chains = Chains::default();
        assert_eq!(begin(&chains, 1), Extent::Whole);
        assert_eq!(stored(&chains, 1, 100), [1]);
        assert_eq!(begin(&chains, 2), Extent::Changed);
        assert_eq!(stored(&chains, 2, 60), [1, 2]);
        assert_eq!(begin(&chains, 3), Extent::Changed);
        assert_eq!(stored(&chains, 3, 60), [1, 2, 3]);
        assert_eq!(begin(&chains, 4), Extent::Whole);
        assert_eq!(stored(&chains, 4, 100), [4]);
        chains.forget(ATTEMPT);
        assert_eq!(begin(&chains, 5), Extent::Whole);
    }

    #[test]
    fn nothing_builds_on_what_failed_or_may_fail() {
        let chains = Chains::default();
        begin(&chains, 1);
        assert_eq!(begin(&chains, 2), Extent::Whole, "the first is not stored yet");
        assert_eq!(stored(&chains, 1, 100), [1]);
        assert_eq!(stored(&chains, 2, 100), [2]);
        assert_eq!(begin(&chains, 3), Extent::Changed);
        chains.failed(ATTEMPT, CheckpointId(3));
        assert_eq!(begin(&chains, 4), Extent::Whole);
        assert_eq!(stored(&chains, 4, 100), [4]);
        assert_eq!(begin(&chains, 5), Extent::Changed);
        assert_eq!(stored(&chains, 5, 1), [4, 5]);
    }

    proptest! {
        #[test]
        fn once_one_is_stored_later_ones_build_on_nothing_older(steps in prop::collection::vec(0..11u8, 1..60)) {
            let chains = Chains::default();
            let (mut next, mut under_way, mut known) = (1, Vec::new(), Vec::<(u64, Vec<u64>)>::new());
            let mut cuts = BTreeMap::<u64, (SnapshotKind, Extent)>::new();
            for step in steps {
                let cut = match step {
                    0..4 => barrier(next, SnapshotKind::Checkpoint),
                    4 => barrier(next, SnapshotKind::Savepoint),
                    5 => Barrier { full: true, ..barrier(next, SnapshotKind::Checkpoint) },
                    // Slow ones are stored behind later ones.
                    _ if under_way.is_empty() => continue,
                    6..10 => {
                        let cut: Barrier = under_way.remove(usize::from(step) % under_way.len());
                        let id = cut.checkpoint.0;
                        let files = stored(&chains, id, 10);
                        prop_assert_eq!(cuts[&files[0]].1, Extent::Whole);
                        for file in &files[1..] {
                            let follows = cuts[file].1 == Extent::Changed && files.contains(&(file - 1));
                            prop_assert!(follows && cuts[&(file - 1)].0 == SnapshotKind::Checkpoint, "{id} is {files:?}");
                        }
                        if cut.is_whole() {
                            prop_assert_eq!(&files, &[id]);
                        }
                        if cut.kind == SnapshotKind::Checkpoint {
                            for (older, has) in known.iter().filter(|(older, _)| *older < id) {
                                let is_new = |file: &u64| *file > *older || has.contains(file);
                                prop_assert!(files.iter().all(is_new), "{id} is {files:?}, and {older} was {has:?}");
                            }
                            known.push((id, files));
                        }
                        continue;
                    }
                    _ => {
                        chains.failed(ATTEMPT, under_way.remove(0).checkpoint);
                        continue;
                    }
                };
                cuts.insert(next, (cut.kind, chains.begin(ATTEMPT, cut)));
                under_way.push(cut);
                next += 1;
            }
        }
    }

    #[test]
    fn a_full_checkpoint_is_whole_and_later_ones_build_on_it() {
        let chains = Chains::default();
        begin(&chains, 1);
        stored(&chains, 1, 100);
        let full = Barrier { full: true, ..barrier(2, SnapshotKind::Checkpoint) };
        assert_eq!(chains.begin(ATTEMPT, full), Extent::Whole);
        assert_eq!(stored(&chains, 2, 100), [2]);
        assert_eq!(begin(&chains, 3), Extent::Changed);
        assert_eq!(stored(&chains, 3, 1), [2, 3]);
    }

    #[test]
    fn a_savepoint_is_whole_and_so_is_what_follows_it() {
        let chains = Chains::default();
        begin(&chains, 1);
        stored(&chains, 1, 100);
        assert_eq!(chains.begin(ATTEMPT, barrier(2, SnapshotKind::Savepoint)), Extent::Whole);
        assert_eq!(stored(&chains, 2, 100), [2]);
        assert_eq!(begin(&chains, 3), Extent::Whole);
        assert_eq!(stored(&chains, 3, 100), [3]);
    }
}
