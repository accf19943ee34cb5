//! Going through tables, a stretch at a time or as a whole.

#[cfg(test)]
mod tests;

use super::{HeapTable, rehash};
use crate::{batch::Key, state::table::KeyHash};

/// A table with more places than this gives room back when hardly any is taken.
const ROOMY_PLACES: usize = 1024;

impl<K: Key, V> HeapTable<K, V> {
    /// The value of `key`, to be changed in place; where `keep` refuses it, it is dropped.
    #[inline]
    pub fn find_kept(&mut self, hash: KeyHash, key: &K, keep: impl FnOnce(&mut V) -> bool) -> Option<&mut V> {
        let mut entry = self.entries.find_entry(hash.for_table(), |(known, _)| known == key).ok()?;
        if keep(&mut entry.get_mut().1) {
            return Some(&mut entry.into_mut().1);
        }
        entry.remove();
        None
    }

    /// Values, to be changed in place, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Drops the entries that `keep` refuses.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.entries.retain(|(key, value)| keep(key, value));
    }

    /// Looks at the next `places` from `place` on, at most at each once; drops the values that `keep` refuses, and gives
    /// the place to go on from.
    ///
    /// An entry keeps its place until the table is rehashed. That happens when there is no free place any more, and
    /// leaves at least 7 of 16 places free, so the next one takes as many insertions. Where 5 places are looked at per
    /// insertion, be it only after each batch, all are looked at in between or at the end of a batch: nothing is missed,
    /// however much the table grows.
    ///
    /// Once around, a table that is nearly empty gives its room back. Entries then move, but all have been looked at.
    pub fn search(&mut self, mut place: usize, places: usize, mut keep: impl FnMut(&mut V) -> bool) -> usize {
        for _ in 0..places.min(self.entries.num_buckets()) {
            if place >= self.entries.num_buckets() {
                place = 0;
                self.give_back_room();
            }
            if let Ok(mut entry) = self.entries.get_bucket_entry(place)
                && !keep(&mut entry.get_mut().1)
            {
                entry.remove();
            }
            place += 1;
        }
        place
    }

    fn give_back_room(&mut self) {
        let (places, taken) = (self.entries.num_buckets(), self.entries.len());
        if places > ROOMY_PLACES && taken < places / 8 {
            self.entries.shrink_to(2 * taken, rehash);
        }
    }
}
