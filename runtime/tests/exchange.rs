//! Two hosts with a keyed exchange between them, in one process and across two, driven by hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, mpsc},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use flott_core::{
    codec,
    id::*,
    job_graph::*,
    message::*,
    resource::ResourceProfile,
    status::ExecutionState,
};
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch},
    channel::Partitioner,
    error::TaskResult,
    event::Event,
    host::{Host, HostOptions},
    output::{OperatorName, Output},
    program::JobProgram,
    source::{ReadStatus, Source, SplitReader},
    task::{OneInputHead, SourceHead, TaskHead, TaskInfo, TaskWiring},
};

const PARALLELISM: u32 = 2;

fn vertex_id(number: u8) -> VertexId {
    VertexId::from_bytes([number; 16])
}

fn vertex(number: u8, name: &str, kind: OperatorKind, inputs: Vec<OperatorInput>) -> JobVertex {
    let id = OperatorId::from_bytes([number; 16]);
    let node = u32::from(number);
    let description = name.to_owned();
    JobVertex {
        id: vertex_id(number),
        name: name.into(),
        operators: vec![OperatorSpec { id, uid: None, node, name: name.into(), kind, description, inputs }],
        parallelism: Parallelism::Fixed(PARALLELISM),
        max_parallelism: None,
        slot_sharing_group: "default".into(),
        resources: ResourceProfile::ANY,
    }
}

fn graph() -> JobGraph {
    let edge = JobEdge {
        source: vertex_id(1),
        source_node: 1,
        side_output: None,
        target: vertex_id(2),
        target_input: 0,
        ship: ShipStrategy::Hash,
        exchange: Exchange::Pipelined,
    };
    JobGraph {
        job_id: JobId::from_bytes([9; 16]),
        name: "exchange".into(),
        mode: ExecutionMode::Streaming,
        program: Program {
            digest: Digest::of(b""),
            size: 0,
            target: host_target(),
            file_name: "test".into(),
            entry: None,
            arguments: Vec::new(),
        },
        vertices: vec![
            vertex(1, "numbers", OperatorKind::Source, Vec::new()),
            vertex(2, "sums", OperatorKind::Sink, vec![OperatorInput { node: 1, ship: ShipStrategy::Hash }]),
        ],
        edges: vec![edge],
        restart: RestartPolicy::Cluster,
        configuration: BTreeMap::new(),
        fingerprint: Fingerprint::of(b""),
        fingerprint_lines: Vec::new(),
    }
}

/// Numbers `start..end` as `(number % keys, number)`.
struct Numbers {
    keys: u64,
}

struct NumbersReader {
    next: u64,
    end: u64,
    keys: u64,
}

impl Source for Numbers {
    type Item = (u64, u64);
    type Split = (u64, u64);

    fn enumerate(&self, _parallelism: u32) -> TaskResult<Vec<Self::Split>> {
        unreachable!("splits are given by the test")
    }

    fn open(&self, (next, end): Self::Split, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Self::Item>>> {
        Ok(Box::new(NumbersReader { next, end, keys: self.keys }))
    }
}

impl SplitReader<(u64, u64)> for NumbersReader {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<(u64, u64)>) -> Poll<TaskResult<ReadStatus>> {
        let end = self.end.min(self.next + BATCH_RECORDS as u64);
        batch.records.extend((self.next..end).map(|number| (number % self.keys, number)));
        self.next = end;
        Poll::Ready(Ok(if end == self.end { ReadStatus::Ended } else { ReadStatus::More }))
    }
}

type Sums = Arc<Mutex<BTreeMap<(u32, u64), (u64, u64)>>>;

struct SumPerKey {
    subtask: u32,
    own: BTreeMap<u64, (u64, u64)>,
    sums: Sums,
}

impl Output<(u64, u64)> for SumPerKey {
    fn collect(&mut self, batch: &mut Batch<(u64, u64)>) -> TaskResult {
        for (key, number) in batch.records.drain(..) {
            let (count, sum) = self.own.entry(key).or_default();
            *count += 1;
            *sum += number;
        }
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        assert_eq!(event, Event::End);
        let own = std::mem::take(&mut self.own).into_iter().map(|(key, sum)| ((self.subtask, key), sum));
        self.sums.lock().unwrap().extend(own);
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, into: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        into.push((OperatorId::from_bytes([2; 16]), Bytes::from_static(b"done")));
        Ok(())
    }
}

struct TestProgram {
    keys: u64,
    sums: Sums,
}

impl JobProgram for TestProgram {
    fn build_task(&self, mut wiring: TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        if wiring.info().vertex == vertex_id(1) {
            let out = wiring.writer(EdgeIndex(0), Partitioner::hash(|record: &(u64, u64)| record.0))?;
            let name = OperatorName { id: OperatorId::from_bytes([1; 16]), name: "numbers".into() };
            SourceHead::new(Arc::new(Numbers { keys: self.keys }), name, out, &mut wiring)
        } else {
            let gate = wiring.input_gate(0)?;
            let subtask = wiring.info().subtask();
            let out = Box::new(SumPerKey { subtask, own: BTreeMap::new(), sums: self.sums.clone() });
            Ok(OneInputHead::new(gate, out, &mut wiring))
        }
    }

