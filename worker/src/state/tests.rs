use std::time::{Duration, Instant};

use flott_core::{
    failure::{Domain, Failure},
    id::{
        AllocationId, AttemptId, AttemptNumber, CheckpointId, Digest, JobId, JobMasterEpoch, JobSecret, LeaderEpoch,
        OperatorId, ProcessId, SlotIndex, SubtaskIndex, VertexId, WorkerId,
    },
    journal::SplitMark,
    message::{
        Deployment, Found, FoundTask, FromWorker, HostToJob, JobSetup, JobToHost, JobToWorker, ProcessLocation,
        SlotGrant, TaskDeployment, TaskStateChange, WorkerToJob,
    },
    resource::ResourceProfile,
    status::ExecutionState,
};

use super::{Action, Ending, Event, Settings, State};

mod connection;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn settings(slots: usize) -> Settings {
    Settings {
        worker: WorkerId("w".into()),
        slots: vec![ResourceProfile { cpu_millicores: 1000, memory_bytes: 1 << 30 }; slots],
        offer_interval: SECOND,
        start_timeout: 30 * SECOND,
        cancellation_timeout: Some(20 * SECOND),
        ask_grace: SECOND,
        terminate_grace: 5 * SECOND,
    }
}

pub(super) fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

pub(super) fn allocation(n: u8) -> AllocationId {
    AllocationId::from_bytes([n; 16])
}

pub(super) fn grant(slot: u32, n: u8, of: u8, epoch: u64) -> SlotGrant {
    SlotGrant {
        slot: SlotIndex(slot),
        allocation: allocation(n),
        job: job(of),
        epoch: JobMasterEpoch(epoch),
        profile: ResourceProfile::ANY,
    }
}

pub(crate) fn setup(of: u8) -> Box<JobSetup> {
    Box::new(JobSetup {
        job: job(of),
        name: "job".into(),
        graph: Digest::of(b"graph"),
        program: Digest::of(b"program"),
        program_name: "program".into(),
        arguments: Vec::new(),
        secret: JobSecret::from_bytes([0; 16]),
        configuration: [("task.cancellation.timeout".to_owned(), "10 s".to_owned())].into(),
    })
}

pub(super) fn location(process: ProcessId) -> ProcessLocation {
    ProcessLocation { process, worker: WorkerId("w".into()), data_address: ([127, 0, 0, 1], 1).into(), pid: 7 }
}

fn attempt() -> AttemptId {
    let vertex = VertexId::of_chain(OperatorId::from_uid("v"));
    AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) }
}

fn ended(attempt: AttemptId) -> HostToJob {
    HostToJob::TaskState(Box::new(TaskStateChange {
        attempt,
        state: ExecutionState::Canceled,
        failure: None,
        metrics: Default::default(),
        committables: Vec::new(),
        accumulators: Default::default(),
    }))
}

fn deploy() -> JobToHost {
    JobToHost::Deploy(Box::new(Deployment {
        epoch: JobMasterEpoch(1),
        tasks: Vec::new(),
        edges: Vec::new(),
        processes: [].into(),
    }))
}

/// A TaskManager on a clock of its own.
struct Worker {
    state: State,
    now: Instant,
}

impl Worker {
    fn registered(slots: usize) -> Self {
        let mut worker = Self { state: State::new(settings(slots), 1), now: Instant::now() };
        assert_eq!(worker.on(Event::Registered { leader: LeaderEpoch(1) }), []);
        worker
    }

    /// With one accepted slot for job 1 and its process up.
    fn running() -> (Self, ProcessId) {
        let mut worker = Self::registered(2);
        worker.on(Event::Allocate(grant(0, 1, 1, 1)));
        worker.says(1, 1, JobToWorker::AcceptSlots(vec![allocation(1)]));
        let process = worker.starts(1, 1);
        worker.on(Event::Spawned { process });
        worker.on(Event::Ready { location: location(process) });
        (worker, process)
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        self.state.handle(self.now, event)
    }

    fn says(&mut self, of: u8, epoch: u64, message: JobToWorker) -> Vec<Action> {
        self.on(Event::Job { job: job(of), epoch: JobMasterEpoch(epoch), message })
    }

    fn host(&mut self, process: ProcessId, message: JobToHost) -> Vec<Action> {
        self.says(1, 1, JobToWorker::Host { process, message })
    }

