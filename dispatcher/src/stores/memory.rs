//! Stores that have everything in memory, and keep elsewhere what has changed, or nowhere.
//!
//! A [`Log`] waits for what its journal does as a future; a [`StateStore`] is the same for those who may block.

use flott_core::{
    id::{JobId, JobMasterEpoch, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};
use futures::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::{
    ArchivedJob, Inserted, JobRecord, JobStore, Leftover, NewJob, Obsolete, StoreError,
    ask::{Ask, Decided},
    state::{Change, State},
};
use crate::operations::{Forgotten, OperationRecord};

/// Where changes go that are to outlive the process.
pub trait Journal: Send + 'static {
    /// Makes a change durable. After an error that leaves it open whether it was, [`Journal::settle`] finds out.
    fn write(&mut self, change: &Change) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The change of which it was open whether it is durable: it is now.
    ///
    /// # Errors
    /// When it is still open.
    fn settle(&mut self) -> impl Future<Output = Result<Option<Change>, StoreError>> + Send;

    /// Looks whether another one leads, where that can be. Nothing may be left to settle.
    fn look(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The state is this now, with all that was written.
    fn applied(&mut self, state: &State) -> impl Future<Output = ()> + Send;
}

/// The state of a store, and where its changes go.
#[derive(Debug, Default)]
pub struct Log<J> {
    journal: J,
    state: State,
}

impl<J: Journal> Log<J> {
    pub(super) fn new(journal: J, state: State) -> Self {
        Self { journal, state }
    }

    /// Does what is asked. Dropped, it may have been done or not, and the log must not be used any more.
    ///
    /// # Errors
    /// Those of the method of [`JobStore`] that asks the same.
    pub async fn ask<T>(&mut self, ask: Ask<'_, T>) -> Result<T, StoreError> {
        self.settle().await?;
        let Self { journal, state } = self;
        let Ask { decide, then } = ask;
        let change = match decide(state)? {
            Decided::Change(change) => change,
            Decided::Answer(answer) => return Ok(answer),
        };
        journal.write(&change).await?;
        state.apply(change);
        journal.applied(state).await;
        then(state)
    }

    /// Looks whether another one leads. Dropped, the log must not be used any more.
    ///
    /// # Errors
    /// Those of [`JobStore::look`].
    pub async fn look(&mut self) -> Result<(), StoreError> {
        self.settle().await?;
        self.journal.look().await
    }

    /// Finds out about a change of which it is open whether it is durable.
    async fn settle(&mut self) -> Result<(), StoreError> {
        if let Some(settled) = self.journal.settle().await? {
            self.state.apply(settled);
        }
        Ok(())
    }

    /// Jobs that have not ended, in the order in which they were accepted.
    pub fn unfinished(&self) -> Vec<JobRecord> {
        self.state.in_order_of_acceptance()
    }

    /// What is to be removed.
    pub fn leftovers(&self) -> Vec<Leftover> {
        self.state.leftovers.iter().cloned().collect()
    }

    /// One archived job; `None` if it is not there (any more).
    pub fn archived_job(&self, job: JobId) -> Option<ArchivedJob> {
        self.state.archive.get(&job).cloned()
    }
}

/// A store of which the state is in memory.
#[derive(Debug)]
pub struct StateStore<J> {
    log: Mutex<Log<J>>,
    /// What is waited on for the journal, where it is a matter of time.
    runtime: Option<Handle>,
}

/// A store that lives as long as its process: for tests and for clusters that nobody wants to recover.
pub type MemoryStore = StateStore<Nowhere>;

/// Keeps nothing.
#[derive(Debug, Default)]
pub struct Nowhere;

impl Journal for Nowhere {
    async fn write(&mut self, _: &Change) -> Result<(), StoreError> {
        Ok(())
    }

    async fn settle(&mut self) -> Result<Option<Change>, StoreError> {
        Ok(None)
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn applied(&mut self, _: &State) {}
}

impl<J: Default> Default for StateStore<J> {
    fn default() -> Self {
        Self { log: Mutex::default(), runtime: None }
    }
}

impl<J: Journal> StateStore<J> {
    pub(super) fn new(log: Log<J>, runtime: Handle) -> Self {
        Self { log: Mutex::new(log), runtime: Some(runtime) }
    }

    fn ask<T>(&self, ask: Ask<'_, T>) -> Result<T, StoreError> {
        let mut log = self.log.lock();
        self.wait(log.ask(ask))
    }

    /// Waits for what the journal does.
    fn wait<T>(&self, done: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        match &self.runtime {
            Some(runtime) => runtime.block_on(done),
            None => {
                done.now_or_never().unwrap_or_else(|| Err(StoreError::Io("its journal waits for something".to_owned())))
            }
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Log<J>) -> T) -> T {
        read(&self.log.lock())
    }
}

impl<J: Journal> JobStore for StateStore<J> {
    fn begin_leadership(&self) -> Result<LeaderEpoch, StoreError> {
        self.ask(Ask::begin_leadership())
    }

    fn look(&self) -> Result<(), StoreError> {
        let mut log = self.log.lock();
        self.wait(log.look())
    }

    fn insert(&self, job: &NewJob) -> Result<Inserted, StoreError> {
        self.ask(Ask::insert(job))
    }

    fn begin_mastership(&self, job: JobId) -> Result<JobMasterEpoch, StoreError> {
        self.ask(Ask::begin_mastership(job))
    }

    fn save_manifest(&self, job: JobId, by: JobMasterEpoch, manifest: &[Committable]) -> Result<(), StoreError> {
        self.ask(Ask::save_manifest(job, by, manifest))
    }

    fn save_scale(&self, job: JobId, by: JobMasterEpoch, scale: &Scale) -> Result<(), StoreError> {
        self.ask(Ask::save_scale(job, by, scale))
    }

    fn save_past(&self, job: JobId, by: JobMasterEpoch, past: &Past) -> Result<(), StoreError> {
        self.ask(Ask::save_past(job, by, past))
    }

    fn mark_cancelled(&self, job: JobId) -> Result<(), StoreError> {
        self.ask(Ask::mark_cancelled(job))
    }

    fn end(&self, by: JobMasterEpoch, view: &JobView, obsolete: Option<&Obsolete>) -> Result<(), StoreError> {
        self.ask(Ask::end(by, view, obsolete))
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, StoreError> {
        Ok(self.read(Log::leftovers))
    }

    fn cleared(&self, leftover: &Leftover) -> Result<(), StoreError> {
        self.ask(Ask::cleared(leftover))
    }

    fn save_operation(
        &self,
        operation: &OperationRecord,
        forgotten: &[Forgotten],
        leftover: Option<&Leftover>,
    ) -> Result<(), StoreError> {
        self.ask(Ask::save_operation(operation, forgotten, leftover))
    }

    fn operations(&self) -> Result<Vec<OperationRecord>, StoreError> {
        Ok(self.read(|log| log.state.operations_in_order()))
    }

    fn unfinished(&self) -> Result<Vec<JobRecord>, StoreError> {
        Ok(self.read(Log::unfinished))
    }

    fn archived(&self) -> Result<Vec<ArchivedJob>, StoreError> {
        Ok(self.read(|log| log.state.in_order_of_end()))
    }

    fn archived_job(&self, job: JobId) -> Result<Option<ArchivedJob>, StoreError> {
        Ok(self.read(|log| log.archived_job(job)))
    }

    fn forget(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        self.ask(Ask::forget(jobs))
    }
}
