//! Tasks that an earlier JobMaster has left: taken over if all are there, else the job starts over.
//!
//! TaskManagers say what runs ([`Found`]), are told to hand it over when nothing is missing, and answer with their journals
//! ([`Journal`]), from which placements, states and splits are put together. Until the last journal is there, nothing is
//! decided: what processes say meanwhile waits. Anything that does not fit makes the job start over, as it would have
//! without any of this. `docs/dev/recovery.md` has the contract.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    id::{JobMasterEpoch, ProcessId, WorkerKey},
    message::{Found, HostToJob, JobToWorker, Journal, ListingJournal, TaskJournal, WorkerToJob},
};

use super::{JobMasterCore, Phase, regions::RegionPhase};
use crate::{index::ExecutionIndex, time::Millis};

/// The newest attempt of each subtask, and where it was found.
type Tasks = BTreeMap<ExecutionIndex, (WorkerKey, TaskJournal)>;

/// What is known so far.
#[derive(Debug, Clone)]
pub(super) struct Reconciling {
    until: Millis,
    subtasks: usize,
    found: BTreeMap<WorkerKey, Found>,
    /// Whether the processes were told that they are adopted.
    asked: bool,
    journals: BTreeMap<WorkerKey, Journal>,
    /// What adopted processes said before all were.
    said: Vec<(WorkerKey, ProcessId, HostToJob)>,
}

impl Reconciling {
    /// When the job starts over.
    pub(super) fn until(&self) -> Millis {
        self.until
    }

    /// Subtasks of which nothing was found.
    pub(super) fn missing(&self) -> usize {
        let attempts = self.found.values().flat_map(|found| &found.attempts);
        let subtasks: BTreeSet<_> = attempts.map(|attempt| (attempt.vertex, attempt.subtask)).collect();
        self.subtasks.saturating_sub(subtasks.len())
    }
}

impl JobMasterCore {
    /// What a region has left behind for others is in no journal.
    pub(super) fn can_reconcile(&self) -> bool {
        self.regions.keys().all(|region| self.regions.inputs(region) == 0)
    }

