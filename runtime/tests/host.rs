//! What a host says about its tasks, whatever their code does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Origin, RestorePart, SnapshotKind, TaskRestore},
    codec,
    failure::{Domain, Failure},
    id::{AttemptId, AttemptNumber, CheckpointId, EdgeIndex, JobId, OperatorId},
    job_graph::ShipStrategy,
    key_group::{KeyGroupRange, MaxParallelism},
    message::{Committable, HostToJob, JobToHost, TaskStateChange},
    status::ExecutionState,
};
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch},
    channel::{CREDITS, Partitioner},
    error::TaskResult,
    event::Event,
    output::{Chained, Output},
    program::JobProgram,
    task::{OneInputHead, SourceHead, TaskHead, TaskWiring},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[path = "harness/cluster.rs"]
mod cluster;
#[path = "harness/parts.rs"]
mod parts;

use cluster::{BuiltBy, Cluster, PATIENCE, attempt, graph, operator_id, vertex_id};
use parts::{By, Gather, Gathered, Numbered, Silent, operator};

fn split(records: u64) -> Bytes {
    codec::to_vec(&(0_u64, records, BATCH_RECORDS as u64)).unwrap().into()
}

/// A source of endless numbers, then a sink whose chain begins with an operator that does this.
fn faulty<O, P>(open: O, process: P) -> Arc<dyn JobProgram>
where
    O: Fn() -> TaskResult + Clone + Send + Sync + 'static,
    P: Fn(&mut Batch<u64>) -> TaskResult + Clone + Send + Sync + 'static,
{
    Arc::new(BuiltBy(move |mut wiring: TaskWiring| {
        if wiring.info().vertex == vertex_id(1) {
            let out = wiring.writer(EdgeIndex(0), Partitioner::single())?;
            SourceHead::new(Arc::new(Numbered(|number: u64| number)), operator(1, "numbers"), None, out, &mut wiring)
        } else {
            let sink = Box::new(Gather { subtask: 0, all: Gathered::default() });
            let by = By { open: open.clone(), process: process.clone() };
            let chain = Chained::open(operator(2, "breaks"), by, sink, wiring.info())?;
            let gate = wiring.input_gate::<u64>(0)?;
            Ok(OneInputHead::new(gate, Box::new(chain), &mut wiring))
        }
    }))
}

fn faulty_cluster(hosts: usize, program: Arc<dyn JobProgram>) -> Cluster {
    let graph = graph(&[("numbers", 2), ("sums", 2)], &[(1, 2, ShipStrategy::Forward)]);
    Cluster::start(hosts, &graph, program)
}

/// Lets `program` run until a task has failed; its report comes back.
#[track_caller]
fn failed(cluster: &Cluster) -> TaskStateChange {
    loop {
        match cluster.next() {
            (from, HostToJob::RequestSplit { attempt, source }) => {
                let split = Some(split(u64::MAX));
                cluster.hosts[from].deliver(JobToHost::AssignSplit { attempt, source, split, share: 1 });
            }
            (_, HostToJob::TaskState(change)) if change.state == ExecutionState::Failed => return *change,
            _ => {}
        }
    }
}

#[track_caller]
fn check_failure(program: Arc<dyn JobProgram>, message: &str, cause: &str) {
    let cluster = faulty_cluster(1, program);
    cluster.deploy(0);
    let change = failed(&cluster);
    let failure = change.failure.unwrap();
    let place = &failure.location;
    assert_eq!(failure.message, message);
    assert!(cause.is_empty() || failure.causes[0].contains(cause), "{:?}", failure.causes);
    assert_eq!((place.task.as_deref(), place.operator.as_deref()), (Some("sums"), Some("breaks")));
    assert_eq!(place.subtask, Some((change.attempt.subtask.0, 2)));
    assert_eq!((place.attempt, place.worker.as_ref().map(|worker| worker.0.as_str())), (Some(0), Some("worker-0")));
}

