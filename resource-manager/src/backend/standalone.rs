//! The backend of clusters whose workers are started by people or other tools.

use std::sync::Mutex;

use flott_core::id::WorkerId;
use tokio::sync::mpsc;

use super::{Abilities, Backend, BackendEvent, BackendWorker, BoxFuture, ListError, Rejection, WorkerSpec};

/// Answers that wait to be read. The slot manager never asks a backend that cannot start workers.
const EVENTS_MAX: usize = 64;

/// Starts nothing.
#[derive(Debug)]
pub struct Standalone {
    sender: mpsc::Sender<BackendEvent>,
    events: Mutex<Option<mpsc::Receiver<BackendEvent>>>,
}

impl Default for Standalone {
    fn default() -> Self {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        Self { sender, events: Mutex::new(Some(events)) }
    }
}

impl Backend for Standalone {
    fn name(&self) -> &'static str {
        "standalone"
    }

    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn start_worker(&self, spec: WorkerSpec) {
        let rejected = BackendEvent::Rejected {
            worker: spec.worker,
            rejection: Rejection::Unsupported,
            message: "the standalone backend starts no workers".into(),
        };
        if let Err(error) = self.sender.try_send(rejected) {
            tracing::warn!(%error, "a refusal to start a worker could not be told");
        }
    }

    fn stop_worker(&self, _worker: &WorkerId) {}

    fn events(&self) -> Option<mpsc::Receiver<BackendEvent>> {
        self.events.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BackendWorker>, ListError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
