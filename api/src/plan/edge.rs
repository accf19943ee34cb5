//! How the writer of an edge is built.

use std::{marker::PhantomData, sync::Arc};

use flott_core::{id::EdgeIndex, job_graph::ShipStrategy};
use flott_runtime::{batch::Data, channel::Partitioner, error::TaskResult, task::TaskWiring};

use super::{body::Erased, key::KeyOf};

/// An edge, whatever its records are.
pub(crate) trait EdgeBody: Send + Sync {
    /// Builds the writer of edge `index`, which ships by `ship`.
    fn writer(&self, ship: ShipStrategy, index: EdgeIndex, wiring: &mut TaskWiring) -> TaskResult<Erased>;

    /// Tells the consumer of edge `index` where its records belong, if they belong somewhere.
    fn rule(&self, _index: EdgeIndex, _wiring: &mut TaskWiring) {}
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
pub(crate) struct KeyedEdge<T, K>(Arc<dyn KeyOf<T, K>>);

impl<T: Data, K: 'static> KeyedEdge<T, K> {
    pub fn body(keys: Arc<dyn KeyOf<T, K>>) -> Arc<dyn EdgeBody> {
        Arc::new(Self(keys))
    }
}

impl<T: Data, K: 'static> EdgeBody for KeyedEdge<T, K> {
    fn writer(&self, _: ShipStrategy, index: EdgeIndex, wiring: &mut TaskWiring) -> TaskResult<Erased> {
        Ok(Box::new(wiring.writer::<T>(index, self.0.partitioner())?))
    }

    fn rule(&self, index: EdgeIndex, wiring: &mut TaskWiring) {
        wiring.spread_by::<T>(index, self.0.partitioner());
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

    fn rule(&self, index: EdgeIndex, wiring: &mut TaskWiring) {
        wiring.spread_by::<T>(index, Partitioner::custom(self.choose.clone()));
    }
}
