//! What TaskManagers and job processes say.

use flott_core::{
    failure::Failure,
    id::{AttemptId, JobMasterEpoch, ProcessId, WorkerKey},
    message::{HostToJob, JobToWorker, ProcessLocation, TaskStateChange, WorkerToJob},
    status::ExecutionState,
    view::TaskMetrics,
};

use super::{JobMasterCore, Phase, regions::RegionPhase};
use crate::{commit::Asked, execution_graph::transition::ExecutionStep, index::ExecutionIndex};

impl JobMasterCore {
    pub(super) fn worker_message(&mut self, worker: &WorkerKey, epoch: JobMasterEpoch, message: WorkerToJob) {
        if let WorkerToJob::Found(found) = message {
            return match self.is_over() {
                true => self.forget_after_end(worker),
                false => self.found(worker, epoch, *found),
            };
        }
        // Twofold: who carries messages asks for the epoch as well. Behind this, attempts and lives of processes tell apart what tasks say; an
        // earlier JobMaster's process that is up, or is lost, would be taken for the one that is being started.
        if !self.is_ours(epoch) || self.processes.is_lost(worker) {
            return;
        }
        if self.is_over() {
            self.answer_after_end(worker, &message);
            return;
        }
        let Some(message) = self.while_reconciling(worker, message) else { return };
        match message {
            WorkerToJob::OfferSlots(grants) => self.offered(worker, &grants),
            WorkerToJob::SlotLost { allocation, reason } => self.slot_lost(worker, allocation, &reason),
            WorkerToJob::ProcessReady(location) => self.process_ready(worker, location),
            WorkerToJob::ProcessLost { process, failure } => {
                if let Some(executions) = self.processes.down(worker, process) {
                    self.process_down(worker, executions, failure, false);
                }
            }
            WorkerToJob::Host { process, message } => self.host_message(worker, process, message),
            // Asked for while reconciling only.
            WorkerToJob::Found(_) | WorkerToJob::Adopted(_) => {}
        }
    }

    /// A TaskManager that still offers something to a job that has ended has missed that.
    fn answer_after_end(&mut self, worker: &WorkerKey, message: &WorkerToJob) {
        match message {
            WorkerToJob::OfferSlots(_) | WorkerToJob::ProcessReady(_) => self.forget_after_end(worker),
            WorkerToJob::SlotLost { .. }
            | WorkerToJob::ProcessLost { .. }
            | WorkerToJob::Host { .. }
            | WorkerToJob::Found(_)
            | WorkerToJob::Adopted(_) => {}
        }
    }

    fn forget_after_end(&mut self, worker: &WorkerKey) {
        if self.status.is_terminal() {
            self.send(worker, JobToWorker::Forget);
        }
    }

    fn process_ready(&mut self, worker: &WorkerKey, location: ProcessLocation) {
        if self.processes.up(worker, location) {
            self.set_worker_ready(worker, true);
        }
    }

