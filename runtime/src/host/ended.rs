//! Attempts that have ended, remembered for a while.

use std::collections::{HashMap, VecDeque};

use flott_core::{failure::Failure, id::AttemptId};

/// How many are remembered. A message about an attempt is repeated soon or not at all, so a few thousand are plenty.
const ENDED_MAX: usize = 16_384;

/// The attempts that ended last, with the failures of those that failed.
#[derive(Default)]
pub(super) struct Ended {
    failures: HashMap<AttemptId, Option<Box<Failure>>>,
    order: VecDeque<AttemptId>,
}

impl Ended {
    pub fn contains(&self, attempt: AttemptId) -> bool {
        self.failures.contains_key(&attempt)
    }

    /// Notes that `attempt` has ended; what was noted first stays.
    pub fn insert(&mut self, attempt: AttemptId, failure: Option<Failure>) {
        if self.contains(attempt) {
            return;
        }
        self.failures.insert(attempt, failure.map(Box::new));
        self.order.push_back(attempt);
        if self.order.len() > ENDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.failures.remove(&oldest);
        }
    }

    /// The failure of `attempt`, if it had one; an unknown one counts as ended from now on.
    pub fn get_or_insert(&mut self, attempt: AttemptId) -> Option<Failure> {
        self.insert(attempt, None);
        self.failures.get(&attempt).cloned().flatten().map(|failure| *failure)
    }
}

#[cfg(test)]
mod tests {
    use flott_core::id::{AttemptNumber, SubtaskIndex, VertexId};

    use super::*;

    #[test]
    fn the_oldest_are_forgotten() {
        let attempt = |subtask| AttemptId {
            vertex: VertexId::from_bytes([1; 16]),
            subtask: SubtaskIndex(subtask),
            attempt: AttemptNumber(0),
        };
        let mut ended = Ended::default();
        // In falling order, so that the least is not the oldest.
        for subtask in (0..=ENDED_MAX as u32).rev() {
            ended.insert(attempt(subtask), Some(Failure::user("once")));
        }
        assert!(!ended.contains(attempt(ENDED_MAX as u32)));
        assert!(ended.contains(attempt(0)));
        assert_eq!(ended.get_or_insert(attempt(0)), Some(Failure::user("once")));
        assert_eq!(ended.get_or_insert(attempt(ENDED_MAX as u32)), None);
        assert!(ended.contains(attempt(ENDED_MAX as u32)));
    }
}
