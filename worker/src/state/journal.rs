//! What a job process was told and has told, noted as it passes by: should the JobMaster die, the next one is put together
//! from it.
//!
//! Noted is what cannot be asked again: where attempts were deployed and how they are, which splits they were given, and the
//! lists that these come from. A later attempt of a subtask takes the place of the earlier one.

use std::collections::BTreeMap;

use flott_core::{
    id::{AllocationId, AttemptId, OperatorId, SubtaskIndex, VertexId},
    message::{self, HostToJob, JobToHost, ListingJournal, ReaderJournal, TaskJournal, TaskStateChange},
};

#[derive(Debug)]
struct Task {
    attempt: AttemptId,
    allocation: AllocationId,
    report: Option<TaskStateChange>,
    readers: BTreeMap<OperatorId, Reader>,
}

#[derive(Debug, Default)]
struct Reader {
    given: Vec<u32>,
    is_dismissed: bool,
    unanswered: u32,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    tasks: BTreeMap<(VertexId, SubtaskIndex), Task>,
    listings: BTreeMap<OperatorId, ListingJournal>,
    /// Whether a barrier has come.
    snapshots: bool,
}

impl Journal {
    fn task(&mut self, attempt: AttemptId) -> Option<&mut Task> {
        self.tasks.get_mut(&(attempt.vertex, attempt.subtask)).filter(|task| task.attempt == attempt)
    }

    fn reader(&mut self, attempt: AttemptId, source: OperatorId) -> Option<&mut Reader> {
        Some(self.task(attempt)?.readers.entry(source).or_default())
    }

    /// The process is told something.
    pub(super) fn told(&mut self, message: &JobToHost) {
        match message {
            JobToHost::Deploy(deployment) => {
                for task in &deployment.tasks {
                    let (attempt, allocation) = (task.attempt, task.allocation);
                    let place = (attempt.vertex, attempt.subtask);
                    if self.tasks.get(&place).is_none_or(|known| known.attempt < attempt) {
                        let task = Task { attempt, allocation, report: None, readers: BTreeMap::new() };
                        self.tasks.insert(place, task);
                    }
                }
            }
            JobToHost::AssignSplit { attempt, source, split, place, .. } => {
                if let Some(reader) = self.reader(*attempt, *source) {
                    reader.unanswered = reader.unanswered.saturating_sub(1);
                    reader.given.extend(place);
                    reader.is_dismissed |= split.is_none();
                }
            }
            JobToHost::EnumerateSplits { attempt, source, .. } => {
                let listing = ListingJournal { source: *source, lister: *attempt, splits: None };
                self.listings.insert(*source, listing);
            }
            JobToHost::Snapshot { .. } => self.snapshots = true,
            JobToHost::Cancel(_) | JobToHost::GroupWatermark { .. } | JobToHost::Commit { .. } | JobToHost::Abort => {}
        }
    }

    /// The process says something.
    pub(super) fn said(&mut self, message: &HostToJob) {
        match message {
            HostToJob::TaskState(change) => {
                // Of an attempt that has ended the first word counts, as for its JobMaster.
                if let Some(task) = self.task(change.attempt)
                    && task.report.as_ref().is_none_or(|report| !report.state.is_terminal())
                {
                    task.report = Some(change.clone());
                }
            }
            HostToJob::RequestSplit { attempt, source } => {
                if let Some(reader) = self.reader(*attempt, *source) {
                    reader.unanswered = reader.unanswered.saturating_add(1);
                }
            }
            HostToJob::SplitsEnumerated { attempt, source, result } => {
                if let Some(listing) = self.listings.get_mut(source).filter(|listing| listing.lister == *attempt) {
                    match result {
                        Ok(splits) => listing.splits = Some(splits.clone()),
                        Err(_) => drop(self.listings.remove(source)),
                    }
                }
            }
            HostToJob::Snapshot(_) => self.snapshots = true,
            HostToJob::Metrics(_)
            | HostToJob::SourceWatermark { .. }
            | HostToJob::Committed { .. }
            | HostToJob::Aborted { .. } => {}
        }
    }

    pub(super) fn attempts(&self) -> Vec<AttemptId> {
        self.tasks.values().map(|task| task.attempt).collect()
    }

    pub(super) fn copy(&self) -> message::Journal {
        let reader = |(source, reader): (&OperatorId, &Reader)| ReaderJournal {
            source: *source,
            given: reader.given.clone(),
            is_dismissed: reader.is_dismissed,
            unanswered: reader.unanswered,
        };
        let task = |task: &Task| TaskJournal {
            attempt: task.attempt,
            allocation: task.allocation,
            report: task.report.clone(),
            readers: task.readers.iter().map(reader).collect(),
        };
        message::Journal {
            tasks: self.tasks.values().map(task).collect(),
            listings: self.listings.values().cloned().collect(),
            snapshots: self.snapshots,
        }
    }
}
