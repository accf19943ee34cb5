//! The loop around the machine.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use flott_core::{
    id::{AllocationId, CheckpointId, JobId, JobMasterEpoch, SlotIndex, WorkerKey},
    message::{Committable, JobToWorker, SlotGrant},
    view::JobView,
};
use tokio::sync::mpsc;

use super::*;
use crate::{
    service::{ClusterPort, Declaration, JobListener, JobMasterHandle, JobMasterService, Options, ToStore},
    testing::{FakeWorker, Profile},
};

/// One TaskManager with slots for everything, beside the JobMaster in the same process.
struct Local {
    to_worker: mpsc::UnboundedSender<Doing>,
}

enum Doing {
    Declared(Declaration),
    Message(JobToWorker),
}

impl ClusterPort for Local {
    fn declare(&self, declaration: Declaration) {
        let _ = self.to_worker.send(Doing::Declared(declaration));
    }

    fn send(&self, _: &WorkerKey, _: JobMasterEpoch, message: JobToWorker) {
        let _ = self.to_worker.send(Doing::Message(message));
    }
}

#[derive(Default)]
struct Listener {
    handle: OnceLock<JobMasterHandle>,
    statuses: Mutex<Vec<JobStatus>>,
    ends: AtomicU32,
}

impl JobListener for Listener {
    fn status_changed(&self, _: JobId, status: JobStatus) {
        self.statuses.lock().unwrap().push(status);
    }

    fn persist_scale(&self, _: JobId, _: JobMasterEpoch, _: flott_core::job_graph::scale::Scale) {}

    fn persist_past(&self, _: JobId, _: JobMasterEpoch, _: flott_core::past::Past) {}

    fn persist_commit(&self, _: JobId, _: JobMasterEpoch, _: Vec<Committable>) {
        self.handle.get().unwrap().commit_persisted(Ok(()));
    }

    fn store_checkpoint(&self, _: JobId, _: JobMasterEpoch, what: ToStore) {
        self.handle.get().unwrap().checkpoint_stored(what.manifest.checkpoint, Ok(()));
    }

    fn find_checkpoint(&self, _: JobId, _: JobMasterEpoch, _: BTreeSet<CheckpointId>) {
        self.handle.get().unwrap().checkpoint_found(None, Default::default());
    }

    fn stepped_aside(
        &self,
        _: JobId,
        _: JobMasterEpoch,
        checkpoint: CheckpointId,
        _: Vec<(WorkerKey, JobMasterEpoch, Box<flott_core::message::Found>)>,
    ) {
        panic!("checkpoint {checkpoint} is there");
    }

    fn ended(&self, _: Arc<JobView>) {
        self.ends.fetch_add(1, Ordering::Relaxed);
    }
}

/// Plays the TaskManager until the JobMaster lets go of its port. With `works`, tasks run to their end.
async fn play(
    mut worker: FakeWorker,
    mut doings: mpsc::UnboundedReceiver<Doing>,
    handle: JobMasterHandle,
    works: bool,
) {
    let (key, epoch) = (worker.key().clone(), handle.epoch());
    let mut given = 0u8;
    while let Some(doing) = doings.recv().await {
        let mut answers = Vec::new();
        match doing {
            Doing::Declared(declaration) => {
                for (profile, count) in declaration.needs.slots {
                    while u32::from(given) < count {
                        given += 1;
                        answers.push(worker.allocate(SlotGrant {
                            slot: SlotIndex(given.into()),
                            allocation: AllocationId::from_bytes([given; 16]),
                            job: handle.job(),
                            epoch,
                            profile,
                        }));
                    }
                }
            }
            Doing::Message(message) => answers = worker.receive(message),
        }
        loop {
            for answer in std::mem::take(&mut answers) {
                handle.worker_message(key.clone(), epoch, answer).await;
            }
            let live: Vec<_> = worker.live().map(|(attempt, _)| attempt).collect();
            if works {
                answers.extend(live.into_iter().filter_map(|attempt| worker.work(attempt)));
            }
            if answers.is_empty() {
                break;
            }
        }
    }
}