    #[track_caller]
    fn starts(&mut self, of: u8, epoch: u64) -> ProcessId {
        match self.says(of, epoch, JobToWorker::StartProcess(setup(of))).as_slice() {
            [Action::Start { process, .. }] => *process,
            other => panic!("no process was started: {other:?}"),
        }
    }

    fn after(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.on(Event::Tick)
    }

    fn ends(&mut self, process: ProcessId) -> Vec<Action> {
        self.on(Event::Ended { process, failure: Failure::user("exit") })
    }
}

fn to_job(of: u8, epoch: u64, message: WorkerToJob) -> Action {
    Action::Send(FromWorker::Job { job: job(of), epoch: JobMasterEpoch(epoch), message })
}

fn offer(of: u8, epoch: u64, grants: Vec<SlotGrant>) -> Action {
    to_job(of, epoch, WorkerToJob::OfferSlots(grants))
}

fn allocated(n: u8) -> Action {
    Action::Send(FromWorker::SlotAllocated(allocation(n)))
}

fn freed(n: u8) -> Action {
    Action::Send(FromWorker::SlotFreed(allocation(n)))
}

/// What the JobMaster is told about a lost process.
#[track_caller]
fn reported(actions: &[Action], lost: ProcessId) -> Failure {
    match actions {
        [Action::Send(FromWorker::Job { message: WorkerToJob::ProcessLost { process, failure }, .. })] => {
            assert_eq!(*process, lost);
            failure.clone()
        }
        other => panic!("no loss was reported: {other:?}"),
    }
}

#[track_caller]
fn check_refused(grant: SlotGrant, expected: &str) {
    let mut worker = Worker::registered(2);
    worker.on(Event::Allocate(super::tests::grant(0, 1, 1, 5)));
    match worker.on(Event::Allocate(grant)).as_slice() {
        [Action::Send(FromWorker::SlotRefused { reason, .. })] => assert_eq!(reason, expected),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn allocated_slot_is_offered_until_answered() {
    let mut worker = Worker::registered(2);
    let first = grant(0, 1, 1, 1);
    assert_eq!(worker.on(Event::Allocate(first.clone())), [allocated(1), offer(1, 1, vec![first.clone()])]);
    assert_eq!(worker.state.deadline(), Some(worker.now + SECOND));
    assert_eq!(worker.after(SECOND / 2), []);
    assert_eq!(worker.after(SECOND), [offer(1, 1, vec![first.clone()])]);
    assert_eq!(worker.says(1, 1, JobToWorker::AcceptSlots(vec![allocation(1)])), []);
    assert_eq!(worker.after(10 * SECOND), []);
    assert_eq!(worker.state.allocated(), [first]);
}

#[test]
fn rejected_slot_is_free_for_another_job() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Allocate(grant(0, 1, 1, 1)));
    assert_eq!(worker.says(1, 1, JobToWorker::RejectSlots(vec![allocation(1)])), [freed(1)]);
    let other = grant(0, 2, 2, 1);
    assert_eq!(worker.on(Event::Allocate(other.clone())), [allocated(2), offer(2, 1, vec![other])]);
}

#[test]
fn repeated_allocation_is_answered_alike() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Allocate(grant(0, 1, 1, 1)));
    assert_eq!(worker.on(Event::Allocate(grant(0, 1, 1, 1))), [allocated(1)]);
}

#[test]
fn impossible_allocations_are_refused_with_the_reason() {
    check_refused(grant(0, 2, 2, 1), &format!("slot 0 is taken by job {}", job(1)));
    check_refused(grant(9, 2, 2, 1), "there is no slot 9, only 2 from 0");
    check_refused(grant(1, 1, 1, 5), &format!("allocation {} is on slot 0 already", allocation(1)));
    check_refused(grant(1, 2, 1, 4), &format!("JobMaster epoch 4 of job {} is not the newest", job(1)));
    let big = ResourceProfile { cpu_millicores: 0, memory_bytes: 2 << 30 };
    check_refused(
        SlotGrant { profile: big, ..grant(1, 2, 2, 1) },
        "slot 1 offers 1.000 cores, 1024 MiB, not 0.000 cores, 2048 MiB",
    );
}

#[test]
fn a_job_cannot_free_the_slot_of_another() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Allocate(grant(0, 1, 1, 1)));
    assert_eq!(worker.says(2, 1, JobToWorker::FreeSlots(vec![allocation(1)])), []);
    assert_eq!(worker.state.allocated().len(), 1);
}