#[test]
fn a_failure_names_task_operator_and_subtask() {
    let program = faulty(|| Ok(()), |_| Err(Box::new(Failure::user("no more"))));
    check_failure(program, "no more", "");
}

#[test]
fn a_panic_is_a_failure_that_says_where() {
    let program = faulty(|| Ok(()), |batch| panic!("cannot take {}", batch.len()));
    check_failure(program, "the program panicked: cannot take 1024", "tests/host.rs");
    let program = faulty(|| Ok(()), |_| std::panic::panic_any(7));
    check_failure(program, "the program panicked: (no message)", "tests/host.rs");
}

#[test]
fn an_operator_that_does_not_open_is_named() {
    check_failure(faulty(|| Err(Box::new(Failure::user("shut"))), |_| Ok(())), "shut", "");
    check_failure(faulty(|| panic!("shut"), |_| Ok(())), "the program panicked: shut", "tests/host.rs");
}

#[derive(Clone)]
struct PanicsWhenDropped(Arc<AtomicBool>);

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if self.0.swap(false, SeqCst) {
            panic!("dropped");
        }
    }
}

/// What a failed, and a cancelled, task owns is dropped before it is reported; user code may panic there once more.
#[test]
fn a_panic_in_a_destructor_does_not_swallow_the_report() {
    for fail in [true, false] {
        let (armed, fails) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(fail));
        let (bomb, fails) = (PanicsWhenDropped(armed.clone()), Arc::new(fails));
        let program = faulty(
            || Ok(()),
            move |_| {
                bomb.0.store(true, SeqCst);
                if fails.load(SeqCst) { Err(Box::new(Failure::user("no more"))) } else { Ok(()) }
            },
        );
        let cluster = faulty_cluster(1, program);
        cluster.deploy(0);
        if fail {
            assert_eq!(failed(&cluster).failure.unwrap().message, "the program panicked: dropped");
        } else {
            let attempts = (0..2).flat_map(|subtask| [attempt(1, subtask), attempt(2, subtask)]).collect();
            cluster.hosts[0].deliver(JobToHost::Cancel(attempts));
            for _ in 0..4 {
                assert_eq!(cluster.next_ended().state, ExecutionState::Canceled);
            }
        }
        armed.store(false, SeqCst);
    }
}

fn silent() -> Cluster {
    let program = BuiltBy(|mut wiring: TaskWiring| {
        let sink = Box::new(Gather { subtask: 0, all: Gathered::default() });
        SourceHead::new(Arc::new(Silent), operator(1, "silence"), None, sink, &mut wiring)
    });
    Cluster::start(1, &graph(&[("silence", 1)], &[]), Arc::new(program))
}

#[track_caller]
fn check_canceled(cluster: &Cluster, which: AttemptId) {
    cluster.hosts[0].deliver(JobToHost::Cancel(vec![which]));
    let change = cluster.next_ended();
    assert_eq!((change.attempt, change.state), (which, ExecutionState::Canceled));
}

#[test]
fn whatever_is_cancelled_answers() {
    let cluster = silent();
    cluster.deploy(0);
    check_canceled(&cluster, attempt(1, 0));
    // Again, in case the report was lost, and for one that never was.
    check_canceled(&cluster, attempt(1, 0));
    check_canceled(&cluster, attempt(7, 3));
}

#[test]
fn a_cancel_that_overtakes_its_deployment_wins() {
    let cluster = silent();
    check_canceled(&cluster, attempt(1, 0));
    cluster.deploy(0);
    // The next attempt shows that the first one would have been reported by now.
    cluster.deploy(1);
    let (_, first) = cluster.next();
    let HostToJob::TaskState(change) = first else { panic!("{first:?} is no state") };
    assert_eq!((change.attempt.attempt, change.state), (AttemptNumber(1), ExecutionState::Initializing));
}

