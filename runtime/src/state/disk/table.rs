//! A table on disk.
//!
//! # Layout
//! - `access`: what is asked of it
//! - `walk`: going through it
//! - `snapshot`: its snapshots, and how it begins with one

mod access;
mod snapshot;
mod walk;

use std::sync::Arc;

use flott_core::{codec, failure::Failure};
use lsm_tree::UserKey;

use super::{
    Disk,
    changes::Changes,
    giving::Giving,
    hot::{Entry, Hot, Place},
    store::{Entries, Store, check_length},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        entries,
        table::{Extent, KeyHash},
    },
};

/// Places of a search that an entry on disk counts as: a table in memory has two for each.
const PLACES_PER_ENTRY: usize = 2;

/// Values by key, of which those in memory are a part.
pub(in crate::state) struct DiskTable<K: Key, V: Data> {
    pub(super) disk: Arc<Disk>,
    /// None before anything has gone there.
    pub(super) store: Option<Store>,
    pub(super) hot: Hot<K, V>,
    pub(super) keys: usize,
    /// Cuts so far.
    pub(super) cut: u64,
    /// Whether changes are noted: there has been a cut, or something was restored.
    tracked: bool,
    /// Whether anything was changed or begun.
    touched: bool,
    /// A snapshot was given up, so that none can build on it.
    torn: bool,
    /// Those since the last cut, but for what is in memory alone.
    changes: Changes,
    pub(super) giving: Option<Giving>,
    /// How far a search has come on disk.
    searched: Option<UserKey>,
    /// The last key and value that were encoded.
    encoded: (Vec<u8>, Vec<u8>),
}

/// Where the value of a key is.
enum Found {
    /// In memory.
    Here(Place),
    /// It was taken out, which the tree does not know yet.
    Gone(Place),
    Nowhere,
}

impl<K: Key, V: Data> DiskTable<K, V> {
    /// An empty table.
    pub fn new(disk: &Arc<Disk>) -> Self {
        disk.count(true);
        Self {
            disk: Arc::clone(disk),
            store: None,
            hot: Hot::default(),
            keys: 0,
            cut: 0,
            tracked: false,
            touched: false,
            torn: false,
            changes: Changes::default(),
            giving: None,
            searched: None,
            encoded: Default::default(),
        }
    }

    /// Entries on disk behind `after`, or all.
    pub(super) fn stored(&self, after: Option<&[u8]>) -> Entries {
        match &self.store {
            Some(store) => store.entries(after),
            None => Box::new(std::iter::empty()),
        }
    }

    /// Looks for a key, and has its value in memory if there is one.
    fn find(&mut self, hash: KeyHash, key: &K) -> TaskResult<Found> {
        if let Some(place) = self.hot.find(hash, key) {
            // It may have grown.
            self.make_room(Some(place))?;
            return Ok(match self.hot.get(place) {
                Some(entry) if entry.value.is_some() => Found::Here(place),
                Some(_) => Found::Gone(place),
                // It was taken out, and the tree has been told of it, as the snapshot being given wants to know first.
                None => Found::Nowhere,
            });
        }
        encode_into(&mut self.encoded.0, key)?;
        check_length(&self.encoded.0)?;
        let Some(store) = &self.store else { return Ok(Found::Nowhere) };
        let Some(value) = store.get(&self.encoded.0)? else { return Ok(Found::Nowhere) };
        let bytes = self.encoded.0.len() + value.len();
        let value = codec::decode(&value).map_err(|error| undecodable(&error))?;
        self.make_room(None)?;
        Ok(Found::Here(self.hot.put(hash, key.clone(), Some(value), bytes)))
    }

    /// Writes back and takes out what was not used for long, until there is room; but for one entry.
    #[inline]
    fn make_room(&mut self, spared: Option<Place>) -> TaskResult {
        if self.hot.bytes() > self.disk.hot_bytes() { self.drive_out(spared) } else { Ok(()) }
    }

    #[inline(never)]
    fn drive_out(&mut self, spared: Option<Place>) -> TaskResult {
        while self.hot.bytes() > self.disk.hot_bytes() {
            let Some(place) = self.hot.next_to_go(spared) else { break };
            self.drive_out_of(place, spared)?;
        }
        Ok(())
    }

