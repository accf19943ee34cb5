//! What a store is asked: a change that is decided on by what it holds, or an answer.

use flott_core::{
    id::{JobId, JobMasterEpoch, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};

use super::{
    Inserted, Leftover, NewJob, Obsolete, StoreError,
    state::{Change, Json, State},
};
use crate::operations::{Forgotten, OperationRecord};

/// Something that is asked of a [`Log`](super::Log): what each is about, the method of [`JobStore`](super::JobStore) of its name says.
pub struct Ask<'a, T> {
    /// Finds the change.
    pub(super) decide: Look<'a, Decided<T>>,
    /// What the state says behind it.
    pub(super) then: Look<'a, T>,
}

/// What somebody reads of the state.
type Look<'a, T> = Box<dyn FnOnce(&State) -> Result<T, StoreError> + Send + 'a>;

/// What is to be done about a request.
pub(super) enum Decided<T> {
    Change(Change),
    /// Nothing, and this is the answer.
    Answer(T),
}

impl<'a, T> Ask<'a, T> {
    fn new(
        decide: impl FnOnce(&State) -> Result<Decided<T>, StoreError> + Send + 'a,
        then: impl FnOnce(&State) -> Result<T, StoreError> + Send + 'a,
    ) -> Self {
        Self { decide: Box::new(decide), then: Box::new(then) }
    }
}

impl Ask<'_, LeaderEpoch> {
    /// Who asks this leads.
    pub fn begin_leadership() -> Self {
        Self::new(|state| Ok(Decided::Change(state.next_leader())), |state| Ok(state.leader))
    }
}

impl<'a> Ask<'a, Inserted> {
    /// Accepts a job.
    pub fn insert(job: &'a NewJob) -> Self {
        Self::new(
            |state| Ok(state.known(job.job).map_or_else(|| Decided::Change(Change::insert(job)), Decided::Answer)),
            |state| state.unfinished(job.job).map(|record| Inserted::New(record.epoch)),
        )
    }
}

impl Ask<'_, JobMasterEpoch> {
    /// A new JobMaster is to lead a job.
    pub fn begin_mastership(job: JobId) -> Self {
        Self::new(
            move |state| state.unfinished(job).map(|_| Decided::Change(Change::BeginMastership { job })),
            move |state| state.unfinished(job).map(|record| record.epoch),
        )
    }
}

impl<'a> Ask<'a, ()> {
    fn change(decide: impl FnOnce(&State) -> Result<Change, StoreError> + Send + 'a) -> Self {
        Self::new(|state| decide(state).map(Decided::Change), |_| Ok(()))
    }

    /// A change that one who leads the job asks for.
    fn change_by(job: JobId, by: JobMasterEpoch, change: impl FnOnce() -> Change + Send + 'a) -> Self {
        Self::change(move |state| state.led_by(job, by).map(|_| change()))
    }

    /// Keeps what is to be committed.
    pub fn save_manifest(job: JobId, by: JobMasterEpoch, manifest: &'a [Committable]) -> Self {
        Self::change_by(job, by, move || Change::SaveManifest { job, manifest: manifest.to_vec() })
    }

    /// Keeps with how many subtasks a job goes on.
    pub fn save_scale(job: JobId, by: JobMasterEpoch, scale: &'a Scale) -> Self {
        Self::change_by(job, by, move || Change::SaveScale { job, scale: scale.clone() })
    }

    /// Keeps what the next JobMaster is to know.
    pub fn save_past(job: JobId, by: JobMasterEpoch, past: &'a Past) -> Self {
        Self::change_by(job, by, move || Change::SavePast { job, past: Box::new(Json(past.clone())) })
    }

    /// Remembers that a job is to be cancelled.
    pub fn mark_cancelled(job: JobId) -> Self {
        Self::change(move |state| state.unfinished(job).map(|_| Change::MarkCancelled { job }))
    }

    /// Ends a job.
    pub fn end(by: JobMasterEpoch, view: &'a JobView, obsolete: Option<&'a Obsolete>) -> Self {
        Self::change_by(view.job, by, move || Change::end(view, obsolete))
    }

    /// This was removed.
    pub fn cleared(leftover: &'a Leftover) -> Self {
        let decide = move |state: &State| match state.leftovers.contains(leftover) {
            true => Ok(Decided::Change(Change::Cleared { leftover: leftover.clone() })),
            false => Ok(Decided::Answer(())),
        };
        Self::new(decide, |_| Ok(()))
    }

    /// Keeps an operation with what is left of it, and drops others.
    pub(super) fn save_operation(
        operation: &'a OperationRecord,
        forgotten: &'a [Forgotten],
        leftover: Option<&'a Leftover>,
    ) -> Self {
        Self::change(move |state| Ok(Change::save_operation(state, operation, forgotten, leftover)))
    }

    /// Drops archive entries.
    pub(super) fn forget(jobs: &'a [JobId]) -> Self {
        let decide = move |_: &State| match jobs {
            [] => Ok(Decided::Answer(())),
            jobs => Ok(Decided::Change(Change::Forget { jobs: jobs.to_vec() })),
        };
        Self::new(decide, |_| Ok(()))
    }
}
