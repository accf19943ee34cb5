//! What a JobMaster knows of its job's past that those after it have to know as well.
//!
//! # Contract
//! - It is written as a whole whenever something of it has changed, in place of what was written before; that is when tasks fail, and
//!   when a savepoint is taken, and never else while all goes well. Nobody waits for it to be durable: a JobManager that is killed may take the last failures with it, and
//!   the restarts that they have cost.
//! - Only the newest JobMaster of a job writes it: the store refuses others by their epoch.
//! - [`Past::claimed`] is written by the Dispatcher, which waits for it, and handed on by JobMasters.
//! - What a savepoint holds is there before its manifest is: that write is waited for.
//! - It is bounded: so many failures, each in so many bytes; and what sinks have prepared for savepoints that may be complete, as long as no
//!   checkpoint has made that certain. A JobMaster with much of that begins no other savepoint that its job goes on behind.
//! - It is kept as JSON. Fields that a later version adds are left out by an older one, and have their defaults where they are missing.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    failure::Failure,
    id::{CheckpointId, JobMasterEpoch, OperatorId},
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
    /// What savepoints hold, or may, that is not visible, with the sink that has prepared it: it is kept when the job ends, for who starts
    /// from them.
    #[serde(with = "promises", skip_serializing_if = "BTreeSet::is_empty")]
    pub promised: BTreeSet<(OperatorId, Bytes)>,
}

/// What sinks have prepared, as hex digits: as numbers it would be twice as long.
mod promises {
    use serde::{Deserializer, Serializer, de::Error};

    use super::*;

    pub fn serialize<S: Serializer>(promises: &BTreeSet<(OperatorId, Bytes)>, to: S) -> Result<S::Ok, S::Error> {
        let hex = |data: &Bytes| data.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        to.collect_seq(promises.iter().map(|(sink, data)| (sink, hex(data))))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<(OperatorId, Bytes)>, D::Error> {
        let promises = <Vec<(OperatorId, String)>>::deserialize(from)?;
        let read = |(sink, hex): (OperatorId, String)| {
            let data = bytes_of(&hex).ok_or_else(|| D::Error::custom("expected pairs of hex digits"))?;
            Ok((sink, data))
        };
        promises.into_iter().map(read).collect()
    }

    fn bytes_of(hex: &str) -> Option<Bytes> {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
            _ => None,
        };
        hex.as_bytes().chunks(2).map(byte).collect()
    }
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
        let promised = [(OperatorId::from_bytes([7; 16]), Bytes::from_static(b"\x00part\xff"))].into();
        let past =
            Past { restarts: 3, damaged, promised, spent: Spent { used: 2, ..Spent::default() }, ..Past::default() };
        let text = serde_json::to_string(&past).unwrap();
        assert_eq!(serde_json::from_str::<Past>(&text).unwrap(), past);
        let other = r#"{ "restarts": 3, "spent": { "used": 2, "new": 1 }, "of-a-later-version": [] }"#;
        let read: Past = serde_json::from_str(other).unwrap();
        assert_eq!((read.restarts, read.spent.used, read.exceptions.len()), (3, 2, 0));
        let sink = "0".repeat(32);
        for broken in ["7", "7g", "+7"] {
            let text = format!(r#"{{ "promised": [["{sink}", "{broken}"]] }}"#);
            assert!(serde_json::from_str::<Past>(&text).is_err(), "{text}");
        }
    }
}