    /// Takes out an entry that is to go. Where a snapshot of all waits for others, one of these goes instead of one that is later.
    fn drive_out_of(&mut self, place: Place, spared: Option<Place>) -> TaskResult {
        let is_dirty = |entry: &Entry<K, V>| entry.dirty;
        let is_later = self.hot.get(place).is_some_and(is_dirty) && !self.is_pending(place);
        let place = if is_later { self.take_pending(spared)?.unwrap_or(place) } else { place };
        if self.hot.get(place).is_some_and(is_dirty) {
            self.write_back(place)?;
        }
        self.hot.take(place);
        Ok(())
    }

    /// Whether the snapshot being given has this entry, and waits for it.
    pub(super) fn is_pending(&self, place: Place) -> bool {
        let Some(entry) = self.hot.get(place) else { return false };
        match self.giving.as_ref().and_then(Giving::settles) {
            Some(Extent::Whole) => entry.dirty && entry.changed != Some(self.cut),
            Some(Extent::Changed) => entry.changed.is_some_and(|cut| cut < self.cut),
            None => false,
        }
    }

    /// Has the snapshot being given know an entry that it waits for, and says how many bytes that has.
    pub(super) fn settle_entry(&mut self, place: Place) -> TaskResult<usize> {
        if self.is_settling(Extent::Whole) {
            return self.write_back(place);
        }
        let has_value = self.encode(place)?;
        self.note(place, has_value)?;
        let bytes = self.encoded.0.len() + self.encoded.1.len();
        if has_value {
            self.hot.measured(place, bytes);
        }
        Ok(bytes)
    }

    /// Has the tree know an entry as it is, and says how many bytes it has. One that was taken out is forgotten then.
    pub(super) fn write_back(&mut self, place: Place) -> TaskResult<usize> {
        let has_value = self.encode(place)?;
        let (key, value) = &self.encoded;
        let bytes = key.len() + value.len();
        stored_in(&mut self.store, &self.disk)?.write(key, has_value.then_some(&value[..]))?;
        self.note(place, has_value)?;
        if !has_value {
            self.hot.take(place);
        } else if let Some(entry) = self.hot.get_mut(place) {
            entry.dirty = false;
            self.hot.measured(place, bytes);
        }
        Ok(bytes)
    }

    /// Encodes an entry, and says whether it has a value.
    fn encode(&mut self, place: Place) -> TaskResult<bool> {
        let entry = self.hot.get(place).ok_or_else(astray)?;
        let (key, value) = &mut self.encoded;
        encode_into(key, &entry.key)?;
        value.clear();
        match &entry.value {
            Some(held) => encode_into(value, held).map(|()| true),
            None => Ok(false),
        }
    }

    /// Notes what has changed of an entry, which was encoded.
    fn note(&mut self, place: Place, has_value: bool) -> TaskResult {
        let Some(entry) = self.hot.get_mut(place) else { return Ok(()) };
        entry.new = false;
        let Some(since) = entry.changed.take().filter(|_| self.tracked) else { return Ok(()) };
        let changes = match &mut self.giving {
            Some(giving) if giving.settles().is_some() && since < self.cut => giving.changes(),
            Some(_) | None => Some(&mut self.changes),
        };
        let (key, value) = (&self.encoded.0, has_value.then_some(&self.encoded.1[..]));
        match changes {
            Some(changes) => changes.put(key, value, self.disk.changes_bytes(), || self.disk.new_path()),
            None => Ok(()),
        }
    }

    /// Notes that an entry is about to change; the snapshot being given has it as it was.
    fn change(&mut self, place: Place) -> TaskResult {
        self.touched = true;
        if self.is_pending(place) {
            self.settle_entry(place)?;
        }
        if self.hot.count_change(place)
            && let Some(entry) = self.hot.get(place)
        {
            let (key, value) = &mut self.encoded;
            encode_into(key, &entry.key)?;
            if let Some(held) = &entry.value {
                encode_into(value, held)?;
            }
            self.hot.measured(place, key.len() + value.len());
        }
        let cut = self.cut;
        if let Some(entry) = self.hot.get_mut(place) {
            entry.changed.get_or_insert(cut);
            entry.dirty = true;
        }
        Ok(())
    }