#[test]
fn an_attempt_that_failed_says_so_again() {
    let cluster = faulty_cluster(1, faulty(|| Ok(()), |_| Err(Box::new(Failure::user("no more")))));
    cluster.deploy(0);
    let change = failed(&cluster);
    cluster.hosts[0].deliver(JobToHost::Cancel(vec![change.attempt]));
    loop {
        let (_, message) = cluster.next();
        if let HostToJob::TaskState(again) = message
            && again.attempt == change.attempt
        {
            assert_eq!((again.state, again.failure), (ExecutionState::Failed, change.failure));
            break;
        }
    }
}

/// Two tasks whose operators wait for each other when they are opened.
#[test]
fn subtasks_take_up_their_state_side_by_side() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        return eprintln!("with one core, one takes it up after the other");
    }
    let (opened, both) = (Mutex::new(0), Condvar::new());
    let meeting = Arc::new((opened, both));
    let open = move || {
        let (opened, both) = &*meeting;
        let mut count = opened.lock().unwrap();
        *count += 1;
        both.notify_all();
        let wait = both.wait_timeout_while(count, PATIENCE, |count| *count < 2).unwrap().1;
        if wait.timed_out() { Err(Box::new(Failure::user("the other is not opened"))) } else { Ok(()) }
    };
    let cluster = faulty_cluster(1, faulty(open, |_| Ok(())));
    let mut deployment = cluster.deployment(0, 0);
    for task in deployment.tasks.iter_mut().filter(|task| task.attempt.vertex == vertex_id(2)) {
        let origin =
            Origin { job: JobId::from_bytes([9; 16]), kind: SnapshotKind::Checkpoint, checkpoint: CheckpointId(1) };
        let groups = KeyGroupRange::all(MaxParallelism::LARGEST);
        let part = RestorePart { subtask: task.attempt.subtask, parallelism: 2, groups, files: Vec::new() };
        let (directory, in_flight) = (std::env::temp_dir().display().to_string(), Vec::new());
        let restore =
            TaskRestore { origin, directory, parts: vec![part], in_flight, finished: false, ignore_unclaimed: false };
        task.restore = Some(Box::new(restore));
    }
    cluster.hosts[0].deliver(JobToHost::Deploy(Box::new(deployment)));
    cluster.finish([split(1000)]);
}

#[test]
fn a_repeated_deployment_is_dropped() {
    let cluster = silent();
    cluster.deploy(0);
    cluster.deploy(0);
    check_canceled(&cluster, attempt(1, 0));
    cluster.deploy(0);
    check_canceled(&cluster, attempt(9, 9));
    let later: Vec<_> = cluster.inbox.try_iter().filter(|(_, it)| matches!(it, HostToJob::TaskState(_))).collect();
    assert!(later.is_empty(), "{later:?}");
}

#[test]
fn commits_and_aborts_are_answered_whatever_they_do() {
    let cluster = silent();
    let committable = Committable { sink: operator_id(2), attempt: attempt(1, 0), data: Bytes::new() };
    let host = &cluster.hosts[0];
    host.deliver(JobToHost::Commit { round: 3, committables: vec![committable] });
    assert_eq!(cluster.next().1, HostToJob::Committed { round: 3, result: Ok(Vec::new()) });
    host.deliver(JobToHost::Commit { round: 4, committables: Vec::new() });
    let refused = Err(Failure::user("nothing to commit"));
    assert_eq!(cluster.next().1, HostToJob::Committed { round: 4, result: refused });
    host.deliver(JobToHost::Abort { kept: BTreeMap::new() });
    let HostToJob::Aborted { result: Err(failure) } = cluster.next().1 else { panic!("abort panics") };
    assert_eq!((failure.domain, &*failure.message), (Domain::User, "the program panicked: abort panics"));
    host.deliver(JobToHost::EnumerateSplits { attempt: attempt(1, 0), source: operator_id(1), parallelism: 2 });
    let result = Err(Failure::user("splits are given by hand"));
    let expected = HostToJob::SplitsEnumerated { attempt: attempt(1, 0), source: operator_id(1), result };
    assert_eq!(cluster.next().1, expected);
}

