//! What checkpoints have made certain, and is to become visible while the job runs on.

use flott_core::{id::CheckpointId, message::Committable};

use super::Commit;

/// Bytes that are not visible with which no checkpoint begins. Each manifest, and each round, has them all.
pub const OPEN_BYTES_MAX: usize = 16 << 20;

/// Commits of checkpoints, one after the other, in order. Each manifest holds what it makes visible and what was [open](Self::open)
/// when it was put together: who starts from the latest commits all of that again first, so none is lost with whoever was to do
/// it.
#[derive(Debug, Clone, Default)]
pub struct CommitQueue {
    current: Option<(CheckpointId, Commit)>,
    waiting: Option<(CheckpointId, Vec<Committable>)>,
    /// Bytes of what came last.
    bytes: usize,
    /// Whether the job ends with what came last.
    is_closed: bool,
    /// The last round of any commit of the job: answers to older ones are told apart by it.
    round: u32,
}

impl CommitQueue {
    /// What the manifest of `checkpoint` makes visible. What waited is part of it. Nothing comes behind [the last](Self::push_last).
    pub fn push(&mut self, checkpoint: CheckpointId, committables: Vec<Committable>) {
        if !self.is_closed && !committables.is_empty() {
            self.bytes = committables.iter().map(|committable| committable.data.len()).sum();
            self.waiting = Some((checkpoint, committables));
        }
    }

    /// The same of the savepoint that the job ends with.
    pub fn push_last(&mut self, savepoint: CheckpointId, committables: Vec<Committable>) {
        self.push(savepoint, committables);
        self.is_closed = true;
    }

    /// Whether so much is not visible that no more is to come.
    pub fn is_full(&self) -> bool {
        !self.is_empty() && self.bytes > OPEN_BYTES_MAX
    }

    /// What is certain, and not visible yet as far as is known: the next manifest has to hold it too.
    pub fn open(&self) -> impl Iterator<Item = &Committable> {
        // What waits has what is at hand in it.
        let at_hand = self.current.as_ref().map(|(_, commit)| &commit.committables);
        self.waiting.as_ref().map(|(_, committables)| committables).or(at_hand).into_iter().flatten()
    }

    /// Whether all is visible.
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.waiting.is_none()
    }

    /// The commit at hand; the next one begins if there is none.
    pub fn current(&mut self) -> Option<&mut (CheckpointId, Commit)> {
        if self.current.is_none() {
            let (checkpoint, committables) = self.waiting.take()?;
            self.current = Some((checkpoint, Commit::restored(committables).after_round(self.round)));
        }
        self.current.as_mut()
    }

    /// The commit at hand, as it is.
    pub fn at_hand(&self) -> Option<&(CheckpointId, Commit)> {
        self.current.as_ref()
    }

    /// The commit at hand is through. Gives what is visible by it.
    pub fn done(&mut self) -> Vec<Committable> {
        let Some((_, commit)) = self.current.take() else { return Vec::new() };
        self.round = commit.round;
        commit.committables
    }

    /// The next try is at once.
    pub fn hurry(&mut self) {
        if let Some((_, commit)) = &mut self.current {
            commit.hurry();
        }
    }

    /// Rounds go on after those of an earlier JobMaster: what is said of these is not taken for an answer.
    pub fn after_round(&mut self, round: u32) {
        self.round = self.round.max(round);
        if let Some((_, commit)) = &mut self.current {
            commit.round = commit.round.max(round);
        }
    }

    /// Takes all that is not visible yet, for another commit; its rounds go on from the number that comes with it.
    pub fn take_all(&mut self) -> (Vec<Committable>, u32) {
        let all = self.open().cloned().collect();
        let round = self.current.take().map_or(self.round, |(_, commit)| commit.round);
        self.waiting = None;
        (all, round)
    }
}
