//! How records get to the subtasks of the next operator.

use std::sync::Arc;

use flott_core::job_graph::ShipStrategy;
use flott_runtime::batch::{Data, Key};

use super::{KeyedStream, Stream};
use crate::plan::{CustomEdge, EdgeBody, HeldKey, KeyOf, KeyedEdge, MadeKey, PlainEdge};

impl<T: Data> Stream<T> {
    pub(super) fn shipped(&self, ship: ShipStrategy, edge: &Arc<dyn EdgeBody>) -> Self {
        let mut origins = self.origins.clone();
        for origin in &mut origins {
            origin.ship = Some(ship);
            origin.edge = edge.clone();
        }
        Self::from_origins(self.env.clone(), origins)
    }

    /// To the subtask of the same number; both operators must have equal parallelism.
    #[must_use]
    pub fn forward(&self) -> Self {
        self.shipped(ShipStrategy::Forward, &PlainEdge::<T>::body())
    }

    /// To all subtasks in turn.
    #[must_use]
    pub fn rebalance(&self) -> Self {
        self.shipped(ShipStrategy::Rebalance, &PlainEdge::<T>::body())
    }

    /// To a few subtasks in turn: each producer has its own, or shares one.
    #[must_use]
    pub fn rescale(&self) -> Self {
        self.shipped(ShipStrategy::Rescale, &PlainEdge::<T>::body())
    }

    /// To a subtask drawn at random.
    #[must_use]
    pub fn shuffle(&self) -> Self {
        self.shipped(ShipStrategy::Shuffle, &PlainEdge::<T>::body())
    }

    /// To all subtasks, each record to every one.
    #[must_use]
    pub fn broadcast(&self) -> Self {
        self.shipped(ShipStrategy::Broadcast, &PlainEdge::<T>::body())
    }

    /// All to the first subtask.
    #[must_use]
    pub fn global(&self) -> Self {
        self.shipped(ShipStrategy::Global, &PlainEdge::<T>::body())
    }

    /// To the subtask that `choose` answers for the record and the number of subtasks. An answer that is no subtask
    /// fails the task.
    #[must_use]
    pub fn partition_custom<F>(&self, choose: F) -> Self
    where
        F: FnMut(&T, u32) -> u32 + Clone + Send + Sync + 'static,
    {
        self.shipped(ShipStrategy::Custom, &CustomEdge::<T, F>::body(choose))
    }

    /// By key: all records of a key get to one subtask, where the key's state is. The key of a record must always be the
    /// same, on every machine.
    pub fn key_by<K, F>(&self, key: F) -> KeyedStream<K, T>
    where
        K: Key,
        F: Fn(&T) -> K + Clone + Send + Sync + 'static,
    {
        self.keyed(Arc::new(MadeKey(key)))
    }

    /// As [`key_by`](Self::key_by), by a key that is part of the record. It is looked at where it lies, and copied only
    /// when it is new; so this is the faster one where keys are texts or the like.
    ///
    /// ```no_run
    /// # use flott::{Environment, Stream};
    /// # let env = Environment::new();
    /// let totals = env
    ///     .from_collection(vec![("a".to_owned(), 1u64), ("b".to_owned(), 2), ("a".to_owned(), 3)])
    ///     .key_by_ref(|(name, _)| name)
    ///     .sum(|(_, number)| *number);
    /// # let _: Stream<(String, u64)> = totals;
    /// ```
    pub fn key_by_ref<K, F>(&self, key: F) -> KeyedStream<K, T>
    where
        K: Key,
        F: Fn(&T) -> &K + Clone + Send + Sync + 'static,
    {
        self.keyed(Arc::new(HeldKey::new(key)))
    }

    fn keyed<K: Key>(&self, keys: Arc<dyn KeyOf<T, K>>) -> KeyedStream<K, T> {
        let keyed = self.shipped(ShipStrategy::Hash, &KeyedEdge::body(keys.clone()));
        KeyedStream { unkeyed: self.clone(), keyed, keys }
    }
}