fn start(works: bool, options: Options) -> (JobMasterHandle, Arc<Listener>) {
    let spec = spec_of(word_count(), RestartStrategy::None);
    let worker = FakeWorker::new(1, 4, spec.epoch, Profile::of(&spec.graph, 10));
    let (to_worker, doings) = mpsc::unbounded_channel();
    let listener = Arc::new(Listener::default());
    let handle =
        JobMasterService::start(spec, options, Arc::new(Local { to_worker }), Arc::clone(&listener) as _).unwrap();
    assert!(listener.handle.set(handle.clone()).is_ok());
    tokio::spawn(play(worker, doings, handle.clone(), works));
    (handle, listener)
}

#[tokio::test]
async fn a_job_runs_inside_one_process() {
    let (handle, listener) = start(true, Options::default());
    let view = handle.ended().await.unwrap();
    assert_eq!((view.status, handle.status()), (JobStatus::Finished, JobStatus::Finished));
    assert_eq!(*listener.statuses.lock().unwrap(), [JobStatus::Created, JobStatus::Running, JobStatus::Finished]);
    assert_eq!(listener.ends.load(Ordering::Relaxed), 1);
    // What comes late is dropped, and the job can still be asked.
    handle.cancel();
    handle
        .worker_message(
            FakeWorker::new(1, 0, handle.epoch(), Profile::of(&word_count().build(), 0)).key().clone(),
            handle.epoch(),
            flott_core::message::WorkerToJob::OfferSlots(Vec::new()),
        )
        .await;
    assert_eq!(handle.view().await.unwrap(), view);
}

#[tokio::test]
async fn a_small_mailbox_holds_nobody_up() {
    let (handle, _) = start(true, Options { mailbox: 1, ..Options::default() });
    assert_eq!(handle.ended().await.unwrap().status, JobStatus::Finished);
}

#[tokio::test]
async fn a_running_job_can_be_looked_at_and_cancelled() {
    let (handle, listener) = start(false, Options::default());
    handle.wait_for_status(|status| status == JobStatus::Running).await.unwrap();
    assert_eq!(handle.view().await.unwrap().status, JobStatus::Running);
    handle.cancel();
    assert_eq!(handle.ended().await.unwrap().status, JobStatus::Canceled);
    assert_eq!(listener.ends.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_stopped_job_master_ends_no_job() {
    let (handle, listener) = start(false, Options::default());
    handle.wait_for_status(|status| status == JobStatus::Running).await.unwrap();
    handle.stop();
    assert!(handle.ended().await.is_err());
    assert_eq!(handle.status(), JobStatus::Suspended);
    assert_eq!(listener.ends.load(Ordering::Relaxed), 0);
    assert_eq!(
        handle.view().await.unwrap_err().to_string(),
        format!("the JobMaster of job {} has stopped", handle.job())
    );
}

#[tokio::test(start_paused = true)]
async fn waits_end_by_the_clock() {
    let spec = spec_of(word_count(), RestartStrategy::None);
    let (to_worker, _doings) = mpsc::unbounded_channel();
    let listener = Arc::new(Listener::default());
    let handle = JobMasterService::start(spec, Options::default(), Arc::new(Local { to_worker }), listener).unwrap();
    let view = handle.ended().await.unwrap();
    assert_eq!(view.status, JobStatus::Failed);
    assert!(view.failure.as_ref().unwrap().message.starts_with("not enough slots within 300000 ms"));
}

/// A port with a bug in it.
struct Broken;

impl ClusterPort for Broken {
    fn declare(&self, declaration: Declaration) {
        assert!(declaration.needs.slots.is_empty(), "this panic is part of the test");
    }

    fn send(&self, _: &WorkerKey, _: JobMasterEpoch, _: JobToWorker) {}
}

#[tokio::test]
async fn a_panic_fails_the_job() {
    let spec = spec_of(word_count(), RestartStrategy::None);
    let listener = Arc::new(Listener::default());
    let handle =
        JobMasterService::start(spec, Options::default(), Arc::new(Broken), Arc::clone(&listener) as _).unwrap();
    let view = handle.ended().await.unwrap();
    assert_eq!(view.failure.as_ref().unwrap().message, "the JobMaster panicked");
    assert_eq!(view.status, JobStatus::Failed);
}