/// A program whose commits hang until they are let go on.
#[derive(Default)]
struct Hanging {
    goes_on: Mutex<bool>,
    told: Condvar,
    commits: AtomicUsize,
}

impl JobProgram for Hanging {
    fn build_task(&self, _: TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        Err(Box::new(Failure::user("there are no tasks")))
    }

    fn enumerate_splits(&self, _: OperatorId, _: u32) -> TaskResult<Vec<Bytes>> {
        Ok(Vec::new())
    }

    fn commit(&self, _: Vec<Committable>) -> TaskResult<Vec<Failure>> {
        self.commits.fetch_add(1, SeqCst);
        drop(self.told.wait_while(self.goes_on.lock().unwrap(), |goes_on| !*goes_on).unwrap());
        Ok(Vec::new())
    }

    fn abort(&self, _: BTreeMap<OperatorId, Vec<Bytes>>) -> TaskResult {
        Ok(())
    }
}

#[test]
fn commits_that_hang_take_few_threads_and_later_rounds_are_told_so_at_once() {
    let program = Arc::new(Hanging::default());
    let cluster = faulty_cluster(1, program.clone());
    let host = &cluster.hosts[0];
    let ask = |round| host.deliver(JobToHost::Commit { round, committables: Vec::new() });
    let answer = || match cluster.next().1 {
        HostToJob::Committed { round, result } => (round, result),
        other => panic!("{other:?}"),
    };
    (1..=1_000).for_each(ask);
    for expected in 5..=1_000 {
        let (round, Err(failure)) = answer() else { panic!("round {expected} is made") };
        assert!(
            failure.may_pass() && failure.message.starts_with("4 rounds of commits hang in this process"),
            "{failure}"
        );
        let place = (failure.location.worker.as_ref(), failure.location.host.is_some());
        assert_eq!((round, place), (expected, (Some(&host.location().worker), true)));
    }
    // The job ends: nothing commits behind that but what had begun.
    host.deliver(JobToHost::Abort { kept: BTreeMap::new() });
    assert_eq!(cluster.next().1, HostToJob::Aborted { result: Ok(()) });
    *program.goes_on.lock().unwrap() = true;
    program.told.notify_all();
    let mut answered: Vec<_> = (0..4).map(|_| answer()).collect();
    answered.sort_unstable_by_key(|(round, _)| *round);
    assert_eq!(answered, [1, 2, 3, 4].map(|round| (round, Ok(Vec::new()))));
    ask(1_001);
    assert_eq!((answer(), program.commits.load(SeqCst)), ((1_001, Ok(Vec::new())), 5));
}

