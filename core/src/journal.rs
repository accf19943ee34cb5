//! What a job process was told and has told, noted by its TaskManager as it passes by: should the JobMaster die, the next one
//! is put together from it.
//!
//! Noted is what cannot be asked again: where attempts were deployed and how they are, what their sinks have prepared, which
//! splits they were given, and the lists that these come from. A later attempt of a subtask takes the place of the earlier
//! one. What the latest complete checkpoint holds is dropped when the JobMaster tells of it, so a journal grows with what happens
//! between two checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    checkpoint::{Behind, Origin, SnapshotKind},
    id::{AllocationId, AttemptId, CheckpointId, Digest, OperatorId, SubtaskIndex, VertexId},
    message::{Committable, FoundTask, HostToJob, JobToHost, TaskStateChange},
};

/// The journal of one job process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Journal {
    tasks: BTreeMap<(VertexId, SubtaskIndex), TaskJournal>,
    listings: BTreeMap<OperatorId, ListingJournal>,
    /// The newest barrier that the process was told of.
    told: CheckpointId,
    /// The newest that has come to it, be it by the streams.
    pub barrier: CheckpointId,
    /// The newest barrier of a savepoint that the job runs on behind.
    pub savepoint: Option<CheckpointId>,
    /// The newest checkpoint of which it was told that it is complete.
    pub completed: CheckpointId,
    /// The newest round of a commit.
    pub round: u32,
}

/// Snapshots of a task that are remembered. More are not under way at a time.
const REPORTED_MAX: usize = 64;

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskJournal {
    /// Which.
    pub attempt: AttemptId,
    /// Of how many subtasks of its vertex it is one.
    pub parallelism: u32,
    /// The slot it runs in.
    pub allocation: AllocationId,
    /// What it began from.
    pub origin: Option<Origin>,
    /// Whether it was told of a barrier behind which the job stops.
    pub is_stopping: bool,
    /// Its latest report.
    pub report: Option<TaskStateChange>,
    /// What it reads, by source.
    pub readers: BTreeMap<OperatorId, ReaderJournal>,
    /// Snapshots that it has taken part in, from the latest complete one on.
    pub reported: BTreeSet<CheckpointId>,
    /// What its sinks have prepared for checkpoints.
    pub prepared: Vec<(CheckpointId, Vec<Committable>)>,
}

/// What one attempt was given of a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReaderJournal {
    /// Splits, behind each barrier in order.
    pub given: BTreeMap<CheckpointId, Vec<SplitMark>>,
    /// It was told that there are no more.
    pub is_dismissed: bool,
    /// Requests that are not answered.
    pub unanswered: u32,
}

/// A source's list of splits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListingJournal {
    /// Who was asked for it.
    pub lister: AttemptId,
    /// The list, if there is an answer.
    pub splits: Option<Vec<Bytes>>,
}

/// Tells a split from others: the beginning of its BLAKE3. Splits that are equal are as good as each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SplitMark([u8; 16]);

impl SplitMark {
    /// Of a split.
    pub fn of(split: &[u8]) -> Self {
        let mut mark = [0; 16];
        mark.copy_from_slice(&Digest::of(split).as_bytes()[..16]);
        Self(mark)
    }
}