    pub(super) fn host_message(&mut self, worker: &WorkerKey, process: ProcessId, message: HostToJob) {
        match message {
            HostToJob::TaskState(change) => {
                if let Some(execution) = self.reported(worker, process, change.attempt) {
                    self.task_state(execution, *change);
                }
            }
            HostToJob::Metrics(figures) => {
                for (attempt, metrics) in figures {
                    self.metrics(worker, process, attempt, metrics);
                }
            }
            HostToJob::RequestSplit { attempt, source } => {
                if let Some(execution) = self.reported(worker, process, attempt) {
                    self.request_split(execution, source);
                }
            }
            HostToJob::SplitsEnumerated { attempt, source, result } => {
                if let Some(execution) = self.reported(worker, process, attempt) {
                    self.splits_listed(execution, source, result);
                }
            }
            HostToJob::SourceWatermark { attempt, group, watermark } => {
                if let Some(execution) = self.reported(worker, process, attempt) {
                    self.source_watermark(execution, &group, watermark);
                }
            }
            HostToJob::Snapshot(report) => {
                if let Some(execution) = self.reported(worker, process, report.attempt) {
                    self.snapshotted(execution, *report);
                }
            }
            HostToJob::Committed { round, result } => {
                let asked = Asked { worker: worker.clone(), process };
                match &self.phase {
                    Phase::Committing(commit) if commit.is_answered(&asked, round) => self.committed(result),
                    _ if self.commits.at_hand().is_some_and(|(_, commit)| commit.is_answered(&asked, round)) => {
                        self.checkpoint_committed(result);
                    }
                    _ => {}
                }
            }
            HostToJob::Aborted { result } => {
                let is_answer = matches!(
                    &self.phase,
                    Phase::Aborting(_, abort) if abort.asked.as_ref().is_some_and(|asked| {
                        asked.worker == *worker && asked.process == process
                    })
                );
                if is_answer {
                    self.aborted(result);
                }
            }
        }
    }

    /// The subtask that a process speaks of, if the attempt is the current one and was deployed to that very process. (No JobMaster deploys
    /// an attempt twice, so as long as earlier ones' messages are refused by epoch, the attempt would do.)
    fn reported(&self, worker: &WorkerKey, process: ProcessId, attempt: AttemptId) -> Option<ExecutionIndex> {
        let execution = self.graph.current(attempt)?;
        let host = &self.graph.execution(execution).placement.as_ref()?.host;
        (host.worker == *worker && host.location.process == process).then_some(execution)
    }

    fn metrics(&mut self, worker: &WorkerKey, process: ProcessId, attempt: AttemptId, metrics: TaskMetrics) {
        if let Some(execution) = self.reported(worker, process, attempt)
            && !self.graph.execution(execution).state.is_terminal()
        {
            self.graph.execution_mut(execution).note(metrics);
        }
    }

    fn task_state(&mut self, execution: ExecutionIndex, change: TaskStateChange) {
        let Some(step) = ExecutionStep::report(change.state) else { return };
        if self.graph.execution(execution).state.is_terminal() {
            return;
        }
        self.graph.execution_mut(execution).note(change.metrics);
        let Some(transition) = self.apply(execution, step) else { return };
        match transition.to {
            ExecutionState::Running => self.want_listing(execution),
            ExecutionState::Finished => {
                // A task that finishes while its region is being stopped has to run again with it.
                let region = self.regions.of(execution);
                if self.states.phase(region) == RegionPhase::Deployed {
                    let entry = self.graph.execution_mut(execution);
                    entry.committables = change.committables;
                    entry.accumulators = change.accumulators;
                    self.mark_done(execution);
                    self.checkpoints.finished(execution);
                }
            }
            ExecutionState::Failed => {
                let failure = change.failure.unwrap_or_else(|| match change.state {
                    ExecutionState::Canceled => Failure::internal("the task stopped without being told to"),
                    ExecutionState::Created
                    | ExecutionState::Scheduled
                    | ExecutionState::Deploying
                    | ExecutionState::Initializing
                    | ExecutionState::Running
                    | ExecutionState::Finished
                    | ExecutionState::Canceling
                    | ExecutionState::Failed
                    | ExecutionState::Reconciling => Failure::internal("the task failed without saying why"),
                });
                self.task_failed(execution, failure);
            }
            ExecutionState::Created
            | ExecutionState::Scheduled
            | ExecutionState::Deploying
            | ExecutionState::Initializing
            | ExecutionState::Canceling
            | ExecutionState::Canceled
            | ExecutionState::Reconciling => {}
        }
    }

    pub(super) fn task_failed(&mut self, execution: ExecutionIndex, failure: Failure) {
        let failure = self.graph.locate(execution, failure);
        self.graph.execution_mut(execution).failure = Some(failure.clone());
        self.fail_regions(self.regions_of([execution]), failure);
    }
}
