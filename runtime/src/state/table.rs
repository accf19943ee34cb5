//! What a state backend implements.

use flott_core::key_group::{KeyGroup, KeyGroupRange, MaxParallelism, key_group_of, stable_hash, table_hash};
use serde::{Deserialize, Serialize};

use super::schema::StoredSchema;
use crate::{
    batch::{Data, Key},
    error::TaskResult,
};

/// The stable hash of a key, worked out once per record and used for routing, tables and key groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(u64);

impl KeyHash {
    /// The hash of `key`.
    #[inline(always)]
    pub fn of<K: Key>(key: &K) -> Self {
        Self(stable_hash(key))
    }

    /// As routers use it.
    #[inline(always)]
    pub(crate) fn stable(self) -> u64 {
        self.0
    }

    /// The half that key groups leave alone.
    #[inline(always)]
    pub(super) fn low(self) -> u32 {
        self.0 as u32
    }

    /// As tables within a subtask use it.
    #[inline(always)]
    pub fn for_table(self) -> u64 {
        table_hash(self.0)
    }

    /// The key group.
    #[inline]
    pub fn group(self, max: MaxParallelism) -> KeyGroup {
        key_group_of(self.0, max)
    }
}

/// Which key groups an operator holds, out of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupSpace {
    /// All there are in the job.
    pub max: MaxParallelism,
    /// Those of this subtask.
    pub held: KeyGroupRange,
}

/// How much of a table a snapshot has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All that is there.
    Whole,
    /// What has changed since the snapshot before, or since the restored one.
    Changed,
}

/// Whether more of a snapshot is left to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More is left.
    More,
    /// More is left, for which something else must be done first: nothing comes of asking at once. Steps of snapshots alone say so.
    Waiting,
    /// All has been given: the snapshot is over.
    Done,
}

/// What the entries of a run are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Keys with their values.
    Values,
    /// Keys that earlier snapshots have and this one has not; and maybe some that came and went in between.
    Removed,
}

/// A run of encoded entries of one key group.
#[derive(Debug, Clone, Copy)]
pub struct GroupEntries<'a> {
    /// The group.
    pub group: KeyGroup,
    /// What they are.
    pub content: Content,
    /// How many.
    pub count: usize,
    /// One after the other.
    pub bytes: &'a [u8],
}

/// Takes runs of a snapshot.
pub type RunSink<'a> = dyn FnMut(GroupEntries<'_>) -> TaskResult + 'a;

/// The part of a table that does not depend on its types.
///
/// A snapshot is cut by [`begin`](Self::begin), in a time that does not grow with the table, and its content is then given
/// by [`advance`](Self::advance) in steps, between which the table goes on being changed: the snapshot has what was there
/// when it was cut. Of an entry that changes before it was given, the old value is kept aside until then.
///
/// Snapshots form a chain: a whole one, or what was restored, and those of what has changed after it. Who restores them in
/// this order has what was there at the last cut. Changes are noted from the
/// first `begin` or `restore` on; a table that sees neither pays nothing.
pub trait Snapshot: Send {
    /// Keys that have a value.
    fn keys(&self) -> usize;

    /// What its entries look like, as it is stored beside them; nothing if nobody is to know.
    fn schema(&self) -> StoredSchema {
        None
    }

    /// Cuts a snapshot: it has what is there now. One that is still being given is given up.
    ///
    /// # Errors
    /// When it shall have what has changed, but the one before was given up: then nothing is begun.
    fn begin(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult;

    /// Gives some more of the snapshot to `sink`: about as many bytes as `bytes`, and in looking for them takes no longer
    /// than so many would take. Nothing but `Done` if none is being given. It may read and write files, and does not wait until a disk that
    /// is behind has written: then it says so, and fails if that goes on for too long.
    ///
    /// Runs come in no order of groups, several of each. They are of some kilobytes, the last of each group may be shorter,
    /// and no entry is cut in two. A key that has gone and has come again may be in a run of removed keys, and is in one of
    /// values behind it.
    ///
    /// # Errors
    /// When an entry cannot be encoded or its group is not held, or `sink` fails. The snapshot is then given up.
    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress>;

    /// Gives the snapshot up that is being given. The next one must be whole. Without one this does nothing.
    fn abandon(&mut self);

    /// Makes room for so many keys that will be restored. Whoever calls it vouches that there are hardly fewer.
    ///
    /// # Errors
    /// When there is no memory for them.
    fn expect(&mut self, keys: usize) -> TaskResult;

    /// Puts back `count` entries of a group, as [`advance`](Self::advance) gave them. This comes before all else: if
    /// anything was changed or begun before, a snapshot being given is given up, and the next one must be whole.
    ///
    /// # Errors
    /// When the bytes are not that many entries of the table's types.
    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult;

    /// Takes `count` removed keys of a group out, as `advance` gave them. As [`restore`](Self::restore).
    ///
    /// # Errors
    /// When the bytes are not that many keys.
    fn forget(&mut self, count: usize, bytes: &[u8]) -> TaskResult;
}

/// How far a walk through a table has come; at first at its beginning.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// Among what is in memory.
    pub(super) place: usize,
    /// All that is in memory has been looked at, and so has this encoded key, if any, and those before it.
    #[cfg_attr(not(feature = "disk"), expect(dead_code, reason = "there is no other backend then"))]
    pub(super) elsewhere: Option<Vec<u8>>,
}

