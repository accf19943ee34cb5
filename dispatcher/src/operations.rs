//! Snapshots and changes of parallelism that were asked for, and disposals: each has an id, under which its outcome can be read for a while.
//!
//! The ids make requests idempotent: one that is sent again is answered with what the first has begun, by the next JobManager too.
//!
//! # Contract
//! - That an operation is undertaken is durable before anything of it is done that must not be done twice, and how it has ended once it
//!   has: a JobManager that finds one undertaken and not ended says what it can find out of it, and never does it again.
//! - Writes that fail are no reason not to do what is asked for: then the next JobManager does not know of it. Each has a time later than
//!   those before, whatever the clock says, over JobManagers too; one that comes behind a later one of its operation changes nothing, nor
//!   does it drop what was written later. So an id whose operation is forgotten may be used anew.
//! - The store keeps what is in memory here, so it is bounded by the same numbers, but for what could not be removed: that goes with
//!   the next operation that ends, of this JobManager or another. Only the JobManager that leads writes to it.

use std::collections::{BTreeMap, VecDeque};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, JobId, TriggerId},
};
use flott_jobmaster::Rescaled;
use serde::{Deserialize, Serialize};

/// Operations that may be under way at a time.
const RUNNING_MAX: usize = 256;
/// Outcomes that are remembered.
const OUTCOMES_MAX: usize = 1024;

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A checkpoint of a job.
    Checkpoint(JobId),
    /// A savepoint of a job, whether the job stops with it or not.
    Savepoint(JobId),
    /// The removal of a savepoint.
    Disposal,
    /// Another parallelism of a job.
    Rescale(JobId),
}

/// What becomes of a job once its savepoint is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterSavepoint {
    /// It runs on.
    GoOn,
    /// It is cancelled. What it has read between the savepoint and its end is read again by who starts from there.
    Cancel,
    /// It ends as finished, having read nothing behind the savepoint.
    Stop,
    /// The same, and time has come to its end: all windows have fired. It is not to be started from there.
    Drain,
}

/// What is about to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undertaken {
    /// A savepoint in this directory.
    Savepoint {
        /// As a location; it exists.
        directory: String,
        /// What becomes of the job.
        then: AfterSavepoint,
    },
    /// Something that leaves nothing by which to tell whether it was done.
    Other,
}

/// What an operation has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Done {
    /// This checkpoint is complete.
    Checkpoint(CheckpointId),
    /// The savepoint at this location is complete.
    Savepoint(String),
    /// A savepoint is removed.
    Disposed,
    /// The job has the parallelism that was asked for.
    Rescaled(Rescaled),
}

/// How an operation has ended.
pub type Outcome = Result<Done, Failure>;

/// Names an operation.
pub type OperationKey = (Subject, TriggerId);

/// An operation as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct OperationRecord {
    /// What it is about.
    pub subject: Subject,
    /// Its id.
    pub id: TriggerId,
    /// When this was written: milliseconds since the epoch, and more than in whatever was written before.
    pub at: u64,
    /// What is known of it.
    pub state: OperationState,
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperationState {
    /// It may be done in part, or wholly.
    Undertaken(Undertaken),
    /// It has ended.
    Ended(Outcome),
}

impl OperationRecord {
    /// Names it.
    pub fn key(&self) -> OperationKey {
        (self.subject, self.id)
    }

    /// Whether it stays when `next` is written in its place: that comes late.
    pub(crate) fn outlives(&self, next: &Self) -> bool {
        self.at >= next.at
    }
}

/// An operation that nobody remembers, as it was written at this time. What is written later is of another with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// Names it.
    pub key: OperationKey,
    /// When it was written last.
    pub at: u64,
}

impl Forgotten {
    /// Whether this is what is kept of it.
    pub(crate) fn is(&self, kept: &OperationRecord) -> bool {
        self.key == kept.key() && kept.at <= self.at
    }
}

