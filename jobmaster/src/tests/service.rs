//! The loop around the machine.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use flott_core::{
    failure::Failure,
    id::{AllocationId, CheckpointId, JobId, JobMasterEpoch, SlotIndex, WorkerKey},
    message::{Committable, JobToWorker, SlotGrant, WorkerToJob},
    view::JobView,
};
use tokio::sync::mpsc;

use super::{reconciling::found_with_a_later_checkpoint, *};
use crate::{
    core::FoundOn,
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
    asides: Mutex<Vec<Vec<FoundOn>>>,
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

    fn stepped_aside(&self, _: JobId, _: JobMasterEpoch, _: CheckpointId, found: Vec<FoundOn>) {
        self.asides.lock().unwrap().push(found);
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
                // What a job that has ended does not hear is nobody's.
                drop(handle.worker_message(key.clone(), epoch, answer).await);
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
    // What comes late is given back, and the job can still be asked.
    handle.cancel();
    let worker = FakeWorker::new(1, 0, handle.epoch(), Profile::of(&word_count().build(), 0)).key().clone();
    let late = WorkerToJob::OfferSlots(Vec::new());
    assert_eq!(handle.worker_message(worker, handle.epoch(), late.clone()).await, Some(late));
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

/// Those that know a checkpoint which the log lacks are found in the end; meanwhile one is lost, and another one was found.
#[tokio::test]
async fn what_waits_to_be_heard_when_a_job_master_steps_aside_is_handed_on() {
    let (spec, found) = found_with_a_later_checkpoint();
    let (to_worker, _doings) = mpsc::unbounded_channel();
    let listener = Arc::new(Listener::default());
    let port = Arc::new(Local { to_worker });
    let handle = JobMasterService::start(spec, Options::default(), port, Arc::clone(&listener) as _).unwrap();
    let mut all = found.iter();
    let (lost, process) = all.next().unwrap();
    let other = FakeWorker::new(9, 0, handle.epoch(), Profile::of(&word_count().build(), 0)).key().clone();
    // It has not begun to hear.
    for (worker, process) in found.iter().chain([(&other, process)]) {
        let message = WorkerToJob::Found(Box::new(process.clone()));
        handle.tell_worker_message(worker.clone(), JobMasterEpoch(1), message);
    }
    handle.worker_lost(lost.clone(), Failure::environment("no heartbeat"));
    let view = handle.view().await;
    assert!(view.is_err() && !handle.hears());
    let asides = listener.asides.lock().unwrap();
    let [handed_on] = &asides[..] else { panic!("{asides:?}") };
    let by: Vec<_> = handed_on.iter().map(|(worker, ..)| worker).collect();
    assert_eq!(by, all.map(|(worker, _)| worker).chain([&other]).collect::<Vec<_>>());
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
