//! What a JobMaster knows of its job's past that those after it have to know as well.
//!
//! # Contract
//! - It is written as a whole whenever something of it has changed, in place of what was written before; that is when tasks fail, and
//!   never while all goes well. Nobody waits for it to be durable: a JobManager that is killed may take the last failures with it, and
//!   the restarts that they have cost.
//! - Only the newest JobMaster of a job writes it: the store refuses others by their epoch.
//! - [`Past::claimed`] is written by the Dispatcher, which waits for it, and handed on by JobMasters.
//! - It is bounded: so many failures, each in so many bytes.
//! - It is kept as JSON. Fields that a later version adds are left out by an older one, and have their defaults where they are missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    id::{CheckpointId, JobMasterEpoch},
    view::ExceptionView,
};

/// Failures that are kept beside each of those that have had something restarted.
const CONCURRENT_MAX: usize = 4;
/// Times of failures that are kept for the strategy that counts them within an interval.
const FAILURES_MAX: usize = 1024;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Past {
    /// Failures, newest first.
    pub exceptions: Vec<ExceptionView>,
    /// Whether older ones, or parts of these, were dropped.
    pub exceptions_truncated: bool,
    /// The failure that the job last restarted from, or that it is about to end by.
    pub failure: Option<Failure>,
    /// Whether it is about to end by it.
    pub failing: bool,
    /// Restarts so far.
    pub restarts: u32,
    /// What they have cost by the restart strategy.
    pub spent: Spent,
    /// Checkpoints that were complete and cannot be restored, and why.
    pub damaged: BTreeMap<CheckpointId, Failure>,
    /// The JobMaster that had claimed the log of checkpoints when this was written first: durable before anything is deployed. From then
    /// on that log is never empty, and one that is belongs to another directory.
    pub claimed: Option<JobMasterEpoch>,
}

/// What a restart strategy has used up. It has the same form for all of them: a job whose strategy is another meanwhile takes of it
/// what that knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Spent {
    /// Restarts that count against the most that are allowed.
    pub used: u32,
    /// When the failures of the latest interval were, oldest first; milliseconds since the epoch.
    pub failures: Vec<u64>,
    /// The wait that the next one grows from, in milliseconds.
    pub wait_ms: u64,
    /// When the last failure was, and the wait that followed, with its jitter.
    pub last: Option<(u64, u64)>,
}

impl Past {
    /// The same within its bounds.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for exception in &mut self.exceptions {
            self.exceptions_truncated |= exception.concurrent.len() > CONCURRENT_MAX;
            exception.concurrent.truncate(CONCURRENT_MAX);
            std::iter::once(&mut exception.failure).chain(&mut exception.concurrent).for_each(Failure::shorten);
        }
        self.failure.iter_mut().chain(self.damaged.values_mut()).for_each(Failure::shorten);
        let excess = self.spent.failures.len().saturating_sub(FAILURES_MAX);
        self.spent.failures.drain(..excess);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::KEPT_BYTES_MAX;

    fn exception(at: u64, concurrent: usize) -> ExceptionView {
        let failure = Failure::user("x".repeat(100_000)).because("y".repeat(100_000));
        ExceptionView { at, concurrent: vec![failure.clone(); concurrent], failure }
    }

    #[test]
    fn it_is_bounded_and_says_what_it_has_dropped() {
        let past = Past { exceptions: (0..16).map(|at| exception(at, 32)).collect(), ..Past::default() }.bounded();
        let kept = |exception: &ExceptionView| exception.concurrent.len();
        assert!(past.exceptions_truncated && past.exceptions.iter().all(|exception| kept(exception) == CONCURRENT_MAX));
        let bytes = serde_json::to_vec(&past).unwrap().len();
        assert!(bytes < 16 * 5 * (KEPT_BYTES_MAX + 512), "{bytes}");
        let few = Past { exceptions: vec![exception(1, 1)], ..Past::default() }.bounded();
        assert!(!few.exceptions_truncated);
    }

    #[test]
    fn what_another_version_has_written_is_read() {
        let damaged = [(CheckpointId(7), Failure::environment("torn"))].into();
        let past = Past { restarts: 3, damaged, spent: Spent { used: 2, ..Spent::default() }, ..Past::default() };
        let text = serde_json::to_string(&past).unwrap();
        assert_eq!(serde_json::from_str::<Past>(&text).unwrap(), past);
        let other = r#"{ "restarts": 3, "spent": { "used": 2, "new": 1 }, "of-a-later-version": [] }"#;
        let read: Past = serde_json::from_str(other).unwrap();
        assert_eq!((read.restarts, read.spent.used, read.exceptions.len()), (3, 2, 0));
    }
}
