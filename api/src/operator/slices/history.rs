//! What a key has had in the slices of a sliding window, and what that comes to.
//!
//! After the queue with aggregation out of two stacks that is folklore and told e.g. in Tangwongsan, Hirzel and
//! Schneider, "Low-Latency Sliding-Window Aggregation in Worst-Case Constant Time" (DEBS 2017), with both stacks in one
//! ring: the newer slices as they are, with what they come to; and in place of each of the older ones what it and all
//! after it (among the older) come to. A window is then one merge, however many slices it has, and nothing needs to be
//! subtracted. When the older ones have all gone, the newer become the older: one merge for each, so that each slice of a
//! key costs two merges in its life.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::shape::{Bound, SliceNo};

/// Slices of one key, each with what is in it. Merging must not depend on the order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct History<V> {
    /// Oldest first.
    slices: VecDeque<(SliceNo, V)>,
    /// So many of the first are the older ones.
    old: usize,
    /// What the newer ones come to; none if there are none.
    sum: Option<V>,
}

impl<V> Default for History<V> {
    fn default() -> Self {
        Self { slices: VecDeque::new(), old: 0, sum: None }
    }
}

impl<V: Clone> History<V> {
    /// Whether it is one that can have come about: slices in order, and no more older ones than there are.
    pub fn is_sound(&self) -> bool {
        let ordered = self.slices.iter().zip(self.slices.iter().skip(1)).all(|((a, _), (b, _))| a < b);
        ordered && !self.slices.is_empty() && self.old <= self.slices.len()
    }

    /// The oldest slice.
    pub fn first(&self) -> Option<SliceNo> {
        self.slices.front().map(|(slice, _)| *slice)
    }

    /// Adds what is in a slice; most often the newest.
    pub fn add(&mut self, slice: SliceNo, value: V, mut merge: impl FnMut(&mut V, V)) {
        if self.slices.back().is_some_and(|(newest, _)| slice <= *newest) {
            return self.add_within(slice, value, merge);
        }
        match &mut self.sum {
            Some(sum) => merge(sum, value.clone()),
            None => self.sum = Some(value.clone()),
        }
        self.slices.push_back((slice, value));
    }

    #[cold]
    fn add_within(&mut self, slice: SliceNo, value: V, mut merge: impl FnMut(&mut V, V)) {
        let found = self.slices.binary_search_by_key(&slice, |(slice, _)| *slice);
        let at = found.unwrap_or_else(|at| at);
        if at >= self.old {
            match &mut self.sum {
                Some(sum) => merge(sum, value.clone()),
                None => self.sum = Some(value.clone()),
            }
            match found {
                Ok(at) => merge(&mut self.slices[at].1, value),
                Err(at) => self.slices.insert(at, (slice, value)),
            }
            return;
        }
        // All of the older ones that begin with it or before it.
        let before = if found.is_ok() { at + 1 } else { at };
        self.slices.iter_mut().take(before).for_each(|(_, older)| merge(older, value.clone()));
        if found.is_err() {
            let mut from = value;
            merge(&mut from, self.slices[at].1.clone());
            self.slices.insert(at, (slice, from));
            self.old += 1;
        }
    }

    /// Whether no slices are left.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// What the slices from the first of `starts` on come to, with which a window begins; nothing if there are none. Those
    /// before the second, with which the next window begins, are forgotten then.
    pub fn window(&mut self, starts: (Bound, Bound), mut merge: impl FnMut(&mut V, V)) -> Option<V> {
        self.forget(starts.0, &mut merge);
        let value = self.value(&mut merge);
        self.forget(starts.1, &mut merge);
        value
    }

    /// Forgets the slices before `start`.
    pub fn forget(&mut self, start: Bound, merge: &mut impl FnMut(&mut V, V)) {
        while self.slices.pop_front_if(|(slice, _)| Bound::from(*slice) < start).is_some() {
            match self.old.checked_sub(1) {
                Some(fewer) => self.old = fewer,
                // One that is in the sum: it has to be made anew.
                None => self.sum = None,
            }
        }
        if self.old == 0 && self.sum.is_none() {
            self.turn(merge);
        }
    }

    /// What all slices come to.
    fn value(&self, merge: &mut impl FnMut(&mut V, V)) -> Option<V> {
        match (self.slices.front().filter(|_| self.old > 0), &self.sum) {
            (Some((_, old)), Some(sum)) => {
                let mut value = old.clone();
                merge(&mut value, sum.clone());
                Some(value)
            }
            (Some((_, old)), None) => Some(old.clone()),
            (None, sum) => sum.clone(),
        }
    }

    /// Makes the newer ones the older ones.
    fn turn(&mut self, merge: &mut impl FnMut(&mut V, V)) {
        self.old = self.slices.len();
        let mut newer: Option<V> = None;
        for (_, value) in self.slices.iter_mut().rev() {
            if let Some(newer) = newer {
                merge(value, newer);
            }
            newer = Some(value.clone());
        }
        // A key that was busy once must not keep the room for ever.
        if self.slices.capacity() > 4 * self.old + 16 {
            self.slices.shrink_to(2 * self.old);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Add(SliceNo, u64),
        /// How far on it begins, and how far on from there the next does.
        Window(SliceNo, SliceNo),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0i64..8, 0u64..100).prop_map(|(ahead, value)| Step::Add(ahead, value)),
            1 => (0i64..6, 0i64..4).prop_map(|(on, next)| Step::Window(on, next)),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        #[test]
        fn a_window_is_what_its_slices_come_to(steps in steps()) {
            let mut history = History::default();
            let mut model: BTreeMap<SliceNo, Vec<u64>> = BTreeMap::new();
            let mut start = 0;
            let merge = |into: &mut Vec<u64>, other: Vec<u64>| into.extend(other);
            for step in steps {
                match step {
                    Step::Add(ahead, value) => {
                        history.add(start + ahead, vec![value], merge);
                        model.entry(start + ahead).or_default().push(value);
                    }
                    Step::Window(on, next) => {
                        start += on;
                        model.retain(|slice, _| *slice >= start);
                        let mut expected: Vec<u64> = model.values().flatten().copied().collect();
                        expected.sort_unstable();
                        let mut found = history.window((start.into(), (start + next).into()), merge);
                        if let Some(found) = &mut found {
                            found.sort_unstable();
                        }
                        prop_assert_eq!(found, (!expected.is_empty()).then_some(expected));
                        start += next;
                        model.retain(|slice, _| *slice >= start);
                        prop_assert_eq!(history.slices.len(), model.len());
                        prop_assert_eq!(history.is_empty(), model.is_empty());
                    }
                }
            }
        }
    }
}
