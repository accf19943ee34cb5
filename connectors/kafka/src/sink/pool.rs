//! The transactions of a writer: a name is used again when the transaction under it has been committed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flott::TaskResult;
use parking_lot::Mutex;

use super::{
    commit,
    producer::Producer,
    sweep,
    transaction::{Prepared, TransactionName, WriterName},
};
use crate::{error::KafkaResult, wire::Cluster};

/// What is prepared and may still wait for the word: the writer's own by place, and what it looks after for those before it.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub own: BTreeMap<u32, Prepared>,
    pub inherited: Vec<Prepared>,
}

/// A writer's transactions.
pub(super) struct Pool {
    name: WriterName,
    parallelism: u32,
    timeout: Duration,
    /// All that was prepared by anybody in the snapshot that the job goes on from: it is to be committed.
    decided: Vec<Prepared>,
    waiting: Arc<Mutex<Waiting>>,
}

impl Pool {
    pub fn new(
        name: WriterName,
        parallelism: u32,
        timeout: Duration,
        decided: Vec<Prepared>,
        waiting: Arc<Mutex<Waiting>>,
    ) -> Self {
        Self { name, parallelism, timeout, decided, waiting }
    }

    /// Aborts what older attempts of the writer have left open.
    pub async fn sweep(&mut self, cluster: &Cluster) -> TaskResult {
        let pick = |id: &str| {
            let name = TransactionName::parse(&self.name.stem, id)?;
            self.name.succeeds(&name.writer, self.parallelism).then_some(name)
        };
        Ok(sweep::sweep(cluster, pick, &self.decided, self.timeout).await?)
    }

    /// Begins a transaction under a name that is free.
    pub async fn begin(&mut self, cluster: &Cluster) -> TaskResult<Producer> {
        self.forget_committed(cluster).await?;
        let slot = {
            let waiting = self.waiting.lock();
            (0..).find(|slot| !waiting.own.contains_key(slot)).unwrap_or_default()
        };
        let id = self.name.slot(slot).to_string();
        let begun = commit::take_over(cluster, &id, self.timeout).await?;
        Ok(Producer::transactional(id, slot, begun))
    }

    /// Looks which of the prepared transactions have been committed meanwhile.
    async fn forget_committed(&self, cluster: &Cluster) -> KafkaResult {
        let (own, inherited) = {
            let waiting = self.waiting.lock();
            (waiting.own.values().cloned().collect::<Vec<_>>(), waiting.inherited.clone())
        };
        let own = commit::still_open(cluster, own).await?;
        let inherited = commit::still_open(cluster, inherited).await?;
        let mut waiting = self.waiting.lock();
        waiting.own.retain(|_, prepared| own.contains(prepared));
        waiting.inherited = inherited;
        Ok(())
    }

    /// The transaction in this place is prepared.
    pub fn prepared(&mut self, slot: u32, prepared: Prepared) {
        self.waiting.lock().own.insert(slot, prepared);
    }
}
