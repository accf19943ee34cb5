//! Rounds of commits under way in a process.
//!
//! A commit may hang in the file system, each on a thread of its own. The JobMaster asks again when a round is late, for as long as it takes, and
//! the threads are those that snapshots need: so few rounds are under way at a time, and of those that come meanwhile the last
//! waits, as it has all that is to become visible. A round that it takes the place of has no answer; the JobMaster has
//! given it up.

use flott_core::message::Committable;
use parking_lot::Mutex;

/// Rounds at a time: one that hangs for good does not keep later ones from what has been mended.
const ROUNDS_AT_ONCE: usize = 4;

/// A round of a commit.
pub(super) struct Round {
    pub number: u32,
    pub committables: Vec<Committable>,
}

/// Those of a process.
#[derive(Default)]
pub(super) struct Commits(Mutex<State>);

#[derive(Default)]
struct State {
    under_way: usize,
    waiting: Option<Round>,
}

impl Commits {
    /// A round is asked for. Given back, it is to begin now; else another gives it, when that is [over](Self::over).
    pub fn ask(&self, round: Round) -> Option<Round> {
        let mut state = self.0.lock();
        if state.under_way < ROUNDS_AT_ONCE {
            state.under_way += 1;
            return Some(round);
        }
        if let Some(given_up) = state.waiting.replace(round) {
            tracing::warn!(
                round = given_up.number,
                "commits of earlier rounds hang, and a later round is waiting for them"
            );
        }
        None
    }

    /// A round is over: the one to begin in its place.
    pub fn over(&self) -> Option<Round> {
        let mut state = self.0.lock();
        let next = state.waiting.take();
        state.under_way -= usize::from(next.is_none());
        next
    }
}
