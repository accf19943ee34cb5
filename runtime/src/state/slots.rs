//! Where the entries of a list are, by hash.

use super::prefetch::prefetch;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 16;

/// An open table of numbers of entries, with linear probing.
///
/// A slot is 0, or has the number of an entry and one in as many of its lower bits as count slots, and in the bits above
/// them those of the entry's hash. So a slot takes no more room than the number alone, and one entry is hardly ever taken
/// for another: where there are 100,000, once in 15,000 times.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    /// As many as a power of two, at most three quarters of them taken; or none.
    slots: Vec<u32>,
    /// The hash of each entry.
    hashes: Vec<u32>,
}

/// The number of an entry and one, or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found(u32);

impl Found {
    /// The number of the entry.
    #[inline(always)]
    pub fn entry(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

impl Slots {
    /// Bytes that slots take up.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.slots[..])
    }

    /// Has the slot that is looked at first for `hash` loaded into the nearest cache.
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        if let Some(slot) = self.slots.get((hash & self.mask()) as usize) {
            prefetch(slot);
        }
    }

    /// An entry that most probably has this hash; nothing if none has.
    #[inline(always)]
    pub fn guess(&self, hash: u32) -> Found {
        let mask = self.mask();
        let mut at = hash & mask;
        // A slot that is not taken is always there; or none at all.
        while let Some(slot) = self.slots.get(at as usize) {
            if *slot == 0 || (slot ^ hash) & !mask == 0 {
                return Found(slot & mask);
            }
            at = (at + 1) & mask;
        }
        Found(0)
    }

    /// The entry with this hash that `is_it`.
    pub fn find(&self, hash: u32, mut is_it: impl FnMut(usize) -> bool) -> Found {
        let mask = self.mask();
        let mut at = hash & mask;
        while let Some(slot) = self.slots.get(at as usize) {
            match Found(slot & mask).entry() {
                None => break,
                Some(entry) if (slot ^ hash) & !mask == 0 && is_it(entry) => return Found(slot & mask),
                Some(_) => at = (at + 1) & mask,
            }
        }
        Found(0)
    }

    /// Notes the next entry, whose number is that of the entries noted before.
    ///
    /// # Panics
    /// At about 3 billion entries.
    pub fn note(&mut self, hash: u32) {
        self.hashes.push(hash);
        if self.hashes.len() * 4 <= self.slots.len() * 3 {
            self.put(self.hashes.len(), hash);
        } else {
            self.grow();
        }
    }

    /// Has room for so many entries more. False if there is no memory for them.
    pub fn reserve(&mut self, entries: usize) -> bool {
        let all = self.hashes.len().saturating_add(entries);
        let Some(slots) = all.checked_mul(4).map(|least| (least / 3 + 1).next_power_of_two().max(SLOTS_MIN)) else {
            return false;
        };
        let mut room = Vec::new();
        if slots - 1 > u32::MAX as usize
            || self.hashes.try_reserve(entries).is_err()
            || room.try_reserve_exact(slots).is_err()
        {
            return false;
        }
        if slots > self.slots.len() {
            room.resize(slots, 0);
            self.fill(room);
        }
        true
    }

    /// Forgets all entries and keeps the room.
    pub fn clear(&mut self) {
        self.slots.fill(0);
        self.hashes.clear();
    }

    #[inline(always)]
    fn mask(&self) -> u32 {
        // With the most slots there are it is all ones, and with none it does not matter.
        self.slots.len().wrapping_sub(1) as u32
    }

    fn put(&mut self, number: usize, hash: u32) {
        let mask = self.mask();
        let mut at = hash & mask;
        while self.slots[at as usize] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at as usize] = (hash & !mask) | number as u32;
    }

    /// Entries are put in anew in the order of their numbers: so those that came first are found first, and of those there
    /// are the most records.
    fn grow(&mut self) {
        let slots = (self.slots.len() * 2).max(SLOTS_MIN);
        assert!(slots - 1 <= u32::MAX as usize, "a table in memory has at most {} keys", u32::MAX / 4 * 3);
        self.fill(vec![0; slots]);
    }

    fn fill(&mut self, empty: Vec<u32>) {
        self.slots = empty;
        for number in 1..=self.hashes.len() {
            self.put(number, self.hashes[number - 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Slots;

    fn check(hashes: &[u32]) {
        let mut slots = Slots::default();
        for (entry, hash) in hashes.iter().enumerate() {
            let known = |number: usize| hashes[number] == *hash;
            assert_eq!(slots.find(*hash, known).entry(), hashes[..entry].iter().position(|before| before == hash));
            slots.note(*hash);
        }
        for (entry, hash) in hashes.iter().enumerate() {
            assert_eq!(slots.find(*hash, |number| number == entry).entry(), Some(entry));
            assert!(slots.guess(*hash).entry().is_some());
            assert_eq!(slots.find(*hash, |_| false).entry(), None);
        }
        slots.clear();
        assert!(hashes.iter().all(|hash| slots.guess(*hash).entry().is_none()));
    }

    proptest! {
        #[test]
        fn entries_are_found_by_their_hashes(hashes in prop::collection::vec(0u32..64, 0..100), high: u32) {
            check(&hashes);
            check(&hashes.iter().map(|hash| hash << 26).collect::<Vec<_>>());
            check(&hashes.iter().map(|hash| (hash.wrapping_mul(0x9e37_79b1)) ^ high).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_came_first_is_guessed_first() {
        let mut slots = Slots::default();
        (0..1000).for_each(|_| slots.note(7));
        assert_eq!(slots.guess(7).entry(), Some(0));
        assert_eq!(slots.guess(1 << 31 | 7).entry(), None);
    }
}
