//! The mailbox around the slot manager: feeds events in, carries actions out. Decides nothing.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use flott_core::{
    id::WorkerKey,
    message::{FromWorker, LogAnswer, LogChunk, LogRequest, ToWorker},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    backend::{Backend, BackendEvent, BackendWorker},
    error::Error,
    handle::{DeclarationBox, LogRead, MAILBOX_CAPACITY, Request, ResourceManagerHandle},
    options::Options,
    ports::{ResourceListener, WorkerPort},
    slot_manager::{Action, Event, SlotManager},
    time::Time,
};

/// Log requests that may wait for answers at a time.
const LOG_REQUESTS_MAX: usize = 64;
/// Pause before a backend that could not list its workers is asked again.
const LIST_AGAIN: Duration = Duration::from_secs(2);

/// A log request that waits for its worker.
struct LogWaiter {
    worker: WorkerKey,
    answer: oneshot::Sender<Result<LogAnswer, Error>>,
}

/// Wall time that does not jump: read once, then counted.
struct Clock {
    began: Instant,
    began_at: Time,
}

impl Clock {
    fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { began: Instant::now(), began_at: Time::default() + wall }
    }

    fn now(&self) -> Time {
        self.began_at + self.began.elapsed()
    }

    fn instant(&self, at: Time) -> Instant {
        // Up to the next millisecond, or the core would be asked too early.
        self.began + at.since(self.began_at)
    }
}

/// The ResourceManager. Runs until told to end; its workers outlive it.
pub struct ResourceManagerService {
    core: SlotManager,
    backend: Arc<dyn Backend>,
    port: Arc<dyn WorkerPort>,
    listener: Arc<dyn ResourceListener>,
    mailbox: mpsc::Receiver<Request>,
    declarations: Arc<DeclarationBox>,
    logs: BTreeMap<u64, LogWaiter>,
    logs_ever: u64,
    stop_waiters: Vec<oneshot::Sender<()>>,
}

impl ResourceManagerService {
    /// A service that does nothing until it is run, and a handle on it.
    ///
    /// # Errors
    /// [`Error::Option`] for options that cannot work.
    pub fn new(
        options: Options,
        backend: Arc<dyn Backend>,
        port: Arc<dyn WorkerPort>,
        listener: Arc<dyn ResourceListener>,
    ) -> Result<(Self, ResourceManagerHandle), Error> {
        options.slot_manager.validate()?;
        let (sender, mailbox) = mpsc::channel(MAILBOX_CAPACITY);
        let declarations = Arc::new(DeclarationBox::default());
        let handle = ResourceManagerHandle {
            mailbox: sender,
            declarations: declarations.clone(),
            log_timeout: options.log_timeout,
            stop_timeout: options.stop_timeout,
        };
        let core = SlotManager::new(options, backend.abilities());
        let service = Self {
            core,
            backend,
            port,
            listener,
            mailbox,
            declarations,
            logs: BTreeMap::new(),
            logs_ever: 0,
            stop_waiters: Vec::new(),
        };
        Ok((service, handle))
    }

    /// Runs until `end` is cancelled or every handle is gone. Stops no worker by that: whoever leads next finds them.
    pub async fn run(mut self, end: CancellationToken) {
        let clock = Clock::new();
        let mut events = self.backend.events();
        if events.is_none() {
            error!(backend = self.backend.name(), "the backend's events are read by someone else: losses go unnoticed");
        }
        // Before any declaration is looked at, lest workers be started beside those that there are.
        let mut found = tokio::select! {
            biased;
            () = end.cancelled() => return,
            found = self.backend.list() => self.found(&clock, found),
        };
        let backend = self.backend.clone();
        let mut found_late = std::pin::pin!(list_until_known(&*backend));
        loop {
            let tick = self.core.next_tick().map(|at| clock.instant(at));
            tokio::select! {
                () = end.cancelled() => return,
                request = self.mailbox.recv() => match request {
                    Some(request) => self.request(&clock, request),
                    None => return,
                },
                () = self.declarations.changed.notified() => {
                    for declaration in self.declarations.take() {
                        self.handle(&clock, Event::Declared(declaration));
                    }
                }
                event = next(&mut events) => self.backend_event(&clock, event, &mut events),
                workers = &mut found_late, if !found => found = self.found(&clock, Ok(workers)),
                () = sleep_until(tick) => self.handle(&clock, Event::Tick),
            }
        }
    }

    fn found(&mut self, clock: &Clock, found: Result<Vec<BackendWorker>, crate::backend::ListError>) -> bool {
        match found {
            Ok(workers) => {
                if !workers.is_empty() {
                    info!(workers = workers.len(), backend = self.backend.name(), "found workers that run already");
                }
                self.handle(clock, Event::Found(workers));
                true
            }
            Err(error) => {
                warn!(%error, "workers that run already are not known yet");
                false
            }
        }
    }

