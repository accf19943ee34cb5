//! Named counters of user functions.

use flott_core::{failure::Failure, view::Accumulator};
use flott_runtime::{error::TaskResult, task::TaskInfo};

/// Counters of one operator in one subtask: added up without a lock, given to the task at the end.
#[derive(Debug, Default)]
pub(crate) struct Counters(Vec<(String, i64)>);

impl Counters {
    pub fn add(&mut self, name: &str, number: i64) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum = sum.wrapping_add(number),
            None => self.0.push((name.to_owned(), number)),
        }
    }

    /// Adds what has come together to the task's results.
    pub fn report(&mut self, task: &TaskInfo) -> TaskResult {
        let mut results = task.accumulators.lock();
        for (name, sum) in self.0.drain(..) {
            let sum = Accumulator::LongCounter(sum);
            match results.get_mut(&name) {
                None => {
                    results.insert(name, sum);
                }
                Some(known) => {
                    if !known.merge(sum) {
                        let message = format!("accumulator {name:?} is used with two types");
                        return Err(Box::new(Failure::user(message).fatal()));
                    }
                }
            }
        }
        Ok(())
    }
}
