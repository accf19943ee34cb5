//! Going through tables, a stretch at a time or as a whole.

#[cfg(test)]
mod tests;

use super::{
    HeapTable,
    tracked::{change, remove},
};
use crate::{
    batch::Key,
    error::TaskResult,
    state::table::{Cursor, KeyHash, Progress},
};

impl<K: Key, V> HeapTable<K, V> {
    /// The value of `key`, to be changed in place; where `keep` refuses it, it is dropped.
    #[inline]
    pub fn find_kept(&mut self, hash: KeyHash, key: &K, keep: impl FnOnce(&mut V) -> bool) -> Option<&mut V> {
        let mut entry = self.entries.find_entry(hash.for_table(), |(known, _)| known == key).ok()?;
        if let Some(track) = &mut self.track {
            track.change(entry.bucket_index(), entry.get());
        }
        if keep(&mut entry.get_mut().1) {
            return Some(&mut entry.into_mut().1);
        }
        remove(&mut self.track, entry);
        None
    }

    /// The value of `key`. Only where it is `due` it is changed by `keep`, and dropped where that refuses it.
    #[inline]
    pub fn find_pruned(
        &mut self,
        hash: KeyHash,
        key: &K,
        due: impl FnOnce(&V) -> bool,
        keep: impl FnOnce(&mut V) -> bool,
    ) -> Option<&V> {
        let mut entry = self.entries.find_entry(hash.for_table(), |(known, _)| known == key).ok()?;
        if due(&entry.get().1) {
            if let Some(track) = &mut self.track {
                track.change(entry.bucket_index(), entry.get());
            }
            if !keep(&mut entry.get_mut().1) {
                remove(&mut self.track, entry);
                return None;
            }
        }
        Some(&entry.into_mut().1)
    }

    /// Values, to be changed in place, in no order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        if self.track.is_some() {
            for place in 0..self.entries.num_buckets() {
                if let Ok(entry) = self.entries.get_bucket_entry(place) {
                    change(&mut self.track, entry);
                }
            }
        }
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Drops the entries that `keep` refuses.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        if self.track.is_none() {
            return self.entries.retain(|(key, value)| keep(key, value));
        }
        for place in 0..self.entries.num_buckets() {
            if let Ok(entry) = self.entries.get_bucket_entry(place) {
                let (key, value) = entry.get();
                if !keep(key, value) {
                    remove(&mut self.track, entry);
                }
            }
        }
    }

    /// See [`StateTable::walk`](crate::state::StateTable::walk).
    ///
    /// # Errors
    /// The first of `see`, behind which nothing is seen.
    pub fn walk(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        mut see: impl FnMut(&K, &V) -> TaskResult,
    ) -> TaskResult<Progress> {
        let all = self.entries.num_buckets();
        let next = cursor.place..cursor.place.saturating_add(places).min(all);
        cursor.place = next.end;
        next.filter_map(|place| self.entries.get_bucket(place)).try_for_each(|(key, value)| see(key, value))?;
        Ok(if cursor.place < all { Progress::More } else { Progress::Done })
    }

    /// See [`StateTable::visit`](crate::state::StateTable::visit). At the end a table that is nearly empty gives its room back.
    ///
    /// # Errors
    /// The first of `visit`, behind which nothing is visited.
    pub fn visit(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        mut visit: impl FnMut(&K, &mut V) -> TaskResult<bool>,
    ) -> TaskResult<Progress> {
        let next = cursor.place..cursor.place.saturating_add(places).min(self.entries.num_buckets());
        cursor.place = next.end;
        for place in next {
            let Ok(mut entry) = self.entries.get_bucket_entry(place) else { continue };
            if let Some(track) = &mut self.track {
                track.reform(place, entry.get());
            }
            let (key, value) = entry.get_mut();
            if !visit(key, value)? {
                remove(&mut self.track, entry);
            }
        }
        if cursor.place < self.entries.num_buckets() {
            return Ok(Progress::More);
        }
        self.give_back_room();
        Ok(Progress::Done)
    }

    /// Looks at the next `places` from `place` on, at most at each once; has `keep` change the values that are `due`, drops
    /// those that it refuses, and gives the place to go on from.
    ///
    /// An entry keeps its place until the table is rehashed. That happens when there is no free place any more, and
    /// leaves at least 7 of 16 places free, so the next one takes as many insertions. Where 5 places are looked at per
    /// insertion, be it only after each batch, all are looked at in between or at the end of a batch: nothing is missed,
    /// however much the table grows.
    ///
    /// Once around, a table that is nearly empty gives its room back. Entries then move, but all have been looked at.
    pub fn search(
        &mut self,
        mut place: usize,
        places: usize,
        mut due: impl FnMut(&V) -> bool,
        mut keep: impl FnMut(&mut V) -> bool,
    ) -> usize {
        for _ in 0..places.min(self.entries.num_buckets()) {
            if place >= self.entries.num_buckets() {
                place = 0;
                self.give_back_room();
            }
            if let Ok(mut entry) = self.entries.get_bucket_entry(place)
                && due(&entry.get().1)
            {
                if let Some(track) = &mut self.track {
                    track.change(place, entry.get());
                }
                if !keep(&mut entry.get_mut().1) {
                    remove(&mut self.track, entry);
                }
            }
            place += 1;
        }
        place
    }
}