    fn backend_event(
        &mut self,
        clock: &Clock,
        event: Option<BackendEvent>,
        events: &mut Option<mpsc::Receiver<BackendEvent>>,
    ) {
        match event {
            Some(event) => {
                match &event {
                    BackendEvent::Started(worker) => info!(%worker, "worker started"),
                    BackendEvent::Delayed { worker, rejection, message } => {
                        info!(%worker, %rejection, message, "worker is held up");
                    }
                    BackendEvent::Leaving { worker, reason } => info!(%worker, %reason, "worker is about to end"),
                    BackendEvent::Lost { worker, reason } => info!(%worker, %reason, "worker ended"),
                    BackendEvent::Rejected { worker, rejection, message } => {
                        warn!(%worker, %rejection, message, "worker not started");
                    }
                }
                self.handle(clock, Event::Backend(event));
            }
            None => {
                error!(backend = self.backend.name(), "the backend has ended: losses of workers show by silence only");
                *events = None;
            }
        }
    }

    fn request(&mut self, clock: &Clock, request: Request) {
        match request {
            Request::Registered(registration, connection) => {
                // What it had may be kept for jobs that have declared already.
                for declaration in self.declarations.take() {
                    self.handle(clock, Event::Declared(declaration));
                }
                info!(worker = %registration.worker, instance = %registration.instance, slots = registration.slots.len(), host = registration.host, "worker registers");
                self.handle(clock, Event::Registered { registration, connection });
            }
            Request::Resumed(worker, connection) => {
                debug!(%worker, "worker is back");
                self.handle(clock, Event::Resumed { worker, connection });
            }
            Request::FromWorker(worker, message) => match *message {
                FromWorker::Log(chunk) => self.log_answered(&worker, chunk),
                message => self.handle(clock, Event::FromWorker { worker, message: Box::new(message) }),
            },
            Request::ConnectionLost(worker, connection, reason) => {
                debug!(%worker, reason, "connection lost");
                self.handle(clock, Event::ConnectionLost { worker, connection, reason });
            }
            // Whoever asked may have gone meanwhile: no matter.
            Request::Overview(answer) => drop(answer.send(self.core.overview())),
            Request::Census(answer) => drop(answer.send(self.core.census())),
            Request::Pending(job, answer) => drop(answer.send(self.core.pending(&job))),
            Request::ReadLog(read, answer) => self.read_log(read, answer),
            Request::StopWorkers(reason, answer) => {
                self.stop_waiters.push(answer);
                self.handle(clock, Event::StopWorkers { reason });
            }
        }
    }

    fn handle(&mut self, clock: &Clock, event: Event) {
        for action in self.core.handle(clock.now(), event) {
            match action {
                Action::Send { to, message } => self.port.send(&to, message),
                Action::Disconnect { worker, reason } => self.port.disconnect(&worker, &reason),
                Action::StartWorker(spec) => {
                    info!(worker = %spec.worker, slots = spec.slots, memory = spec.memory, "worker is started");
                    self.backend.start_worker(spec);
                }
                Action::StopWorker { worker, reason } => {
                    info!(%worker, reason, "worker is stopped");
                    self.backend.stop_worker(&worker);
                }
                Action::Pending { job, reasons } => self.listener.pending(job, reasons),
                Action::WorkerLost { worker, failure } => {
                    warn!(%worker, instance = %worker.instance, %failure, "worker is gone");
                    self.fail_logs_of(&worker);
                    self.listener.worker_lost(&worker, &failure);
                }
            }
        }
        if !self.stop_waiters.is_empty() && self.core.started_workers() == 0 {
            for waiter in self.stop_waiters.drain(..) {
                // Whoever asked may have gone meanwhile: no matter.
                let _ = waiter.send(());
            }
        }
    }

    fn read_log(&mut self, read: LogRead, answer: oneshot::Sender<Result<LogAnswer, Error>>) {
        let LogRead { worker, file, offset, length_max } = read;
        self.logs.retain(|_, waiter| !waiter.answer.is_closed());
        let Some(key) = self.core.worker(&worker).cloned() else {
            return drop(answer.send(Err(Error::UnknownWorker(worker))));
        };
        if self.logs.len() >= LOG_REQUESTS_MAX {
            return drop(answer.send(Err(Error::Busy { limit: LOG_REQUESTS_MAX })));
        }
        self.logs_ever += 1;
        let request = self.logs_ever;
        self.port.send(&key, ToWorker::ReadLog(LogRequest { request, file, offset, length_max }));
        self.logs.insert(request, LogWaiter { worker: key, answer });
    }

    fn log_answered(&mut self, worker: &WorkerKey, chunk: LogChunk) {
        // Only the worker that was asked can answer.
        if self.logs.get(&chunk.request).is_none_or(|waiter| waiter.worker != *worker) {
            return;
        }
        if let Some(waiter) = self.logs.remove(&chunk.request) {
            let refused = |reason| Error::Refused { worker: worker.worker.clone(), reason };
            drop(waiter.answer.send(chunk.result.map_err(refused)));
        }
    }

    fn fail_logs_of(&mut self, worker: &WorkerKey) {
        let lost = self.logs.extract_if(.., |_, waiter| waiter.worker == *worker);
        for (_, waiter) in lost {
            drop(waiter.answer.send(Err(Error::UnknownWorker(worker.worker.clone()))));
        }
    }
}

async fn list_until_known(backend: &dyn Backend) -> Vec<BackendWorker> {
    loop {
        tokio::time::sleep(LIST_AGAIN).await;
        match backend.list().await {
            Ok(workers) => return workers,
            Err(error) => warn!(%error, "workers that run already are still not known"),
        }
    }
}

async fn next(events: &mut Option<mpsc::Receiver<BackendEvent>>) -> Option<BackendEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
