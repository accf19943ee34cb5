//! What a store holds, as plain data, and the changes that are made to it: pure. What is asked for is checked against it
//! first and becomes a [`Change`], which always fits.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flott_core::{
    id::{Digest, JobId, JobMasterEpoch, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    view::JobView,
};
use serde::{Deserialize, Serialize};

use super::{
    ArchivedJob, Inserted, JobRecord, KNOWN_MAX, Leftover, NewJob, Obsolete, StoreError,
    record::{Header, Tombstone},
};
use crate::operations::{Forgotten, OperationKey, OperationRecord};

/// All that is remembered.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct State {
    pub(super) leader: LeaderEpoch,
    pub(super) jobs: BTreeMap<JobId, JobRecord>,
    pub(super) archive: BTreeMap<JobId, ArchivedJob>,
    pub(super) known: BTreeMap<JobId, Tombstone>,
    pub(super) leftovers: BTreeSet<Leftover>,
    pub(super) operations: BTreeMap<OperationKey, OperationRecord>,
}

/// A change that was found to fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    Lead { epoch: LeaderEpoch },
    Insert { job: JobId, graph: Bytes, program: Digest, accepted_at: u64 },
    BeginMastership { job: JobId },
    SaveManifest { job: JobId, manifest: Vec<Committable> },
    SaveScale { job: JobId, scale: Scale },
    SavePast { job: JobId, past: Box<Json<Past>> },
    MarkCancelled { job: JobId },
    End { job: JobId, ended_at: u64, view: Box<Json<JobView>>, obsolete: Option<Obsolete> },
    Cleared { leftover: Leftover },
    Forget { jobs: Vec<JobId> },
    SaveOperation { operation: Box<Json<OperationRecord>>, forgotten: Vec<OperationKey>, leftover: Option<Leftover> },
}

/// A value whose format is that of REST, within one that is not: text, so that later versions may add to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Json<T>(pub T);

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de, T: serde::de::DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl State {
    pub(super) fn next_leader(&self) -> Change {
        Change::Lead { epoch: self.leader.next() }
    }

    /// What is known of the job's id already, if anything is.
    pub(super) fn known(&self, job: JobId) -> Option<Inserted> {
        if let Some(record) = self.jobs.get(&job) {
            return Some(Inserted::Known { graph: Digest::of(&record.graph), ended: false });
        }
        let tombstone = self.known.get(&job)?;
        Some(Inserted::Known { graph: tombstone.graph, ended: true })
    }

    pub(super) fn unfinished(&self, job: JobId) -> Result<&JobRecord, StoreError> {
        self.jobs.get(&job).ok_or(StoreError::Unknown(job))
    }

    /// Refuses all but the newest JobMaster.
    pub(super) fn led_by(&self, job: JobId, given: JobMasterEpoch) -> Result<&JobRecord, StoreError> {
        let record = self.unfinished(job)?;
        if record.epoch != given {
            return Err(StoreError::Stale { job, given, newest: record.epoch });
        }
        Ok(record)
    }

    pub(super) fn in_order_of_acceptance(&self) -> Vec<JobRecord> {
        let mut jobs: Vec<_> = self.jobs.values().cloned().collect();
        jobs.sort_by_key(|record| (record.accepted_at, record.job));
        jobs
    }

    pub(super) fn in_order_of_end(&self) -> Vec<ArchivedJob> {
        let mut jobs: Vec<_> = self.archive.values().cloned().collect();
        jobs.sort_by_key(|job| (job.view.ended_at, job.view.job));
        jobs
    }

    pub(super) fn operations_in_order(&self) -> Vec<OperationRecord> {
        let mut operations: Vec<_> = self.operations.values().cloned().collect();
        operations.sort_by_key(|operation| operation.at);
        operations
    }

    /// Changes to what is not there (any more) change nothing.
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Lead { epoch } => self.leader = epoch,
            Change::Insert { job, graph, program, accepted_at } => {
                let Header { epoch, cancelled, .. } =
                    Header::of(&NewJob { job, graph: graph.clone(), program, accepted_at });
                let (manifest, scale, past) = (None, Scale::default(), Past::default());
                let record = JobRecord { job, graph, program, accepted_at, epoch, cancelled, manifest, scale, past };
                self.jobs.insert(job, record);
            }
            Change::BeginMastership { job } => self.with(job, |record| record.epoch = record.epoch.next()),
            Change::SaveManifest { job, manifest } => self.with(job, |record| record.manifest = Some(manifest)),
            Change::SaveScale { job, scale } => self.with(job, |record| record.scale = scale),
            Change::SavePast { job, past } => self.with(job, |record| record.past = past.0),
            Change::MarkCancelled { job } => self.with(job, |record| record.cancelled = true),
            Change::End { job, ended_at, view, obsolete } => self.end(job, ended_at, view.0, obsolete),
            Change::Cleared { leftover } => drop(self.leftovers.remove(&leftover)),
            Change::SaveOperation { operation, forgotten, leftover } => {
                self.operations.insert(operation.0.key(), operation.0);
                forgotten.iter().for_each(|key| drop(self.operations.remove(key)));
                self.leftovers.extend(leftover);
            }
            Change::Forget { jobs } => jobs.iter().for_each(|job| drop(self.archive.remove(job))),
        }
    }

    fn with(&mut self, job: JobId, change: impl FnOnce(&mut JobRecord)) {
        if let Some(record) = self.jobs.get_mut(&job) {
            change(record);
        }
    }

    fn end(&mut self, job: JobId, ended_at: u64, view: JobView, obsolete: Option<Obsolete>) {
        let Some(JobRecord { graph, epoch, .. }) = self.jobs.remove(&job) else { return };
        self.leftovers.extend(obsolete.map(|obsolete| Leftover::checkpoints(job, epoch, obsolete)));
        self.known.insert(job, Tombstone { graph: Digest::of(&graph), ended_at });
        if self.known.len() > KNOWN_MAX
            && let Some(oldest) = self.known.iter().min_by_key(|(_, known)| known.ended_at).map(|(id, _)| *id)
        {
            self.known.remove(&oldest);
        }
        self.archive.insert(job, ArchivedJob { view, graph });
    }
}

impl Change {
    pub(super) fn insert(new: &NewJob) -> Self {
        let NewJob { job, graph, program, accepted_at } = new.clone();
        Self::Insert { job, graph, program, accepted_at }
    }

    /// What is kept of an operation stays if it outlives the one that is written.
    pub(super) fn save_operation(
        state: &State,
        operation: &OperationRecord,
        forgotten: &[Forgotten],
        leftover: Option<&Leftover>,
    ) -> Self {
        let key = operation.key();
        let kept = state.operations.get(&key).filter(|kept| kept.outlives(operation));
        let operation = Box::new(Json(kept.unwrap_or(operation).clone()));
        // An id that is forgotten may be the one that is used anew here.
        let is_kept = |forgotten: &&Forgotten| {
            forgotten.key != key && state.operations.get(&forgotten.key).is_some_and(|it| forgotten.is(it))
        };
        let forgotten = forgotten.iter().filter(is_kept).map(|forgotten| forgotten.key).collect();
        Self::SaveOperation { operation, forgotten, leftover: leftover.cloned() }
    }

    pub(super) fn end(view: &JobView, obsolete: Option<&Obsolete>) -> Self {
        let ended_at = view.ended_at.unwrap_or(view.started_at);
        let obsolete = obsolete.cloned();
        Self::End { job: view.job, ended_at, view: Box::new(Json(view.clone())), obsolete }
    }
}
