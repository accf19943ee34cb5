//! The transactions of a writer: a name is used again when the transaction under it has been committed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use flott::TaskResult;
use kafka_protocol::{messages::ListTransactionsRequest, protocol::StrBytes};
use parking_lot::Mutex;

use super::{
    commit,
    producer::Producer,
    transaction::{Prepared, TransactionName, WriterName},
};
use crate::{
    error::{KafkaError, KafkaResult},
    wire::{Cluster, Route, retrying},
};

/// How long the search for what older attempts have left may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Older attempts whose last words may still be on their way to the brokers.
const LATE_MAX: usize = 16;

const OPEN: &str = "Ongoing";
/// A name that somebody has asked for, and under which nothing was begun.
const BEGUN: &str = "Empty";

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

    /// Aborts what older attempts have left open: nobody commits it any more, and who reads committed records only would wait
    /// for it. The last word of one that was killed may come after this, and would begin a transaction under a name that it had
    /// asked for: so these names are taken as well, and the word is refused.
    pub async fn sweep(&mut self, cluster: &Cluster) -> TaskResult {
        let mut left = retrying(PATIENCE, async || self.left(cluster).await).await?;
        // The latest attempts first.
        left.sort_by_key(|(name, _)| std::cmp::Reverse((name.writer.epoch, name.writer.attempt)));
        let mut late: Vec<_> = left.iter().map(|(name, _)| (name.writer.epoch, name.writer.attempt)).collect();
        late.dedup();
        late.truncate(LATE_MAX);
        for (name, is_open) in left {
            let is_late = late.contains(&(name.writer.epoch, name.writer.attempt));
            let id = name.to_string();
            if !(is_open || is_late) || self.is_decided(cluster, &id).await? {
                continue;
            }
            if is_open {
                tracing::info!(transaction = id, "aborting what an earlier attempt has left open");
            }
            commit::take_over(cluster, &id, self.timeout).await?;
        }
        Ok(())
    }

    /// Names of older attempts under which something is open, or may be in a moment.
    async fn left(&self, cluster: &Cluster) -> KafkaResult<Vec<(TransactionName, bool)>> {
        let request = ListTransactionsRequest::default()
            .with_state_filters([OPEN, BEGUN].map(StrBytes::from_static_str).to_vec())
            .with_duration_filter(-1);
        let mut left = Vec::new();
        for broker in cluster.brokers().await? {
            let answer = cluster.find(&Route::Broker(&broker)).await?.ask(&request).await?;
            if answer.error_code != 0 {
                return Err(KafkaError::of_code("to list transactions", answer.error_code));
            }
            left.extend(answer.transaction_states.iter().filter_map(|state| {
                let name = TransactionName::parse(&self.name.stem, &state.transactional_id)?;
                let is_older = self.name.succeeds(&name.writer, self.parallelism);
                is_older.then(|| (name, state.transaction_state.as_str() == OPEN))
            }));
        }
        Ok(left)
    }

    /// Whether what is under this name now is to be committed. The snapshot may know the name for an earlier transaction: it was
    /// committed, and the name used again.
    async fn is_decided(&self, cluster: &Cluster, id: &str) -> KafkaResult<bool> {
        if self.decided.iter().all(|decided| decided.id != id) {
            return Ok(false);
        }
        let state = commit::state_of(cluster, id).await?;
        // What nobody knows any more has ended.
        Ok(state.is_none_or(|state| self.decided.iter().any(|decided| commit::is_of(&state, decided))))
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
