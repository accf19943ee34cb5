//! What is said when it is over: which of that a JobMaster hears, and how it comes to it.
//!
//! Repeated at random, most of it comes while it still holds, or when nobody would mind. So each job has a [`Hoard`] of what was said
//! of it and to it, and some of that is said again at the moments when it could do harm: answers to earlier rounds while a later one is
//! under way, reports of an attempt while the next one runs, news of earlier processes while another comes up, and what earlier
//! JobMasters have said and heard when a later one takes over.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use flott_core::{
    id::{AttemptId, AttemptNumber, CheckpointId, JobId, JobMasterEpoch, ProcessId, SubtaskIndex, VertexId, WorkerKey},
    message::{HostToJob, JobToHost, JobToWorker, WorkerToJob},
};
use flott_jobmaster::Event;
use flott_worker::state::Event as AtWorker;

use super::world::{Happening, World};

/// Messages each way that are remembered of a job.
const HOARD_MAX: usize = 400;
/// Of how many the last ones these are: what was said long before is over in any case.
const LAST_WORDS: usize = 8;
/// Messages that are said again at one moment.
const RECALLED_MAX: u64 = 3;
/// Longest times from such a moment until they come, in milliseconds.
const SOON_MS: u64 = 300;
const LATER_MS: u64 = 2000;

/// What of a message is over when it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// A task speaks whose subtask has another attempt.
    Attempt,
    /// A task reports for a checkpoint as it has before.
    Report,
    /// A process answers a round of a commit that another has followed.
    Round,
    /// It is about a process whose end is known.
    Process,
    /// It comes from a TaskManager that is lost, or tells of its loss again.
    Worker,
    /// It was for an earlier JobMaster.
    Epoch,
    /// A store says again what it has said.
    Answer,
    /// A TaskManager is told something by a JobMaster that another has followed.
    Order,
}

impl Stale {
    pub const ALL: [Self; 8] =
        [Self::Attempt, Self::Report, Self::Round, Self::Process, Self::Worker, Self::Epoch, Self::Answer, Self::Order];
}

/// What one JobMaster has heard and said, as far as it tells what is over.
#[derive(Debug, Default)]
pub struct Known {
    /// TaskManagers that are lost.
    pub lost: BTreeSet<WorkerKey>,
    attempts: BTreeMap<(VertexId, SubtaskIndex), AttemptNumber>,
    reports: BTreeSet<(AttemptId, CheckpointId)>,
    round: u32,
    ended: BTreeSet<ProcessId>,
    stored: BTreeSet<CheckpointId>,
    is_commit_stored: bool,
}

impl Known {
    /// The JobMaster `own` hears something: what of it is over, if anything is.
    pub fn hears(&mut self, own: JobMasterEpoch, event: &Event) -> Option<Stale> {
        match event {
            Event::Worker { message: WorkerToJob::Found(_) | WorkerToJob::Adopted(_), .. } => None,
            Event::Worker { epoch, .. } if *epoch != own => Some(Stale::Epoch),
            Event::Worker { worker, .. } if self.lost.contains(worker) => Some(Stale::Worker),
            Event::Worker { message, .. } => self.hears_worker(message),
            Event::WorkerLost { worker, .. } => (!self.lost.insert(worker.clone())).then_some(Stale::Worker),
            Event::CheckpointStored { checkpoint, .. } => (!self.stored.insert(*checkpoint)).then_some(Stale::Answer),
            Event::CommitPersisted(_) => std::mem::replace(&mut self.is_commit_stored, true).then_some(Stale::Answer),
            _ => None,
        }
    }

    fn hears_worker(&mut self, message: &WorkerToJob) -> Option<Stale> {
        match message {
            WorkerToJob::ProcessReady(location) => self.ended.contains(&location.process).then_some(Stale::Process),
            WorkerToJob::ProcessLost { process, .. } => (!self.ended.insert(*process)).then_some(Stale::Process),
            WorkerToJob::Host { message: HostToJob::Committed { round, .. }, .. } => {
                (*round < self.round).then_some(Stale::Round)
            }
            WorkerToJob::Host { message, .. } => {
                let attempt = speaker(message)?;
                if self.attempts.get(&(attempt.vertex, attempt.subtask)).is_some_and(|newest| *newest > attempt.attempt)
                {
                    return Some(Stale::Attempt);
                }
                let HostToJob::Snapshot(report) = message else { return None };
                (!self.reports.insert((attempt, report.checkpoint))).then_some(Stale::Report)
            }
            WorkerToJob::OfferSlots(_)
            | WorkerToJob::SlotLost { .. }
            | WorkerToJob::Found(_)
            | WorkerToJob::Adopted(_) => None,
        }
    }