/// One named state: a value per key. Lists and maps are tables whose value is a list or a map.
///
/// A reference that a method gives is good until the next call; a backend that does not keep values in memory writes a
/// changed one back by then. What is given to be changed counts as changed. Hashes are those of the keys they come with.
pub trait StateTable<K: Key, V: Data>: Snapshot {
    /// The value of `key`.
    ///
    /// # Errors
    /// When the backend cannot read it.
    fn get(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&V>>;

    /// The value of `key`, to be changed in place.
    ///
    /// # Errors
    /// When the backend cannot read it.
    fn get_mut(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<&mut V>>;

    /// The value of `key`, to be changed in place; where `keep` refuses it, it is dropped, and there is none.
    ///
    /// # Errors
    /// When the backend cannot read or remove it.
    fn get_kept(&mut self, hash: KeyHash, key: &K, keep: &mut dyn FnMut(&mut V) -> bool) -> TaskResult<Option<&mut V>>;

    /// The value of `key`. Only where it is `due` it is changed by `keep`, and dropped where that refuses it.
    ///
    /// # Errors
    /// When the backend cannot read or remove it.
    fn get_pruned(
        &mut self,
        hash: KeyHash,
        key: &K,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<Option<&V>>;

    /// The value of `key`, to be changed in place; `create` makes it where there is none.
    ///
    /// # Errors
    /// When the backend cannot read it.
    fn entry(&mut self, hash: KeyHash, key: &K, create: &mut dyn FnMut() -> V) -> TaskResult<&mut V>;

    /// Has `update` change the value of `key`, or make it where there is none. It is called once, and what it gives where there is
    /// one is dropped.
    ///
    /// # Errors
    /// When the backend cannot read it.
    fn update(&mut self, hash: KeyHash, key: &K, update: &mut dyn FnMut(Option<&mut V>) -> Option<V>) -> TaskResult;

    /// Sets the value of `key`.
    ///
    /// # Errors
    /// When the backend cannot write it.
    fn insert(&mut self, hash: KeyHash, key: &K, value: V) -> TaskResult;

    /// Takes the value of `key` out.
    ///
    /// # Errors
    /// When the backend cannot read or remove it.
    fn remove(&mut self, hash: KeyHash, key: &K) -> TaskResult<Option<V>>;

    /// Looks at the next `places` of the table, from `place` on (at first 0), has `keep` change the values that are `due`,
    /// drops those that it refuses, and gives the place to go on from. What a place is, is the backend's affair: of these a
    /// table has a few for each entry at most. Who always goes on, and looks at no less than 5 places for each entry that
    /// is put in, comes across all entries again and again.
    ///
    /// # Errors
    /// When the backend cannot read or remove entries.
    fn search(
        &mut self,
        place: usize,
        places: usize,
        due: &mut dyn FnMut(&V) -> bool,
        keep: &mut dyn FnMut(&mut V) -> bool,
    ) -> TaskResult<usize>;

    /// Shows the next entries to `see`, in no order: looks at so many `places`, of which a table has a few for each entry at most. From
    /// the first to the last step nothing but [`advance`](Snapshot::advance) may come between; then each is shown once,
    /// and none after the last step.
    ///
    /// # Errors
    /// When the backend cannot read them, and the first of `see`.
    fn walk(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        see: &mut dyn FnMut(&K, &V) -> TaskResult,
    ) -> TaskResult<Progress>;

    /// As [`walk`](Self::walk). `visit` may give a value another form that comes to the same, for which earlier snapshots hold good, and
    /// which may be lost; and it says whether the entry stays.
    ///
    /// # Errors
    /// When the backend cannot read or remove them, and the first of `visit`.
    fn visit(
        &mut self,
        cursor: &mut Cursor,
        places: usize,
        visit: &mut dyn FnMut(&K, &mut V) -> TaskResult<bool>,
    ) -> TaskResult<Progress>;

    /// Nothing will be asked of it for long: lets go of so many entries of those that are in memory beside being elsewhere.
    ///
    /// # Errors
    /// When the backend cannot write it.
    fn cool(&mut self, _entries: usize) -> TaskResult<Progress> {
        Ok(Progress::Done)
    }

    /// Does beforehand what would be done when something is first put elsewhere.
    ///
    /// # Errors
    /// When the backend takes no table.
    fn prepare(&mut self) -> TaskResult {
        Ok(())
    }

    /// Whether some of a snapshot of it is still to be given.
    fn is_giving(&self) -> bool;

    /// The keys that have a value, in no order.
    ///
    /// # Errors
    /// When the backend cannot read them.
    fn held_keys(&mut self) -> TaskResult<Vec<K>>;
}
