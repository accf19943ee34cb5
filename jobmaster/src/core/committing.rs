//! Commits of checkpoints, beside the work of the job.

use std::sync::Arc;

use flott_core::{
    failure::{Failure, Retry},
    id::WorkerKey,
};

use super::{JobMasterCore, Phase};
use crate::{
    commit::{CommitState, Ending},
    execution_graph::Host,
};

impl JobMasterCore {
    /// Asks a process to make visible what the next complete checkpoint holds, if none is asked.
    pub(super) fn advance_commits(&mut self) {
        match self.phase {
            Phase::Executing | Phase::Stopping(Ending::Failed(_) | Ending::Canceled) => {}
            // The final commit takes over what is left.
            Phase::New
            | Phase::Reconciling(_)
            | Phase::Stopping(Ending::Stopped)
            | Phase::Committing(_)
            | Phase::Aborting(..)
            | Phase::Done => return,
        }
        let Some((_, commit)) = self.commits.current() else { return };
        if commit.state != CommitState::Seeking {
            return;
        }
        let hosts: Vec<&Arc<Host>> = self.processes.hosts().collect();
        // Without any, it waits for the tasks to have one.
        if let Some((host, message)) = commit.ask_one_of(&hosts, self.now.plus(self.spec.timeouts.commit)) {
            self.send_host(&host, message);
        }
    }

    /// Does what is due by now.
    pub(super) fn checkpoint_commit_due(&mut self) {
        if let Some((_, commit)) = self.commits.current()
            && commit.wake(self.now)
        {
            let late = self.late_commit();
            self.checkpoint_committed(Err(late));
        }
    }

    /// A round has taken too long.
    pub(super) fn late_commit(&self) -> Failure {
        Failure::environment(format!("the commit was not through within {} ms", self.spec.timeouts.commit))
    }

    /// A round of the commit of a checkpoint is over.
    pub(super) fn checkpoint_committed(&mut self, result: Result<Vec<Failure>, Failure>) {
        let Some((checkpoint, commit)) = self.commits.current() else { return };
        let checkpoint = *checkpoint;
        let failure = match result {
            Ok(told) => {
                let visible = self.commits.done();
                self.keep_promises(&visible);
                self.checkpoints.note_visible(Ok(()));
                self.note_told(told);
                return;
            }
            Err(failure) => failure,
        };
        let patience = if matches!(self.phase, Phase::Executing) { self.spec.timeouts.mending } else { 0 };
        if commit.may_be_mended(&failure, self.now, patience) {
            if commit.refused(&failure, self.now) {
                tracing::warn!(job = %self.spec.graph.job_id, %checkpoint, %failure, "results cannot be made visible; trying again");
                self.checkpoints.note_visible(Err(failure.clone()));
                self.history.record(self.now, failure);
            }
            return;
        }
        if commit.try_failed() && failure.retry != Retry::Never {
            commit.pause(self.now);
            self.history.record(self.now, failure);
            return;
        }
        self.checkpoints.note_visible(Ok(()));
        let message = format!(
            "what checkpoint {checkpoint} holds cannot be made visible; it is not lost, and is tried again when the job is started \
             from it"
        );
        // What is left is in the manifest. The job must not end as if it were visible, nor have it removed.
        let (left, _) = self.commits.take_all();
        self.strand(&left);
        self.fail_job(Failure::environment(message).because(&failure).fatal());
    }

    /// Sinks have something to say of a commit that went well. Each JobMaster hears it again that starts from the same snapshot.
    pub(super) fn note_told(&mut self, told: Vec<Failure>) {
        for told in told {
            tracing::warn!(job = %self.spec.graph.job_id, %told, "a sink has made its results visible");
            if self.history.entry_of(&told).is_none() {
                self.history.record(self.now, told);
            }
        }
    }

    /// A process is gone that may have been asked.
    pub(super) fn commit_lost_process(&mut self, worker: &WorkerKey) {
        if let Some((_, commit)) = self.commits.current()
            && commit.is_asked(worker)
        {
            commit.state = CommitState::Seeking;
        }
    }
}
