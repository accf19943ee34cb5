//! The writer of a subtask: the task's half.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flott::{Batch, Data, Failure, SinkWriter, TaskResult};
use parking_lot::Mutex;

use super::{
    KafkaMessage, Serialise, Settings,
    exchange::Exchange,
    pool::{Pool, Waiting},
    sender::Sender,
    transaction::{Prepared, WriterName},
};
use crate::wire::{Cluster, spawn};

/// How what is written is to be part of transactions.
#[derive(Debug, Clone)]
pub(super) struct Transactional {
    pub name: WriterName,
    pub parallelism: u32,
}

pub(super) struct Writer<T> {
    serialise: Arc<Serialise<T>>,
    settings: Arc<Settings>,
    cluster: Cluster,
    exchange: Arc<Exchange>,
    transactional: Option<Transactional>,
    /// What was prepared in the snapshot that the job goes on from.
    decided: Vec<Prepared>,
    waiting: Arc<Mutex<Waiting>>,
    /// What the last flush has prepared.
    prepared: Option<Prepared>,
    has_begun: bool,
    messages: Vec<KafkaMessage>,
}

impl<T: Data> Writer<T> {
    pub fn new(
        serialise: Arc<Serialise<T>>,
        settings: Arc<Settings>,
        cluster: Cluster,
        transactional: Option<Transactional>,
    ) -> Self {
        let exchange = Arc::new(Exchange::new(settings.buffer_bytes));
        Self {
            serialise,
            settings,
            cluster,
            exchange,
            transactional,
            decided: Vec::new(),
            waiting: Arc::default(),
            prepared: None,
            has_begun: false,
            messages: Vec::new(),
        }
    }

    /// Starts the sender, when all is known that it goes on from.
    fn begin(&mut self) {
        if std::mem::replace(&mut self.has_begun, true) {
            return;
        }
        let pool = self.transactional.as_ref().map(|Transactional { name, parallelism }| {
            let (timeout, decided) = (self.settings.transaction_timeout, self.decided.clone());
            Pool::new(name.clone(), *parallelism, timeout, decided, self.waiting.clone())
        });
        let (settings, cluster, exchange) = (self.settings.clone(), self.cluster.clone(), self.exchange.clone());
        spawn(Sender::new(settings, cluster, exchange, pool).run());
    }

    /// What the last flush has prepared, if nobody has asked for it yet.
    fn settle_flush(&mut self) {
        if let Some(prepared) = self.exchange.take_prepared() {
            self.prepared = Some(prepared);
        }
    }
}

fn unencodable(error: &serde_json::Error) -> Box<Failure> {
    Box::new(Failure::internal("a prepared transaction cannot be encoded").caused_by(error))
}

impl<T: Data> SinkWriter<T> for Writer<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        self.begin();
        let mut timestamps = batch.timestamps.drain(..);
        for record in batch.records.drain(..) {
            let timestamp = timestamps.next();
            let mut message = (self.serialise)(&record).map_err(|error| {
                Box::new(Failure::user(format!("a record cannot be made a message of Kafka: {error}")).fatal())
            })?;
            message.timestamp_ms = message.timestamp_ms.or(timestamp);
            self.messages.push(message);
        }
        self.exchange.put(self.messages.drain(..));
        Ok(())
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.begin();
        self.exchange.poll_ready(cx)
    }

    fn flush(&mut self) -> TaskResult {
        self.begin();
        self.exchange.flush();
        Ok(())
    }

    fn snapshot(&mut self) -> TaskResult<Vec<Bytes>> {
        self.settle_flush();
        let waiting = self.waiting.lock();
        let all = waiting.own.values().chain(&waiting.inherited);
        all.map(|prepared| prepared.to_bytes().map(Bytes::from).map_err(|error| unencodable(&error))).collect()
    }

    fn restore(&mut self, elements: Vec<Bytes>) -> TaskResult {
        for element in elements {
            let prepared = Prepared::from_bytes(&element).map_err(|error| {
                Box::new(Failure::user("the snapshot has elements of another kind of sink").caused_by(&error).fatal())
            })?;
            self.decided.push(prepared);
        }
        // Each is looked after by one writer from here on.
        if let Some(Transactional { name, parallelism }) = &self.transactional {
            let places = self.decided.iter().enumerate();
            let share = places.filter(|(place, _)| *place as u32 % parallelism.max(&1) == name.subtask);
            self.waiting.lock().inherited = share.map(|(_, prepared)| prepared.clone()).collect();
        }
        Ok(())
    }

    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        self.settle_flush();
        let Some(prepared) = self.prepared.take() else { return Ok(None) };
        prepared.to_bytes().map(|bytes| Some(bytes.into())).map_err(|error| unencodable(&error))
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.exchange.close();
    }
}
