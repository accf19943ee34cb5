//! The running JobMaster: a mailbox loop around [`JobMasterCore`].
//!
//! Messages go through one queue in the order they were given, and are handled one after another without waiting for
//! anything. What the machine wants done is carried out through two traits that the owner implements, [`ClusterPort`] and
//! [`JobListener`]; their calls return at once, and what comes of them comes back as messages. The one timer is the
//! machine's own.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use flott_core::{
    checkpoint::Behind,
    failure::Failure,
    id::{JobId, JobMasterEpoch},
    message::WorkerToJob,
    status::JobStatus,
    view::JobView,
};
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TryRecvError},
        oneshot, watch,
    },
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

mod clock;
mod handle;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod overheard;
mod ports;

pub use handle::JobMasterHandle;
pub use ports::{ClusterPort, Declaration, JobListener, ToStore};

use crate::{
    checkpoints::{Purpose, RequestId},
    core::{Action, Event, FoundOn, JobMasterCore, Taken},
    error::JobMasterError,
    scaling::{RescaleRequest, Rescaled},
    spec::JobSpec,
    time::Millis,
};
use clock::Clock;

/// How often it is looked again for what somebody is about to leave in a mailbox that is closed: that is a matter of two instructions.
const UNHEARD_PATIENCE: u32 = 10_000;

/// How a JobMaster is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Messages of TaskManagers that may wait to be handled; who brings more, waits. At least 1.
    pub mailbox: usize,
    /// Stops the JobMaster when cancelled: the job is suspended, its processes are left alone.
    pub shutdown: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self { mailbox: 16_384, shutdown: CancellationToken::new() }
    }
}

/// What the handle and the loop share.
struct Shared {
    job: JobId,
    epoch: JobMasterEpoch,
    status: watch::Sender<JobStatus>,
    last_view: OnceLock<Arc<JobView>>,
    permits: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// One piece of mail.
enum Mail {
    Event {
        event: Box<Event>,
        /// Given back when the event has been handled.
        _permit: Option<OwnedSemaphorePermit>,
    },
    View(oneshot::Sender<Arc<JobView>>),
    Snapshot(SnapshotRequest, oneshot::Sender<Result<Taken, Failure>>),
    Rescale(RescaleRequest, oneshot::Sender<Result<RescaleOutcome, Failure>>),
}

/// How a change of the parallelism ends that was begun.
pub type RescaleOutcome = oneshot::Receiver<Result<Rescaled, Failure>>;

/// A snapshot that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotRequest {
    /// A checkpoint.
    Checkpoint {
        /// Whether all state is stored anew, so that it shares no file with those before it.
        full: bool,
    },
    /// A savepoint.
    Savepoint {
        /// Its directory, as a location; it exists.
        directory: String,
        /// Whether the job stops with it.
        behind: Behind,
    },
}

/// A JobMaster that runs.
pub struct JobMasterService {
    core: JobMasterCore,
    mailbox: mpsc::UnboundedReceiver<Mail>,
    shared: Arc<Shared>,
    port: Arc<dyn ClusterPort>,
    listener: Arc<dyn JobListener>,
    clock: Clock,
    wake: Option<Millis>,
    /// Those who wait for a snapshot.
    snapshots: BTreeMap<RequestId, oneshot::Sender<Result<Taken, Failure>>>,
    /// Those who wait for another parallelism.
    rescales: BTreeMap<RequestId, oneshot::Sender<Result<Rescaled, Failure>>>,
    next_request: u64,
}

