//! Who writes: an id and an epoch, the numbers of the batches written by them, and the transaction that they are part of.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, InitProducerIdRequest, ProducerId,
    add_partitions_to_txn_request::AddPartitionsToTxnTopic,
};

use super::{
    batch::Author,
    commit::transactional_id,
    sender::Partition,
    transaction::{Place, Prepared},
};
use crate::{
    error::{KafkaError, KafkaResult},
    wire::{Cluster, Coordinated, Route, topic_name},
};

/// How long a coordinator may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers of batches end before the protocol's wrap around.
const SEQUENCE_MAX: i32 = 1 << 30;

/// A producer in the sense of the protocol.
#[derive(Debug)]
pub(super) struct Producer {
    producer_id: i64,
    epoch: i16,
    sequences: HashMap<Partition, i32>,
    pub transaction: Option<Open>,
}

/// A transaction that is being written.
#[derive(Debug)]
pub(super) struct Open {
    pub id: String,
    pub slot: u32,
    producer_id: i64,
    epoch: i16,
    partitions: HashSet<Partition>,
    records: u64,
    first: Option<Place>,
}

impl Open {
    /// What is to be remembered of it once all that was written has arrived.
    pub fn prepared(&self) -> Prepared {
        let Self { id, producer_id, epoch, records, first, .. } = self;
        Prepared { id: id.clone(), producer_id: *producer_id, epoch: *epoch, records: *records, first: first.clone() }
    }
}

impl Producer {
    /// One whose repeats are told from what is new, without transactions.
    pub async fn idempotent(cluster: &Cluster) -> KafkaResult<Self> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer = cluster.ask(Route::Any, &request, PATIENCE, |answer| match answer.error_code {
            0 => Ok(()),
            code => Err(KafkaError::of_code("to begin to write", code)),
        });
        let answer = answer.await?;
        let (producer_id, epoch) = (answer.producer_id.0, answer.producer_epoch);
        Ok(Self { producer_id, epoch, sequences: HashMap::new(), transaction: None })
    }

    /// One that has just taken over the transactional `id`.
    pub fn transactional(id: String, slot: u32, (producer_id, epoch): (i64, i16)) -> Self {
        let open = Open { id, slot, producer_id, epoch, partitions: HashSet::new(), records: 0, first: None };
        Self { producer_id, epoch, sequences: HashMap::new(), transaction: Some(open) }
    }

    pub fn author(&self) -> Author {
        let Self { producer_id, epoch, transaction, .. } = self;
        Author { producer_id: *producer_id, epoch: *epoch, transactional: transaction.is_some() }
    }

    /// The number of the next record in a partition.
    pub fn next_sequence(&self, partition: &Partition) -> i32 {
        self.sequences.get(partition).copied().unwrap_or_default()
    }

    /// Another one has to write on.
    pub fn is_worn(&self) -> bool {
        self.sequences.values().any(|next| *next > SEQUENCE_MAX)
    }

    /// A batch of `count` records has arrived at `offset`.
    pub fn written(&mut self, partition: &Partition, count: i32, offset: Option<i64>) {
        let next = self.sequences.entry(partition.clone()).or_default();
        let begins = *next == 0;
        *next += count;
        if let Some(open) = &mut self.transaction {
            open.records += u64::from(count.unsigned_abs());
            if begins && open.first.is_none() {
                let (topic, partition) = (partition.0.to_string(), partition.1);
                open.first = offset.map(|offset| Place { topic, partition, offset });
            }
        }
    }

    /// Makes partitions part of the transaction, if there is one and they are not yet.
    pub async fn add_partitions(&mut self, cluster: &Cluster, partitions: &[Partition]) -> KafkaResult {
        let Some(open) = &mut self.transaction else { return Ok(()) };
        let fresh: Vec<&Partition> =
            partitions.iter().filter(|partition| !open.partitions.contains(*partition)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut topics: HashMap<&str, Vec<i32>> = HashMap::new();
        for (topic, partition) in fresh {
            topics.entry(topic).or_default().push(*partition);
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            AddPartitionsToTxnTopic::default().with_name(topic_name(topic)).with_partitions(partitions)
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id(&open.id))
            .with_v3_and_below_producer_id(ProducerId(open.producer_id))
            .with_v3_and_below_producer_epoch(open.epoch)
            .with_v3_and_below_topics(topics.collect());
        let route = Route::Coordinator(Coordinated::Transaction, &open.id);
        let answer = cluster.ask(route, &request, PATIENCE, |answer| {
            let refused = answer
                .results_by_topic_v3_and_below
                .iter()
                .flat_map(|topic| topic.results_by_partition.iter().map(|found| (&topic.name, found)));
            match refused.into_iter().find(|(_, found)| found.partition_error_code != 0) {
                None => Ok(()),
                Some((topic, found)) => {
                    let what =
                        format!("to write to {}-{} in transaction {:?}", topic.0, found.partition_index, open.id);
                    Err(KafkaError::of_code(what, found.partition_error_code))
                }
            }
        });
        answer.await?;
        open.partitions.extend(partitions.iter().cloned());
        Ok(())
    }
}
