//! The failures of a job, newest first, bounded.

use std::collections::{BTreeSet, VecDeque};

use flott_core::{failure::Failure, id::WorkerId, view::ExceptionView};

use crate::time::Millis;

/// Failures that are kept beside each of them.
pub const CONCURRENT_MAX: usize = 32;

/// Names an entry for as long as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryId(u64);

/// What has failed so far.
#[derive(Debug, Clone)]
pub struct History {
    /// How many are kept; at least one is.
    entries_max: usize,
    /// Newest at the back.
    entries: VecDeque<ExceptionView>,
    recorded: u64,
    truncated: bool,
    /// Those that are no failures.
    warnings: BTreeSet<EntryId>,
    /// Since it was last asked.
    changed: bool,
}

impl History {
    /// Goes on from what an earlier JobMaster has written down, newest first; keeps so many.
    pub fn resume(exceptions: Vec<ExceptionView>, truncated: bool, entries_max: usize) -> Self {
        let entries_max = entries_max.max(1);
        let truncated = truncated || exceptions.len() > entries_max;
        let entries: VecDeque<_> = exceptions.into_iter().take(entries_max).rev().collect();
        Self {
            entries_max,
            recorded: entries.len() as u64,
            entries,
            truncated,
            warnings: BTreeSet::new(),
            changed: false,
        }
    }

    /// Whether something has changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The entry that has this very failure, if it was written down.
    pub fn entry_of(&self, failure: &Failure) -> Option<EntryId> {
        let mut kept = failure.clone();
        kept.shorten();
        let is_it = |told: &Failure| *told == *failure || *told == kept;
        let place =
            self.entries.iter().rposition(|entry| is_it(&entry.failure) || entry.concurrent.iter().any(is_it))?;
        let dropped = self.recorded - self.entries.len() as u64;
        Some(EntryId(dropped + place as u64))
    }

    /// Writes down a failure.
    pub fn record(&mut self, at: Millis, failure: Failure) -> EntryId {
        self.changed = true;
        if self.entries.len() == self.entries_max {
            self.entries.pop_front();
            self.truncated = true;
        }
        self.entries.push_back(ExceptionView { at: at.0, failure, concurrent: Vec::new() });
        self.recorded += 1;
        EntryId(self.recorded - 1)
    }

    /// Writes down what has broken nothing, once, as long as it is kept: nothing that fails later came of it.
    pub fn warn(&mut self, at: Millis, warning: Failure) {
        let entry = match self.entry_of(&warning) {
            Some(entry) => entry,
            None => self.record(at, warning),
        };
        self.warnings.insert(entry);
    }

    /// Writes down a failure that came while what `entry` had broken was being cleared up.
    pub fn concurrent(&mut self, entry: EntryId, failure: Failure) {
        self.changed = true;
        match self.find(entry) {
            Some(entry) if entry.concurrent.len() < CONCURRENT_MAX => entry.concurrent.push(failure),
            Some(_) | None => self.truncated = true,
        }
    }

    /// Writes down what was behind the failure of `entry`, which now counts among those that came along with it.
    pub fn explain(&mut self, entry: EntryId, cause: Failure) {
        self.changed = true;
        let Some(entry) = self.find(entry) else {
            self.truncated = true;
            return;
        };
        let symptom = std::mem::replace(&mut entry.failure, cause);
        entry.concurrent.insert(0, symptom);
        if entry.concurrent.len() > CONCURRENT_MAX {
            entry.concurrent.pop();
            self.truncated = true;
        }
    }

    /// Tells the loss of a TaskManager in other words; nothing if it is not among what is kept.
    pub fn retell_loss(&mut self, worker: &WorkerId, failure: Failure) {
        let told = self.entries.iter_mut().rev().find_map(|entry| {
            std::iter::once(&mut entry.failure).chain(&mut entry.concurrent).find(|told| told.is_loss_of(worker))
        });
        if let Some(told) = told {
            *told = failure;
            self.changed = true;
        }
    }

    fn find(&mut self, entry: EntryId) -> Option<&mut ExceptionView> {
        let dropped = self.recorded - self.entries.len() as u64;
        let place = entry.0.checked_sub(dropped)?;
        self.entries.get_mut(usize::try_from(place).ok()?)
    }

    /// The latest failure.
    pub fn latest(&self) -> Option<EntryId> {
        let dropped = self.recorded - self.entries.len() as u64;
        (dropped..self.recorded).rev().map(EntryId).find(|entry| !self.warnings.contains(entry))
    }

    /// All that is kept, newest first.
    pub fn views(&self) -> Vec<ExceptionView> {
        self.entries.iter().rev().cloned().collect()
    }

    /// Whether something was dropped.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_told_once_and_is_no_failure() {
        let mut history = History::resume(Vec::new(), false, 2);
        let warning = Failure::user("something is left behind");
        history.warn(Millis(1), warning.clone());
        history.warn(Millis(2), warning.clone());
        assert_eq!((history.views().len(), history.latest()), (1, None));
        let failed = history.record(Millis(3), Failure::environment("disk full"));
        assert_eq!(history.latest(), Some(failed));
        // Nor where an earlier JobMaster has told it.
        let mut next = History::resume(history.views(), false, 2);
        next.warn(Millis(4), warning.clone());
        assert_eq!((next.views(), next.latest()), (history.views(), Some(failed)));
        let failed = next.record(Millis(5), Failure::environment("disk full"));
        next.warn(Millis(6), warning);
        assert_eq!((next.views().len(), next.latest()), (2, Some(failed)));
    }
}