impl Journal {
    /// The newest attempt of each subtask.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskJournal> {
        self.tasks.values()
    }

    /// The same, as they are told of first.
    pub fn found(&self) -> Vec<FoundTask> {
        let found = |task: &TaskJournal| {
            let TaskJournal { attempt, parallelism, origin, .. } = *task;
            FoundTask { attempt, parallelism, origin }
        };
        self.tasks().map(found).collect()
    }

    /// Lists of splits that were asked for, by source.
    pub fn listings(&self) -> impl Iterator<Item = (OperatorId, &ListingJournal)> {
        self.listings.iter().map(|(source, listing)| (*source, listing))
    }

    fn task(&mut self, attempt: AttemptId) -> Option<&mut TaskJournal> {
        self.tasks.get_mut(&(attempt.vertex, attempt.subtask)).filter(|task| task.attempt == attempt)
    }

    fn reader(&mut self, attempt: AttemptId, source: OperatorId) -> Option<&mut ReaderJournal> {
        Some(self.task(attempt)?.readers.entry(source).or_default())
    }

    /// The process is told something.
    pub fn told(&mut self, message: &JobToHost) {
        match message {
            JobToHost::Deploy(deployment) => {
                for task in &deployment.tasks {
                    let attempt = task.attempt;
                    let place = (attempt.vertex, attempt.subtask);
                    if self.tasks.get(&place).is_none_or(|known| known.attempt < attempt) {
                        let task = TaskJournal {
                            attempt,
                            parallelism: task.parallelism,
                            allocation: task.allocation,
                            origin: task.restore.as_ref().map(|restore| restore.origin),
                            is_stopping: false,
                            report: None,
                            readers: BTreeMap::new(),
                            reported: BTreeSet::new(),
                            prepared: Vec::new(),
                        };
                        self.tasks.insert(place, task);
                    }
                }
            }
            JobToHost::AssignSplit { attempt, source, split, .. } => {
                // Not the one that came by the streams: readers come to a barrier in the order in which they are told.
                let after = self.told;
                if let Some(reader) = self.reader(*attempt, *source) {
                    reader.unanswered = reader.unanswered.saturating_sub(1);
                    match split {
                        Some(split) => reader.given.entry(after).or_default().push(SplitMark::of(split)),
                        None => reader.is_dismissed = true,
                    }
                }
            }
            JobToHost::EnumerateSplits { attempt, source, .. } => {
                self.listings.insert(*source, ListingJournal { lister: *attempt, splits: None });
            }
            JobToHost::Snapshot { barrier, .. } => {
                self.told = self.told.max(barrier.checkpoint);
                self.barrier = self.barrier.max(barrier.checkpoint);
                match barrier.behind {
                    Behind::GoOn => {
                        if barrier.kind == SnapshotKind::Savepoint {
                            self.savepoint = self.savepoint.max(Some(barrier.checkpoint));
                        }
                    }
                    Behind::Stop | Behind::Drain => {
                        self.tasks.values_mut().for_each(|task| task.is_stopping = true);
                    }
                }
            }
            JobToHost::Commit { round, .. } => self.round = self.round.max(*round),
            JobToHost::Cancel(_)
            | JobToHost::GroupWatermark { .. }
            | JobToHost::AbortCheckpoints { .. }
            | JobToHost::Abort { .. } => {}
        }
    }

    /// The process says something.
    pub fn said(&mut self, message: &HostToJob) {
        match message {
            HostToJob::TaskState(change) => {
                // Of an attempt that has ended the first word counts, as for its JobMaster.
                if let Some(task) = self.task(change.attempt)
                    && task.report.as_ref().is_none_or(|report| !report.state.is_terminal())
                {
                    task.report = Some((**change).clone());
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
                        // If it was asked twice, the first answer counts, as for its JobMaster.
                        Ok(splits) => drop(listing.splits.get_or_insert_with(|| splits.clone())),
                        Err(_) => drop(self.listings.remove(source)),
                    }
                }
            }
            HostToJob::Snapshot(report) => {
                self.barrier = self.barrier.max(report.checkpoint);
                if let Some(task) = self.task(report.attempt) {
                    if report.result.is_ok() {
                        task.reported.insert(report.checkpoint);
                        while task.reported.len() > REPORTED_MAX {
                            task.reported.pop_first();
                        }
                    }
                    task.prepared.extend(report.committables.clone());
                }
            }
            HostToJob::Metrics(_)
            | HostToJob::SourceWatermark { .. }
            | HostToJob::Committed { .. }
            | HostToJob::Aborted { .. } => {}
        }
    }

    /// A checkpoint is complete: what it holds need not be told to the next JobMaster, which knows it from there.
    pub fn complete(&mut self, checkpoint: CheckpointId) {
        self.completed = self.completed.max(checkpoint);
        for task in self.tasks.values_mut() {
            task.reported.retain(|reported| *reported >= checkpoint);
            task.prepared.retain(|(prepared, _)| *prepared > checkpoint);
            for reader in task.readers.values_mut() {
                reader.given.retain(|after, _| *after >= checkpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests;
