//! How a job ends: by a commit, or by removing what was prepared.

use std::{collections::BTreeSet, sync::Arc};

use flott_core::{
    failure::{Failure, Retry},
    id::WorkerKey,
    job_graph::ExecutionMode,
    message::{Committable, JobToHost, JobToWorker},
};

use super::{Action, JobMasterCore, Phase, regions::RegionPhase};
use crate::{
    commit::{Abort, Asked, Commit, CommitState, Ending, Stop, WORKERS_LOST_MAX},
    execution_graph::{Host, job_transition::JobStep, transition::ExecutionStep},
    failover::Decision,
    index::{ExecutionIndex, SharedSlotIndex},
    processes::ProcessState,
};

impl JobMasterCore {
    /// Someone asks to cancel. Once the commit has begun it is too late: the job has decided to finish. Unless it cannot: then nobody
    /// has to wait until it can.
    pub(super) fn cancel(&mut self) {
        self.give_up_reconciling("the job is cancelled");
        match &mut self.phase {
            Phase::Committing(commit) if commit.is_stuck() => self.cancel_commit(),
            Phase::Committing(_) => self.cancels_commit = true,
            Phase::New | Phase::Executing => self.stop_job(JobStep::Cancel, Ending::Canceled),
            // All is in its savepoint, and becomes visible.
            Phase::Stopping(Ending::Stopped) | Phase::Aborting(Ending::Stopped, _) => {}
            Phase::Stopping(ending) | Phase::Aborting(ending, _) => {
                *ending = Ending::Canceled;
                self.step_job(JobStep::Cancel);
            }
            Phase::Reconciling(_) | Phase::Done => {}
        }
    }

    /// An earlier JobMaster has seen all tasks finish, or a savepoint that the job stops with; what is left is the commit.
    pub(super) fn restore(&mut self, committables: Vec<Committable>) {
        // Whether a snapshot holds it too is not written down.
        let has_snapshots = self.spec.graph.mode == ExecutionMode::Streaming && self.spec.snapshots.directory.is_some();
        self.last_held = has_snapshots.then_some(committables.len());
        // Nothing of it is scheduled again.
        for region in self.regions.keys() {
            self.states.regions[region].phase = RegionPhase::Finished;
        }
        let executions: Vec<ExecutionIndex> = self.graph.resolved().executions().collect();
        for execution in executions {
            self.apply(execution, ExecutionStep::Restore);
            self.mark_done(execution);
        }
        self.step_job(JobStep::Run);
        if committables.is_empty() {
            self.conclude(JobStep::Finish);
        } else {
            self.phase = Phase::Committing(Commit::restored(committables));
        }
    }

    /// Goes on with the end of the job as far as it can.
    pub(super) fn advance_ending(&mut self) {
        match &self.phase {
            Phase::New | Phase::Reconciling(_) | Phase::Done => {}
            Phase::Executing => {
                if !self.graph.is_done() {
                    self.ends_undecided = None;
                } else if !self.checkpoints.is_storing() {
                    self.begin_commit();
                } else if self.silence_of_store().is_some() {
                    // What the checkpoint may hold is promised, and in this commit too.
                    self.last_held = Some(0);
                    self.begin_commit();
                }
            }
            Phase::Committing(commit) => {
                if commit.state == CommitState::Seeking {
                    self.seek_committer();
                }
            }
            // What the savepoint holds is the result of the job.
            Phase::Stopping(Ending::Stopped) => {
                let is_written = self.stop != Some(Stop::Persisting);
                let has_ended = is_written && self.graph.deployed() == 0 && self.awaits_cause().is_none();
                // It also has what a checkpoint may hold of which the store does not say whether it is complete.
                if has_ended && (!self.checkpoints.is_storing() || self.silence_of_store().is_some()) {
                    self.begin_commit();
                }
            }
            Phase::Stopping(_) => {
                if self.graph.deployed() == 0 && self.awaits_cause().is_none() && self.is_settled() {
                    self.begin_abort();
                }
            }
            Phase::Aborting(_, abort) => {
                if abort.asked.is_none() {
                    self.seek_remover();
                }
            }
        }
    }