    /// Bytes of an entry when encoded, if that matters.
    fn measure(&mut self, key: &K, value: &V) -> TaskResult<usize> {
        if Hot::<K, V>::PLAIN {
            return Ok(0);
        }
        let bytes = &mut self.encoded.0;
        encode_into(bytes, key)?;
        let key_bytes = bytes.len();
        encode_into(bytes, value)?;
        Ok(key_bytes + bytes.len())
    }

    /// The value at a place, which has one.
    fn value_mut(&mut self, place: Place) -> TaskResult<&mut V> {
        self.hot.get_mut(place).and_then(|entry| entry.value.as_mut()).ok_or_else(astray)
    }

    /// Puts in a value of a key that has none.
    fn put(&mut self, hash: KeyHash, key: &K, value: V) -> TaskResult<Place> {
        self.make_room(None)?;
        let bytes = self.measure(key, &value)?;
        let place = self.hot.put(hash, key.clone(), Some(value), bytes);
        if let Some(entry) = self.hot.get_mut(place) {
            entry.new = true;
        }
        self.change(place)?;
        self.keys += 1;
        Ok(place)
    }

    /// As [`put`](Self::put), of a key whose value was taken out.
    fn put_again(&mut self, place: Place, hash: KeyHash, key: &K, value: V) -> TaskResult<Place> {
        if self.is_pending(place) {
            self.settle_entry(place)?;
            if self.hot.get(place).is_none() {
                return self.put(hash, key, value);
            }
        }
        self.change(place)?;
        let bytes = self.measure(key, &value)?;
        self.hot.measured(place, bytes);
        if let Some(entry) = self.hot.get_mut(place) {
            entry.value = Some(value);
        }
        self.keys += 1;
        Ok(place)
    }

    /// Takes the value out at a place, which is about to change already.
    fn take(&mut self, place: Place) -> Option<V> {
        let entry = self.hot.get_mut(place)?;
        let (value, new) = (entry.value.take(), entry.new);
        self.keys -= usize::from(value.is_some());
        if new {
            self.hot.take(place);
        } else {
            self.hot.measured(place, size_of::<K>());
        }
        value
    }

    /// Takes out the value of a key that is on disk alone.
    fn remove_cold(&mut self, key: &K) -> TaskResult {
        self.settle_tree(&mut { usize::MAX })?;
        self.touched = true;
        let encoded = &mut self.encoded.0;
        encode_into(encoded, key)?;
        stored_in(&mut self.store, &self.disk)?.write(encoded, None)?;
        if self.tracked {
            self.changes.put(encoded, None, self.disk.changes_bytes(), || self.disk.new_path())?;
        }
        self.keys -= 1;
        Ok(())
    }
}

impl<K: Key, V: Data> Drop for DiskTable<K, V> {
    fn drop(&mut self) {
        self.disk.count(false);
        self.end_giving();
        if let Some(store) = self.store.take() {
            self.disk.upkeep().drop((store.into_tree(), std::mem::take(&mut self.hot)));
        }
    }
}

/// The tree of a table, which is made when something goes there for the first time.
pub(super) fn stored_in<'s>(store: &'s mut Option<Store>, disk: &Arc<Disk>) -> TaskResult<&'s mut Store> {
    match store {
        Some(store) => Ok(store),
        none => Ok(none.insert(Store::create(disk)?)),
    }
}

fn encode_into<T: serde::Serialize>(bytes: &mut Vec<u8>, value: &T) -> TaskResult {
    bytes.clear();
    entries::encode(value, bytes).map_err(entries::unencodable)
}

#[cold]
pub(super) fn undecodable(error: &codec::CodecError) -> Box<Failure> {
    Box::new(Failure::user("keyed state cannot be decoded").caused_by(error))
}

#[cold]
fn astray() -> Box<Failure> {
    Box::new(Failure::internal("an entry of keyed state is not where it was put"))
}
