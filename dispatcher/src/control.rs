//! The switchboard between TaskManagers, JobMasters and the ResourceManager.
//!
//! It holds the control connections and knows which JobMaster leads which job. Messages about slots and signs of life go
//! to the ResourceManager, messages about a job to the job's JobMaster if they mean the one that leads, and what
//! JobMasters and the ResourceManager say goes out on the newest connection of the worker's life. It decides nothing but
//! the address; a message for a JobMaster that does not lead (any more) is answered with "forget".
//!
//! - `endpoint`: the HTTP upgrade and the loop over one connection
//! - `ports`: what JobMasters and the ResourceManager call

pub(crate) mod endpoint;
mod ports;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use flott_core::{
    id::{JobId, JobMasterEpoch, WorkerKey},
    message::{FromWorker, JobToWorker, ToWorker, WorkerToJob},
};
use flott_jobmaster::JobMasterHandle;
use flott_resource_manager::{ConnectionNumber, ResourceManagerHandle};
use flott_rpc::Sender;
use parking_lot::Mutex;

pub use ports::JobPort;

type Outgoing = Sender<ToWorker, FromWorker>;

/// The switchboard; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Control {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    connections: Mutex<BTreeMap<WorkerKey, (ConnectionNumber, Outgoing)>>,
    connections_ever: AtomicU64,
    masters: Mutex<BTreeMap<JobId, (JobMasterEpoch, JobMasterHandle)>>,
    resources: OnceLock<ResourceManagerHandle>,
}

impl Control {
    /// Tells who manages the workers. Counts once.
    pub fn attach(&self, resources: ResourceManagerHandle) {
        if self.inner.resources.set(resources).is_err() {
            tracing::error!("a second ResourceManager was attached to one switchboard, and is not used");
        }
    }

    fn resources(&self) -> Option<&ResourceManagerHandle> {
        self.inner.resources.get()
    }

    /// Starts a JobMaster, which leads the job from now on. Nothing is routed meanwhile, so that no answer to its first
    /// words comes before it is known.
    pub fn lead<E>(
        &self,
        job: JobId,
        start: impl FnOnce() -> Result<JobMasterHandle, E>,
    ) -> Result<JobMasterHandle, E> {
        let mut masters = self.inner.masters.lock();
        let master = start()?;
        masters.insert(job, (master.epoch(), master.clone()));
        Ok(master)
    }

    /// The job's JobMaster leads no more, if `epoch` still does.
    pub fn resign(&self, job: JobId, epoch: JobMasterEpoch) {
        let mut masters = self.inner.masters.lock();
        if masters.get(&job).is_some_and(|(newest, _)| *newest == epoch) {
            masters.remove(&job);
        }
    }

    fn master(&self, job: JobId) -> Option<(JobMasterEpoch, JobMasterHandle)> {
        self.inner.masters.lock().get(&job).cloned()
    }

    fn masters(&self) -> Vec<JobMasterHandle> {
        self.inner.masters.lock().values().map(|(_, master)| master.clone()).collect()
    }

    /// Numbers a connection and makes it the one of its worker's life; tells whether there was one before.
    fn connected(&self, worker: &WorkerKey, sender: Outgoing) -> (ConnectionNumber, bool) {
        let mut connections = self.inner.connections.lock();
        // Numbered under the lock, so that the greater number is the newer entry.
        let number = ConnectionNumber(self.inner.connections_ever.fetch_add(1, Ordering::Relaxed) + 1);
        let before = connections.insert(worker.clone(), (number, sender));
        if let Some((_, old)) = &before {
            old.close("replaced by a newer connection");
        }
        (number, before.is_some())
    }

    fn disconnected(&self, worker: &WorkerKey, number: ConnectionNumber) {
        let mut connections = self.inner.connections.lock();
        if connections.get(worker).is_some_and(|(newest, _)| *newest == number) {
            connections.remove(worker);
        }
    }

    fn send(&self, to: &WorkerKey, message: ToWorker) {
        let sender = self.inner.connections.lock().get(to).map(|(_, sender)| sender.clone());
        let Some(sender) = sender else {
            tracing::debug!(worker = %to, "a message to a worker that is not connected is dropped");
            return;
        };
        if let Err(error) = sender.send(message) {
            tracing::debug!(worker = %to, %error, "a message to a worker is lost");
        }
    }

    /// Gives a job's message to its JobMaster, or tells the worker that there is none.
    async fn route(&self, from: &WorkerKey, job: JobId, epoch: JobMasterEpoch, message: WorkerToJob) {
        match self.master(job) {
            Some((newest, master)) if newest == epoch => master.worker_message(from.clone(), epoch, message).await,
            _ => self.send(from, ToWorker::Job { job, epoch, message: JobToWorker::Forget }),
        }
    }
}
