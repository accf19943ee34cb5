//! A backend without machines, for tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use flott_core::id::WorkerId;
use tokio::sync::mpsc;

use super::{Abilities, Backend, BackendEvent, BackendWorker, BoxFuture, ListError, LossReason, Rejection, WorkerSpec};

/// What outlives a backend: the machines.
pub(crate) type World = Arc<Mutex<BTreeMap<WorkerId, WorkerSpec>>>;

/// Keeps its workers in a map. Workers whose names begin with `broken` end at once with code 7, those whose names
/// begin with `missing` are rejected.
pub(crate) struct Fake {
    world: World,
    sender: mpsc::Sender<BackendEvent>,
    events: Mutex<Option<mpsc::Receiver<BackendEvent>>>,
}

impl Fake {
    pub(crate) fn new(world: World) -> Self {
        let (sender, events) = mpsc::channel(1024);
        Self { world, sender, events: Mutex::new(Some(events)) }
    }

    fn tell(&self, event: BackendEvent) {
        self.sender.try_send(event).unwrap();
    }

    /// The worker ends by itself.
    pub(crate) fn end(&self, worker: &WorkerId, reason: LossReason) {
        if self.world.lock().unwrap().remove(worker).is_some() {
            self.tell(BackendEvent::Lost { worker: worker.clone(), reason });
        }
    }
}

impl Backend for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn abilities(&self) -> Abilities {
        Abilities { starts: true, workers_max: None }
    }

    fn start_worker(&self, spec: WorkerSpec) {
        let worker = spec.worker.clone();
        if worker.0.starts_with("missing") {
            let message = "there is no such executable".into();
            return self.tell(BackendEvent::Rejected { worker, rejection: Rejection::Image, message });
        }
        if self.world.lock().unwrap().insert(worker.clone(), spec).is_none() {
            self.tell(BackendEvent::Started(worker.clone()));
        }
        if worker.0.starts_with("broken") {
            self.end(&worker, LossReason::Exited { code: 7 });
        }
    }

    fn stop_worker(&self, worker: &WorkerId) {
        self.end(worker, LossReason::Stopped);
    }

    fn events(&self) -> Option<mpsc::Receiver<BackendEvent>> {
        self.events.lock().unwrap().take()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BackendWorker>, ListError>> {
        let workers = self.world.lock().unwrap().values().map(|spec| BackendWorker { spec: spec.clone() }).collect();
        Box::pin(async { Ok(workers) })
    }
}
