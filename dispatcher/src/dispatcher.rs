//! The Dispatcher: takes jobs, remembers them, has one JobMaster run each of them, and answers for all of them.
//!
//! A job is accepted when its record is durable; from then on it runs to its end, over any number of JobManagers. What
//! is shown as ended is durable as ended: a client that has seen a job finish will never see it run again.
//!
//! The store is opened beside the start of the endpoint, since it is the slow part of a start: what needs it waits in
//! [`Dispatcher::ready`].
//!
//! # Layout
//! - `jobs`: the jobs in memory
//! - `submit`, `recover`: how jobs get in
//! - `run`: one JobMaster's life, from its start to the archive; `reports`: what it has made durable
//! - `waiting`: jobs of an earlier JobManager that cannot be started yet
//! - `ask`: what REST asks
//! - `rescales`: what is asked for of parallelism
//! - `snapshots`: what is asked for of checkpoints and savepoints
//! - `undertaken`: what was asked for of an earlier JobManager
//! - `leftovers`: what is to be removed of jobs
//! - `drain`: how everything ends

mod ask;
mod drain;
mod jobs;
mod leftovers;
mod pasts;
mod recover;
mod reports;
mod rescales;
mod run;
mod snapshots;
mod submit;
mod undertaken;
mod waiting;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use flott_core::{
    config::Configuration,
    id::{JobId, LeaderEpoch},
};
use flott_resource_manager::ResourceManagerHandle;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

pub use ask::JobSnapshot;
pub(crate) use ask::{Measured, MeasuredJob};
use jobs::Jobs;
pub(crate) use run::{adaptive_of, slot_wait};
pub use snapshots::SavepointRequest;

use crate::{
    blobs::BlobStore,
    control::Control,
    error::Error,
    ha::SharedPrograms,
    history::Retention,
    operations::Operations,
    stores::{JobStore, Leftover, StoreError},
};

/// The Dispatcher; clones share it.
#[derive(Debug, Clone)]
pub struct Dispatcher {
    inner: Arc<Inner>,
}

/// How a Dispatcher is set up.
#[derive(Debug)]
pub(crate) struct Setup {
    pub configuration: Configuration,
    pub retention: Retention,
    /// Where the end of each job is written for people and clients to read when this JobManager is gone.
    pub archive_directory: Option<PathBuf>,
    /// Where checkpoints go of jobs that name no directory.
    pub checkpoint_directory: String,
    /// Whether it takes job after job.
    pub is_session: bool,
}

#[derive(Debug)]
struct Inner {
    setup: Setup,
    blobs: BlobStore,
    /// Programs where other JobManagers find them.
    programs: Option<SharedPrograms>,
    control: Control,
    started: watch::Sender<Start>,
    jobs: Mutex<Jobs>,
    /// Held from the check that an id is new until the job is among `jobs`.
    submitting: tokio::sync::Mutex<()>,
    /// Held from the check that a change of parallelism is new until it is among `operations`.
    rescaling: tokio::sync::Mutex<()>,
    operations: Mutex<Operations>,
    /// What is to be removed, also of jobs that are about to end.
    doomed: Mutex<BTreeSet<Leftover>>,
    /// Who removes some.
    clearing: Semaphore,
    tasks: TaskTracker,
    /// Whether no more jobs are taken.
    draining: AtomicBool,
}

/// How far the start is.
#[derive(Clone)]
enum Start {
    /// Another leads, at this address if it is known.
    StandingBy(Option<String>),
    Opening,
    Ready(Leading),
    Ending,
}

/// How far the JobManager is, for who supervises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It stands by, and passes requests on to the one that leads.
    StandingBy,
    /// It opens its store and takes up what an earlier one has left.
    Opening,
    /// It takes jobs.
    Leading,
    /// It takes no more.
    Ending,
}

/// What a leader has.
#[derive(Clone)]
pub(crate) struct Leading {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) resources: ResourceManagerHandle,
    pub(crate) leader: LeaderEpoch,
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StandingBy(leader) => f.debug_tuple("StandingBy").field(leader).finish(),
            Self::Opening => f.write_str("Opening"),
            Self::Ready(leading) => f.debug_tuple("Ready").field(&leading.leader).finish(),
            Self::Ending => f.write_str("Ending"),
        }
    }
}