#[test]
fn accepting_a_slot_that_is_gone_is_answered_with_its_loss() {
    let (mut worker, _) = Worker::running();
    let reason = "the TaskManager does not hold this slot for the job".to_owned();
    assert_eq!(
        worker.says(1, 1, JobToWorker::AcceptSlots(vec![allocation(9)])),
        [to_job(1, 1, WorkerToJob::SlotLost { allocation: allocation(9), reason })]
    );
}

#[test]
fn process_without_a_slot_is_not_started() {
    let mut worker = Worker::registered(1);
    let actions = worker.says(1, 1, JobToWorker::StartProcess(setup(1)));
    let [Action::Send(FromWorker::Job { message: WorkerToJob::ProcessLost { failure, .. }, .. })] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(failure.causes, ["the job holds no slot on this TaskManager"]);
}

#[test]
fn ready_process_is_reported_as_often_as_asked() {
    let (mut worker, process) = Worker::running();
    let ready = to_job(1, 1, WorkerToJob::ProcessReady(location(process)));
    assert_eq!(worker.says(1, 1, JobToWorker::StartProcess(setup(1))), [ready]);
    assert_eq!(worker.on(Event::Ready { location: location(process) }), []);
}

#[test]
fn unexpected_end_is_reported_and_leaves_the_slots() {
    let (mut worker, process) = Worker::running();
    let failure = reported(&worker.ends(process), process);
    assert_eq!(failure.location.worker, Some(WorkerId("w".into())));
    assert_eq!(worker.state.allocated().len(), 1);
    assert_ne!(worker.starts(1, 1), process);
}

#[test]
fn messages_pass_to_the_process_they_name_alone() {
    let (mut worker, process) = Worker::running();
    assert_eq!(worker.host(process, deploy()), [Action::Deliver { process, message: deploy() }]);
    let other = ProcessId::from_bytes([9; 16]);
    assert_eq!(reported(&worker.host(other, deploy()), other).message, "the job process is gone from its TaskManager");
    let message = ended(attempt());
    assert_eq!(
        worker.on(Event::Host { process, message: message.clone() }),
        [to_job(1, 1, WorkerToJob::Host { process, message })]
    );
    assert_eq!(worker.on(Event::Host { process: ProcessId::from_bytes([9; 16]), message: ended(attempt()) }), []);
}

#[test]
fn program_that_never_gets_ready_is_killed() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Allocate(grant(0, 1, 1, 1)));
    worker.says(1, 1, JobToWorker::AcceptSlots(vec![allocation(1)]));
    let process = worker.starts(1, 1);
    assert_eq!(worker.after(100 * SECOND), [], "fetching has no such limit");
    worker.on(Event::Spawned { process });
    assert_eq!(worker.after(30 * SECOND), [Action::End { process, how: Ending::Kill }]);
    assert_eq!(
        reported(&worker.ends(process), process).message,
        "program did not reach execute() in host mode within 30 s"
    );
}

#[test]
fn task_that_ignores_its_cancellation_takes_its_process_down() {
    let (mut worker, process) = Worker::running();
    let cancel = JobToHost::Cancel(vec![attempt()]);
    worker.host(process, cancel.clone());
    worker.after(9 * SECOND);
    worker.host(process, cancel);
    assert_eq!(worker.after(SECOND), [Action::End { process, how: Ending::Kill }], "a repeat gives no more time");
    let failure = reported(&worker.ends(process), process);
    assert_eq!(failure.domain, Domain::User);
    assert_eq!(
        failure.message, "1 cancelled task(s) did not stop within 10 s; the job process was killed",
        "the job's own timeout holds"
    );
}

#[test]
fn cancelled_task_that_ends_in_time_is_left_alone() {
    let (mut worker, process) = Worker::running();
    worker.host(process, JobToHost::Cancel(vec![attempt()]));
    worker.on(Event::Host { process, message: ended(attempt()) });
    assert_eq!(worker.after(1000 * SECOND), []);
    assert_eq!(worker.state.deadline(), None);
}