impl JobMasterService {
    /// Starts a JobMaster on the current runtime. It runs until its job has ended, or until it is stopped: by its handle,
    /// by `options.shutdown`, or because the last handle is gone.
    ///
    /// The listener hears of the job's end exactly once, a bug in the JobMaster itself included, which ends the job as
    /// FAILED; it does not hear of a JobMaster that was stopped.
    ///
    /// # Errors
    /// When the job cannot be run with this configuration; then nothing was started.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(
        spec: JobSpec,
        options: Options,
        port: Arc<dyn ClusterPort>,
        listener: Arc<dyn JobListener>,
    ) -> Result<JobMasterHandle, JobMasterError> {
        let (name, accepted_at) = (spec.graph.name.clone(), spec.accepted_at);
        let (service, handle) = Self::new(spec, options, Arc::clone(&port), Arc::clone(&listener))?;
        let shared = Arc::clone(&service.shared);
        tokio::spawn(async move {
            let Err(error) = tokio::spawn(service.run()).await else { return };
            if !error.is_panic() || shared.last_view.get().is_some() {
                return;
            }
            tracing::error!(job = %shared.job, %error, "the JobMaster has a bug; its job is failed");
            let failure = Failure::internal("the JobMaster panicked").because(&error);
            let view = Arc::new(crashed(shared.job, name, accepted_at, failure));
            let (job, epoch) = (shared.job, shared.epoch);
            port.declare(Declaration { job, epoch, needs: Default::default() });
            shared.end(Arc::clone(&view));
            listener.status_changed(shared.job, view.status);
            listener.ended(view);
        });
        Ok(handle)
    }

    fn new(
        spec: JobSpec,
        options: Options,
        port: Arc<dyn ClusterPort>,
        listener: Arc<dyn JobListener>,
    ) -> Result<(Self, JobMasterHandle), JobMasterError> {
        let (sender, mailbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            job: spec.graph.job_id,
            epoch: spec.epoch,
            status: watch::Sender::new(JobStatus::Initializing),
            last_view: OnceLock::new(),
            permits: Arc::new(Semaphore::new(options.mailbox.clamp(1, Semaphore::MAX_PERMITS))),
            shutdown: options.shutdown.child_token(),
        });
        let handle = JobMasterHandle::new(sender, Arc::clone(&shared));
        let core = JobMasterCore::new(spec)?;
        let service = Self {
            core,
            mailbox,
            shared,
            port,
            listener,
            clock: Clock::start(),
            wake: None,
            snapshots: BTreeMap::new(),
            rescales: BTreeMap::new(),
            next_request: 0,
        };
        Ok((service, handle))
    }

    async fn run(mut self) {
        self.handle(Event::Start);
        let shutdown = self.shared.shutdown.clone();
        while !self.core.is_over() {
            let wake = self.wake.map(|at| self.clock.instant(at));
            tokio::select! {
                () = shutdown.cancelled() => self.handle(Event::Suspend),
                mail = self.mailbox.recv() => match mail {
                    Some(mail) => self.read(mail),
                    None => self.handle(Event::Suspend),
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                    self.wake = None;
                    self.handle(Event::Wake);
                }
            }
        }
        // From here on the handle answers with what was kept.
        self.mailbox.close();
        self.shared.permits.close();
    }

    fn read(&mut self, mail: Mail) {
        match mail {
            Mail::Event { event, _permit } => self.handle(*event),
            Mail::View(answer) => {
                // Who asked may have gone meanwhile.
                let _ = answer.send(Arc::new(self.core.view()));
            }
            Mail::Rescale(asked, answer) => self.rescale(asked, answer),
            Mail::Snapshot(asked, answer) => {
                let request = RequestId(self.next_request);
                self.next_request += 1;
                self.snapshots.insert(request, answer);
                self.handle(Event::Snapshot(match asked {
                    SnapshotRequest::Checkpoint { full } => Purpose::Checkpoint { request, full },
                    SnapshotRequest::Savepoint { directory, behind } => {
                        Purpose::Savepoint { request, directory, behind }
                    }
                }));
            }
        }
    }

    fn rescale(&mut self, asked: RescaleRequest, answer: oneshot::Sender<Result<RescaleOutcome, Failure>>) {
        if let Err(failure) = self.core.rescale_target(&asked) {
            // Who asked may have gone meanwhile.
            let _ = answer.send(Err(failure));
            return;
        }
        let request = RequestId(self.next_request);
        self.next_request += 1;
        let (ended, outcome) = oneshot::channel();
        self.rescales.insert(request, ended);
        // The same.
        let _ = answer.send(Ok(outcome));
        self.handle(Event::Rescale { request, asked });
    }

    fn handle(&mut self, event: Event) {
        for action in self.core.handle(self.clock.now(), event) {
            self.carry_out(action);
        }
        if self.wake.is_none() {
            // A wake that came a moment early asks for the rest of its wait.
            self.wake = self.core.next_wake();
        }
    }

    /// What was `found` of the job, and what waits to be heard of that. From now on whoever brings something has it back.
    fn with_unheard(&mut self, mut found: Vec<FoundOn>) -> Vec<FoundOn> {
        self.mailbox.close();
        let mut patience = UNHEARD_PATIENCE;
        loop {
            let mail = match self.mailbox.try_recv() {
                Ok(mail) => mail,
                // Somebody was let in before it was closed, and is about to leave something.
                Err(TryRecvError::Empty) if patience > 0 => {
                    patience -= 1;
                    std::thread::yield_now();
                    continue;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            };
            // What is asked is answered by being dropped.
            let Mail::Event { event, .. } = mail else { continue };
            match *event {
                Event::Worker { worker, epoch, message: WorkerToJob::Found(process) } => {
                    found.retain(|(by, ..)| *by != worker);
                    found.push((worker, epoch, process));
                }
                Event::WorkerLost { worker, .. } => found.retain(|(by, ..)| *by != worker),
                // It is repeated until it is answered, or known to whoever starts another.
                _ => {}
            }
        }
        found
    }

    fn carry_out(&mut self, action: Action) {
        let (job, epoch) = (self.shared.job, self.shared.epoch);
        match action {
            Action::Declare(needs) => self.port.declare(Declaration { job, epoch, needs }),
            Action::Send { worker, message } => self.port.send(&worker, epoch, message),
            Action::WakeAt(at) => self.wake = at,
            Action::PersistCommit(committables) => self.listener.persist_commit(job, epoch, committables),
            Action::StoreCheckpoint { manifest, retained, directory } => {
                self.listener.store_checkpoint(job, epoch, ToStore { manifest, retained, savepoint: directory });
            }
            Action::FindCheckpoint { damaged } => self.listener.find_checkpoint(job, epoch, damaged),
            Action::SnapshotAnswered { request, result } => {
                if let Some(answer) = self.snapshots.remove(&request) {
                    // Who asked may have gone meanwhile.
                    let _ = answer.send(result);
                }
            }
            Action::PersistScale(scale) => self.listener.persist_scale(job, epoch, scale),
            Action::PersistPast(past) => self.listener.persist_past(job, epoch, *past),
            Action::StepAside { checkpoint, found } => {
                let found = self.with_unheard(found);
                self.listener.stepped_aside(job, epoch, checkpoint, found);
                self.shared.status.send_replace(JobStatus::Suspended);
            }
            Action::RescaleAnswered { request, result } => {
                if let Some(answer) = self.rescales.remove(&request) {
                    // Who asked may have gone meanwhile.
                    let _ = answer.send(result);
                }
            }
            Action::StatusChanged(status) => {
                tracing::info!(%job, %status, "job status changed");
                // The end is announced when its view is there.
                if !status.is_terminal() {
                    self.shared.status.send_replace(status);
                }
                self.listener.status_changed(job, status);
            }
            Action::Ended(view) => {
                let view = Arc::from(view);
                self.shared.end(Arc::clone(&view));
                self.listener.ended(view);
            }
        }
    }
}

impl Shared {
    fn end(&self, view: Arc<JobView>) {
        let status = view.status;
        // The first end counts; there is only one.
        let _ = self.last_view.set(view);
        self.status.send_replace(status);
    }
}

/// What is left to say of a job whose JobMaster panicked.
fn crashed(job: JobId, name: String, accepted_at: Millis, failure: Failure) -> JobView {
    let now = Clock::start().now().max(accepted_at);
    let ended = JobView::ended(job, name, JobStatus::Failed, accepted_at.0, now.0);
    JobView { failure: Some(failure), ..ended }
}
