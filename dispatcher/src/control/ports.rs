//! What JobMasters and the ResourceManager call. None of it waits.

use flott_core::{
    failure::Failure,
    id::{JobId, JobMasterEpoch, WorkerKey},
    message::{JobToWorker, ToWorker},
    view::PendingReason,
};
use flott_jobmaster::{ClusterPort, Declaration, Needs};
use flott_resource_manager::{Declaration as Needed, ResourceListener, WorkerPort};

use super::Control;

/// One job's way to the cluster.
#[derive(Debug, Clone)]
pub struct JobPort {
    /// The switchboard.
    pub control: Control,
    /// The job.
    pub job: JobId,
}

impl ClusterPort for JobPort {
    fn declare(&self, Declaration { job, epoch, needs }: Declaration) {
        let Needs { slots, wishes, useful_min, idle, reconciling } = needs;
        if let Some(resources) = self.control.resources() {
            let declaration = Needed::new(job, epoch, slots).wishing(wishes.wished, wishes.welcome);
            resources.declare(declaration.useful_from(useful_min).idle(idle).reconciling(reconciling));
        }
    }

    fn send(&self, worker: &WorkerKey, epoch: JobMasterEpoch, message: JobToWorker) {
        self.control.send(worker, &ToWorker::Job { job: self.job, epoch, message });
    }
}

impl WorkerPort for Control {
    fn send(&self, to: &WorkerKey, message: ToWorker) {
        Self::send(self, to, &message);
    }

    fn disconnect(&self, worker: &WorkerKey, reason: &str) {
        self.inner.sessions.lock().end(worker, reason);
    }
}

impl ResourceListener for Control {
    fn pending(&self, job: JobId, reasons: Vec<PendingReason>) {
        if let Some((_, master)) = self.master(job) {
            master.pending(reasons);
        }
    }

    fn worker_lost(&self, worker: &WorkerKey, failure: &Failure) {
        tracing::warn!(%worker, %failure, "worker lost");
        let (masters, mut awaiting) = (self.inner.masters.lock(), self.inner.awaiting.lock());
        awaiting.lose(worker);
        for (job, (_, master)) in &*masters {
            if !master.worker_lost(worker.clone(), failure.clone()) {
                // It is about to step aside, and what it hands on may have been found there; or to resign.
                awaiting.lose_of(*job, worker);
            }
        }
    }
}
