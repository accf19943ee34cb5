//! What user functions count is told while their tasks run, and however they end.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use flott_core::{
    codec,
    failure::Failure,
    id::EdgeIndex,
    job_graph::ShipStrategy,
    message::{HostToJob, JobToHost},
    status::ExecutionState,
};
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch},
    channel::Partitioner,
    error::TaskResult,
    output::{Chained, Operator, Output},
    task::{OneInputHead, SourceHead, TaskInfo, TaskWiring, counters::OperatorCounters},
};

#[path = "harness/cluster.rs"]
mod cluster;
#[path = "harness/parts.rs"]
mod parts;

use cluster::{BuiltBy, Cluster, PATIENCE, attempt, graph, vertex_id};
use parts::{Gather, Gathered, Numbered, Silent, operator};

/// Counts what it is given, and then does something with it.
struct Counting<F> {
    task: Option<Arc<TaskInfo>>,
    counters: OperatorCounters,
    process: F,
}

impl<F: FnMut() -> TaskResult + Send> Operator<u64, u64> for Counting<F> {
    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.task = Some(task.clone());
        Ok(())
    }

    fn process(&mut self, input: &mut Batch<u64>, _: &mut dyn Output<u64>) -> TaskResult {
        let task = self.task.as_ref().expect("it was opened");
        self.counters.add(task.figures.counters(), "seen", input.len() as i64);
        input.clear();
        (self.process)()
    }
}

/// A source, and behind it an operator that counts and then does this.
fn counting<F: FnMut() -> TaskResult + Clone + Send + Sync + 'static>(process: F) -> Cluster {
    let program = BuiltBy(move |mut wiring: TaskWiring| {
        if wiring.info().vertex == vertex_id(1) {
            let out = wiring.writer(EdgeIndex(0), Partitioner::single())?;
            SourceHead::new(Arc::new(Numbered(|number: u64| number)), operator(1, "numbers"), None, out, &mut wiring)
        } else {
            let sink = Box::new(Gather { subtask: 0, all: Gathered::default() });
            let counts = Counting { task: None, counters: OperatorCounters::default(), process: process.clone() };
            let chain = Chained::open(operator(2, "counts"), counts, sink, wiring.info())?;
            let gate = wiring.input_gate::<u64>(0)?;
            Ok(OneInputHead::new(gate, Box::new(chain), &mut wiring))
        }
    });
    let cluster = Cluster::start(
        1,
        &graph(&[("numbers", 1), ("counts", 1)], &[(1, 2, ShipStrategy::Forward)]),
        Arc::new(program),
    );
    cluster.deploy(0);
    cluster
}

/// Gives the source one split; the next message that `wanted` has something of.
#[track_caller]
fn after_a_split<T>(cluster: &Cluster, records: u64, wanted: impl Fn(HostToJob) -> Option<T>) -> T {
    let split: Bytes = codec::to_vec(&(0_u64, records, BATCH_RECORDS as u64)).unwrap().into();
    let mut splits = vec![split];
    loop {
        let (from, message) = cluster.inbox.recv_timeout(PATIENCE).expect("the job goes on");
        if let HostToJob::RequestSplit { attempt, source } = message {
            if let Some(split) = splits.pop() {
                cluster.hosts[from].deliver(JobToHost::AssignSplit { attempt, source, split: Some(split), share: 1 });
            }
        } else if let Some(found) = wanted(message) {
            return found;
        }
    }
}

#[test]
fn what_a_task_counts_is_told_while_it_runs_and_when_it_is_cancelled() {
    let cluster = counting(|| Ok(()));
    let records = 3 * BATCH_RECORDS as i64;
    after_a_split(&cluster, records as u64, |message| {
        let HostToJob::Metrics(figures) = message else { return None };
        let (_, figures) = figures.into_iter().find(|(of, _)| *of == attempt(2, 0))?;
        let told: Vec<_> = figures.counters.iter().map(|(name, sum)| (name.to_owned(), sum)).collect();
        (told == [("seen".to_owned(), records)]).then_some(())
    });
    cluster.hosts[0].deliver(JobToHost::Cancel(vec![attempt(2, 0)]));
    let canceled = cluster.next_ended();
    assert_eq!((canceled.state, canceled.metrics.counters.get("seen")), (ExecutionState::Canceled, records));
}

#[test]
fn what_a_task_has_counted_is_told_when_it_fails_or_panics() {
    fn fails() -> TaskResult {
        Err(Box::new(Failure::user("no more")))
    }
    fn panics() -> TaskResult {
        panic!("no more")
    }
    for process in [fails, panics] {
        let change = after_a_split(&counting(process), BATCH_RECORDS as u64, |message| match message {
            HostToJob::TaskState(change) if change.state == ExecutionState::Failed => Some(change),
            _ => None,
        });
        assert_eq!((change.attempt, change.metrics.counters.get("seen")), (attempt(2, 0), BATCH_RECORDS as i64));
    }
}

#[test]
fn figures_of_many_tasks_come_in_several_messages() {
    const TASKS: usize = 300;
    let program = BuiltBy(|mut wiring: TaskWiring| {
        let sink = Box::new(Gather { subtask: 0, all: Gathered::default() });
        SourceHead::new(Arc::new(Silent), operator(1, "numbers"), None, sink, &mut wiring)
    });
    let cluster = Cluster::start(1, &graph(&[("numbers", TASKS as u32)], &[]), Arc::new(program));
    cluster.deploy(0);
    let mut told = BTreeSet::new();
    while told.len() < TASKS {
        let (_, message) = cluster.inbox.recv_timeout(PATIENCE).expect("the job goes on");
        if let HostToJob::Metrics(figures) = message {
            assert!((1..=256).contains(&figures.len()));
            told.extend(figures.into_iter().map(|(attempt, _)| attempt));
        }
    }
}
