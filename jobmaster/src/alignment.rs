//! Watermark alignment: how far each group of sources has come.
//!
//! A source that aligns its watermark says every now and then how far it has come, and is answered with the least watermark
//! of the others of its group; how far it has come itself it knows better, and so what that means for its splits. There is
//! nothing to broadcast, no timer, and nothing that must not be lost: who is behind all others is not held up by them, and
//! who is ahead asks again.
//!
//! A subtask counts from its first word on, until it says that nobody need wait for it (it is idle, or has read all) or is
//! stopped; its next attempt begins anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::ExecutionIndex;

/// The watermarks of all sources of a job that align them, by group.
#[derive(Debug, Clone, Default)]
pub struct Alignment {
    /// Who counts, and with what.
    counted: BTreeMap<ExecutionIndex, (String, i64)>,
    /// The same by group, least first.
    groups: BTreeMap<String, BTreeSet<(i64, ExecutionIndex)>>,
}

impl Alignment {
    /// Subtask `execution` of `group` has come to `watermark`; `None` if nobody need wait for it. Answers the least
    /// watermark of the others; `None` if there is nobody to wait for.
    pub fn report(&mut self, execution: ExecutionIndex, group: &str, watermark: Option<i64>) -> Option<i64> {
        self.forget(execution);
        if let Some(watermark) = watermark {
            self.counted.insert(execution, (group.to_owned(), watermark));
            self.groups.entry(group.to_owned()).or_default().insert((watermark, execution));
        }
        let mut members = self.groups.get(group)?.iter();
        members.find(|(_, other)| *other != execution).map(|(watermark, _)| *watermark)
    }

    /// Subtask `execution` does not count any more.
    pub fn forget(&mut self, execution: ExecutionIndex) {
        let Some((group, watermark)) = self.counted.remove(&execution) else { return };
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(&(watermark, execution));
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
    }

    /// Who counts.
    #[cfg(any(test, feature = "testing"))]
    pub fn members(&self) -> impl Iterator<Item = ExecutionIndex> {
        self.counted.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(alignment: &mut Alignment, execution: u32, group: &str, watermark: Option<i64>, expected: Option<i64>) {
        assert_eq!(alignment.report(ExecutionIndex(execution), group, watermark), expected);
    }

    #[test]
    fn the_slowest_of_the_others_is_waited_for() {
        let mut alignment = Alignment::default();
        check(&mut alignment, 0, "a", Some(100), None);
        check(&mut alignment, 1, "a", Some(10), Some(100));
        check(&mut alignment, 0, "a", Some(110), Some(10));
        check(&mut alignment, 2, "a", Some(50), Some(10));
        // Idle, or at its end.
        check(&mut alignment, 1, "a", None, Some(50));
        check(&mut alignment, 0, "a", Some(i64::MAX), Some(50));
        check(&mut alignment, 2, "a", None, Some(i64::MAX));
        check(&mut alignment, 0, "a", None, None);
        // It wakes up where it was.
        check(&mut alignment, 1, "a", Some(10), None);
        check(&mut alignment, 0, "a", Some(120), Some(10));
        alignment.forget(ExecutionIndex(1));
        check(&mut alignment, 0, "a", Some(120), None);
    }

    #[test]
    fn groups_do_not_know_each_other() {
        let mut alignment = Alignment::default();
        check(&mut alignment, 0, "a", Some(5), None);
        check(&mut alignment, 1, "b", Some(i64::MIN), None);
        check(&mut alignment, 2, "a", Some(6), Some(5));
    }

    proptest! {
        #[test]
        fn the_answer_is_the_least_of_the_latest_words_of_the_others(
            words in prop::collection::vec((0u32..5, 0usize..2, prop::option::of(-4i64..4), any::<bool>()), 0..60),
        ) {
            let mut alignment = Alignment::default();
            let mut latest: BTreeMap<u32, (usize, i64)> = BTreeMap::new();
            for (execution, group, watermark, stopped) in words {
                if stopped {
                    alignment.forget(ExecutionIndex(execution));
                    latest.remove(&execution);
                    continue;
                }
                let answer = alignment.report(ExecutionIndex(execution), ["a", "b"][group], watermark);
                latest.remove(&execution);
                latest.extend(watermark.map(|watermark| (execution, (group, watermark))));
                let others = latest.iter().filter(|(who, (of, _))| **who != execution && *of == group);
                prop_assert_eq!(answer, others.map(|(_, (_, watermark))| *watermark).min());
            }
            prop_assert_eq!(alignment.groups.values().map(BTreeSet::len).sum::<usize>(), latest.len());
        }
    }
}
