//! Tasks that an earlier JobMaster has left: taken over if all are there, else the job starts over.
//!
//! TaskManagers say what runs ([`Found`]), are told to hand it over when nothing is missing, and answer with their journals
//! ([`Journal`]), from which placements, states and splits are [put together](super::taking_over). Until the last journal is there,
//! nothing is decided: what processes say meanwhile waits. Anything that does not fit makes the job start over, as it would have
//! without any of this. But for one thing: a process that knows a checkpoint to be complete that the log lacks. Starting over would read
//! again what that holds; so the job waits for its log, before anything is handed over. `docs/dev/recovery.md` has the contract.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    id::{JobMasterEpoch, ProcessId, VertexId, WorkerKey},
    journal::Journal,
    message::{Found, HostToJob, JobToWorker, WorkerToJob},
    status::JobStatus,
};

use super::{Action, JobMasterCore, Phase};
use crate::time::Millis;

/// What is known so far.
#[derive(Debug, Clone)]
pub(super) struct Reconciling {
    until: Millis,
    subtasks: usize,
    parallelism: BTreeMap<VertexId, u32>,
    pub(super) found: BTreeMap<WorkerKey, Found>,
    /// Under which epochs that was told.
    told_by: BTreeMap<WorkerKey, JobMasterEpoch>,
    /// Whether the processes were told that they are adopted.
    asked: bool,
    pub(super) journals: BTreeMap<WorkerKey, Journal>,
    /// What adopted processes said before all were.
    pub(super) said: Vec<(WorkerKey, ProcessId, HostToJob)>,
}

impl Reconciling {
    /// When the job starts over.
    pub(super) fn until(&self) -> Millis {
        self.until
    }

    /// Subtasks of which nothing was found.
    pub(super) fn missing(&self) -> usize {
        let tasks = self.found.values().flat_map(|found| &found.tasks);
        // Of a job that was rescaled, what is left of older ones may be there.
        let current = tasks.filter(|task| self.parallelism.get(&task.attempt.vertex) == Some(&task.parallelism));
        let subtasks: BTreeSet<_> = current.map(|task| (task.attempt.vertex, task.attempt.subtask)).collect();
        self.subtasks.saturating_sub(subtasks.len())
    }
}

impl JobMasterCore {
    /// What a region has left behind for others is in no journal, and what builds on a damaged checkpoint cannot be restored.
    pub(super) fn can_reconcile(&self) -> bool {
        !self.spec.snapshots.is_damaged && self.regions.keys().all(|region| self.regions.inputs(region) == 0)
    }

    pub(super) fn begin_reconciling(&mut self) {
        let slots: Vec<_> = self.slots.sharing().keys().collect();
        for slot in slots {
            self.slots.want(slot, self.now);
        }
        let vertices = self.graph.resolved().vertices.values();
        self.phase = Phase::Reconciling(Box::new(Reconciling {
            until: self.now.plus(self.spec.timeouts.reconcile),
            subtasks: self.graph.resolved().subtasks as usize,
            parallelism: vertices.map(|vertex| (vertex.id, vertex.parallelism)).collect(),
            found: BTreeMap::new(),
            told_by: BTreeMap::new(),
            asked: false,
            journals: BTreeMap::new(),
            said: Vec::new(),
        }));
    }

    pub(super) fn has_found(&self, worker: &WorkerKey) -> bool {
        matches!(&self.phase, Phase::Reconciling(reconciling) if reconciling.found.contains_key(worker))
    }

    pub(super) fn reconciling_due(&mut self) {
        if matches!(&self.phase, Phase::Reconciling(reconciling) if reconciling.until <= self.now) {
            self.give_up_reconciling("not all of its tasks were found in time");
        }
    }

    /// Starts over, if this was tried: whoever has something of an earlier JobMaster is to forget it.
    pub(super) fn give_up_reconciling(&mut self, why: &str) {
        if self.steps_aside() {
            return;
        }
        let Phase::Reconciling(reconciling) = &self.phase else { return };
        tracing::info!(job = %self.spec.graph.job_id, why, "the job starts over under its new JobMaster");
        let workers: Vec<_> = reconciling.found.keys().cloned().collect();
        for worker in workers {
            self.send(&worker, JobToWorker::Forget);
        }
        self.begin_anew();
    }