#[test]
fn forgotten_job_leaves_nothing_and_is_ended_ever_harder() {
    let (mut worker, process) = Worker::running();
    assert_eq!(worker.says(1, 1, JobToWorker::Forget), [freed(1), Action::End { process, how: Ending::Ask }]);
    assert_eq!(worker.state.allocated(), []);
    assert_eq!(worker.after(SECOND), [Action::End { process, how: Ending::Terminate }]);
    assert_eq!(worker.after(5 * SECOND), [Action::End { process, how: Ending::Kill }]);
    assert_eq!(worker.ends(process), [], "its JobMaster does not want to know");
    assert_eq!(worker.state.deadline(), None);
}

#[test]
fn last_slot_takes_the_process_with_it() {
    let (mut worker, process) = Worker::running();
    let gone = Action::End { process, how: Ending::Ask };
    assert_eq!(worker.says(1, 1, JobToWorker::FreeSlots(vec![allocation(1)])), [freed(1), gone]);
    let failure = reported(&worker.ends(process), process);
    assert_eq!(failure.message, "the job holds no slot on this TaskManager any more");
}

#[test]
fn slot_taken_back_is_told_to_both_sides() {
    let (mut worker, process) = Worker::running();
    let lost = WorkerToJob::SlotLost { allocation: allocation(1), reason: "unknown".into() };
    assert_eq!(
        worker.on(Event::FreeSlot { allocation: allocation(1), reason: "unknown".into() }),
        [to_job(1, 1, lost), freed(1), Action::End { process, how: Ending::Ask }]
    );
    assert_eq!(worker.on(Event::FreeSlot { allocation: allocation(1), reason: "again".into() }), [freed(1)]);
}

#[test]
fn newer_job_master_sweeps_out_the_older_ones_things() {
    let (mut worker, process) = Worker::running();
    let actions = worker.on(Event::Allocate(grant(1, 2, 1, 2)));
    assert_eq!(
        actions,
        [freed(1), Action::End { process, how: Ending::Terminate }, allocated(2), offer(1, 2, vec![grant(1, 2, 1, 2)])]
    );
    assert_eq!(worker.says(1, 1, JobToWorker::Forget), [], "the older one is not heard any more");
    // The new process waits for the old one's end, which is hurried.
    assert_eq!(worker.says(1, 2, JobToWorker::StartProcess(setup(1))), [Action::End { process, how: Ending::Kill }]);
    assert!(matches!(&worker.ends(process)[..], [Action::Start { process: fresh, .. }] if *fresh != process));
}

#[test]
fn fence_outlives_the_job() {
    let (mut worker, process) = Worker::running();
    worker.says(1, 7, JobToWorker::Forget);
    worker.ends(process);
    assert!(matches!(
        &worker.on(Event::Allocate(grant(0, 3, 1, 6)))[..],
        [Action::Send(FromWorker::SlotRefused { .. })]
    ));
    assert_eq!(worker.on(Event::Allocate(grant(0, 3, 1, 7)))[0], allocated(3));
}

#[test]
fn life_that_is_given_up_leaves_nothing() {
    let (mut worker, process) = Worker::running();
    assert_eq!(worker.on(Event::GivenUp), [Action::End { process, how: Ending::Kill }]);
    assert_eq!(worker.state.allocated(), []);
    assert!(!worker.state.is_registered());
    assert_eq!(worker.ends(process), []);
    assert_eq!(worker.on(Event::Registered { leader: LeaderEpoch(1) }), []);
}

#[test]
fn condemned_process_is_killed_and_reported_with_the_reason() {
    let (mut worker, process) = Worker::running();
    let failure = Failure::user("planned something else").fatal();
    assert_eq!(worker.on(Event::Condemned { process, failure }), [Action::End { process, how: Ending::Kill }]);
    assert_eq!(reported(&worker.ends(process), process).message, "planned something else");
}

#[test]
fn stop_waits_for_every_process() {
    let (mut worker, process) = Worker::running();
    assert_eq!(
        worker.on(Event::Stop { reason: "asked".into() }),
        [freed(1), Action::End { process, how: Ending::Terminate }]
    );
    assert_eq!(worker.host(process, deploy()), [], "who speaks to it hears of the leave");
    assert!(matches!(
        &worker.on(Event::Allocate(grant(0, 3, 2, 1)))[..],
        [Action::Send(FromWorker::SlotRefused { .. })]
    ));
    assert_eq!(worker.ends(process), [Action::Stopped { reason: "asked".into() }]);
    assert_eq!(worker.after(100 * SECOND), [], "told once");
}
