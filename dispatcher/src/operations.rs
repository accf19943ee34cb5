//! Snapshots and changes of parallelism that were asked for, and disposals: each has an id, under which its outcome can be read for a while.
//!
//! The ids make requests idempotent: one that is sent again is answered with what the first has begun. They are kept in
//! memory; a JobManager that is started again knows none of them.

use std::collections::{BTreeMap, VecDeque};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, JobId, TriggerId},
};
use flott_jobmaster::Rescaled;

/// Operations that may be under way at a time.
const RUNNING_MAX: usize = 256;
/// Outcomes that are remembered.
const OUTCOMES_MAX: usize = 1024;

/// What an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// What an operation has done.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// All operations.
#[derive(Debug, Default)]
pub struct Operations {
    /// `None` while it is under way.
    by_key: BTreeMap<(Subject, TriggerId), Option<Outcome>>,
    /// Those that have ended, oldest first.
    ended: VecDeque<(Subject, TriggerId)>,
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

    /// One that was entered has ended.
    pub fn end(&mut self, subject: Subject, id: TriggerId, outcome: Outcome) {
        self.by_key.insert((subject, id), Some(outcome));
        self.ended.push_back((subject, id));
        if self.ended.len() > OUTCOMES_MAX
            && let Some(oldest) = self.ended.pop_front()
        {
            self.by_key.remove(&oldest);
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

    #[test]
    fn the_oldest_outcomes_are_forgotten_and_nothing_else() {
        let mut operations = Operations::default();
        let last = OUTCOMES_MAX as u64 + 1;
        assert!(operations.begin(Subject::Disposal, id(0)));
        for number in 1..=last {
            assert!(operations.begin(Subject::Disposal, id(number)));
            operations.end(Subject::Disposal, id(number), Ok(Done::Disposed));
        }
        assert_eq!(operations.get(Subject::Disposal, id(0)), Some(None));
        assert_eq!(operations.get(Subject::Disposal, id(1)), None);
        assert_eq!(operations.get(Subject::Disposal, id(2)), Some(Some(Ok(Done::Disposed))));
        assert_eq!(operations.get(Subject::Disposal, id(last)), Some(Some(Ok(Done::Disposed))));
        assert_eq!(operations.get(Subject::Savepoint(JobId::from_bytes([1; 16])), id(2)), None);
    }

    #[test]
    fn only_so_many_are_under_way() {
        let mut operations = Operations::default();
        let all = RUNNING_MAX as u64;
        assert!((0..all).all(|number| operations.begin(Subject::Disposal, id(number))));
        assert!(!operations.begin(Subject::Disposal, id(all)));
        operations.end(Subject::Disposal, id(0), Ok(Done::Disposed));
        assert!(operations.begin(Subject::Disposal, id(all)));
    }
}
