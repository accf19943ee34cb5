//! Fetches one partition ahead of its reader, by as much as one answer: beside the task, over a connection of its own, so that no
//! partition waits for another that has nothing.

use std::time::Duration;

use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest,
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::PartitionData,
    },
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    OutOfRange,
    chunk::Chunk,
    listing::{self, Asked},
};
use crate::{
    error::{KafkaError, KafkaResult},
    wire::{Cluster, Connection, NO_BROKER, topic_name},
};

/// How long a broker may hold a request that it has nothing for.
const WAIT: Duration = Duration::from_millis(500);
/// Between two tries when something is wrong.
const RETRY_DELAY: Duration = Duration::from_millis(100);
/// How long a partition may have no leader that answers before the task fails.
const PATIENCE: Duration = Duration::from_secs(180);

/// How partitions are fetched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetching {
    /// Bytes of an answer; a batch that is larger comes whole.
    pub bytes: i32,
    pub committed_only: bool,
    pub when_out_of_range: OutOfRange,
}

/// A partition that is being fetched.
pub(super) struct Fetcher {
    pub cluster: Cluster,
    pub topic: String,
    pub partition: i32,
    pub next: i64,
    pub how: Fetching,
}

/// What one answer means.
enum Outcome {
    Records(Chunk),
    Nothing,
    OutOfRange,
}

impl Fetcher {
    /// Fetches as fast as the reader takes it, until nobody reads any more.
    pub async fn run(mut self, into: mpsc::Sender<KafkaResult<Chunk>>) {
        let mut connection = None;
        let mut since = Instant::now();
        // Nothing is asked for before there is room for the answer.
        while let Ok(room) = into.reserve().await {
            match self.step(&mut connection).await {
                Ok(None) => {
                    since = Instant::now();
                }
                Ok(Some(chunk)) => {
                    since = Instant::now();
                    room.send(Ok(chunk));
                }
                Err(error) if error.is_passing() && since.elapsed() < PATIENCE => {
                    tracing::debug!(%error, "fetching again");
                    connection = None;
                    self.cluster.forget_leader(&self.topic, self.partition);
                    sleep(RETRY_DELAY).await;
                }
                Err(error) => {
                    room.send(Err(error));
                    return;
                }
            }
        }
    }

    async fn step(&mut self, connection: &mut Option<Connection>) -> KafkaResult<Option<Chunk>> {
        let open = match connection {
            Some(open) => open,
            None => {
                let leader = self.cluster.leader(&self.topic, self.partition).await?;
                connection.insert(self.cluster.connect(&leader).await?)
            }
        };
        let answer = open.ask_patiently(&self.request(), WAIT).await?;
        let data = answer.responses.into_iter().flat_map(|topic| topic.partitions).next();
        match self.read(data, answer.error_code)? {
            Outcome::Nothing => Ok(None),
            Outcome::Records(chunk) => match chunk.end()? {
                Some(end) if end > self.next => {
                    self.next = end;
                    Ok(Some(chunk))
                }
                // What is older than was asked for, and nothing else.
                Some(_) | None => Ok(None),
            },
            Outcome::OutOfRange => {
                self.reset().await?;
                Ok(None)
            }
        }
    }

    fn request(&self) -> FetchRequest {
        let asked = FetchPartition::default()
            .with_partition(self.partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(self.next)
            .with_last_fetched_epoch(-1)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(self.how.bytes);
        FetchRequest::default()
            .with_replica_id(NO_BROKER)
            .with_max_wait_ms(WAIT.as_millis() as i32)
            .with_min_bytes(1)
            .with_max_bytes(self.how.bytes)
            .with_isolation_level(i8::from(self.how.committed_only))
            .with_session_epoch(-1)
            .with_topics(vec![FetchTopic::default().with_topic(topic_name(&self.topic)).with_partitions(vec![asked])])
    }

    fn read(&self, data: Option<PartitionData>, code: i16) -> KafkaResult<Outcome> {
        let what = format!("to read {}-{}", self.topic, self.partition);
        let Some(data) = data else {
            return match code {
                0 => Err(KafkaError::Malformed { what, problem: "the answer has no partition".into() }),
                code => Err(KafkaError::of_code(what, code)),
            };
        };
        match data.error_code {
            0 => {}
            code if code == ResponseError::OffsetOutOfRange.code() => return Ok(Outcome::OutOfRange),
            code => return Err(KafkaError::of_code(what, code)),
        }
        let Some(records) = data.records.filter(|records| !records.is_empty()) else { return Ok(Outcome::Nothing) };
        let aborted = data.aborted_transactions.filter(|_| self.how.committed_only).unwrap_or_default();
        Ok(Outcome::Records(Chunk::new(records, aborted)))
    }

    /// The next record is gone, or never was.
    async fn reset(&mut self) -> KafkaResult {
        let partition = (self.topic.as_str(), self.partition);
        let from = listing::offset(&self.cluster, partition, Asked::Earliest, false).await?;
        let to = listing::offset(&self.cluster, partition, Asked::Latest, false).await?;
        let next = match self.how.when_out_of_range {
            // It may have been read from another leader, which had it not yet.
            _ if (from..=to).contains(&self.next) => return Ok(()),
            OutOfRange::Fail => {
                let partition = format!("{}-{}", self.topic, self.partition);
                return Err(KafkaError::OutOfRange { partition, offset: self.next, from, to });
            }
            OutOfRange::Earliest => from,
            OutOfRange::Latest => to,
        };
        tracing::warn!(topic = %self.topic, partition = self.partition, gone = self.next, next, "going on elsewhere");
        self.next = next;
        Ok(())
    }
}