    /// A process of an older JobMaster was found.
    pub(super) fn found(&mut self, worker: &WorkerKey, epoch: JobMasterEpoch, found: Found) {
        if epoch >= self.spec.epoch || self.processes.is_lost(worker) {
            return;
        }
        let Phase::Reconciling(reconciling) = &mut self.phase else {
            self.leave(worker, found);
            return;
        };
        if reconciling.asked && found.tasks.is_empty() {
            // It was brought up for a rescale that the job goes on without.
            self.leave(worker, found);
            return;
        }
        reconciling.found.insert(worker.clone(), found);
        reconciling.told_by.insert(worker.clone(), epoch);
        if reconciling.asked {
            return self.give_up_reconciling("another process of it was found when all had been");
        }
        if reconciling.missing() > 0 || self.steps_aside() {
            return;
        }
        let Phase::Reconciling(reconciling) = &mut self.phase else { return };
        reconciling.asked = true;
        let processes = reconciling.found.iter().map(|(worker, found)| (worker.clone(), found.location.process));
        for (worker, process) in processes.collect::<Vec<_>>() {
            self.send(&worker, JobToWorker::Adopt { process });
        }
    }

    /// If what was found knows a checkpoint to be complete that is not there, everything is left to a JobMaster that has it. Not when
    /// the first is found that does: what the others say would be lost. Nor when processes were adopted: those tell no one else of
    /// themselves.
    fn steps_aside(&mut self) -> bool {
        let (job, latest) = (self.spec.graph.job_id, self.own_number());
        let Phase::Reconciling(reconciling) = &mut self.phase else { return false };
        let complete = reconciling.found.values().map(|found| found.latest_complete(job)).max();
        let Some(checkpoint) = complete.filter(|complete| *complete > latest && !reconciling.asked) else {
            return false;
        };
        let (found, mut told_by) = (std::mem::take(&mut reconciling.found), std::mem::take(&mut reconciling.told_by));
        let with_epoch = |(worker, found)| told_by.remove(&worker).map(|epoch| (worker, epoch, Box::new(found)));
        let found = found.into_iter().filter_map(with_epoch).collect();
        tracing::error!(%job, %checkpoint, "tasks of the job know a checkpoint that is not in its log");
        // No state of the job: its owner shows it as one that waits for its JobMaster.
        (self.status, self.phase) = (JobStatus::Suspended, Phase::Done);
        self.actions.push(Action::StepAside { checkpoint, found });
        true
    }

    /// What was found is not taken over. That this JobMaster speaks ends the process; slots that its TaskManager has given the job
    /// since stay.
    fn leave(&mut self, worker: &WorkerKey, found: Found) {
        self.send(worker, JobToWorker::FreeSlots(found.slots));
    }

    /// What a worker says while the job reconciles is for here; at other times it is given back.
    pub(super) fn while_reconciling(&mut self, worker: &WorkerKey, message: WorkerToJob) -> Option<WorkerToJob> {
        let Phase::Reconciling(reconciling) = &mut self.phase else { return Some(message) };
        match message {
            WorkerToJob::Adopted(journal) => {
                if reconciling.found.contains_key(worker) {
                    reconciling.journals.insert(worker.clone(), *journal);
                }
                if reconciling.journals.len() == reconciling.found.len() {
                    self.take_over();
                }
            }
            WorkerToJob::Host { process, message } => reconciling.said.push((worker.clone(), process, message)),
            // What runs there starts over once it is taken over.
            WorkerToJob::SlotLost { allocation, .. } => {
                if let Some(found) = reconciling.found.get_mut(worker) {
                    found.slots.retain(|slot| *slot != allocation);
                }
            }
            WorkerToJob::ProcessLost { .. } => self.give_up_reconciling("something of it was lost meanwhile"),
            // Offers are repeated until they are answered.
            WorkerToJob::OfferSlots(_) | WorkerToJob::ProcessReady(_) | WorkerToJob::Found(_) => {}
        }
        None
    }

    /// All journals are there.
    fn take_over(&mut self) {
        let Phase::Reconciling(reconciling) = &self.phase else { return };
        let reconciling = (**reconciling).clone();
        // Tried on a copy, so that what does not fit leaves no trace.
        let mut tried = self.clone();
        match tried.assemble(reconciling) {
            Ok(()) => *self = tried,
            Err(why) => self.give_up_reconciling(why),
        }
    }
}