/// All operations.
#[derive(Debug, Default)]
pub struct Operations {
    /// `None` while it is under way.
    by_key: BTreeMap<OperationKey, Option<Outcome>>,
    /// Those that have ended, oldest first.
    ended: VecDeque<Forgotten>,
    /// Those that are forgotten, and may be in the store, with the times of their last writes.
    forgotten: BTreeMap<OperationKey, u64>,
    /// The time of the last write.
    last: u64,
}

impl Operations {
    /// Whether there is such an operation, under way or remembered.
    pub fn knows(&self, subject: Subject, id: TriggerId) -> bool {
        self.by_key.contains_key(&(subject, id))
    }

    /// Enters one. `false` when too many are under way.
    #[must_use]
    pub fn begin(&mut self, subject: Subject, id: TriggerId) -> bool {
        let may = self.by_key.len() - self.ended.len() < RUNNING_MAX;
        if may {
            self.by_key.insert((subject, id), None);
        }
        may
    }

    /// The time of something that is written at `now`.
    pub fn stamp(&mut self, now: u64) -> u64 {
        self.last = now.max(self.last.saturating_add(1));
        self.last
    }

    /// Enters those of earlier JobManagers, oldest first. Gives those of which it is to be found out how they have ended.
    pub fn recover(&mut self, records: Vec<OperationRecord>) -> Vec<(OperationKey, Undertaken)> {
        let mut open = Vec::new();
        for record in records {
            let key = record.key();
            self.last = self.last.max(record.at);
            match record.state {
                OperationState::Ended(outcome) => self.ended_at(key, outcome, record.at),
                OperationState::Undertaken(what) => {
                    self.by_key.insert(key, None);
                    open.push((key, what));
                }
            }
        }
        open
    }

    /// One that was entered has ended by `now`. The oldest is forgotten for it when there are too many. Gives the time to write it with.
    pub fn end(&mut self, key: OperationKey, outcome: Outcome, now: u64) -> u64 {
        let at = self.stamp(now);
        self.ended_at(key, outcome, at);
        at
    }

    fn ended_at(&mut self, key: OperationKey, outcome: Outcome, at: u64) {
        self.by_key.insert(key, Some(outcome));
        self.ended.push_back(Forgotten { key, at });
        let oldest = if self.ended.len() > OUTCOMES_MAX { self.ended.pop_front() } else { None };
        if let Some(Forgotten { key, at }) = oldest {
            self.by_key.remove(&key);
            // Of more than that, the next JobManager finds again what is in the store.
            if self.forgotten.len() < OUTCOMES_MAX || self.forgotten.contains_key(&key) {
                self.forgotten.insert(key, at);
            }
        }
    }

    /// Those that are forgotten, and are to go from the store.
    pub fn forgotten(&self) -> Vec<Forgotten> {
        self.forgotten.iter().map(|(&key, &at)| Forgotten { key, at }).collect()
    }

    /// These are not in the store any more.
    pub fn dropped(&mut self, dropped: &[Forgotten]) {
        for Forgotten { key, at } in dropped {
            if self.forgotten.get(key).is_some_and(|last| last <= at) {
                self.forgotten.remove(key);
            }
        }
    }