    /// It says something.
    pub fn says(&mut self, message: &JobToWorker) {
        match message {
            JobToWorker::Host { message: JobToHost::Deploy(deployment), .. } => {
                for task in &deployment.tasks {
                    let AttemptId { vertex, subtask, attempt } = task.attempt;
                    self.attempts.insert((vertex, subtask), attempt);
                }
            }
            JobToWorker::Host { message: JobToHost::Commit { round, .. }, .. } => self.round = *round,
            _ => {}
        }
    }
}

/// The attempt that speaks.
fn speaker(message: &HostToJob) -> Option<AttemptId> {
    match message {
        HostToJob::TaskState(change) => Some(change.attempt),
        HostToJob::RequestSplit { attempt, .. }
        | HostToJob::SplitsEnumerated { attempt, .. }
        | HostToJob::SourceWatermark { attempt, .. } => Some(*attempt),
        HostToJob::Snapshot(report) => Some(report.attempt),
        HostToJob::Metrics(_) | HostToJob::Committed { .. } | HostToJob::Aborted { .. } => None,
    }
}

/// Whether more hangs on it than how far a task is.
fn counts(message: &HostToJob) -> bool {
    match message {
        HostToJob::TaskState(change) => change.state.is_terminal(),
        HostToJob::SplitsEnumerated { .. } | HostToJob::Snapshot(_) => true,
        HostToJob::Metrics(_)
        | HostToJob::RequestSplit { .. }
        | HostToJob::SourceWatermark { .. }
        | HostToJob::Committed { .. }
        | HostToJob::Aborted { .. } => false,
    }
}

/// Something that was said, by or to which TaskManager, and to or by which JobMaster.
type Said<M> = (WorkerKey, JobMasterEpoch, M);

/// What was said of a job, the newest last.
#[derive(Debug, Default)]
pub struct Hoard {
    heard: VecDeque<Said<WorkerToJob>>,
    told: VecDeque<Said<JobToWorker>>,
}

impl Hoard {
    /// JobMasters have heard this. What hands processes over is said once.
    pub fn hear(&mut self, worker: &WorkerKey, epoch: JobMasterEpoch, message: &WorkerToJob) {
        if !matches!(message, WorkerToJob::Found(_) | WorkerToJob::Adopted(_)) {
            keep(&mut self.heard, (worker.clone(), epoch, message.clone()));
        }
    }

    /// A JobMaster has said this.
    pub fn tell(&mut self, worker: &WorkerKey, epoch: JobMasterEpoch, message: &JobToWorker) {
        if !matches!(message, JobToWorker::Adopt { .. }) {
            keep(&mut self.told, (worker.clone(), epoch, message.clone()));
        }
    }
}

fn keep<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == HOARD_MAX {
        all.pop_front();
    }
    all.push_back(one);
}

impl World {
    /// A JobMaster of the job hears something: notes whether that is over, and may have more of the kind said again.
    pub(super) fn note_heard(&mut self, id: JobId, event: &Event) {
        let Some(master) = self.jobmanager.masters.get_mut(&id).filter(|_| self.plan.durable) else { return };
        let own = master.core.spec().epoch;
        let stale = master.known.hears(own, event);
        if !master.core.is_over()
            && let Some(stale) = stale
        {
            *self.summary.stale.entry(stale).or_default() += 1;
        }
        match event {
            Event::Worker { worker, epoch, message } if stale.is_none() => {
                if let Some(job) = self.jobs.get_mut(&id) {
                    job.hoard.hear(worker, *epoch, message);
                }
            }
            Event::WorkerLost { worker, .. } if stale.is_none() => {
                self.recall(id, LATER_MS, |(of, ..)| of == worker);
            }
            _ => {}
        }
    }

