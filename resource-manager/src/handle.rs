//! How others talk to the ResourceManager.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flott_core::{
    id::{JobId, JobMasterEpoch, WorkerId, WorkerKey},
    message::{FromWorker, LogAnswer, Registration},
    view::{PendingReason, WorkerView},
};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::{declaration::Declaration, error::Error, ports::ConnectionNumber};

/// Requests that may wait in the mailbox before senders wait.
pub(crate) const MAILBOX_CAPACITY: usize = 4096;

/// What is asked of the service.
#[derive(Debug)]
pub(crate) enum Request {
    Registered(Box<Registration>, ConnectionNumber),
    Resumed(WorkerKey, ConnectionNumber),
    FromWorker(WorkerKey, Box<FromWorker>),
    ConnectionLost(WorkerKey, ConnectionNumber, String),
    Overview(oneshot::Sender<Vec<WorkerView>>),
    Census(oneshot::Sender<Census>),
    Pending(JobId, oneshot::Sender<Vec<PendingReason>>),
    ReadLog(LogRead, oneshot::Sender<Result<LogAnswer, Error>>),
    StopWorkers(String, oneshot::Sender<()>),
}

/// Workers that there are, that come and that go, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Census {
    /// Registered ones, in order of registration.
    pub registered: Vec<WorkerView>,
    /// Asked of the backend and not registered yet.
    pub pending: usize,
    /// Told to stop and not known to be gone.
    pub stopping: usize,
}

/// Which piece of which log of which worker.
#[derive(Debug, Clone)]
pub struct LogRead {
    /// The worker.
    pub worker: WorkerId,
    /// Which file; `None` asks for the list of files.
    pub file: Option<String>,
    /// First byte wanted. Negative counts from the end.
    pub offset: i64,
    /// Most bytes wanted.
    pub length_max: u64,
}

/// Newest declaration of each job that the service has not taken yet. Declarations are whole, so only the newest
/// counts: the box is bounded by the number of jobs, and declaring never waits.
#[derive(Debug, Default)]
struct Newest {
    put_ever: u64,
    /// With the number of the job's first declaration since the last taking, which is its place in the order.
    by_job: BTreeMap<JobId, (u64, Declaration)>,
}

#[derive(Debug, Default)]
pub(crate) struct DeclarationBox {
    newest: Mutex<Newest>,
    pub(crate) changed: Notify,
}

impl DeclarationBox {
    fn put(&self, declaration: Declaration) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.put_ever += 1;
        let place = match newest.by_job.get(&declaration.job) {
            Some((_, known)) if known.epoch > declaration.epoch => return,
            Some((place, _)) => *place,
            None => newest.put_ever,
        };
        newest.by_job.insert(declaration.job, (place, declaration));
        drop(newest);
        self.changed.notify_one();
    }

    /// In order of declaration.
    pub(crate) fn take(&self) -> Vec<Declaration> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<_> = std::mem::take(&mut newest.by_job).into_values().collect();
        drop(newest);
        taken.sort_unstable_by_key(|(place, _)| *place);
        taken.into_iter().map(|(_, declaration)| declaration).collect()
    }
}

/// A cheap handle on the ResourceManager; clones share it.
///
/// `async` methods wait while the mailbox is full, so a flood from a worker slows that worker's connection down. They
/// are cancel-safe: cancelled before they return, the request was either made or not.
#[derive(Debug, Clone)]
pub struct ResourceManagerHandle {
    pub(crate) mailbox: mpsc::Sender<Request>,
    pub(crate) declarations: Arc<DeclarationBox>,
    pub(crate) log_timeout: Duration,
    pub(crate) stop_timeout: Duration,
}

impl ResourceManagerHandle {
    /// Declares what a job needs; replaces what it declared before. Does not wait.
    pub fn declare(&self, declaration: Declaration) {
        self.declarations.put(declaration);
    }

    /// The job needs nothing any more; its slots are freed. Does not wait.
    pub fn withdraw(&self, job: JobId, epoch: JobMasterEpoch) {
        self.declare(Declaration::withdrawn(job, epoch));
    }

    /// A worker has introduced itself, once in its life. It is answered through the [`crate::WorkerPort`].
    pub async fn worker_registered(
        &self,
        registration: Registration,
        connection: ConnectionNumber,
    ) -> Result<(), Error> {
        self.send(Request::Registered(Box::new(registration), connection)).await
    }

    /// A worker that has introduced itself is on another connection, and nothing that was said has been lost.
    pub async fn worker_resumed(&self, worker: WorkerKey, connection: ConnectionNumber) -> Result<(), Error> {
        self.send(Request::Resumed(worker, connection)).await
    }

    /// A worker has said something that is not for a JobMaster.
    pub async fn from_worker(&self, worker: WorkerKey, message: FromWorker) -> Result<(), Error> {
        self.send(Request::FromWorker(worker, Box::new(message))).await
    }

    /// A worker's connection is gone. Harmless for a connection that was replaced.
    pub async fn connection_lost(
        &self,
        worker: WorkerKey,
        connection: ConnectionNumber,
        reason: impl Into<String>,
    ) -> Result<(), Error> {
        self.send(Request::ConnectionLost(worker, connection, reason.into())).await
    }

    /// Registered workers, in order of registration.
    pub async fn overview(&self) -> Result<Vec<WorkerView>, Error> {
        self.ask(Request::Overview).await
    }

    /// Workers that there are, that come and that go.
    pub async fn census(&self) -> Result<Census, Error> {
        self.ask(Request::Census).await
    }

    /// Why a job waits; empty when it does not, and for unknown jobs.
    pub async fn pending(&self, job: JobId) -> Result<Vec<PendingReason>, Error> {
        self.ask(|answer| Request::Pending(job, answer)).await
    }

    /// Reads a piece of a worker's log, or the list of its logs.
    pub async fn read_log(&self, read: LogRead) -> Result<LogAnswer, Error> {
        let (worker, waited) = (read.worker.clone(), self.log_timeout);
        let answer = tokio::time::timeout(waited, self.ask(|answer| Request::ReadLog(read, answer))).await;
        answer.unwrap_or(Err(Error::NoAnswer { worker, waited }))?
    }

    /// Stops all workers that the backend started, starts no more, and waits until they are gone or
    /// [`crate::Options::stop_timeout`] has passed. Workers that people started are left alone.
    pub async fn stop_workers(&self, reason: impl Into<String>) -> Result<(), Error> {
        let (reason, waited) = (reason.into(), self.stop_timeout);
        let stopped = tokio::time::timeout(waited, self.ask(|answer| Request::StopWorkers(reason, answer))).await;
        stopped.unwrap_or(Err(Error::NotStopped { waited }))
    }

    async fn send(&self, request: Request) -> Result<(), Error> {
        self.mailbox.send(request).await.map_err(|_| Error::Ended)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.send(request(answer)).await?;
        answered.await.map_err(|_| Error::Ended)
    }
}
