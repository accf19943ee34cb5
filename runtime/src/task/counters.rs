//! Counters of user functions. Each is written by the operator that counts, and read while it does by whoever reports the
//! task: so the sums are known while the task runs, and once it has ended, however that was.
//!
//! A count costs the record loop a plain addition: an operator has cells of its own, which nobody else writes to. The lock
//! is for new names and those that find no place, and for a look at all of them once a second.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use flott_core::view::{COUNTER_NAME_BYTES_MAX, COUNTERS_MAX, Counters, FURTHER_COUNTERS, LATE_RECORDS_DROPPED};
use parking_lot::Mutex;

/// All counters of one attempt.
#[derive(Debug, Default)]
pub struct TaskCounters(Mutex<Cells>);

#[derive(Debug, Default)]
struct Cells {
    /// One for each name and operator that counts under it.
    named: Vec<(String, Arc<AtomicI64>)>,
    /// What is counted under names that find no place.
    further: Option<i64>,
}

impl TaskCounters {
    /// The sums now. May be called at any time and by anyone.
    pub fn read(&self) -> Counters {
        let cells = self.0.lock();
        let mut counters = Counters::default();
        cells.named.iter().for_each(|(name, cell)| counters.add(name, cell.load(Relaxed)));
        cells.further.iter().for_each(|sum| counters.add(FURTHER_COUNTERS, *sum));
        counters
    }

    /// A new cell for `name`; `None` if it finds no place, and what was to be counted is counted among the further ones.
    fn cell(&self, name: &str, number: i64) -> Option<Arc<AtomicI64>> {
        let mut cells = self.0.lock();
        // One is kept for what the library counts itself, which a metric is made of.
        let has_place = cells.named.len() < COUNTERS_MAX - 1 || name == LATE_RECORDS_DROPPED;
        if has_place && name.len() <= COUNTER_NAME_BYTES_MAX {
            let cell = Arc::new(AtomicI64::new(number));
            cells.named.push((name.to_owned(), cell.clone()));
            return Some(cell);
        }
        if cells.further.is_none() {
            tracing::warn!(
                name = %name.chars().take(80).collect::<String>(),
                "a task counts under more than {COUNTERS_MAX} names, or under a name longer than \
                 {COUNTER_NAME_BYTES_MAX} bytes: the rest is counted as {FURTHER_COUNTERS:?}"
            );
        }
        cells.further = Some(cells.further.unwrap_or_default().wrapping_add(number));
        None
    }
}

/// The counters of one operator of a task.
#[derive(Debug, Default)]
pub struct OperatorCounters(Vec<(String, Arc<AtomicI64>)>);

impl OperatorCounters {
    /// Adds `number` to the counter `name`, which is one of `task`: always the same.
    #[inline]
    pub fn add(&mut self, task: &TaskCounters, name: &str, number: i64) {
        match self.0.iter().find(|(known, _)| known == name) {
            // Nobody else writes to it.
            Some((_, cell)) => cell.store(cell.load(Relaxed).wrapping_add(number), Relaxed),
            None => self.0.extend(task.cell(name, number).map(|cell| (name.to_owned(), cell))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_count_each_for_itself_and_are_read_together_at_any_time() {
        let task = TaskCounters::default();
        let (mut first, mut second) = (OperatorCounters::default(), OperatorCounters::default());
        assert!(task.read().is_empty());
        first.add(&task, "seen", 1);
        second.add(&task, "seen", 10);
        second.add(&task, "left out", i64::MAX);
        first.add(&task, "seen", 100);
        second.add(&task, "left out", 1);
        drop(first);
        let read = task.read();
        assert_eq!(read.iter().collect::<Vec<_>>(), [("left out", i64::MIN), ("seen", 111)]);
    }

    #[test]
    fn however_many_names_there_are_a_task_keeps_few_and_loses_no_count() {
        let task = TaskCounters::default();
        let mut operator = OperatorCounters::default();
        for round in 0..2 {
            for name in 0..2 * COUNTERS_MAX {
                operator.add(&task, &name.to_string(), 1);
            }
            operator.add(&task, &"x".repeat(COUNTER_NAME_BYTES_MAX + 1), 5);
            assert_eq!(task.read().get("3"), round + 1);
        }
        let read = task.read();
        assert_eq!((operator.0.len(), read.iter().count()), (COUNTERS_MAX - 1, COUNTERS_MAX));
        assert_eq!(read.get(FURTHER_COUNTERS), 2 * (COUNTERS_MAX as i64 + 1 + 5));
        // Which a metric is made of.
        operator.add(&task, LATE_RECORDS_DROPPED, 7);
        assert_eq!(task.read().get(LATE_RECORDS_DROPPED), 7);
    }
}