    fn enumerate_splits(&self, _: OperatorId, _: u32) -> TaskResult<Vec<Bytes>> {
        unreachable!("splits are given by the test")
    }

    fn commit(&self, _: Vec<Committable>) -> TaskResult {
        Ok(())
    }

    fn abort(&self) -> TaskResult {
        Ok(())
    }
}

/// Runs the job over `hosts` hosts: subtask i of each vertex on host i modulo `hosts`.
fn check(hosts: u32, splits: Vec<(u64, u64)>, keys: u64) {
    let sums = Sums::default();
    let graph = Arc::new(graph());
    let (reports, inbox) = mpsc::channel();
    let setup = JobSetup {
        job: graph.job_id,
        name: graph.name.clone(),
        graph: Digest::of(b""),
        program: Digest::of(b""),
        program_name: String::new(),
        arguments: Vec::new(),
        secret: JobSecret::random(),
        configuration: BTreeMap::new(),
    };
    let hosts: Vec<_> = (0..hosts)
        .map(|number| {
            let options = HostOptions {
                process: ProcessId::random(),
                setup: setup.clone(),
                graph: graph.clone(),
                worker: WorkerId(format!("worker-{number}")),
                slots: 1,
                data: Some(("127.0.0.1:0".parse().unwrap(), "127.0.0.1".into())),
            };
            let reports = reports.clone();
            let report = Arc::new(move |message| reports.send((number as usize, message)).unwrap_or(()));
            Host::start(options, Arc::new(TestProgram { keys, sums: sums.clone() }), report).unwrap()
        })
        .collect();
    let host_of = |subtask: u32| subtask % hosts.len() as u32;
    let peers: Vec<_> =
        (0..PARALLELISM).map(|subtask| Peer { attempt: AttemptNumber(0), process: host_of(subtask) }).collect();
    let attempt = |vertex, subtask| AttemptId {
        vertex: vertex_id(vertex),
        subtask: SubtaskIndex(subtask),
        attempt: AttemptNumber(0),
    };
    for (number, host) in (0..).zip(&hosts) {
        let here = (0..PARALLELISM).filter(|subtask| host_of(*subtask) == number);
        let task = |attempt| TaskDeployment {
            attempt,
            allocation: AllocationId::from_bytes([0; 16]),
            parallelism: PARALLELISM,
            max_parallelism: 128,
        };
        host.deliver(JobToHost::Deploy(Box::new(Deployment {
            tasks: here.flat_map(|subtask| [1, 2].map(|vertex| task(attempt(vertex, subtask)))).collect(),
            edges: vec![EdgeDeployment {
                edge: EdgeIndex(0),
                producers: peers.clone(),
                consumers: peers.clone(),
                max_parallelism: 128,
            }],
            processes: hosts.iter().map(Host::location).collect(),
        })));
    }
    let mut left = splits.clone();
    let mut finished = 0;
    while finished < 2 * PARALLELISM {
        let (from, message) = inbox.recv_timeout(Duration::from_secs(60)).expect("the job goes on");
        match message {
            HostToJob::RequestSplit { attempt, source } => {
                let split = left.pop().map(|split| codec::to_vec(&split).unwrap().into());
                hosts[from].deliver(JobToHost::AssignSplit { attempt, source, split });
            }
            HostToJob::TaskState(change) => {
                assert_eq!(change.failure, None);
                if change.state == ExecutionState::Finished {
                    finished += 1;
                    let sinks = usize::from(change.attempt.vertex == vertex_id(2));
                    assert_eq!(change.committables.len(), sinks);
                }
            }
            _ => {}
        }
    }
    let mut expected = BTreeMap::<u64, (u64, u64)>::new();
    for number in splits.into_iter().flat_map(|(start, end)| start..end) {
        let (count, sum) = expected.entry(number % keys).or_default();
        *count += 1;
        *sum += number;
    }
    let sums = sums.lock().unwrap();
    // Each key is on one subtask only, and complete.
    assert_eq!(sums.len(), expected.len());
    assert_eq!(sums.iter().map(|((_, key), sum)| (*key, *sum)).collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn records_of_a_key_meet_within_a_process() {
    check(1, vec![(0, 100_000), (100_000, 100_001), (100_001, 300_000)], 1000);
}

#[test]
fn records_of_a_key_meet_across_processes() {
    check(2, vec![(0, 100_000), (100_000, 100_001), (100_001, 300_000)], 1000);
}

#[test]
fn empty_input_ends_everywhere() {
    check(2, Vec::new(), 7);
    check(1, vec![(5, 5)], 7);
}