    pub(super) fn begin_reconciling(&mut self) {
        let slots: Vec<_> = self.slots.sharing().keys().collect();
        for slot in slots {
            self.slots.want(slot, self.now);
        }
        self.phase = Phase::Reconciling(Box::new(Reconciling {
            until: self.now.plus(self.spec.timeouts.reconcile),
            subtasks: self.graph.resolved().subtasks as usize,
            found: BTreeMap::new(),
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
        let Phase::Reconciling(reconciling) = &self.phase else { return };
        tracing::info!(job = %self.spec.graph.job_id, why, "the job starts over under its new JobMaster");
        let workers: Vec<_> = reconciling.found.keys().cloned().collect();
        for worker in workers {
            self.send(&worker, JobToWorker::Forget);
        }
        self.begin_executing();
    }

    /// A process of an older JobMaster was found.
    pub(super) fn found(&mut self, worker: &WorkerKey, epoch: JobMasterEpoch, found: Found) {
        if epoch >= self.spec.epoch || self.processes.is_lost(worker) {
            return;
        }
        let Phase::Reconciling(reconciling) = &mut self.phase else {
            self.send(worker, JobToWorker::Forget);
            return;
        };
        reconciling.found.insert(worker.clone(), found);
        if reconciling.asked {
            return self.give_up_reconciling("another process of it was found when all had been");
        }
        if reconciling.missing() > 0 {
            return;
        }
        reconciling.asked = true;
        let processes = reconciling.found.iter().map(|(worker, found)| (worker.clone(), found.location.process));
        for (worker, process) in processes.collect::<Vec<_>>() {
            self.send(&worker, JobToWorker::Adopt { process });
        }
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
            WorkerToJob::ProcessLost { .. } | WorkerToJob::SlotLost { .. } => {
                self.give_up_reconciling("something of it was lost meanwhile");
            }
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

    fn assemble(&mut self, reconciling: Reconciling) -> Result<(), &'static str> {
        let Reconciling { found, journals, said, .. } = reconciling;
        if journals.values().any(|journal| journal.snapshots) {
            // What sinks have prepared since, and where readers were, is in no journal.
            return Err("it has taken part in a checkpoint, and goes on from the latest");
        }
        let (tasks, listings) = self.newest(journals)?;
        let mut secrets = found.values().map(|found| found.secret);
        self.setup.secret = secrets.next().ok_or("nothing of it was found")?;
        if secrets.any(|secret| secret != self.setup.secret) {
            return Err("its processes do not know of each other");
        }
        for (worker, found) in &found {
            self.processes.adopt(worker, found.location.clone());
        }
        for (execution, (worker, task)) in &tasks {
            let slot = self.slots.sharing().of(*execution);
            if !self.slots.adopt(slot, worker, task.allocation) {
                return Err("its slots are not as they were");
            }
            self.states.set_ready(slot, true);
            self.graph.execution_mut(*execution).attempt = task.attempt.attempt;
        }
        self.restore_splits(&tasks, listings)?;
        self.begin_executing();
        for region in self.regions.keys() {
            self.states.regions[region].phase = RegionPhase::Deployed;
            for slot in &self.states.regions[region].slots {
                self.slots.settle(*slot);
            }
        }
        for execution in tasks.keys() {
            self.place(*execution);
        }
        tracing::info!(job = %self.spec.graph.job_id, tasks = tasks.len(), "tasks of an earlier JobMaster go on");
        let process_of = |worker: &WorkerKey| found.get(worker).map(|found| found.location.process);
        for (worker, task) in tasks.values() {
            let process = process_of(worker).ok_or("a process of it is missing")?;
            let requests = task.readers.iter().flat_map(|reader| {
                let request = HostToJob::RequestSplit { attempt: task.attempt, source: reader.source };
                std::iter::repeat_n(request, reader.unanswered as usize)
            });
            for message in task.report.clone().map(HostToJob::TaskState).into_iter().chain(requests) {
                self.host_message(worker, process, message);
            }
        }
        for (worker, process, message) in said {
            self.host_message(&worker, process, message);
        }
        Ok(())
    }

    /// What counts of all journals.
    fn newest(&self, journals: BTreeMap<WorkerKey, Journal>) -> Result<(Tasks, Vec<ListingJournal>), &'static str> {
        let resolved = self.graph.resolved();
        let (mut tasks, mut listings) = (Tasks::new(), Vec::new());
        for (worker, journal) in journals {
            for task in journal.tasks {
                let vertex = resolved.by_id.get(&task.attempt.vertex).map(|vertex| &resolved.vertices[*vertex]);
                let execution = vertex.and_then(|vertex| vertex.execution(task.attempt.subtask.0));
                let execution = execution.ok_or("a task of it is none of the job graph")?;
                let newest = tasks.get(&execution).map(|(_, known)| known.attempt.attempt);
                if newest == Some(task.attempt.attempt) {
                    return Err("one attempt was found twice");
                }
                if newest.is_none_or(|newest| newest < task.attempt.attempt) {
                    tasks.insert(execution, (worker.clone(), task));
                }
            }
            listings.extend(journal.listings);
        }
        if tasks.len() < resolved.subtasks as usize {
            return Err("a task of it is missing");
        }
        Ok((tasks, listings))
    }

    fn restore_splits(&mut self, tasks: &Tasks, listings: Vec<ListingJournal>) -> Result<(), &'static str> {
        for listing in listings {
            let coordinator = self.splits.iter_mut().find(|splits| splits.source == listing.source);
            let coordinator = coordinator.ok_or("a source of it is none of the job graph")?;
            match listing.splits {
                Some(splits) if coordinator.wants_listing() => coordinator.restore(splits),
                Some(_) => return Err("there are two lists of its splits"),
                // Should the answer still come, it is that of somebody who was not asked.
                None => {}
            }
        }
        for (execution, (_, task)) in tasks {
            for reader in &task.readers {
                let place = self.coordinator(*execution, reader.source).ok_or("a reader of it reads another source")?;
                if !self.splits[place].restore_reader(task.attempt, &reader.given, reader.is_dismissed) {
                    return Err("its list of splits is lost");
                }
            }
        }
        Ok(())
    }
}
