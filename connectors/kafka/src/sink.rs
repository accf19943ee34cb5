//! Records to topics.
//!
//! A task hands its records to a sender beside it, which waits for brokers. At a barrier the sender says when all has arrived.
//! With transactions, what was written since the last barrier is then *prepared*: nobody writes to it any more, its id and epoch
//! are part of the checkpoint, and whoever commits the checkpoint ends it by them. The next records go to the next transaction,
//! under another name.
//!
//! # Layout
//! - `message`, `partitioner`: what is written, and where to
//! - `writer`, `exchange`, `sender`: a writer's two halves, and what they share
//! - `batch`, `producer`: the protocol's batches, and who writes them
//! - `transaction`, `pool`, `commit`: names of transactions, those of a writer, and how they end

mod batch;
mod commit;
mod exchange;
mod message;
mod partitioner;
mod pool;
mod producer;
mod sender;
mod sweep;
mod transaction;
mod writer;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use flott::{Data, Failure, JobId, OperatorId, Share, Sink, SinkTask, SinkWriter, TaskResult, UserError};

pub use self::{
    message::KafkaMessage,
    partitioner::{DefaultPartitioner, Partitioner},
};
use self::{
    transaction::{Prepared, TransactionName, WriterName},
    writer::{Transactional, Writer},
};
use crate::wire::{Cluster, block_on};

/// What records are made messages by.
type Serialise<T> = dyn Fn(&T) -> Result<KafkaMessage, UserError> + Send + Sync;

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Gzip.
    #[cfg(feature = "gzip")]
    Gzip,
    /// Snappy.
    #[cfg(feature = "snappy")]
    Snappy,
    /// LZ4.
    #[cfg(feature = "lz4")]
    Lz4,
    /// Zstandard.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Compression {
    #[cfg(test)]
    const ALL: &[Self] = &[
        Self::None,
        #[cfg(feature = "gzip")]
        Self::Gzip,
        #[cfg(feature = "snappy")]
        Self::Snappy,
        #[cfg(feature = "lz4")]
        Self::Lz4,
        #[cfg(feature = "zstd")]
        Self::Zstd,
    ];

    fn code(self) -> kafka_protocol::records::Compression {
        use kafka_protocol::records::Compression as Code;
        match self {
            Self::None => Code::None,
            #[cfg(feature = "gzip")]
            Self::Gzip => Code::Gzip,
            #[cfg(feature = "snappy")]
            Self::Snappy => Code::Snappy,
            #[cfg(feature = "lz4")]
            Self::Lz4 => Code::Lz4,
            #[cfg(feature = "zstd")]
            Self::Zstd => Code::Zstd,
        }
    }
}

/// What does not depend on records.
#[derive(Clone)]
struct Settings {
    topic: String,
    partitioner: Arc<dyn Partitioner>,
    compression: Compression,
    batch_bytes: usize,
    buffer_bytes: usize,
    transaction_timeout: Duration,
}

/// Writes records to a topic, or to several.
///
/// By default *at least once*: a barrier waits until all that was written before it is stored, so nothing is lost, and what was
/// written behind the checkpoint that a job restarts from is written again. With [`exactly_once`](Self::exactly_once) records
/// are part of transactions that are committed with checkpoints: who reads committed records only sees each once, as soon as the
/// checkpoint behind it is complete.
///
/// ```
/// use flott_kafka::{KafkaMessage, KafkaSink};
///
/// let sink = KafkaSink::new("localhost:9092", "words", |word: &String| Ok(KafkaMessage::new(word.clone()).key(word.clone())))
///     .exactly_once("word-count");
/// ```
pub struct KafkaSink<T> {
    servers: String,
    serialise: Arc<Serialise<T>>,
    settings: Settings,
    prefix: Option<String>,
}

impl<T> fmt::Debug for KafkaSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { servers, prefix, settings, .. } = self;
        write!(f, "KafkaSink {{ servers: {servers:?}, topic: {:?}, transactions: {prefix:?} }}", settings.topic)
    }
}

impl<T: Data> KafkaSink<T> {
    /// Writes what `serialise` makes of each record to `topic`, of the cluster that the brokers of `servers` belong to (host and
    /// port, with commas between). A record of which nothing can be made fails the job.
    pub fn new<F>(servers: impl Into<String>, topic: impl Into<String>, serialise: F) -> Self
    where
        F: Fn(&T) -> Result<KafkaMessage, UserError> + Send + Sync + 'static,
    {
        let settings = Settings {
            topic: topic.into(),
            partitioner: Arc::new(DefaultPartitioner),
            compression: Compression::None,
            batch_bytes: 512 << 10,
            buffer_bytes: 16 << 20,
            transaction_timeout: Duration::from_secs(900),
        };
        Self { servers: servers.into(), serialise: Arc::new(serialise), settings, prefix: None }
    }

