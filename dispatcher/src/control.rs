//! The switchboard between TaskManagers, JobMasters and the ResourceManager.
//!
//! It holds the sessions with workers and knows which JobMaster leads which job. Messages about slots and signs of life
//! go to the ResourceManager, messages about a job to the job's JobMaster if they mean the one that leads, and what
//! JobMasters and the ResourceManager say goes out in the session with the worker's life. It decides nothing but the
//! address; a message for a JobMaster that does not lead (any more) is answered with "forget". What is found of a job whose JobMaster
//! is still to come is kept for it.
//!
//! - `awaiting`: jobs whose JobMasters are still to come
//! - `endpoint`: the HTTP upgrade and the loop over one connection
//! - `sessions`: one per worker's life, over all its connections
//! - `ports`: what JobMasters and the ResourceManager call

mod awaiting;
pub(crate) mod endpoint;
mod ports;
mod sessions;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use flott_core::{
    id::{JobId, JobMasterEpoch, LeaderEpoch, WorkerKey},
    message::{JobToWorker, ToWorker, WorkerToJob},
};
use flott_jobmaster::{FoundOn, JobMasterHandle};
use flott_resource_manager::ResourceManagerHandle;
use parking_lot::Mutex;

use awaiting::Awaiting;
pub use ports::JobPort;
use sessions::Sessions;

/// The switchboard; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Control {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: Mutex<Sessions>,
    masters: Mutex<BTreeMap<JobId, (JobMasterEpoch, JobMasterHandle)>>,
    awaiting: Mutex<Awaiting>,
    resources: OnceLock<(LeaderEpoch, ResourceManagerHandle)>,
}

impl Control {
    /// Tells who manages the workers, and under which leadership. Counts once.
    pub fn attach(&self, leader: LeaderEpoch, resources: ResourceManagerHandle) {
        if self.inner.resources.set((leader, resources)).is_err() {
            tracing::error!("a second ResourceManager was attached to one switchboard, and is not used");
        }
    }

    fn resources(&self) -> Option<&ResourceManagerHandle> {
        self.inner.resources.get().map(|(_, resources)| resources)
    }

    /// Starts a JobMaster, which leads the job from now on. Nothing is routed meanwhile, so that no answer to its first
    /// words comes before it is known.
    pub fn lead<E>(
        &self,
        job: JobId,
        start: impl FnOnce() -> Result<JobMasterHandle, E>,
    ) -> Result<JobMasterHandle, E> {
        let mut masters = self.inner.masters.lock();
        let master = start()?;
        masters.insert(job, (master.epoch(), master.clone()));
        // Before anything more is routed; there is one for each TaskManager at most.
        for (worker, epoch, message) in self.inner.awaiting.lock().take(job) {
            master.tell_worker_message(worker, epoch, message);
        }
        Ok(master)
    }

    /// The job's JobMaster will be started: what is found of the job until then is for it.
    pub fn await_master(&self, job: JobId) {
        self.inner.awaiting.lock().begin(job);
    }

    /// The job's JobMaster leads no more, if `epoch` still does, and another one will be started: what this one has found is for that.
    pub fn await_another(&self, job: JobId, epoch: JobMasterEpoch, found: Vec<FoundOn>) {
        let mut masters = self.inner.masters.lock();
        if masters.get(&job).is_none_or(|(newest, _)| *newest != epoch) {
            return;
        }
        masters.remove(&job);
        let mut awaiting = self.inner.awaiting.lock();
        awaiting.begin(job);
        for (worker, epoch, found) in found {
            awaiting.keep(&worker, job, epoch, &WorkerToJob::Found(found));
        }
    }

    /// The job's JobMaster leads no more, if `epoch` still does, or will not be started.
    pub fn resign(&self, job: JobId, epoch: JobMasterEpoch) {
        let mut masters = self.inner.masters.lock();
        if masters.get(&job).is_some_and(|(newest, _)| *newest == epoch) {
            masters.remove(&job);
        }
        drop(masters);
        let found = self.inner.awaiting.lock().take(job);
        for (worker, epoch, _) in found {
            self.send(&worker, &ToWorker::Job { job, epoch, message: JobToWorker::Forget });
        }
    }

    fn master(&self, job: JobId) -> Option<(JobMasterEpoch, JobMasterHandle)> {
        self.inner.masters.lock().get(&job).cloned()
    }

    fn send(&self, to: &WorkerKey, message: &ToWorker) {
        self.inner.sessions.lock().send(to, message);
    }