    // ------------------------------------------------------------ commit

    fn begin_commit(&mut self) {
        self.step_job(JobStep::Run);
        // What checkpoints have made certain and is not visible yet becomes so with the rest.
        let (mut committables, round) = self.commits.take_all();
        if self.last_held.is_some() || self.stop.is_some() || !committables.is_empty() {
            self.last_held = Some(committables.len());
        }
        if self.stop.is_none() {
            // (Behind a savepoint there is nothing that whoever starts from it would not make again.)
            let executions = self.graph.resolved().executions();
            committables.extend(executions.flat_map(|execution| self.graph.execution(execution).uncommitted()));
        }
        if committables.is_empty() {
            self.finish();
            return;
        }
        let commit = match &self.stop {
            None => {
                self.actions.push(Action::PersistCommit(committables.clone()));
                Commit::to_persist(committables)
            }
            Some(_) => Commit::restored(committables),
        };
        self.phase = Phase::Committing(commit.after_round(round));
        match &self.stop {
            None => {}
            Some(Stop::Refused(failure)) => self.last_commit_failed(Failure::clone(failure)),
            Some(Stop::Persisting | Stop::Persisted) => self.seek_committer(),
        }
    }

    pub(super) fn commit_persisted(&mut self, result: Result<(), Failure>) {
        if let Some(stop @ Stop::Persisting) = &mut self.stop {
            *stop = result.map_or_else(|failure| Stop::Refused(Box::new(failure)), |()| Stop::Persisted);
            return;
        }
        let Phase::Committing(commit) = &mut self.phase else { return };
        // A repeated answer would do no harm: one more round begins.
        if commit.state != CommitState::Persisting {
            return;
        }
        match result {
            Ok(()) => commit.state = CommitState::Seeking,
            Err(failure) => self.last_commit_failed(failure),
        }
    }

    /// What it was to make visible is not removed if something holds it that a job can start from. That job makes the rest again.
    pub(super) fn last_commit_failed(&mut self, failure: Failure) {
        self.strand_last();
        self.fail_job(failure);
    }

    /// The same because somebody does not want to wait for it.
    fn cancel_commit(&mut self) {
        self.strand_last();
        self.stop_job(JobStep::Cancel, Ending::Canceled);
    }

    fn strand_last(&mut self) {
        if let Some(held) = self.last_held
            && let Phase::Committing(commit) = &mut self.phase
        {
            let mut left = std::mem::take(&mut commit.committables);
            left.truncate(held);
            self.strand(&left);
        }
    }

    /// Finds a process to commit, or brings one up, or asks for a slot for one.
    fn seek_committer(&mut self) {
        let Phase::Committing(commit) = &mut self.phase else { return };
        let hosts: Vec<&Arc<Host>> = self.processes.hosts().collect();
        if let Some((host, message)) = commit.ask_one_of(&hosts, self.now.plus(self.spec.timeouts.commit)) {
            self.send_host(&host, message);
            return;
        }
        if self.processes.starting().next().is_some() {
            return;
        }
        let held = self.slots.workers().next().map(|(worker, _)| worker.clone());
        match held {
            Some(worker) => self.ensure_process(&worker),
            None => {
                let slot = self.commit_slot();
                self.slots.want(slot, self.now);
            }
        }
    }

    /// The slot that is asked for when there is none left to commit in: that of the first sink.
    fn commit_slot(&self) -> SharedSlotIndex {
        let vertices = &self.graph.resolved().vertices;
        let first = vertices.values().find(|vertex| vertex.has_sink).map_or(ExecutionIndex(0), |vertex| vertex.first);
        self.slots.sharing().of(first)
    }

