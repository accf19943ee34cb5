//! Going through a table on disk: first through what is in memory, then through what is on disk alone. Nothing comes into memory
//! meanwhile, and nothing goes from there, so that each entry is met once.

use flott_core::codec;

use super::{DiskTable, PLACES_PER_ENTRY, undecodable};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::table::{Cursor, KeyHash, Progress},
};

/// Bytes that may be brought to the tree instead of looking at a place.
const SETTLE_BYTES: usize = 1024;

/// See [`StateTable::walk`](crate::state::StateTable::walk).
pub(super) fn walk<K: Key, V: Data>(
    table: &mut DiskTable<K, V>,
    cursor: &mut Cursor,
    mut places: usize,
    see: &mut dyn FnMut(&K, &V) -> TaskResult,
) -> TaskResult<Progress> {
    while cursor.place < table.hot.places() {
        if places == 0 {
            return Ok(Progress::More);
        }
        places -= 1;
        let entry = table.hot.taken(cursor.place).and_then(|place| table.hot.get(place));
        cursor.place += 1;
        if let Some((key, value)) = entry.and_then(|entry| Some((&entry.key, entry.value.as_ref()?))) {
            see(key, value)?;
        }
    }
    cold(table, cursor, places, &mut |key, value| see(key, value))
}

/// See [`StateTable::visit`](crate::state::StateTable::visit).
pub(super) fn visit<K: Key, V: Data>(
    table: &mut DiskTable<K, V>,
    cursor: &mut Cursor,
    mut places: usize,
    visit: &mut dyn FnMut(&K, &mut V) -> TaskResult<bool>,
) -> TaskResult<Progress> {
    while cursor.place < table.hot.places() {
        if places == 0 {
            return Ok(Progress::More);
        }
        places -= 1;
        let taken = table.hot.taken(cursor.place);
        cursor.place += 1;
        let Some(place) = taken else { continue };
        // A snapshot has it in the form that it had.
        if table.is_pending(place) {
            table.settle_entry(place)?;
        }
        let entry = table.hot.get_mut(place);
        let Some((key, value)) = entry.and_then(|entry| Some((&entry.key, entry.value.as_mut()?))) else { continue };
        if !visit(key, value)? {
            table.change(place)?;
            table.take(place);
        }
    }
    if table.settle_tree(&mut (places * SETTLE_BYTES))? == Progress::More {
        return Ok(Progress::More);
    }
    let mut gone = Vec::new();
    let progress = cold(table, cursor, places, &mut |key, value| {
        if !visit(key, value)? {
            gone.push(key.clone());
        }
        Ok(())
    })?;
    gone.iter().try_for_each(|key| table.remove_cold(key))?;
    Ok(progress)
}

/// Shows entries that are on disk alone.
fn cold<K: Key, V: Data>(
    table: &DiskTable<K, V>,
    cursor: &mut Cursor,
    mut places: usize,
    see: &mut dyn FnMut(&K, &mut V) -> TaskResult,
) -> TaskResult<Progress> {
    let (mut entries, mut last) = (table.stored(cursor.elsewhere.as_deref()), None);
    let mut progress = Progress::More;
    while places > 0 {
        places = places.saturating_sub(PLACES_PER_ENTRY);
        let Some((encoded, value)) = entries.next().transpose()? else {
            progress = Progress::Done;
            break;
        };
        let key: K = codec::decode(&encoded).map_err(|error| undecodable(&error))?;
        if table.hot.peek(KeyHash::of(&key), &key).is_none() {
            let mut value: V = codec::decode(&value).map_err(|error| undecodable(&error))?;
            see(&key, &mut value)?;
        }
        last = Some(encoded);
    }
    if let Some(last) = last {
        cursor.elsewhere = Some(last.to_vec());
    }
    Ok(progress)
}