    /// Writes in transactions, whose names begin with `prefix`: one that no other job on the cluster has.
    ///
    /// The cluster must be of Kafka 3.0 or later. The job must take checkpoints, unless its input ends within
    /// [`transaction_timeout`](Self::transaction_timeout).
    #[must_use]
    pub fn exactly_once(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// How long a transaction may be open before the broker aborts it; 15 minutes if nothing is said, which is the most that
    /// brokers allow by default (`transaction.max.timeout.ms`). It must be longer than the time from one checkpoint to the commit of the
    /// next, with the restart of a job that has failed in between: else what a complete checkpoint holds is lost, and the job
    /// fails for good.
    #[must_use]
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.settings.transaction_timeout = timeout;
        self
    }

    /// Which partition records go to that name none; [`DefaultPartitioner`] if nothing is said.
    #[must_use]
    pub fn partitioner(mut self, partitioner: impl Partitioner) -> Self {
        self.settings.partitioner = Arc::new(partitioner);
        self
    }

    /// How batches are compressed; not at all if nothing is said.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = compression;
        self
    }

    /// Bytes of records, before compression, that one batch may have; 512 KiB if nothing is said. It must be less than the topic's
    /// `max.message.bytes`. A larger record has a batch of its own.
    #[must_use]
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.settings.batch_bytes = bytes.max(1);
        self
    }

    /// Bytes of records that a subtask may have on their way before it waits for brokers; 16 MiB if nothing is said.
    #[must_use]
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.settings.buffer_bytes = bytes.max(1);
        self
    }
}

impl<T: Data> KafkaSink<T> {
    fn cluster(&self) -> Cluster {
        Cluster::new(&self.servers, "flott-sink")
    }

    fn transactional(&self, prefix: &str, sink: &SinkTask) -> TaskResult<Transactional> {
        let task = &sink.task;
        let timeout = self.settings.transaction_timeout;
        if let Some(interval) = task.checkpoint_interval()
            && interval >= timeout
        {
            let message = format!(
                "a transaction timeout of {timeout:?} cannot work with a checkpoint each {interval:?}: transactions would be aborted                  before they can be committed. Raise transaction_timeout, or take checkpoints more often \
                 (execution.checkpointing.interval)"
            );
            return Err(Box::new(Failure::user(message).fatal()));
        }
        let stem = stem_of(prefix, task.job, sink.name.id);
        let name = WriterName { stem, epoch: task.epoch.0, attempt: task.attempt.attempt.0, subtask: task.subtask() };
        Ok(Transactional { name, parallelism: task.parallelism })
    }
}

impl<T: Data> Sink for KafkaSink<T> {
    type Item = T;

    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<T>>> {
        let transactional = self.prefix.as_ref().map(|prefix| self.transactional(prefix, task)).transpose()?;
        let (serialise, settings) = (self.serialise.clone(), Arc::new(self.settings.clone()));
        Ok(Box::new(Writer::new(serialise, settings, self.cluster(), transactional)))
    }

    fn share(&self) -> Share {
        // Who starts must know all that is to be committed, so as not to abort it.
        Share::All
    }

    fn commit(&self, _: JobId, prepared: &[Bytes]) -> TaskResult {
        let (cluster, prepared) = (self.cluster(), decode_all(prepared)?);
        block_on(commit::commit_all(&cluster, &prepared))
    }

    fn abort(&self, job: JobId, sink: OperatorId, kept: &[Bytes]) -> TaskResult {
        let Some(prefix) = &self.prefix else { return Ok(()) };
        let (cluster, stem, kept) = (self.cluster(), stem_of(prefix, job, sink), decode_all(kept)?);
        let pick = |id: &str| TransactionName::parse(&stem, id);
        Ok(block_on(sweep::sweep(&cluster, pick, &kept, self.settings.transaction_timeout))?)
    }
}

fn decode_all(prepared: &[Bytes]) -> TaskResult<Vec<Prepared>> {
    let decode = |bytes: &Bytes| {
        Prepared::from_bytes(bytes).map_err(|error| {
            Box::new(Failure::user("what is to be committed is of another kind of sink").caused_by(&error).fatal())
        })
    };
    prepared.iter().map(decode).collect()
}

/// What the names of all transactions of a sink of a job begin with.
fn stem_of(prefix: &str, job: JobId, sink: OperatorId) -> String {
    format!("{prefix}-{job}-{sink}")
}

#[cfg(test)]
mod broker_tests;
