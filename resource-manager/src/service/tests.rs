//! The service among fake ports, in paused time.

use std::{sync::Arc, time::Duration};

use flott_core::{
    failure::Failure,
    id::{InstanceId, JobId, JobMasterEpoch, LeaderEpoch, WorkerId, WorkerKey},
    message::{FromWorker, LogAnswer, LogChunk, LogFile, Registration, SlotGrant, ToWorker},
    resource::ResourceProfile,
    view::PendingReason,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::ResourceManagerService;
use crate::{
    ConnectionNumber, Declaration, Error, Options, ResourceListener, ResourceManagerHandle, WorkerPort,
    backend::{
        LossReason,
        fake::{Fake, World},
    },
    handle::LogRead,
};

const JOB: JobId = JobId::from_bytes([1; 16]);

/// What the service has called.
#[derive(Debug, PartialEq)]
enum Call {
    Send(WorkerKey, ToWorker),
    Disconnect(WorkerKey),
    Pending(Vec<PendingReason>),
    Lost(WorkerKey, String),
}

struct Recorder(mpsc::UnboundedSender<Call>);

impl WorkerPort for Recorder {
    fn send(&self, to: &WorkerKey, message: ToWorker) {
        self.0.send(Call::Send(to.clone(), message)).unwrap();
    }

    fn disconnect(&self, worker: &WorkerKey, _reason: &str) {
        self.0.send(Call::Disconnect(worker.clone())).unwrap();
    }
}

impl ResourceListener for Recorder {
    fn pending(&self, _job: JobId, reasons: Vec<PendingReason>) {
        self.0.send(Call::Pending(reasons)).unwrap();
    }

    fn worker_lost(&self, worker: &WorkerKey, failure: &Failure) {
        self.0.send(Call::Lost(worker.clone(), failure.message.clone())).unwrap();
    }
}

struct Bench {
    handle: ResourceManagerHandle,
    calls: mpsc::UnboundedReceiver<Call>,
    world: World,
    backend: Arc<Fake>,
    end: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let (sender, calls) = mpsc::unbounded_channel();
        let recorder = Arc::new(Recorder(sender));
        let world = World::default();
        let backend = Arc::new(Fake::new(world.clone()));
        let end = CancellationToken::new();
        let options = Options::new(LeaderEpoch(3), "localhost:8081");
        let (service, handle) =
            ResourceManagerService::new(options, backend.clone(), recorder.clone(), recorder).unwrap();
        tokio::spawn(service.run(end.clone()));
        Self { handle, calls, world, backend, end }
    }

    async fn call(&mut self) -> Call {
        self.calls.recv().await.expect("the service goes on")
    }

    /// The next message to a worker.
    async fn sent(&mut self) -> ToWorker {
        loop {
            if let Call::Send(_, message) = self.call().await {
                return message;
            }
        }
    }

    async fn lost(&mut self) -> String {
        loop {
            if let Call::Lost(_, message) = self.call().await {
                return message;
            }
        }
    }

    fn need(&self, slots: u32) {
        self.handle.declare(Declaration::new(JOB, JobMasterEpoch(1), [(ResourceProfile::ANY, slots)].into()));
    }

    async fn register(&mut self, name: &str) -> WorkerKey {
        let worker = WorkerKey { worker: WorkerId(name.into()), instance: InstanceId::random() };
        let registration = Registration {
            worker: worker.worker.clone(),
            instance: worker.instance,
            pid: 1,
            host: "localhost".into(),
            cpu_cores: 1,
            physical_memory: 1,
            memory: 1,
            slots: vec![ResourceProfile::ANY],
            allocated: Vec::new(),
            started_at: 0,
            version: "0".into(),
        };
        self.handle.worker_registered(registration, ConnectionNumber(1)).await.unwrap();
        assert_eq!(self.sent().await, ToWorker::Registered { leader: LeaderEpoch(3) });
        worker
    }
}

