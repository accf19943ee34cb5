//! Stores that have everything in memory, and keep elsewhere what has changed, or nowhere.

use flott_core::{
    id::{JobId, JobMasterEpoch, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};
use parking_lot::Mutex;

use super::{
    ArchivedJob, Inserted, JobRecord, JobStore, Leftover, NewJob, Obsolete, StoreError,
    state::{Change, Json, State},
};
use crate::operations::{Forgotten, OperationRecord};

/// Where changes go that are to outlive the process.
pub trait Journal: Send + 'static {
    /// Makes a change durable. After an error that leaves it open whether it was, [`Journal::settle`] finds out.
    fn write(&mut self, change: &Change) -> Result<(), StoreError>;

    /// The change of which it was open whether it is durable: it is now.
    ///
    /// # Errors
    /// When it is still open.
    fn settle(&mut self) -> Result<Option<Change>, StoreError>;

    /// The state is this now, with all that was written.
    fn applied(&mut self, state: &State);
}

/// A store of which the state is in memory.
#[derive(Debug)]
pub struct StateStore<J> {
    inner: Mutex<Inner<J>>,
}

#[derive(Debug, Default)]
struct Inner<J> {
    journal: J,
    state: State,
}

/// A store that lives as long as its process: for tests and for clusters that nobody wants to recover.
pub type MemoryStore = StateStore<Nowhere>;

/// Keeps nothing.
#[derive(Debug, Default)]
pub struct Nowhere;

/// What is to be done about a request.
enum Decided<T> {
    Change(Change),
    /// Nothing, and this is the answer.
    Answer(T),
}

impl Journal for Nowhere {
    fn write(&mut self, _: &Change) -> Result<(), StoreError> {
        Ok(())
    }

    fn settle(&mut self) -> Result<Option<Change>, StoreError> {
        Ok(None)
    }

    fn applied(&mut self, _: &State) {}
}

impl<J: Default> Default for StateStore<J> {
    fn default() -> Self {
        Self { inner: Mutex::default() }
    }
}

impl<J: Journal> StateStore<J> {
    pub(super) fn new(journal: J, state: State) -> Self {
        Self { inner: Mutex::new(Inner { journal, state }) }
    }

    /// Makes the change that `decide` finds, and says what `then` reads of the state behind it.
    fn change<T>(
        &self,
        decide: impl FnOnce(&State) -> Result<Decided<T>, StoreError>,
        then: impl FnOnce(&State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Inner { journal, state } = &mut *self.inner.lock();
        if let Some(settled) = journal.settle()? {
            state.apply(settled);
        }
        let change = match decide(state)? {
            Decided::Change(change) => change,
            Decided::Answer(answer) => return Ok(answer),
        };
        journal.write(&change)?;
        state.apply(change);
        journal.applied(state);
        then(state)
    }

    /// Makes a change that one who leads the job asks for.
    fn change_by(&self, job: JobId, by: JobMasterEpoch, change: impl FnOnce() -> Change) -> Result<(), StoreError> {
        self.change(|state| state.led_by(job, by).map(|_| Decided::Change(change())), |_| Ok(()))
    }

    fn read<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.inner.lock().state)
    }
}

impl<J: Journal> JobStore for StateStore<J> {
    fn begin_leadership(&self) -> Result<LeaderEpoch, StoreError> {
        self.change(|state| Ok(Decided::Change(state.next_leader())), |state| Ok(state.leader))
    }

    fn insert(&self, job: &NewJob) -> Result<Inserted, StoreError> {
        self.change(
            |state| Ok(state.known(job.job).map_or_else(|| Decided::Change(Change::insert(job)), Decided::Answer)),
            |state| state.unfinished(job.job).map(|record| Inserted::New(record.epoch)),
        )
    }

    fn begin_mastership(&self, job: JobId) -> Result<JobMasterEpoch, StoreError> {
        self.change(
            |state| state.unfinished(job).map(|_| Decided::Change(Change::BeginMastership { job })),
            |state| state.unfinished(job).map(|record| record.epoch),
        )
    }

    fn save_manifest(&self, job: JobId, by: JobMasterEpoch, manifest: &[Committable]) -> Result<(), StoreError> {
        self.change_by(job, by, || Change::SaveManifest { job, manifest: manifest.to_vec() })
    }

    fn save_scale(&self, job: JobId, by: JobMasterEpoch, scale: &Scale) -> Result<(), StoreError> {
        self.change_by(job, by, || Change::SaveScale { job, scale: scale.clone() })
    }

    fn save_past(&self, job: JobId, by: JobMasterEpoch, past: &Past) -> Result<(), StoreError> {
        self.change_by(job, by, || Change::SavePast { job, past: Box::new(Json(past.clone())) })
    }

    fn mark_cancelled(&self, job: JobId) -> Result<(), StoreError> {
        self.change(|state| state.unfinished(job).map(|_| Decided::Change(Change::MarkCancelled { job })), |_| Ok(()))
    }

    fn end(&self, by: JobMasterEpoch, view: &JobView, obsolete: Option<&Obsolete>) -> Result<(), StoreError> {
        self.change_by(view.job, by, || Change::end(view, obsolete))
    }

    fn leftovers(&self) -> Result<Vec<Leftover>, StoreError> {
        Ok(self.read(|state| state.leftovers.iter().cloned().collect()))
    }

    fn cleared(&self, leftover: &Leftover) -> Result<(), StoreError> {
        let decide = |state: &State| match state.leftovers.contains(leftover) {
            true => Ok(Decided::Change(Change::Cleared { leftover: leftover.clone() })),
            false => Ok(Decided::Answer(())),
        };
        self.change(decide, |_| Ok(()))
    }

    fn save_operation(
        &self,
        operation: &OperationRecord,
        forgotten: &[Forgotten],
        leftover: Option<&Leftover>,
    ) -> Result<(), StoreError> {
        let decide = |state: &State| Ok(Decided::Change(Change::save_operation(state, operation, forgotten, leftover)));
        self.change(decide, |_| Ok(()))
    }

    fn operations(&self) -> Result<Vec<OperationRecord>, StoreError> {
        Ok(self.read(State::operations_in_order))
    }

    fn unfinished(&self) -> Result<Vec<JobRecord>, StoreError> {
        Ok(self.read(State::in_order_of_acceptance))
    }

    fn archived(&self) -> Result<Vec<ArchivedJob>, StoreError> {
        Ok(self.read(State::in_order_of_end))
    }

    fn archived_job(&self, job: JobId) -> Result<Option<ArchivedJob>, StoreError> {
        Ok(self.read(|state| state.archive.get(&job).cloned()))
    }

    fn forget(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.change(|_| Ok(Decided::Change(Change::Forget { jobs: jobs.to_vec() })), |_| Ok(()))
    }
}
