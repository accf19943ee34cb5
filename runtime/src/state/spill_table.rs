//! The table under aggregations where state may be on disk.

use super::{
    backend::{self, Backend, Share},
    entries,
    fold_table::FoldTable,
    schema::{self, StoredSchema},
    table::{Cursor, Extent, GroupSpace, KeyHash, Progress, RunSink, Snapshot, StateTable},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::entries::unencodable,
};

/// Entries of which the sizes of all are told.
const SAMPLE: usize = 64;

/// What an encoded byte comes to in memory where entries have things of their own on the heap.
const BYTES_PER_BYTE: usize = 2;

/// What finding an entry costs beside it.
const SLOT_BYTES: usize = 12;

/// What a record adds to a table at least, when it is reckoned how many may still come.
const RECORD_BYTES: usize = 32;

/// Encoded bytes that go to disk together when what was restored does.
const RUN_BYTES: usize = 64 << 10;

/// Values by key, of which none goes before all do. With state on disk it begins in memory all the same, as most windows are small,
/// and goes to disk when it has its share.
///
/// Where it goes while snapshots of it are taken, the next has all that is there, and earlier ones hold good. Of one that is being given
/// the rest is given from where the table was.
pub struct SpillTable<K, V> {
    place: Place<K, V>,
    /// Records that may come before it is measured.
    unmeasured: usize,
}

enum Place<K, V> {
    Memory(FoldTable<K, V>, Option<Share>),
    /// With what was in memory, as long as a snapshot of it is being given.
    Disk(Box<dyn StateTable<K, V>>, Option<FoldTable<K, V>>),
}

impl<K: Key, V: Data> SpillTable<K, V> {
    /// An empty table with room for so many keys.
    pub fn with_capacity(backend: &Backend, keys: usize) -> Self {
        let mut share = backend.share();
        let room = share.as_mut().map_or(usize::MAX, |share| share.hold(0).unwrap_or_default());
        let most = room / (size_of::<(K, V)>() + SLOT_BYTES);
        Self { place: Place::Memory(FoldTable::with_capacity(keys.min(most)), share), unmeasured: 0 }
    }

    /// The table, as long as it is in memory. Who adds to it says so by [`grown`](Self::grown).
    #[inline(always)]
    pub fn in_memory(&mut self) -> Option<&mut FoldTable<K, V>> {
        match &mut self.place {
            Place::Memory(table, _) => Some(table),
            Place::Disk(..) => None,
        }
    }

    /// So many records were added in memory: has it go to disk if that was too much.
    ///
    /// # Errors
    /// When the disk cannot take it.
    #[inline]
    pub fn grown(&mut self, records: usize) -> TaskResult {
        let Place::Memory(_, Some(_)) = &self.place else { return Ok(()) };
        match self.unmeasured.checked_sub(records) {
            Some(left) => self.unmeasured = left,
            None => self.measure()?,
        }
        Ok(())
    }

    #[cold]
    fn measure(&mut self) -> TaskResult {
        let Place::Memory(table, Some(share)) = &mut self.place else { return Ok(()) };
        let bytes = bytes_of(table)?;
        if let Some(room) = share.hold(bytes) {
            let each = (bytes / table.len().max(1)).max(RECORD_BYTES);
            self.unmeasured = (room / each).max(SAMPLE);
            return Ok(());
        }
        let mut disk = share.table();
        let memory = std::mem::take(table);
        if memory.is_giving() {
            memory.iter().try_for_each(|(key, value)| disk.insert(KeyHash::of(key), key, value.clone()))?;
            self.place = Place::Disk(disk, Some(memory));
        } else {
            memory.into_entries().try_for_each(|(key, value)| disk.insert(KeyHash::of(&key), &key, value))?;
            self.place = Place::Disk(disk, None);
        }
        Ok(())
    }