    /// A round of the commit is over.
    pub(super) fn committed(&mut self, result: Result<Vec<Failure>, Failure>) {
        let Phase::Committing(commit) = &mut self.phase else { return };
        let failure = match result {
            Ok(told) => {
                self.note_told(told);
                self.finish();
                return;
            }
            Err(failure) => failure,
        };
        if self.cancels_commit {
            self.history.record(self.now, failure);
            return self.cancel_commit();
        }
        if commit.may_be_mended(&failure, self.now, self.spec.timeouts.mending) {
            if commit.refused(&failure, self.now) {
                tracing::warn!(job = %self.spec.graph.job_id, %failure, "the last results cannot be made visible; trying again");
                self.history.record(self.now, failure.clone());
                self.failure = Some(failure);
            }
            return;
        }
        let may_retry = commit.try_failed() && failure.retry == Retry::Restart;
        let decision = self.backoff.on_failure(self.now);
        match decision {
            Decision::Restart { delay } if may_retry => {
                commit.state = CommitState::Waiting { until: self.now.plus(delay) };
                self.history.record(self.now, failure.clone());
                self.failure = Some(failure);
            }
            Decision::Restart { .. } | Decision::GiveUp { .. } => {
                self.last_commit_failed(failure);
            }
        }
    }

    /// All results are visible.
    fn finish(&mut self) {
        if let Phase::Committing(commit) = &mut self.phase {
            let visible = std::mem::take(&mut commit.committables);
            self.keep_promises(&visible);
        }
        if self.stop.is_some() {
            // What writers have left that is in no snapshot.
            self.phase = Phase::Stopping(Ending::Stopped);
            self.begin_abort();
        } else {
            self.conclude(JobStep::Finish);
        }
    }

    /// A process is gone. If the end of the job hangs on it, another has to take over. That its TaskManager is gone is hardly
    /// the commit's fault, and counts for none of its tries; but it may be, so there is an end to that too.
    pub(super) fn ending_lost_process(&mut self, worker: &WorkerKey, failure: &Failure, worker_gone: bool) {
        self.commit_lost_process(worker);
        match &mut self.phase {
            Phase::New | Phase::Reconciling(_) | Phase::Executing | Phase::Stopping(_) | Phase::Done => {}
            Phase::Committing(commit) => {
                let counts = match &commit.state {
                    CommitState::Asked { .. } => commit.is_asked(worker),
                    // It did not come up.
                    CommitState::Seeking => true,
                    CommitState::Persisting | CommitState::Waiting { .. } => false,
                };
                if !counts {
                    return;
                }
                let goes_on = if worker_gone {
                    commit.worker_lost()
                } else {
                    failure.retry != Retry::Never && commit.try_failed()
                };
                if goes_on {
                    self.history.record(self.now, failure.clone());
                } else {
                    let failure = if worker_gone {
                        let message = format!(
                            "{WORKERS_LOST_MAX} TaskManagers were lost while they were to make results visible"
                        );
                        Failure::environment(message).because(failure)
                    } else {
                        failure.clone()
                    };
                    self.last_commit_failed(failure);
                }
            }
            Phase::Aborting(_, abort) => {
                if abort.asked.as_ref().is_some_and(|asked| asked.worker == *worker) {
                    abort.asked = None;
                    // It has not said that it cannot: once more one is started there.
                    if !abort.started.contains(worker) {
                        abort.tried.remove(worker);
                    }
                }
            }
        }
    }

    /// Whether nothing of checkpoints is left to wait for, for a job that ends: all that they make certain is visible, or cannot
    /// become so. Then it is in a checkpoint, and must not be removed.
    fn is_settled(&mut self) -> bool {
        let why = if self.checkpoints.is_storing() {
            let Some(silence) = self.silence_of_store() else { return false };
            silence
        } else if self.commits.is_empty() {
            return true;
        } else if self.processes.hosts().next().is_some() || self.seek_last_committer() {
            return false;
        } else {
            "there is no TaskManager any more to make visible what the latest checkpoint holds".to_owned()
        };
        let (left, _) = self.commits.take_all();
        self.strand(&left);
        let failure =
            Failure::environment(format!("{why}; it is not lost: a job that starts from it makes it visible"));
        tracing::warn!(job = %self.spec.graph.job_id, %failure, "the job ends without all of its results");
        self.history.record(self.now, failure);
        true
    }

