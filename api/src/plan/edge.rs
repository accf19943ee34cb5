//! How the writer of an edge is built, and how keys are taken out of records.

use std::{marker::PhantomData, sync::Arc};

use flott_core::{id::EdgeIndex, job_graph::ShipStrategy};
use flott_runtime::{
    batch::{Data, Key},
    channel::Partitioner,
    error::TaskResult,
    state::KeyHash,
    task::TaskWiring,
};

use super::body::Erased;

/// An edge, whatever its records are.
pub(crate) trait EdgeBody: Send + Sync {
    /// Builds the writer of edge `index`, which ships by `ship`.
    fn writer(&self, ship: ShipStrategy, index: EdgeIndex, wiring: &mut TaskWiring) -> TaskResult<Erased>;
}

/// Partitioned by nothing in the records.
pub(crate) struct PlainEdge<T>(PhantomData<fn(T)>);

impl<T: Data> PlainEdge<T> {
    pub fn body() -> Arc<dyn EdgeBody> {
        Arc::new(Self(PhantomData))
    }
}

impl<T: Data> EdgeBody for PlainEdge<T> {
    fn writer(&self, ship: ShipStrategy, index: EdgeIndex, wiring: &mut TaskWiring) -> TaskResult<Erased> {
        let partitioner = match ship {
            ShipStrategy::Forward | ShipStrategy::Global => Partitioner::single(),
            ShipStrategy::Rebalance | ShipStrategy::Rescale => Partitioner::round_robin(),
            ShipStrategy::Shuffle => Partitioner::random(),
            ShipStrategy::Broadcast => Partitioner::broadcast(),
            ShipStrategy::Hash | ShipStrategy::Custom => {
                unreachable!("{} edges have bodies of their own", ship.as_str())
            }
        };
        Ok(Box::new(wiring.writer::<T>(index, partitioner)?))
    }
}

/// Partitioned by key.
pub(crate) struct KeyedEdge<T, K, F> {
    key: F,
    types: PhantomData<fn(T) -> K>,
}

impl<T: Data, K: Key, F: Fn(&T) -> K + Clone + Send + Sync + 'static> KeyedEdge<T, K, F> {
    pub fn body(key: F) -> Arc<dyn EdgeBody> {
        Arc::new(Self { key, types: PhantomData })
    }
}

impl<T: Data, K: Key, F: Fn(&T) -> K + Clone + Send + Sync + 'static> EdgeBody for KeyedEdge<T, K, F> {
    fn writer(&self, _: ShipStrategy, index: EdgeIndex, wiring: &mut TaskWiring) -> TaskResult<Erased> {
        Ok(Box::new(wiring.writer::<T>(index, Partitioner::hash(self.key.clone()))?))
    }
}

/// Partitioned by the user's function.
pub(crate) struct CustomEdge<T, F> {
    choose: F,
    types: PhantomData<fn(T)>,
}

impl<T: Data, F: FnMut(&T, u32) -> u32 + Clone + Send + Sync + 'static> CustomEdge<T, F> {
    pub fn body(choose: F) -> Arc<dyn EdgeBody> {
        Arc::new(Self { choose, types: PhantomData })
    }
}

impl<T: Data, F: FnMut(&T, u32) -> u32 + Clone + Send + Sync + 'static> EdgeBody for CustomEdge<T, F> {
    fn writer(&self, _: ShipStrategy, index: EdgeIndex, wiring: &mut TaskWiring) -> TaskResult<Erased> {
        Ok(Box::new(wiring.writer::<T>(index, Partitioner::custom(self.choose.clone()))?))
    }
}

/// Takes the keys out of a whole batch: one dynamic call, a typed loop inside.
pub(crate) trait KeyOf<T, K>: Send + Sync {
    /// Appends the key of each record, and its hash.
    fn keys(&self, records: &[T], keys: &mut Keys<K>);
}

impl<T, K: Key, F: Fn(&T) -> K + Send + Sync> KeyOf<T, K> for F {
    fn keys(&self, records: &[T], keys: &mut Keys<K>) {
        keys.keys.extend(records.iter().map(self));
        keys.hashes.extend(keys.keys.iter().map(KeyHash::of));
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

impl<K> Keys<K> {
    /// Hashes and keys, to look at.
    pub fn iter(&self) -> impl Iterator<Item = (KeyHash, &K)> {
        self.hashes.iter().copied().zip(&self.keys)
    }

    /// Takes hashes and keys out.
    pub fn drain(&mut self) -> impl Iterator<Item = (KeyHash, K)> {
        self.hashes.drain(..).zip(self.keys.drain(..))
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.keys.clear();
    }
}

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Self { hashes: Vec::new(), keys: Vec::new() }
    }
}