    /// Adds `item` to the value of `key`: `first` makes a value of it where there is none, `add` changes one that is there. Both get
    /// `with`.
    ///
    /// # Errors
    /// When the disk cannot read or take it.
    pub fn fold<C, T>(
        &mut self,
        hash: KeyHash,
        key: &K,
        item: T,
        with: &mut C,
        first: impl FnOnce(&mut C, T) -> V,
        add: impl FnOnce(&mut C, &mut V, T),
    ) -> TaskResult {
        match &mut self.place {
            Place::Memory(table, _) => {
                table.fold(hash, key.clone(), item, with, first, add);
                self.grown(1)
            }
            Place::Disk(table, _) => backend::fold(&mut **table, hash, key, item, with, first, add),
        }
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// When the disk cannot read it.
    pub fn find(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&V>> {
        match &mut self.place {
            Place::Memory(table, _) => Ok(table.find(hash, key)),
            Place::Disk(table, _) => table.get(hash, key),
        }
    }

    /// Keys that have a value.
    pub fn len(&self) -> usize {
        match &self.place {
            Place::Memory(table, _) => table.len(),
            Place::Disk(table, _) => table.keys(),
        }
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows the next entries; see [`StateTable::walk`].
    ///
    /// # Errors
    /// When the disk cannot read them, and the first of `see`.
    #[inline]
    pub fn walk(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        mut see: impl FnMut(&K, &V) -> TaskResult,
    ) -> TaskResult<Progress> {
        match &mut self.place {
            Place::Memory(table, _) => {
                let from = cursor.place;
                cursor.place = from.saturating_add(places);
                table.iter_from(from).take(places).try_for_each(|(key, value)| see(key, value))?;
                Ok(if cursor.place < table.len() { Progress::More } else { Progress::Done })
            }
            Place::Disk(table, _) => table.walk(cursor, places, &mut see),
        }
    }

    /// Whether some of a snapshot of it is still to be given.
    pub fn is_giving(&self) -> bool {
        match &self.place {
            Place::Memory(table, _) => table.is_giving(),
            Place::Disk(table, memory) => memory.is_some() || table.is_giving(),
        }
    }

    /// The table, if it is in memory; else it is given back.
    ///
    /// # Errors
    /// The table itself, where it is on disk.
    pub fn into_memory(self) -> Result<FoldTable<K, V>, Self> {
        match self.place {
            Place::Memory(table, _) => Ok(table),
            place @ Place::Disk(..) => Err(Self { place, unmeasured: 0 }),
        }
    }

    /// Nothing will be asked of it for long: lets go of so many entries of those that are in memory beside being on disk.
    ///
    /// # Errors
    /// When the disk cannot take them.
    pub fn cool(&mut self, entries: usize) -> TaskResult<Progress> {
        match &mut self.place {
            Place::Memory(..) => Ok(Progress::Done),
            Place::Disk(table, _) => table.cool(entries),
        }
    }

    fn entries(&mut self) -> &mut dyn Snapshot {
        match &mut self.place {
            Place::Memory(table, _) => table,
            Place::Disk(table, _) => &mut **table,
        }
    }

    /// Has what was restored go to disk if it is too much.
    fn measure_restored(&mut self) -> TaskResult {
        let Place::Memory(table, Some(share)) = &mut self.place else { return Ok(()) };
        if share.hold(bytes_of(table)?).is_some() {
            return Ok(());
        }
        let mut disk = share.table();
        let (mut run, mut count) = (Vec::new(), 0);
        let restored = std::mem::take(table);
        for entry in restored.iter() {
            entries::encode(&entry, &mut run).map_err(unencodable)?;
            count += 1;
            if run.len() >= RUN_BYTES {
                disk.restore(std::mem::take(&mut count), &run)?;
                run.clear();
            }
        }
        disk.restore(count, &run)?;
        self.place = Place::Disk(disk, None);
        Ok(())
    }
}

/// About what a table takes up.
fn bytes_of<K: Key, V: Data>(table: &FoldTable<K, V>) -> TaskResult<usize> {
    let plain = table.len() * (size_of::<(K, V)>() + SLOT_BYTES);
    if !std::mem::needs_drop::<(K, V)>() || table.is_empty() {
        return Ok(plain);
    }
    let (mut encoded, mut sample) = (Vec::new(), 0);
    for entry in table.iter().step_by(table.len().div_ceil(SAMPLE)) {
        entries::encode(&entry, &mut encoded).map_err(unencodable)?;
        sample += 1;
    }
    Ok(plain + BYTES_PER_BYTE * encoded.len() * table.len() / sample)
}

impl<K: Key, V: Data> Snapshot for SpillTable<K, V> {
    fn keys(&self) -> usize {
        self.len()
    }

    fn schema(&self) -> StoredSchema {
        schema::keyed::<K, V>()
    }

    fn begin(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult {
        if let Place::Disk(_, memory) = &mut self.place {
            *memory = None;
        }
        self.entries().begin(extent, groups)
    }

    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        if let Place::Disk(_, rest @ Some(_)) = &mut self.place
            && let Some(memory) = rest
        {
            let given = memory.advance(bytes, sink);
            if !memory.is_giving() {
                *rest = None;
            }
            return given;
        }
        self.entries().advance(bytes, sink)
    }

    fn abandon(&mut self) {
        if let Place::Disk(_, memory) = &mut self.place {
            *memory = None;
        }
        self.entries().abandon();
    }

    fn expect(&mut self, keys: usize) -> TaskResult {
        match &mut self.place {
            Place::Memory(_, Some(_)) => Ok(()),
            _ => self.entries().expect(keys),
        }
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.entries().restore(count, bytes)?;
        self.measure_restored()
    }

    fn forget(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.entries().forget(count, bytes)
    }
}