#[tokio::test(start_paused = true)]
async fn declared_needs_bring_a_worker_and_a_grant() {
    let mut bench = Bench::new();
    bench.need(1);
    match bench.call().await {
        Call::Pending(reasons) => assert_eq!(reasons[0].reason, "waiting for 1 worker that is starting"),
        other => panic!("expected a reason, got {other:?}"),
    }
    assert_eq!(bench.handle.pending(JOB).await.unwrap().len(), 1);
    let worker = bench.register("taskmanager-3-1").await;
    let ToWorker::AllocateSlot(SlotGrant { allocation, job: JOB, .. }) = bench.sent().await else {
        panic!("expected a grant");
    };
    assert_eq!(bench.call().await, Call::Pending(Vec::new()));
    bench.handle.from_worker(worker.clone(), FromWorker::SlotAllocated(allocation)).await.unwrap();
    let [view] = &bench.handle.overview().await.unwrap()[..] else { panic!("one worker") };
    assert_eq!((&view.worker, view.allocated.len()), (&worker.worker, 1));
    bench.handle.withdraw(JOB, JobMasterEpoch(1));
    assert!(matches!(bench.sent().await, ToWorker::FreeSlot { .. }));
}

#[tokio::test(start_paused = true)]
async fn silence_and_ends_are_losses() {
    let mut bench = Bench::new();
    bench.register("a").await;
    assert_eq!(bench.lost().await, "TaskManager lost: no heartbeat for 8.0 s");
    bench.need(1);
    while !matches!(bench.call().await, Call::Pending(_)) {}
    bench.register("taskmanager-3-1").await;
    bench.backend.end(&WorkerId("taskmanager-3-1".into()), LossReason::Killed { signal: 9 });
    assert_eq!(bench.lost().await, "TaskManager lost: killed by signal 9 (SIGKILL)");
}

#[tokio::test(start_paused = true)]
async fn stopping_workers_waits_until_they_are_gone_and_ending_stops_none() {
    let mut bench = Bench::new();
    bench.need(2);
    bench.call().await;
    bench.register("taskmanager-3-1").await;
    assert_eq!(bench.world.lock().unwrap().len(), 2);
    bench.handle.stop_workers("the session ends").await.unwrap();
    assert!(bench.world.lock().unwrap().is_empty());

    let bench = Bench::new();
    bench.need(1);
    while bench.handle.pending(JOB).await.unwrap().is_empty() {}
    bench.end.cancel();
    while bench.handle.overview().await.is_ok() {}
    assert_eq!(bench.handle.overview().await, Err(Error::Ended));
    assert_eq!(bench.world.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn logs_are_read_from_the_worker_that_was_asked() {
    let mut bench = Bench::new();
    let worker = bench.register("a").await;
    let read = LogRead { worker: worker.worker.clone(), file: None, offset: 0, length_max: 1 };
    let answer = tokio::spawn({
        let (handle, read) = (bench.handle.clone(), read.clone());
        async move { handle.read_log(read).await }
    });
    let ToWorker::ReadLog(request) = bench.sent().await else { panic!("expected a log request") };
    let files = LogAnswer::Files(vec![LogFile { name: "taskmanager.log".into(), size: 1, modified_at: 1 }]);
    let chunk = LogChunk { request: request.request, result: Ok(files.clone()) };
    let stranger = WorkerKey { instance: InstanceId::random(), ..worker.clone() };
    let wrong = LogChunk { request: request.request, result: Err("not me".into()) };
    bench.handle.from_worker(stranger, FromWorker::Log(wrong)).await.unwrap();
    bench.handle.from_worker(worker.clone(), FromWorker::Log(chunk)).await.unwrap();
    assert_eq!(answer.await.unwrap(), Ok(files));

    let waited = Duration::from_secs(10);
    let unknown = LogRead { worker: WorkerId("b".into()), ..read.clone() };
    assert_eq!(bench.handle.read_log(unknown).await, Err(Error::UnknownWorker(WorkerId("b".into()))));
    let keep_alive = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let freed = FromWorker::SlotFreed(flott_core::id::AllocationId::from_bytes([0; 16]));
            bench.handle.from_worker(worker.clone(), freed).await.unwrap();
        }
    };
    tokio::select! {
        () = keep_alive => {}
        answer = bench.handle.read_log(read) => {
            assert_eq!(answer, Err(Error::NoAnswer { worker: worker.worker.clone(), waited }));
        }
    }
}

#[test]
fn options_that_cannot_work_are_refused() {
    let mut options = Options::new(LeaderEpoch(1), "localhost:8081").slot_manager;
    options.worker.slots = 0;
    let error = options.validate().unwrap_err();
    assert_eq!(error.to_string(), "taskmanager.numberOfTaskSlots must be greater than 0, not 0");
    options.worker.slots = 1;
    (options.workers_min, options.workers_max) = (3, Some(2));
    let error = options.validate().unwrap_err();
    assert_eq!(error.to_string(), "the most workers must be no less than the fewest, not 2 with at least 3 workers");
}
