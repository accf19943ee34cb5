//! What a state backend implements.

use flott_core::key_group::{KeyGroup, KeyGroupRange, MaxParallelism, key_group_of, stable_hash, table_hash};

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

/// The encoded entries of one key group.
#[derive(Debug, Clone, Copy)]
pub struct GroupEntries<'a> {
    /// The group.
    pub group: KeyGroup,
    /// How many.
    pub count: usize,
    /// One after the other.
    pub bytes: &'a [u8],
}

/// The part of a table that does not depend on its types.
pub trait Snapshot: Send {
    /// Keys that have a value.
    fn keys(&self) -> usize;

    /// Gives the entries of each key group that has any, in order of groups.
    ///
    /// # Errors
    /// When an entry cannot be encoded, or `sink` fails.
    fn snapshot(&self, groups: GroupSpace, sink: &mut dyn FnMut(GroupEntries<'_>) -> TaskResult) -> TaskResult;

    /// Puts back `count` entries of a group, as [`snapshot`](Self::snapshot) gave them.
    ///
    /// # Errors
    /// When the bytes are not that many entries of the table's types.
    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult;
}

/// One named state: a value per key. Lists and maps are tables whose value is a list or a map.
///
/// A reference that a method gives is good until the next call; a backend that does not keep values in memory writes a
/// changed one back by then. Hashes are those of the keys they come with.
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

    /// The value of `key`, to be changed in place; `create` makes it where there is none.
    ///
    /// # Errors
    /// When the backend cannot read it.
    fn entry(&mut self, hash: KeyHash, key: &K, create: &mut dyn FnMut() -> V) -> TaskResult<&mut V>;

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

    /// Looks at the next `places` of the table, from `place` on (at first 0), drops the values that `keep` refuses, and
    /// gives the place to go on from. What a place is, is the backend's affair: of these a table has a few for each entry
    /// at most. Who always goes on, and looks at no less than 5 places for each entry that is put in, comes across all
    /// entries again and again.
    ///
    /// # Errors
    /// When the backend cannot read or remove entries.
    fn search(&mut self, place: usize, places: usize, keep: &mut dyn FnMut(&mut V) -> bool) -> TaskResult<usize>;

    /// Takes all entries out, in no order that a caller may rely on. After an error the table is empty too.
    ///
    /// # Errors
    /// When the backend cannot read them, or `visit` fails.
    fn drain(&mut self, visit: &mut dyn FnMut(K, V) -> TaskResult) -> TaskResult;
}