    /// How one has ended, or that it is under way. `None`: there is none, or it is forgotten.
    pub fn get(&self, subject: Subject, id: TriggerId) -> Option<Option<Outcome>> {
        self.by_key.get(&(subject, id)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TriggerId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        TriggerId::from_bytes(bytes)
    }

    fn key(number: u64) -> OperationKey {
        (Subject::Disposal, id(number))
    }

    fn done() -> Outcome {
        Ok(Done::Disposed)
    }

    fn record(number: u64, state: OperationState) -> OperationRecord {
        OperationRecord { subject: Subject::Disposal, id: id(number), at: number, state }
    }

    #[test]
    fn the_oldest_outcomes_are_forgotten_and_nothing_else() {
        let mut operations = Operations::default();
        let last = OUTCOMES_MAX as u64 + 1;
        assert!(operations.begin(Subject::Disposal, id(0)));
        for number in 1..=last {
            assert!(operations.begin(Subject::Disposal, id(number)));
            assert_eq!(operations.end(key(number), done(), 10 * number), 10 * number);
            let oldest = (number == last).then_some(Forgotten { key: key(1), at: 10 });
            assert_eq!(operations.forgotten(), oldest.into_iter().collect::<Vec<_>>());
        }
        assert_eq!(operations.get(Subject::Disposal, id(0)), Some(None));
        assert_eq!(operations.get(Subject::Disposal, id(1)), None);
        assert_eq!(operations.get(Subject::Disposal, id(2)), Some(Some(done())));
        assert_eq!(operations.get(Subject::Disposal, id(last)), Some(Some(done())));
        assert_eq!(operations.get(Subject::Savepoint(JobId::from_bytes([1; 16])), id(2)), None);
    }

    #[test]
    fn what_is_forgotten_is_to_go_from_the_store_until_it_has() {
        let mut operations = Operations::default();
        // As many as earlier JobManagers could not remove.
        let ended = |number| record(number, OperationState::Ended(done()));
        assert_eq!(operations.recover((0..OUTCOMES_MAX as u64 + 3).map(ended).collect()), []);
        let forgotten = [0, 1, 2].map(|at| Forgotten { key: key(at), at });
        assert_eq!(operations.forgotten(), forgotten);
        operations.dropped(&[forgotten[0], forgotten[1]]);
        assert_eq!(operations.forgotten(), [forgotten[2]]);
    }

    #[test]
    fn one_that_was_asked_for_anew_and_is_forgotten_again_is_to_go_again() {
        let mut operations = Operations::default();
        let end = |operations: &mut Operations, numbers: std::ops::RangeInclusive<u64>, now: u64| {
            for number in numbers {
                assert!(operations.begin(Subject::Disposal, id(number)));
                operations.end(key(number), done(), now);
            }
        };
        let all = OUTCOMES_MAX as u64;
        end(&mut operations, 1..=all + 1, 0);
        let first = operations.forgotten();
        assert_eq!(first, [Forgotten { key: key(1), at: 1 }]);
        end(&mut operations, 1..=1, 5000);
        end(&mut operations, all + 2..=2 * all + 1, 6000);
        // The write that drops it as it was before comes to its end only now.
        operations.dropped(&first);
        assert!(operations.forgotten().contains(&Forgotten { key: key(1), at: 5000 }));
    }

    #[test]
    fn times_of_writes_grow_whatever_the_clock_says() {
        let mut operations = Operations::default();
        assert_eq!([7, 7, 3, 20].map(|now| operations.stamp(now)), [7, 8, 9, 20]);
        let undertaken = OperationState::Undertaken(Undertaken::Other);
        operations.recover(vec![record(100, OperationState::Ended(done())), record(90, undertaken)]);
        assert_eq!(operations.stamp(30), 101);
    }

    #[test]
    fn only_so_many_are_under_way() {
        let mut operations = Operations::default();
        let all = RUNNING_MAX as u64;
        assert!((0..all).all(|number| operations.begin(Subject::Disposal, id(number))));
        assert!(!operations.begin(Subject::Disposal, id(all)));
        operations.end(key(0), done(), 0);
        assert!(operations.begin(Subject::Disposal, id(all)));
    }

    #[test]
    fn what_earlier_job_managers_knew_is_known_and_what_they_left_open_is_found_out() {
        let ended = OperationState::Ended(done());
        let records = vec![record(1, ended), record(2, OperationState::Undertaken(Undertaken::Other))];
        let mut operations = Operations::default();
        let open = operations.recover(records);
        assert_eq!(open, [(key(2), Undertaken::Other)]);
        assert_eq!(operations.get(Subject::Disposal, id(1)), Some(Some(done())));
        assert_eq!(operations.get(Subject::Disposal, id(2)), Some(None));
        assert!(operations.knows(Subject::Disposal, id(2)));
    }
}
