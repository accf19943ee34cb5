//! How keys are taken out of records.

use flott_runtime::{
    batch::{Batch, Data, Key},
    channel::Partitioner,
    state::KeyHash,
};

/// What the key of a record is. A whole batch is one dynamic call, with a typed loop inside.
pub(crate) trait KeyOf<T, K>: Send + Sync {
    /// Sends records to subtasks by key.
    fn partitioner(&self) -> Partitioner<T>;

    /// The key of one record, to keep.
    fn key(&self, record: &T) -> K;

    /// The keys of records, to look at. `room` is for those that are made.
    fn look<'a>(&self, records: &'a [T], room: &'a mut Vec<K>) -> Look<'a, K>;

    /// Appends the key of each record to `keys`, to keep.
    fn make(&self, records: &[T], keys: &mut Vec<K>);

    /// Appends the key of each record, to keep, and its hash.
    fn keys(&self, records: &[T], keys: &mut Keys<K>)
    where
        K: Key,
    {
        self.make(records, &mut keys.keys);
        keys.hashes.extend(keys.keys.iter().map(KeyHash::of));
    }
}

/// Keys of some records.
pub(crate) enum Look<'a, K> {
    /// Made out of them.
    Made(&'a [K]),
    /// Lying in them.
    Held(Vec<&'a K>),
}

impl<K: Key> Look<'_, K> {
    /// Appends the hash of each.
    pub fn hash(&self, hashes: &mut Vec<KeyHash>) {
        match self {
            Self::Made(keys) => hashes.extend(keys.iter().map(KeyHash::of)),
            Self::Held(keys) => hashes.extend(keys.iter().map(|key| KeyHash::of(*key))),
        }
    }
}

/// A key that a function makes of a record.
pub(crate) struct MadeKey<F>(pub F);

impl<T, K, F> KeyOf<T, K> for MadeKey<F>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    fn partitioner(&self) -> Partitioner<T> {
        Partitioner::hash(self.0.clone())
    }

    fn key(&self, record: &T) -> K {
        (self.0)(record)
    }

    fn look<'a>(&self, records: &'a [T], room: &'a mut Vec<K>) -> Look<'a, K> {
        room.clear();
        room.extend(records.iter().map(&self.0));
        Look::Made(room)
    }

    fn make(&self, records: &[T], keys: &mut Vec<K>) {
        keys.extend(records.iter().map(&self.0));
    }
}

/// A key that is part of a record, where a function finds it.
pub(crate) struct HeldKey<F>(F);

impl<F> HeldKey<F> {
    /// The bound has the compiler see a closure as one that gives a part of what it is given.
    pub fn new<T, K>(find: F) -> Self
    where
        F: Fn(&T) -> &K,
    {
        Self(find)
    }
}

impl<T, K, F> KeyOf<T, K> for HeldKey<F>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> &K + Clone + Send + Sync + 'static,
{
    fn partitioner(&self) -> Partitioner<T> {
        Partitioner::hash_ref(self.0.clone())
    }

    fn key(&self, record: &T) -> K {
        (self.0)(record).clone()
    }

    fn look<'a>(&self, records: &'a [T], _: &'a mut Vec<K>) -> Look<'a, K> {
        Look::Held(records.iter().map(&self.0).collect())
    }

    fn make(&self, records: &[T], keys: &mut Vec<K>) {
        keys.extend(records.iter().map(|record| (self.0)(record).clone()));
    }
}

/// Keys of a batch, and their hashes in the same order. Kept between batches for its room.
///
/// Two lists, so that a loop over keys borrows them where they lie: taking them one by one out of a list of pairs made
/// the compiler copy each of them twice, piece by piece.
pub(crate) struct Keys<K> {
    pub hashes: Vec<KeyHash>,
    pub keys: Vec<K>,
}

impl<K: Key> Keys<K> {
    /// Those of the records of `batch`, whose hashes are taken out of it if they came along.
    pub fn take<T>(&mut self, keys_of: &dyn KeyOf<T, K>, batch: &mut Batch<T>) {
        self.keys.clear();
        self.hashes.clear();
        match batch.keyed() {
            (records, Some(hashes)) => {
                keys_of.make(records, &mut self.keys);
                std::mem::swap(hashes, &mut self.hashes);
            }
            (records, None) => keys_of.keys(records, self),
        }
    }

    /// Takes hashes and keys out.
    pub fn drain(&mut self) -> impl Iterator<Item = (KeyHash, K)> {
        self.hashes.drain(..).zip(self.keys.drain(..))
    }
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Self { hashes: Vec::new(), keys: Vec::new() }
    }
}
