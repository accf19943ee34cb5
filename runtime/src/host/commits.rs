//! Rounds of commits under way in a process.
//!
//! A commit may hang in the file system, each on a thread of its own. The JobMaster asks again when a round is late, for as long as it takes, and
//! the threads are those that snapshots need: so few rounds are under way at a time. None waits for another, since what waits here could
//! still commit when the JobMaster has asked for the opposite, and nobody would know why: it is answered at once, and the JobMaster, which shows that,
//! asks again after a pause.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use flott_core::failure::Failure;

/// Rounds at a time: one that hangs for good does not keep later ones from what has been mended.
const ROUNDS_AT_ONCE: usize = 4;

/// How many there are of a process.
#[derive(Default)]
pub(super) struct Commits(AtomicUsize);

impl Commits {
    /// A round begins, unless too many hang. One that has begun is [over](Self::over) some time.
    pub fn begin(&self) -> Result<(), Failure> {
        let next = |under_way| (under_way < ROUNDS_AT_ONCE).then_some(under_way + 1);
        self.0.fetch_update(SeqCst, SeqCst, next).map(drop).map_err(|under_way| {
            let message = format!(
                "{under_way} rounds of commits hang in this process, and no other begins before one of them is over; see whether what \
                 the sinks write to (mounts, stores, brokers) answers, and where it does, end this process"
            );
            Failure::environment(message)
        })
    }

    /// A round is over.
    pub fn over(&self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