    /// A JobMaster of the job says something: what was said before may be said again behind it.
    pub(super) fn note_said(&mut self, id: JobId, worker: &WorkerKey, epoch: JobMasterEpoch, message: &JobToWorker) {
        if !self.plan.durable {
            return;
        }
        if let Some(master) = self.jobmanager.masters.get_mut(&id) {
            master.known.says(message);
        }
        match message {
            JobToWorker::StartProcess(_) => {
                self.recall(id, SOON_MS, |(of, _, said)| {
                    of == worker && matches!(said, WorkerToJob::ProcessReady(_) | WorkerToJob::ProcessLost { .. })
                });
                self.recall_orders(id, |(to, by, _)| to == worker && *by < epoch);
            }
            JobToWorker::Adopt { .. } => {
                self.recall(id, LATER_MS, |(of, by, _)| of == worker && *by < epoch);
                self.recall_orders(id, |(to, by, _)| to == worker && *by < epoch);
            }
            JobToWorker::Host { message: JobToHost::Commit { round, .. }, process } => {
                let (asked, asks) = (*process, *round);
                self.recall(id, SOON_MS, |(.., said)| {
                    matches!(said, WorkerToJob::Host { process, message: HostToJob::Committed { round, .. } }
                        if *process == asked && *round < asks)
                });
            }
            JobToWorker::Host { message: JobToHost::Deploy(deployment), .. } => {
                let again: BTreeMap<_, _> = deployment
                    .tasks
                    .iter()
                    .map(|task| ((task.attempt.vertex, task.attempt.subtask), task.attempt.attempt))
                    .collect();
                self.recall(id, LATER_MS, |(_, by, said)| {
                    let WorkerToJob::Host { message, .. } = said else { return false };
                    if !counts(message) {
                        return false;
                    }
                    speaker(message).is_some_and(|speaker| {
                        let newest = again.get(&(speaker.vertex, speaker.subtask));
                        *by == epoch && newest.is_some_and(|newest| speaker.attempt < *newest)
                    })
                });
            }
            _ => {}
        }
        if let Some(job) = self.jobs.get_mut(&id) {
            job.hoard.tell(worker, epoch, message);
        }
    }

    fn recalls(&mut self) -> bool {
        self.has_faults() && self.random.per_mille(self.plan.faults.recalled)
    }

    /// Some of what JobMasters have heard comes once more.
    fn recall(&mut self, id: JobId, most_ms: u64, wanted: impl Fn(&Said<WorkerToJob>) -> bool) {
        if !self.recalls() {
            return;
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let all: Vec<_> = job.hoard.heard.iter().rev().filter(|said| wanted(said)).take(LAST_WORDS).cloned().collect();
        for _ in 0..self.random.within(1..=RECALLED_MAX) {
            let Some((worker, epoch, message)) = self.random.choose(all.iter().cloned()) else { return };
            let at = self.now + self.random.within(1..=most_ms);
            let event = Box::new(Event::Worker { worker, epoch, message });
            self.at(at, Happening::Again(self.jobmanager.leader, id, event));
        }
    }

    /// A TaskManager hears once more what earlier JobMasters have told it.
    fn recall_orders(&mut self, id: JobId, wanted: impl Fn(&Said<JobToWorker>) -> bool) {
        if !self.recalls() {
            return;
        }
        let Some(job) = self.jobs.get(&id) else { return };
        let all: Vec<_> = job.hoard.told.iter().rev().filter(|said| wanted(said)).take(LAST_WORDS).cloned().collect();
        for _ in 0..self.random.within(1..=RECALLED_MAX) {
            let Some((worker, epoch, message)) = self.random.choose(all.iter().cloned()) else { return };
            let at = self.now + self.random.within(1..=LATER_MS);
            self.at(at, Happening::Ordered(worker, id, epoch, Box::new(message)));
        }
    }

    /// A TaskManager hears what an earlier JobMaster has told it, if it has heard of a later one: sessions see to it that it does not
    /// before.
    pub(super) fn ordered(&mut self, worker: &WorkerKey, id: JobId, epoch: JobMasterEpoch, message: JobToWorker) {
        let machine = self.machines.get(&worker.worker).filter(|machine| machine.key == *worker);
        let mut hosts = machine.into_iter().flat_map(|machine| machine.hosts.values());
        if hosts.any(|host| host.job == id && host.epoch > epoch) {
            *self.summary.stale.entry(Stale::Order).or_default() += 1;
            self.at_machine(worker, AtWorker::Job { job: id, epoch, message });
        }
    }
}