impl Dispatcher {
    /// Whether it takes jobs from anybody.
    pub(crate) fn is_session(&self) -> bool {
        self.inner.setup.is_session
    }

    /// A Dispatcher that waits for its store.
    pub(crate) fn new(setup: Setup, blobs: BlobStore, programs: Option<SharedPrograms>, control: Control) -> Self {
        let inner = Inner {
            setup,
            blobs,
            programs,
            control,
            started: watch::Sender::new(Start::Opening),
            jobs: Mutex::default(),
            submitting: tokio::sync::Mutex::default(),
            rescaling: tokio::sync::Mutex::default(),
            operations: Mutex::default(),
            doomed: Mutex::default(),
            clearing: Semaphore::new(leftovers::CLEARED_AT_A_TIME),
            tasks: TaskTracker::new(),
            draining: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The blobs of the jobs.
    pub fn blobs(&self) -> &BlobStore {
        &self.inner.blobs
    }

    /// Waits until the Dispatcher leads. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Ending`] when it does not any more.
    pub async fn ready(&self) -> Result<(), Error> {
        self.leading().await.map(|_| ())
    }

    /// How far it is, now.
    pub(crate) fn stage(&self) -> Stage {
        match &*self.inner.started.borrow() {
            Start::StandingBy(_) => Stage::StandingBy,
            Start::Opening => Stage::Opening,
            Start::Ready(_) if self.inner.draining.load(Ordering::Acquire) => Stage::Ending,
            Start::Ready(_) => Stage::Leading,
            Start::Ending => Stage::Ending,
        }
    }

    /// Another leads, at this address if it is known.
    pub(crate) fn stand_by(&self, leader: Option<String>) {
        self.inner.started.send_replace(Start::StandingBy(leader));
    }

    /// None leads but this one, which is about to.
    pub(crate) fn open(&self) {
        self.inner.started.send_replace(Start::Opening);
    }

    /// The address of the one that leads, if this one stands by and it is known. Else `None` within.
    pub(crate) fn stands_by(&self) -> Option<Option<String>> {
        match &*self.inner.started.borrow() {
            Start::StandingBy(leader) => Some(leader.clone()),
            Start::Opening | Start::Ready(_) | Start::Ending => None,
        }
    }

    /// Waits until it stands otherwise than it does now. Cancel-safe.
    pub(crate) async fn stands_otherwise(&self) {
        // A sender that is gone has ended, and this Dispatcher has it.
        let _ = self.inner.started.subscribe().changed().await;
    }

    async fn leading(&self) -> Result<Leading, Error> {
        let mut started = self.inner.started.subscribe();
        let known = started.wait_for(|start| !matches!(start, Start::Opening | Start::StandingBy(_))).await;
        match known.map(|start| start.clone()) {
            Ok(Start::Ready(leading)) => Ok(leading),
            _ => Err(Error::Ending),
        }
    }

    /// Whether a job runs here or is remembered.
    pub(crate) fn knows(&self, job: JobId) -> bool {
        self.inner.jobs.lock().by_id.contains_key(&job)
    }

    /// Waits until a job is known. Cancel-safe.
    pub(crate) async fn known(&self, job: JobId) -> Result<(), Error> {
        let mut changes = self.inner.jobs.lock().changes();
        while !self.knows(job) {
            changes.changed().await.map_err(|_| Error::Ending)?;
        }
        Ok(())
    }

    /// Waits until a job is archived, and says how it ended. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub async fn ended(&self, job: JobId) -> Result<flott_core::status::JobStatus, Error> {
        let mut changes = self.inner.jobs.lock().changes();
        loop {
            if let Some(status) = self.inner.jobs.lock().ended_status(job)? {
                return Ok(status);
            }
            if changes.changed().await.is_err() {
                return Err(Error::Ending);
            }
        }
    }
}

/// Runs `work` on the store where blocking is allowed.
async fn on_store<T: Send + 'static>(
    store: &Arc<dyn JobStore>,
    work: impl FnOnce(&dyn JobStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || work(&*store)).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Io(error.to_string())),
    }
}
