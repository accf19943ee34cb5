//! Jobs of an earlier JobManager whose JobMasters are still to come: the store of their checkpoints is away. Their tasks run on
//! meanwhile, so what TaskManagers say of them is kept.

use std::collections::{BTreeMap, BTreeSet};

use flott_core::{
    id::{JobId, JobMasterEpoch, WorkerKey},
    message::WorkerToJob,
};

/// What was found on a TaskManager, under the epoch of an earlier JobMaster.
type Found = (WorkerKey, JobMasterEpoch, WorkerToJob);

/// What was found, by job.
#[derive(Debug, Default)]
pub(super) struct Awaiting(BTreeMap<JobId, Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    found: Vec<Found>,
    /// TaskManagers that went before it was known what was found there.
    lost: BTreeSet<WorkerKey>,
}

impl Awaiting {
    /// The JobMaster of a job is still to come.
    pub fn begin(&mut self, job: JobId) {
        self.0.entry(job).or_default();
    }

    /// Keeps what was found of a job, once of each TaskManager; `false` if nobody is to come for it, the TaskManager is gone, or it is
    /// something else.
    pub fn keep(&mut self, from: &WorkerKey, job: JobId, epoch: JobMasterEpoch, message: &WorkerToJob) -> bool {
        let waiting = self.0.get_mut(&job).filter(|_| matches!(message, WorkerToJob::Found(_)));
        let Some(Waiting { found, .. }) = waiting.filter(|waiting| !waiting.lost.contains(from)) else {
            return false;
        };
        found.retain(|(worker, ..)| worker != from);
        found.push((from.clone(), epoch, message.clone()));
        true
    }

    /// A TaskManager is gone, with all that was found there.
    pub fn lose(&mut self, lost: &WorkerKey) {
        self.0.values_mut().for_each(|Waiting { found, .. }| found.retain(|(worker, ..)| worker != lost));
    }

    /// As [`lose`](Self::lose), of a job of which something may be on its way that was found there before.
    pub fn lose_of(&mut self, job: JobId, lost: &WorkerKey) {
        self.0.entry(job).or_default().lost.insert(lost.clone());
    }

    /// Somebody has come for it, or nobody will.
    pub fn take(&mut self, job: JobId) -> Vec<Found> {
        self.0.remove(&job).unwrap_or_default().found
    }
}

#[cfg(test)]
pub(super) mod tests {
    use flott_core::{
        id::{Digest, InstanceId, JobSecret, ProcessId, WorkerId},
        message::{Found as FoundProcess, ProcessLocation},
    };

    use super::*;

    pub const JOB: JobId = JobId::from_bytes([1; 16]);

    pub fn worker(name: &str) -> WorkerKey {
        WorkerKey { worker: WorkerId(name.into()), instance: InstanceId::from_bytes([1; 16]) }
    }

    pub fn found(on: &WorkerKey) -> WorkerToJob {
        let location = ProcessLocation {
            process: ProcessId::from_bytes([1; 16]),
            worker: on.worker.clone(),
            data_address: ([127, 0, 0, 1], 1).into(),
            pid: 1,
        };
        let (secret, configuration) = (JobSecret::from_bytes([0; 16]), Digest::of(b""));
        let (tasks, completed, slots) = Default::default();
        WorkerToJob::Found(Box::new(FoundProcess { location, secret, configuration, tasks, completed, slots }))
    }

    #[test]
    fn what_is_found_waits_for_who_is_to_come_and_for_nobody_else() {
        let (mut awaiting, epoch) = (Awaiting::default(), JobMasterEpoch(3));
        let [a, b] = ["a", "b"].map(worker);
        assert!(!awaiting.keep(&a, JOB, epoch, &found(&a)));
        awaiting.begin(JOB);
        for on in [&a, &b, &a] {
            assert!(awaiting.keep(on, JOB, epoch, &found(on)));
        }
        assert!(!awaiting.keep(&a, JOB, epoch, &WorkerToJob::OfferSlots(Vec::new())));
        awaiting.lose(&b);
        assert_eq!(awaiting.take(JOB), [(a.clone(), epoch, found(&a))]);
        assert!(awaiting.take(JOB).is_empty());
        assert!(!awaiting.keep(&a, JOB, epoch, &found(&a)));
    }
}
