//! Counting slots by size.

use std::collections::BTreeMap;

use flott_core::resource::ResourceProfile;

/// How many slots there are of each size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Classes(BTreeMap<ResourceProfile, u64>);

impl Classes {
    pub(super) fn add(&mut self, slot: ResourceProfile, count: u64) {
        if count > 0 {
            *self.0.entry(slot).or_default() += count;
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(slot, count)| self.add(*slot, *count));
    }

    pub(super) fn remove(&mut self, slot: ResourceProfile, count: u64) {
        let Some(known) = self.0.get_mut(&slot) else {
            debug_assert_eq!(count, 0, "slots of {slot} are removed that were never added");
            return;
        };
        debug_assert!(*known >= count, "{count} slots of {slot} are removed where {known} are");
        *known = known.saturating_sub(count);
        if *known == 0 {
            self.0.remove(&slot);
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn covers(&self, demand: &ResourceProfile) -> bool {
        self.0.keys().any(|slot| slot.covers(demand))
    }

    /// The greatest size there is.
    pub(super) fn largest(&self) -> Option<ResourceProfile> {
        self.0.keys().next_back().copied()
    }

    /// Takes up to `count` slots that cover `demand`, the smallest that do first; says how many it took.
    pub(super) fn take(&mut self, demand: &ResourceProfile, count: u64) -> u64 {
        let mut taken = 0;
        for (_, there) in self.0.iter_mut().filter(|(slot, _)| slot.covers(demand)) {
            let part = (*there).min(count - taken);
            *there -= part;
            taken += part;
            if taken == count {
                break;
            }
        }
        self.0.retain(|_, there| *there > 0);
        taken
    }

    /// Takes what serves `needs`, great demands first so that small ones do not eat great slots; says what is lacking.
    pub(super) fn serve(&mut self, needs: &BTreeMap<ResourceProfile, u32>) -> BTreeMap<ResourceProfile, u64> {
        let mut lacking = BTreeMap::new();
        for (demand, count) in needs.iter().rev() {
            let count = u64::from(*count);
            let taken = self.take(demand, count);
            if taken < count {
                lacking.insert(*demand, count - taken);
            }
        }
        lacking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(memory_bytes: u64) -> ResourceProfile {
        ResourceProfile { cpu_millicores: 0, memory_bytes }
    }

    #[track_caller]
    fn check(slots: &[(u64, u64)], needs: &[(u64, u32)], lacking: &[(u64, u64)]) {
        let mut classes = Classes::default();
        for (slot, count) in slots {
            classes.add(size(*slot), *count);
        }
        let needs = needs.iter().map(|(demand, count)| (size(*demand), *count)).collect();
        let expected: BTreeMap<_, _> = lacking.iter().map(|(demand, count)| (size(*demand), *count)).collect();
        assert_eq!(classes.serve(&needs), expected);
    }

    #[test]
    fn small_demands_leave_great_slots_to_great_demands() {
        check(&[(1, 2), (4, 2)], &[(0, 2), (3, 2)], &[]);
        check(&[(1, 1), (4, 2)], &[(0, 2), (3, 2)], &[(0, 1)]);
        check(&[(4, 1)], &[(5, 1)], &[(5, 1)]);
        check(&[], &[(0, 3)], &[(0, 3)]);
    }
}
