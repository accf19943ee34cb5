//! Sends what a writer has written, beside the task: batches to the leaders of partitions, one request per leader at a time, so
//! that what is repeated is never out of order.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use flott::TaskResult;
use futures::future::join_all;
use kafka_protocol::{
    ResponseError,
    messages::{
        ProduceRequest,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
};
use tokio::time::{Instant, sleep};

use super::{
    KafkaMessage, Settings, batch,
    exchange::{Exchange, Work},
    pool::Pool,
    producer::Producer,
    transaction::Prepared,
};
use crate::{
    error::{KafkaError, KafkaResult},
    wire::{Cluster, Connection, NEWS_PATIENCE, topic_name},
};

/// How long records may wait for brokers to take them.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a leader may wait for its followers.
const ACKS_TIMEOUT_MS: i32 = 30_000;
/// Between two tries.
const RETRY_DELAY: Duration = Duration::from_millis(50);
/// Bytes of messages that are looked at together.
const ROUND_BYTES: usize = 8 << 20;
/// How long what is known of a topic's partitions is good for.
const PARTITIONS_AGE_MAX: Duration = Duration::from_secs(300);

pub(super) type Partition = (Arc<str>, i32);

/// A topic's partitions, when they were looked up, and how often records were spread over them.
struct Known {
    name: Arc<str>,
    partitions: Vec<i32>,
    at: Instant,
    round: u64,
}

/// A writer's other half.
pub(super) struct Sender {
    settings: Arc<Settings>,
    cluster: Cluster,
    exchange: Arc<Exchange>,
    pool: Option<Pool>,
    producer: Option<Producer>,
    topics: HashMap<String, Known>,
    connections: HashMap<String, Connection>,
}

/// A batch that is to be sent.
struct Outgoing {
    partition: Partition,
    bytes: Bytes,
    count: i32,
}

impl Sender {
    /// With a pool, what is written is part of transactions.
    pub fn new(settings: Arc<Settings>, cluster: Cluster, exchange: Arc<Exchange>, pool: Option<Pool>) -> Self {
        Self { settings, cluster, exchange, pool, producer: None, topics: HashMap::new(), connections: HashMap::new() }
    }

    /// Works until the writer is gone, or something fails.
    pub async fn run(mut self) {
        let exchange = self.exchange.clone();
        if let Err(failure) = self.serve().await {
            exchange.fail(failure);
        }
        // What nobody has prepared is nobody's any more.
        if let Some(Producer { transaction: Some(open), .. }) = self.producer {
            let ended = super::commit::end(&self.cluster, &open.prepared(), false, Duration::from_secs(5)).await;
            if let Err(error) = ended {
                tracing::debug!(%error, "an open transaction is left to who comes next, or to its timeout");
            }
        }
    }

    async fn serve(&mut self) -> TaskResult {
        if let Some(pool) = &mut self.pool {
            pool.sweep(&self.cluster).await?;
        }
        loop {
            match self.exchange.work(ROUND_BYTES).await {
                Work::Send(messages, bytes) => {
                    self.send(messages).await?;
                    self.exchange.sent(bytes);
                }
                Work::Flush => {
                    let prepared = self.prepare();
                    self.exchange.flushed(prepared);
                }
                Work::Close => return Ok(()),
            }
        }
    }

    /// All that was written has arrived: the transaction is prepared.
    fn prepare(&mut self) -> Option<Prepared> {
        let open = self.producer.as_mut()?.transaction.take()?;
        self.producer = None;
        let prepared = open.prepared();
        if let Some(pool) = &mut self.pool {
            pool.prepared(open.slot, prepared.clone());
        }
        Some(prepared)
    }

    async fn producer(&mut self) -> TaskResult<&mut Producer> {
        let fresh = match &self.producer {
            Some(producer) if !producer.is_worn() => None,
            Some(_) | None => Some(match &mut self.pool {
                Some(pool) => pool.begin(&self.cluster).await?,
                None => Producer::idempotent(&self.cluster).await?,
            }),
        };
        Ok(match fresh {
            Some(fresh) => self.producer.insert(fresh),
            None => self.producer.as_mut().unwrap_or_else(|| unreachable!("one was made if there was none")),
        })
    }

    /// Sends messages, and waits until they have arrived. Once nobody writes any more they are nobody's, and no transaction is begun
    /// with them: who ends what the writer has left looks only after that, and takes all names that were there before.
    pub(super) async fn send(&mut self, messages: Vec<KafkaMessage>) -> TaskResult {
        let mut waiting = self.spread(messages).await?;
        self.producer().await?;
        while !waiting.is_empty() && !self.exchange.is_closed() {
            let partitions: Vec<Partition> = waiting.keys().cloned().collect();
            let Self { producer: Some(producer), cluster, .. } = self else { unreachable!("there is one") };
            producer.add_partitions(cluster, &partitions).await?;
            let mut round = Vec::new();
            for (partition, messages) in &mut waiting {
                let sequence = producer.next_sequence(partition);
                let (bytes, count) = batch::encode(
                    messages,
                    producer.author(),
                    sequence,
                    self.settings.batch_bytes,
                    self.settings.compression,
                )?;
                round.push(Outgoing { partition: partition.clone(), bytes, count });
            }
            waiting.retain(|_, messages| !messages.is_empty());
            self.deliver(round).await?;
        }
        Ok(())
    }

    /// Messages by partition.
    async fn spread(&mut self, messages: Vec<KafkaMessage>) -> TaskResult<BTreeMap<Partition, VecDeque<KafkaMessage>>> {
        let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        let mut spread: BTreeMap<Partition, VecDeque<KafkaMessage>> = BTreeMap::new();
        for topic in self.topics.values_mut() {
            topic.round += 1;
        }
        for mut message in messages {
            let topic = message.topic.take().unwrap_or_else(|| self.settings.topic.clone());
            let fresh = self.topics.get(&topic).is_some_and(|known| known.at.elapsed() < PARTITIONS_AGE_MAX);
            if !fresh {
                self.look_up(&topic).await?;
            }
            let Some(known) = self.topics.get(&topic) else { unreachable!("it was looked up") };
            let partition = match message.partition {
                Some(partition) => partition,
                None => self.settings.partitioner.partition(&message, &known.partitions, known.round),
            };
            let name = known.name.clone();
            if !known.partitions.contains(&partition) {
                self.wait_for(&topic, partition).await?;
            }
            message.timestamp_ms.get_or_insert(now_ms);
            spread.entry((name, partition)).or_default().push_back(message);
        }
        Ok(spread)
    }

    async fn look_up(&mut self, topic: &str) -> KafkaResult {
        let found = self.cluster.find_topics(&[topic.to_owned()], DELIVERY_TIMEOUT).await?;
        let partitions = found.into_iter().next().map(|topic| topic.partitions).unwrap_or_default();
        if partitions.is_empty() {
            return Err(KafkaError::Unknown { what: format!("partition of topic {topic:?}") });
        }
        let round = self.topics.get(topic).map_or_else(rand_round, |known| known.round);
        let known = Known { name: topic.into(), partitions, at: Instant::now(), round };
        self.topics.insert(topic.to_owned(), known);
        Ok(())
    }

    /// A record names a partition that is not known: the broker may not have heard of it yet.
    async fn wait_for(&mut self, topic: &str, partition: i32) -> KafkaResult {
        let until = Instant::now() + NEWS_PATIENCE;
        loop {
            self.look_up(topic).await?;
            if self.topics.get(topic).is_some_and(|known| known.partitions.contains(&partition)) {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(KafkaError::Unknown { what: format!("partition {partition} of topic {topic:?}") });
            }
            sleep(RETRY_DELAY).await;
        }
    }

    /// Sends batches of different partitions until all have arrived.
    async fn deliver(&mut self, mut batches: Vec<Outgoing>) -> TaskResult {
        let until = Instant::now() + DELIVERY_TIMEOUT;
        loop {
            let outcomes = self.try_once(batches).await;
            let (mut left, mut problem) = (Vec::new(), None);
            for (batch, outcome) in outcomes {
                match outcome {
                    Ok(offset) => {
                        let Some(producer) = &mut self.producer else { unreachable!("it has written them") };
                        producer.written(&batch.partition, batch.count, offset);
                    }
                    Err(error) if error.is_passing() && Instant::now() < until => {
                        self.cluster.forget_leader(&batch.partition.0, batch.partition.1);
                        left.push(batch);
                        problem = Some(error);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            let Some(problem) = problem else { return Ok(()) };
            tracing::debug!(%problem, "sending again");
            sleep(RETRY_DELAY).await;
            batches = left;
        }
    }

    /// Sends each batch once: where it begins in its partition, or what was wrong.
    async fn try_once(&mut self, batches: Vec<Outgoing>) -> Vec<(Outgoing, KafkaResult<Option<i64>>)> {
        let mut outcomes = Vec::new();
        let mut by_leader: BTreeMap<String, Vec<Outgoing>> = BTreeMap::new();
        for batch in batches {
            match self.cluster.leader(&batch.partition.0, batch.partition.1).await {
                Ok(leader) => by_leader.entry(leader).or_default().push(batch),
                Err(error) => outcomes.push((batch, Err(error))),
            }
        }
        let id = self.producer.as_ref().and_then(|producer| producer.transaction.as_ref()).map(|open| open.id.clone());
        let cluster = &self.cluster;
        let requests = by_leader.into_iter().map(|(leader, batches)| {
            let (connection, id) = (self.connections.remove(&leader), id.as_deref());
            async move {
                let (connection, outcomes) = produce(cluster, &leader, connection, id, batches).await;
                (leader, connection, outcomes)
            }
        });
        for (leader, connection, of_leader) in join_all(requests).await {
            if let Some(connection) = connection {
                self.connections.insert(leader, connection);
            }
            outcomes.extend(of_leader);
        }
        outcomes
    }
}

/// Where the partitions of records without keys begin, so that writers do not all begin with the same.
fn rand_round() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0) >> 32
}

type Outcomes = Vec<(Outgoing, KafkaResult<Option<i64>>)>;

/// One request to one leader. The connection comes back if it is still good.
async fn produce(
    cluster: &Cluster,
    leader: &str,
    connection: Option<Connection>,
    transactional_id: Option<&str>,
    batches: Vec<Outgoing>,
) -> (Option<Connection>, Outcomes) {
    let mut topics: BTreeMap<&str, Vec<PartitionProduceData>> = BTreeMap::new();
    for Outgoing { partition: (topic, partition), bytes, .. } in &batches {
        let data = PartitionProduceData::default().with_index(*partition).with_records(Some(bytes.clone()));
        topics.entry(topic).or_default().push(data);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(partitions)
    });
    let request = ProduceRequest::default()
        .with_transactional_id(transactional_id.map(super::commit::transactional_id))
        .with_acks(-1)
        .with_timeout_ms(ACKS_TIMEOUT_MS)
        .with_topic_data(topics.collect());
    let asked = async {
        let mut connection = match connection {
            Some(connection) => connection,
            None => cluster.connect(leader).await?,
        };
        let answer = connection.ask_patiently(&request, Duration::from_millis(ACKS_TIMEOUT_MS as u64)).await?;
        Ok((connection, answer))
    };
    let (connection, answer) = match asked.await {
        Ok(asked) => asked,
        Err(error) => {
            let error: KafkaError = error;
            return (None, batches.into_iter().map(|batch| (batch, Err(error.clone()))).collect());
        }
    };
    let mut said: HashMap<(String, i32), (i16, i64)> = HashMap::new();
    for topic in &answer.responses {
        for found in &topic.partition_responses {
            said.insert((topic.name.to_string(), found.index), (found.error_code, found.base_offset));
        }
    }
    let outcome = |batch: &Outgoing| {
        let (topic, partition) = &batch.partition;
        let what = format!("to write to {topic}-{partition}");
        match said.get(&(topic.to_string(), *partition)) {
            Some((0, offset)) => Ok((*offset >= 0).then_some(*offset)),
            // It has arrived before.
            Some((code, _)) if *code == ResponseError::DuplicateSequenceNumber.code() => Ok(None),
            Some((code, _)) => Err(KafkaError::of_code(what, *code)),
            None => Err(KafkaError::Malformed { what, problem: "the answer does not name it".into() }),
        }
    };
    let outcomes = batches.into_iter().map(|batch| {
        let outcome = outcome(&batch);
        (batch, outcome)
    });
    (Some(connection), outcomes.collect())
}
