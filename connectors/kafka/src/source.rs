//! Records of topics.
//!
//! A split is a partition from an offset on. Offsets are part of checkpoints, and what a job goes on from; those of the group at the
//! brokers are for people to look at.
//!
//! # Layout
//! - `record`: what is read, and offsets
//! - `position`: where reading begins and ends
//! - `listing`: which partitions and offsets there are
//! - `lookout`: partitions that come to be while the job runs
//! - `fetch`, `chunk`, `reader`: bytes beside the task, batches in them, records in the task

mod chunk;
mod fetch;
mod listing;
mod lookout;
mod position;
mod reader;
mod record;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use flott::{Data, Source, SplitReader, TaskInfo, TaskResult, UserError};
use serde::{Deserialize, Serialize};

use self::{
    fetch::{Fetcher, Fetching},
    lookout::{Lookout, Share},
    reader::PartitionReader,
};
pub use self::{
    listing::Topics,
    position::{OutOfRange, StartFrom, StopAt},
    record::{KafkaRecord, Offsets},
};
use crate::wire::{Cluster, block_on};

/// How long the broker is tried that is to know how far a group has come.
const COMMIT_PATIENCE: Duration = Duration::from_secs(5);

/// What records are made by; none of what is to be passed over.
type Deserialise<T> = dyn Fn(&KafkaRecord) -> Result<Option<T>, UserError> + Send + Sync;

/// Reads topics.
///
/// Records have their timestamps in Kafka as event time; a watermark strategy of the stream may give them others. Each
/// partition has a watermark of its own, and a strategy with idleness lets partitions without records hold nobody back.
///
/// ```no_run
/// # fn main() -> flott::Result<()> {
/// use std::time::Duration;
///
/// use flott::{Environment, WatermarkStrategy};
/// use flott_kafka::KafkaSource;
///
/// let env = Environment::new();
/// let words = KafkaSource::new("localhost:9092", ["words"], |record| Ok(Some(String::from_utf8(record.bytes().to_vec())?)));
/// let late = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_secs(5)).with_idleness(Duration::from_secs(30));
/// env.from_source_with_watermarks(words, late, "words").print();
/// # Ok(())
/// # }
/// ```
pub struct KafkaSource<T> {
    servers: String,
    topics: Topics,
    deserialise: Arc<Deserialise<T>>,
    start: StartFrom,
    stop: StopAt,
    group: Option<String>,
    discovery: Option<Duration>,
    how: Fetching,
}

impl<T> fmt::Debug for KafkaSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers, topics, start, stop, .. } = self;
        write!(f, "KafkaSource {{ servers: {servers:?}, topics: {topics:?}, start: {start:?}, stop: {stop:?} }}")
    }
}

/// What a reader has of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaSplit(Part);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// A partition, from an offset on.
    Partition { topic: String, partition: i32, next: i64, stop: Option<i64> },
    /// New partitions: one of so many shares of all that there may be.
    Lookout(Share),
}

impl<T: Data> KafkaSource<T> {
    /// Reads `topics` of the cluster that the brokers of `servers` belong to (host and port, with commas between), from the first
    /// record on and without end. `deserialise` makes records of Kafka's, or passes over them; what it cannot read
    /// fails the job.
    pub fn new<F>(servers: impl Into<String>, topics: impl Into<Topics>, deserialise: F) -> Self
    where
        F: Fn(&KafkaRecord) -> Result<Option<T>, UserError> + Send + Sync + 'static,
    {
        Self {
            servers: servers.into(),
            topics: topics.into(),
            deserialise: Arc::new(deserialise),
            start: StartFrom::Earliest,
            stop: StopAt::Never,
            group: None,
            discovery: None,
            how: Fetching { bytes: 1 << 20, committed_only: true, when_out_of_range: OutOfRange::Fail },
        }
    }

    /// Where reading begins. A job that starts from a checkpoint or savepoint goes on where that was taken.
    #[must_use]
    pub fn start_from(mut self, start: StartFrom) -> Self {
        self.start = start;
        self
    }

    /// Where reading ends; nowhere if nothing is said.
    #[must_use]
    pub fn stop_at(mut self, stop: StopAt) -> Self {
        self.stop = stop;
        self
    }