    /// Gives a job's message to its JobMaster, or tells the worker that there is none.
    async fn route(&self, from: &WorkerKey, job: JobId, epoch: JobMasterEpoch, message: WorkerToJob) {
        let mut message = message;
        while let Some(master) = self.master_for(from, job, epoch, &message) {
            match master.worker_message(from.clone(), epoch, message).await {
                // It is said once only.
                Some(unheard @ WorkerToJob::Found(_)) => message = unheard,
                _ => return,
            }
        }
    }

    /// Whom a message is for; if there is nobody, it is kept or answered.
    fn master_for(
        &self,
        from: &WorkerKey,
        job: JobId,
        epoch: JobMasterEpoch,
        message: &WorkerToJob,
    ) -> Option<JobMasterHandle> {
        let is_found = matches!(message, WorkerToJob::Found(_));
        {
            let (masters, mut awaiting) = (self.inner.masters.lock(), self.inner.awaiting.lock());
            match masters.get(&job) {
                // The next one's, if it is about to step aside; nobody's, if it is about to resign.
                Some((newest, master)) if is_found && *newest >= epoch && !master.hears() => {
                    awaiting.begin(job);
                    awaiting.keep(from, job, epoch, message);
                    return None;
                }
                // What an older JobMaster has left is for the one that leads now.
                Some((newest, master)) if *newest == epoch || (*newest > epoch && is_found) => {
                    return Some(master.clone());
                }
                None if awaiting.keep(from, job, epoch, message) => return None,
                _ => {}
            }
        }
        self.send(from, &ToWorker::Job { job, epoch, message: JobToWorker::Forget });
        None
    }
}

#[cfg(test)]
mod tests {
    use flott_core::failure::Failure;
    use flott_jobmaster::{Event, testing::Overheard};
    use flott_resource_manager::ResourceListener;

    use super::{
        awaiting::tests::{JOB, found, worker},
        *,
    };

    /// What it hands on was found before.
    #[tokio::test]
    async fn what_is_lost_while_a_job_master_steps_aside_is_not_for_the_next_one() {
        let (control, older, epoch) = (Control::default(), JobMasterEpoch(1), JobMasterEpoch(2));
        let [a, b] = ["a", "b"].map(worker);
        let (master, mut overheard) = Overheard::of(JOB, epoch);
        control.lead(JOB, || Ok::<_, ()>(master)).unwrap();
        overheard.close();
        control.worker_lost(&a, &Failure::environment("no heartbeat"));
        let handed_on = [&a, &b].map(|on| match found(on) {
            WorkerToJob::Found(found) => (on.clone(), older, found),
            other => panic!("{other:?}"),
        });
        control.await_another(JOB, epoch, handed_on.into());
        // Nor is what was given back.
        control.route(&a, JOB, older, found(&a)).await;
        let (next, mut told) = Overheard::of(JOB, epoch);
        control.lead(JOB, || Ok::<_, ()>(next)).unwrap();
        let told: Vec<_> = std::iter::from_fn(|| told.try_event()).collect();
        assert!(matches!(&told[..], [Event::Worker { worker, .. }] if *worker == b), "{told:?}");
    }

    /// A JobMaster that ends as it is told of a process: when it was there in time, and when it was not.
    #[tokio::test]
    async fn what_is_found_while_a_job_master_steps_aside_is_for_the_next_one() {
        let (control, older, epoch) = (Control::default(), JobMasterEpoch(1), JobMasterEpoch(2));
        let led = |control: &Control| {
            let (master, overheard) = Overheard::of(JOB, epoch);
            control.lead(JOB, || Ok::<_, ()>(master)).unwrap();
            overheard
        };
        let [a, b, c] = ["a", "b", "c"].map(worker);
        let mut overheard = led(&control);
        // There is room for one message, so this one waits.
        control.route(&a, JOB, older, found(&a)).await;
        let waits = control.route(&b, JOB, older, found(&b));
        let steps_aside = async {
            tokio::task::yield_now().await;
            assert!(overheard.close().is_some());
            control.route(&c, JOB, older, found(&c)).await;
            control.await_another(JOB, epoch, Vec::new());
        };
        tokio::join!(waits, steps_aside);
        let mut next = led(&control);
        let told: Vec<_> = std::iter::from_fn(|| next.try_event()).collect();
        let is_of = |on: &WorkerKey| {
            told.iter().filter(|event| matches!(event, Event::Worker { worker, .. } if worker == on)).count()
        };
        assert_eq!([&a, &b, &c].map(is_of), [0, 1, 1], "{told:?}");
    }
}