    /// That the store has not said for too long whether the last checkpoint is complete, in words; nothing while it is waited for. A
    /// job that has nothing left to do waits so long and no longer: its checkpoint is given up then, whatever the store says yet.
    fn silence_of_store(&mut self) -> Option<String> {
        let patience = self.spec.timeouts.store;
        if *self.ends_undecided.get_or_insert(self.now.plus(patience)) > self.now {
            return None;
        }
        let silence = format!("the store did not say within {patience} ms whether the last checkpoint is complete");
        let failure = Failure::environment(silence.as_str());
        self.give_up_storing(&failure);
        // Nor is any stored that waits for its turn.
        self.give_up_checkpoints(&failure);
        Some(silence)
    }

    /// Brings up a process to make visible what is certain, once on each TaskManager that the job has a slot of; whether one is on
    /// its way.
    fn seek_last_committer(&mut self) -> bool {
        if self.processes.starting().next().is_some() {
            return true;
        }
        let is_fresh = |worker: &&WorkerKey| !self.last_committers.contains(*worker);
        let fresh = self.slots.workers().map(|(worker, _)| worker).find(is_fresh).cloned();
        let Some(worker) = fresh else { return false };
        self.last_committers.insert(worker.clone());
        self.ensure_process(&worker);
        true
    }

    // ------------------------------------------------------------ abort

    fn begin_abort(&mut self) {
        let Phase::Stopping(ending) = &self.phase else { return };
        if !self.prepared {
            let step = ending.step();
            self.conclude(step);
            return;
        }
        let abort = Abort {
            until: self.now.plus(self.spec.timeouts.abort),
            asked: None,
            tried: BTreeSet::new(),
            started: BTreeSet::new(),
        };
        self.phase = Phase::Aborting(ending.clone(), abort);
        self.seek_remover();
    }

    /// Finds a process to remove what was prepared, or brings one up. If there is none to be had, the job ends.
    fn seek_remover(&mut self) {
        let Phase::Aborting(ending, abort) = &mut self.phase else { return };
        let step = ending.step();
        let host = self.processes.hosts().find(|host| !abort.tried.contains(&host.worker)).cloned();
        if let Some(host) = host {
            abort.tried.insert(host.worker.clone());
            abort.asked = Some(Asked { worker: host.worker.clone(), process: host.location.process });
            let kept = self.kept();
            self.send_host(&host, JobToHost::Abort { kept });
            return;
        }
        if self.processes.starting().any(|(_, worker)| !abort.tried.contains(worker)) {
            return;
        }
        let startable = self.slots.workers().map(|(worker, _)| worker).find(|worker| {
            *self.processes.state(worker) == ProcessState::Absent
                && !abort.started.contains(*worker)
                && !abort.tried.contains(*worker)
        });
        match startable.cloned() {
            Some(worker) => {
                abort.started.insert(worker.clone());
                self.ensure_process(&worker);
            }
            None => self.conclude(step),
        }
    }

    /// The removal is over, one way or the other.
    pub(super) fn aborted(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            let entry = self.history.latest();
            match entry {
                Some(entry) => self.history.concurrent(entry, failure),
                None => {
                    self.history.record(self.now, failure);
                }
            }
        }
        let Phase::Aborting(ending, _) = &self.phase else { return };
        let step = ending.step();
        self.conclude(step);
    }

    /// The job is over: nothing of it is left anywhere.
    fn conclude(&mut self, step: JobStep) {
        let mut workers: BTreeSet<WorkerKey> = self.processes.workers().cloned().collect();
        workers.extend(self.slots.workers().map(|(worker, _)| worker.clone()));
        for worker in workers {
            self.send(&worker, JobToWorker::Forget);
        }
        self.slots.clear();
        self.pending.clear();
        self.canceling.clear();
        self.phase = Phase::Done;
        if step == JobStep::Finish {
            self.failure = None;
        }
        self.step_job(step);
        debug_assert!(self.status.is_terminal(), "{} after {step:?}", self.status);
        self.last_view = Some(Box::new(self.view()));
    }
}