    /// The consumer group whose offsets [`StartFrom::Committed`] means. With each complete checkpoint the broker is told how far the
    /// group has come, so that tools can show how much there is still to read; the job itself goes on from its checkpoints.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Looks for new partitions, and new topics where [`Topics::matching`] says which, each `interval`, and reads them from their
    /// first record. Not for a source that [ends](Self::stop_at). A subtask reads those that it finds; after a
    /// restart they are spread anew.
    #[must_use]
    pub fn discover_each(mut self, interval: Duration) -> Self {
        self.discovery = Some(interval);
        self
    }

    /// Reads records of transactions that are open or were aborted too.
    #[must_use]
    pub fn read_uncommitted(mut self) -> Self {
        self.how.committed_only = false;
        self
    }

    /// What to do when a record is gone that is to be read next; the job fails if nothing is said.
    #[must_use]
    pub fn when_out_of_range(mut self, policy: OutOfRange) -> Self {
        self.how.when_out_of_range = policy;
        self
    }

    /// Bytes that are fetched at once of each partition; 1 MiB if nothing is said. A partition has about three times as much in
    /// memory, and what its batches are decompressed to.
    #[must_use]
    pub fn fetch_bytes(mut self, bytes: i32) -> Self {
        self.how.bytes = bytes.max(1);
        self
    }

    fn cluster(&self) -> Cluster {
        Cluster::new(&self.servers, "flott-source")
    }
}

impl<T: Data> Source for KafkaSource<T> {
    type Item = T;
    type Split = KafkaSplit;

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<KafkaSplit>> {
        let cluster = self.cluster();
        let Self { topics, start, stop, group, how, .. } = self;
        block_on(async {
            let partitions = listing::partitions(&cluster, topics).await?;
            // Last, so that partitions are spread evenly.
            let lookouts = match (self.discovery, stop) {
                (Some(_), StopAt::Never) => Share::of(parallelism, &partitions),
                (Some(_) | None, _) => Vec::new(),
            };
            let bounds =
                listing::bounds(&cluster, partitions, start, stop, group.as_deref(), how.committed_only).await?;
            let parts = bounds.into_iter().map(|(topic, partition, next, stop)| Part::Partition {
                topic,
                partition,
                next,
                stop,
            });
            Ok(parts.chain(lookouts.into_iter().map(Part::Lookout)).map(KafkaSplit).collect())
        })
    }

    fn concurrent_splits(&self) -> usize {
        usize::MAX
    }

    fn prepare_commit(&self, remaining: &[KafkaSplit]) -> Option<Bytes> {
        self.group.as_ref()?;
        let mut offsets = Offsets::new();
        for KafkaSplit(part) in remaining {
            if let Part::Partition { topic, partition, next, .. } = part {
                offsets.set(topic.clone(), *partition, *next);
            }
        }
        if offsets.is_empty() {
            return None;
        }
        serde_json::to_vec(&offsets).ok().map(Bytes::from)
    }

    fn commit(&self, prepared: &[Bytes]) -> TaskResult {
        let Some(group) = &self.group else { return Ok(()) };
        let mut all = Offsets::new();
        for offsets in prepared {
            match serde_json::from_slice(offsets) {
                Ok(offsets) => all.update(&offsets),
                Err(error) => tracing::warn!(%error, group, "offsets that were noted in a checkpoint cannot be read"),
            }
        }
        // They are for people and tools: nobody's results depend on them, and the next checkpoint brings newer ones.
        if let Err(error) = block_on(listing::commit(&self.cluster(), group, &all, COMMIT_PATIENCE)) {
            tracing::warn!(%error, group, "the broker was not told how far the group has come");
        }
        Ok(())
    }

    fn open(&self, KafkaSplit(part): KafkaSplit, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<T, KafkaSplit>>> {
        let cluster = self.cluster();
        Ok(match part {
            Part::Partition { topic, partition, next, stop } => {
                let fetcher = Fetcher { cluster, topic, partition, next, how: self.how };
                Box::new(PartitionReader::open(fetcher, stop, self.deserialise.clone()))
            }
            Part::Lookout(share) => Box::new(Lookout::open(cluster, self.topics.clone(), share, self.discovery)),
        })
    }
}
