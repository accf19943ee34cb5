//! Workers as child processes of this host.
//!
//! Each worker has its own process group and a record on disk ([`record`](self)) with its process id, the time that it
//! started at and the boot it belongs to, so that a process id that was given to someone else is never taken for it.
//! Workers outlive this process, however it ends; the next one on the same directory finds them by their records. A
//! record is written before its process is started too, and names a mark that the process carries in its environment:
//! a worker is found even if this process died between starting it and writing down which process it is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use flott_core::id::WorkerId;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::{
    error::ProcessBackendError,
    options::{ProcessOptions, WorkerCommand},
};
use self::{identity::ProcessIdentity, life::Life, record::Records};
use super::{Abilities, Backend, BackendEvent, BackendWorker, BoxFuture, ListError, Rejection, WorkerSpec};

mod error;
mod identity;
mod leftovers;
mod life;
mod options;
mod record;

/// Events that wait to be read before the watchers of workers wait.
const EVENTS_MAX: usize = 1024;

/// Workers that are gone whose logs are kept.
const LOGS_KEPT: usize = 64;

/// Starts workers as processes of this host.
#[derive(Debug)]
pub struct ProcessBackend {
    shared: Arc<Shared>,
    events: Mutex<Option<mpsc::Receiver<BackendEvent>>>,
    /// Ends the watching, not the workers.
    _unwatch: DropGuard,
}

#[derive(Debug)]
struct Shared {
    options: ProcessOptions,
    records: Records,
    workers: Mutex<BTreeMap<WorkerId, Watched>>,
    events: mpsc::Sender<BackendEvent>,
    unwatch: CancellationToken,
}

/// A worker that is being started, runs, or is ending.
#[derive(Debug, Clone)]
struct Watched {
    spec: WorkerSpec,
    stop: CancellationToken,
}

impl ProcessBackend {
    /// A backend with its records and its workers' output under the directories of `options`, which are created. It
    /// must be used on a Tokio runtime.
    ///
    /// # Errors
    /// When a directory cannot be created.
    pub fn new(options: ProcessOptions) -> Result<Self, ProcessBackendError> {
        let records = Records::open(&options.record_dir)?;
        let log_dir = &options.log_dir;
        std::fs::create_dir_all(log_dir).map_err(|source| ProcessBackendError::new("create", log_dir, source))?;
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let unwatch = CancellationToken::new();
        let shared = Shared { options, records, workers: Mutex::default(), events: sender, unwatch: unwatch.clone() };
        Ok(Self { shared: Arc::new(shared), events: Mutex::new(Some(events)), _unwatch: unwatch.drop_guard() })
    }
}

impl Shared {
    fn workers(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Watched>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a worker; `None` when it is known already.
    fn watch(&self, spec: &WorkerSpec) -> Option<Watched> {
        let mut workers = self.workers();
        if workers.contains_key(&spec.worker) {
            return None;
        }
        let watched = Watched { spec: spec.clone(), stop: CancellationToken::new() };
        workers.insert(spec.worker.clone(), watched.clone());
        Some(watched)
    }

    /// Removes what workers that are gone have left.
    async fn sweep(self: &Arc<Self>) {
        let shared = self.clone();
        let swept = tokio::task::spawn_blocking(move || {
            if let Some(work_dir) = &shared.options.work_dir {
                leftovers::sweep(work_dir, LOGS_KEPT, |worker| shared.workers().contains_key(worker));
            }
        });
        if let Err(error) = swept.await {
            tracing::warn!(%error, "what workers have left was not looked for");
        }
    }

    /// Tells an event; waits while the reader is behind.
    async fn tell(&self, event: BackendEvent) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("nobody reads the events of the process backend any more");
        }
    }

    fn find_survivors(self: &Arc<Self>) -> Result<(), ProcessBackendError> {
        for record in self.records.all()? {
            let name = record.spec.worker.clone();
            if self.workers().contains_key(&name) {
                continue;
            }
            match record.identity(self.records.mark(&name)) {
                Some(identity) => {
                    if let Some(watched) = self.watch(&record.spec) {
                        self.records.write(&record.of(identity.clone()))?;
                        let life = Life { shared: self.clone(), watched };
                        tokio::spawn(life.adopted(identity));
                    }
                }
                None => self.records.remove(&name),
            }
        }
        Ok(())
    }
}

impl Backend for ProcessBackend {
    fn name(&self) -> &'static str {
        "process"
    }

    fn abilities(&self) -> Abilities {
        Abilities { starts: true, workers_max: Some(self.shared.options.workers_max) }
    }

    fn start_worker(&self, spec: WorkerSpec) {
        let most = self.shared.options.workers_max as usize;
        let Some(watched) = self.shared.watch(&spec) else {
            return;
        };
        let full = self.shared.workers().len() > most;
        let life = Life { shared: self.shared.clone(), watched };
        if full {
            let message = format!("{most} worker processes run already");
            tokio::spawn(life.rejected(Rejection::Quota, message));
        } else {
            tokio::spawn(life.started());
        }
    }

    fn stop_worker(&self, worker: &WorkerId) {
        if let Some(watched) = self.shared.workers().get(worker) {
            watched.stop.cancel();
        }
    }

    fn events(&self) -> Option<mpsc::Receiver<BackendEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BackendWorker>, ListError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared.find_survivors().map_err(|error| ListError { backend: "process", message: error.to_string() })?;
            // Of those that were lost while no JobManager was there to see it.
            shared.sweep().await;
            Ok(shared.workers().values().map(|watched| BackendWorker { spec: watched.spec.clone() }).collect())
        })
    }
}