/// With one slot the task that spins has the only thread there is for tasks.
#[test]
fn a_task_that_spins_is_reported_on_and_others_can_be_asked_for() {
    let (spinning, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let flags = (spinning.clone(), stop.clone());
    let cluster = faulty_cluster(
        1,
        faulty(
            || Ok(()),
            move |_| {
                flags.0.store(true, SeqCst);
                while !flags.1.load(SeqCst) {
                    std::hint::spin_loop();
                }
                Ok(())
            },
        ),
    );
    cluster.deploy(0);
    while !spinning.load(SeqCst) {
        if let Ok((_, HostToJob::RequestSplit { attempt, source })) = cluster.inbox.try_recv() {
            let split = Some(split(u64::MAX));
            cluster.hosts[0].deliver(JobToHost::AssignSplit { attempt, source, split, share: 1 });
        }
        std::thread::yield_now();
    }
    while cluster.inbox.try_recv().is_ok() {}
    loop {
        let (_, message) = cluster.inbox.recv().unwrap();
        if let HostToJob::Metrics(figures) = message {
            assert_eq!(figures.len(), 4);
            break;
        }
    }
    check_canceled(&cluster, attempt(7, 0));
    // Nor does the end of the host wait for it.
    drop(cluster);
    stop.store(true, SeqCst);
}

#[test]
fn the_producer_of_a_failed_consumer_waits_to_be_cancelled_and_the_next_attempt_runs() {
    for hosts in [1, 2] {
        let failures = Arc::new(AtomicUsize::new(1));
        let program = faulty(
            || Ok(()),
            move |_| {
                let left = failures.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
                if left.is_ok() { Err(Box::new(Failure::user("once"))) } else { Ok(()) }
            },
        );
        let cluster = faulty_cluster(hosts, program);
        cluster.deploy(0);
        let change = failed(&cluster);
        let all: Vec<_> = (0..2).flat_map(|subtask| [attempt(1, subtask), attempt(2, subtask)]).collect();
        for other in all.into_iter().filter(|other| *other != change.attempt) {
            let host = &cluster.hosts[other.subtask.0 as usize % hosts];
            host.deliver(JobToHost::Cancel(vec![other]));
            let canceled = cluster.next_ended();
            assert_eq!((canceled.attempt, canceled.state), (other, ExecutionState::Canceled));
        }
        cluster.deploy(1);
        let ended = cluster.finish([split(10_000)]);
        let read: u64 = ended.iter().map(|change| change.metrics.records_read).sum();
        assert_eq!(read, 10_000);
    }
}

/// A record that is counted while it exists.
struct Counted(u64);

static ALIVE: AtomicUsize = AtomicUsize::new(0);
static MOST_ALIVE: AtomicUsize = AtomicUsize::new(0);

impl Counted {
    fn new(number: u64) -> Self {
        MOST_ALIVE.fetch_max(ALIVE.fetch_add(1, SeqCst) + 1, SeqCst);
        Self(number)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, SeqCst);
    }
}

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::new)
    }
}

/// Takes a hundred turns of the executor for each batch.
struct Slow {
    turns: u32,
    taken: Arc<Mutex<u64>>,
}

impl Output<Counted> for Slow {
    fn collect(&mut self, batch: &mut Batch<Counted>) -> TaskResult {
        *self.taken.lock().unwrap() += batch.len() as u64;
        batch.clear();
        self.turns = 100;
        Ok(())
    }

    fn event(&mut self, _: Event) -> TaskResult {
        Ok(())
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        if self.turns == 0 {
            return Poll::Ready(Ok(()));
        }
        self.turns -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn prepared(&mut self, _: &mut Vec<(flott_core::id::OperatorId, Bytes)>) -> TaskResult {
        Ok(())
    }
}

#[test]
fn a_slow_consumer_bounds_what_is_on_its_way() {
    const RECORDS: u64 = 200 * BATCH_RECORDS as u64;
    for hosts in [1, 2] {
        MOST_ALIVE.store(0, SeqCst);
        let taken = Arc::new(Mutex::new(0));
        let all = taken.clone();
        let program = BuiltBy(move |mut wiring: TaskWiring| {
            if wiring.info().vertex == vertex_id(1) {
                let out = wiring.writer(EdgeIndex(0), Partitioner::hash(|record: &Counted| record.0))?;
                SourceHead::new(Arc::new(Numbered(Counted::new)), operator(1, "numbers"), None, out, &mut wiring)
            } else {
                let gate = wiring.input_gate::<Counted>(0)?;
                Ok(OneInputHead::new(gate, Box::new(Slow { turns: 0, taken: all.clone() }), &mut wiring))
            }
        });
        let graph = graph(&[("numbers", 1), ("slow", 2)], &[(1, 2, ShipStrategy::Hash)]);
        let cluster = Cluster::start(hosts, &graph, Arc::new(program));
        cluster.deploy(0);
        cluster.finish([split(RECORDS)]);
        assert_eq!(*taken.lock().unwrap(), RECORDS);
        assert_eq!(ALIVE.load(SeqCst), 0);
        // On each of two channels: credits, a partial batch, one that is held back, one at the consumer. At the source: one.
        let bound = (2 * (CREDITS as usize + 3) + 1) * BATCH_RECORDS;
        let most = MOST_ALIVE.load(SeqCst);
        assert!((BATCH_RECORDS..=bound).contains(&most), "{most} records at once, of at most {bound}");
    }
}
