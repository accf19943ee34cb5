//! What checkpoints have made certain, and is to become visible while the job runs on.

use std::collections::VecDeque;

use flott_core::{id::CheckpointId, message::Committable};

use super::Commit;

/// Commits of checkpoints, one after the other, in order. Their manifests hold what they make visible: who starts from one
/// commits it again first, so none is lost with whoever was to do it.
#[derive(Debug, Clone, Default)]
pub struct CommitQueue {
    current: Option<(CheckpointId, Commit)>,
    waiting: VecDeque<(CheckpointId, Vec<Committable>)>,
    /// The last round of any commit of the job: answers to older ones are told apart by it.
    round: u32,
}

impl CommitQueue {
    /// What `checkpoint` makes visible.
    pub fn push(&mut self, checkpoint: CheckpointId, committables: Vec<Committable>) {
        self.waiting.push_back((checkpoint, committables));
    }

    /// Whether all is visible.
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.waiting.is_empty()
    }

    /// The commit at hand; the next one begins if there is none.
    pub fn current(&mut self) -> Option<&mut (CheckpointId, Commit)> {
        if self.current.is_none() {
            let (checkpoint, committables) = self.waiting.pop_front()?;
            self.current = Some((checkpoint, Commit::restored(committables).after_round(self.round)));
        }
        self.current.as_mut()
    }

    /// The commit at hand, as it is.
    pub fn at_hand(&self) -> Option<&(CheckpointId, Commit)> {
        self.current.as_ref()
    }

    /// The commit at hand is through.
    pub fn done(&mut self) {
        if let Some((_, commit)) = self.current.take() {
            self.round = commit.round;
        }
    }

    /// Takes all that is not visible yet, for another commit; its rounds go on from the number that comes with it.
    pub fn take_all(&mut self) -> (Vec<Committable>, u32) {
        let (mut all, round) = match self.current.take() {
            Some((_, commit)) => (commit.committables, commit.round),
            None => (Vec::new(), self.round),
        };
        all.extend(self.waiting.drain(..).flat_map(|(_, committables)| committables));
        (all, round)
    }
}
