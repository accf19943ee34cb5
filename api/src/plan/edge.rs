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
    pub fn new() -> Arc<dyn EdgeBody> {
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
    pub fn new(key: F) -> Arc<dyn EdgeBody> {
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
    pub fn new(choose: F) -> Arc<dyn EdgeBody> {
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
        keys.0.extend(records.iter().map(|record| {
            let key = self(record);
            (KeyHash::of(&key), key)
        }));
    }
}

/// Keys of a batch with their hashes. Kept between batches for its room.
pub(crate) struct Keys<K>(pub Vec<(KeyHash, K)>);

impl<K> Default for Keys<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
