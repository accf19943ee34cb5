//! A job driven by hand: hosts in this process that exchange records as if they were apart, and what a JobMaster does
//! for them reduced to handing out splits and waiting.

#![allow(dead_code, reason = "shared by tests and benchmarks, of which none uses all")]

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc},
    time::Duration,
};

use bytes::Bytes;
use flott_core::{
    failure::Failure, id::*, job_graph::*, message::*, resource::ResourceProfile, status::ExecutionState,
};
use flott_runtime::{
    error::TaskResult,
    host::{Host, HostOptions},
    program::JobProgram,
    task::{TaskHead, TaskWiring},
    time::Clock,
};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The vertex with this number, from 1.
pub fn vertex_id(number: u8) -> VertexId {
    VertexId::from_bytes([number; 16])
}

/// The one operator of that vertex.
pub fn operator_id(number: u8) -> OperatorId {
    OperatorId::from_bytes([number; 16])
}

/// A subtask of a vertex in its first attempt.
pub fn attempt(vertex: u8, subtask: u32) -> AttemptId {
    AttemptId { vertex: vertex_id(vertex), subtask: SubtaskIndex(subtask), attempt: AttemptNumber(0) }
}

/// A graph of vertices 1 to n by name and parallelism, of which the first is a source, and edges between them.
pub fn graph(vertices: &[(&str, u32)], edges: &[(u8, u8, ShipStrategy)]) -> Arc<JobGraph> {
    let vertex = |number: u8, name: &str, parallelism| {
        let inputs = edges.iter().filter(|(_, target, _)| *target == number);
        let inputs = inputs.map(|&(source, _, ship)| OperatorInput { node: source.into(), ship }).collect();
        let kind = if number == 1 { OperatorKind::Source } else { OperatorKind::Sink };
        let (id, node, name, description) = (operator_id(number), number.into(), name.to_owned(), name.to_owned());
        JobVertex {
            id: vertex_id(number),
            name: name.clone(),
            operators: vec![OperatorSpec { id, uid: None, node, name, kind, description, inputs }],
            parallelism: Parallelism::Fixed(parallelism),
            max_parallelism: None,
            slot_sharing_group: "default".into(),
            resources: ResourceProfile::ANY,
        }
    };
    let edge = |&(source, target, ship): &(u8, u8, ShipStrategy)| JobEdge {
        source: vertex_id(source),
        source_node: source.into(),
        side_output: None,
        target: vertex_id(target),
        target_input: 0,
        ship,
        exchange: Exchange::Pipelined,
    };
    Arc::new(JobGraph {
        job_id: JobId::from_bytes([9; 16]),
        name: "by hand".into(),
        mode: ExecutionMode::Streaming,
        program: Program {
            digest: Digest::of(b""),
            size: 0,
            target: host_target(),
            file_name: "test".into(),
            entry: None,
            arguments: Vec::new(),
        },
        vertices: (1..).zip(vertices).map(|(number, (name, parallelism))| vertex(number, name, *parallelism)).collect(),
        edges: edges.iter().map(edge).collect(),
        restart: RestartPolicy::Cluster,
        configuration: BTreeMap::new(),
        fingerprint: Fingerprint::of(b""),
        fingerprint_lines: Vec::new(),
    })
}

/// A program that builds its tasks by a function.
pub struct BuiltBy<F>(pub F);

impl<F> JobProgram for BuiltBy<F>
where
    F: Fn(TaskWiring) -> TaskResult<Box<dyn TaskHead>> + Send + Sync + 'static,
{
    fn build_task(&self, wiring: TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        (self.0)(wiring)
    }

    fn enumerate_splits(&self, _: OperatorId, _: u32) -> TaskResult<Vec<Bytes>> {
        Err(Box::new(Failure::user("splits are given by hand")))
    }

    fn commit(&self, committables: Vec<Committable>) -> TaskResult<Vec<Failure>> {
        if committables.is_empty() { Err(Box::new(Failure::user("nothing to commit"))) } else { Ok(Vec::new()) }
    }

    fn abort(&self, _: BTreeMap<OperatorId, Vec<Bytes>>) -> TaskResult {
        panic!("abort panics");
    }
}

/// Hosts of one job.
pub struct Cluster {
    /// The hosts.
    pub hosts: Vec<Host>,
    /// What they report, with the place of the reporter.
    pub inbox: mpsc::Receiver<(usize, HostToJob)>,
    graph: Arc<JobGraph>,
}

impl Cluster {
    /// `hosts` hosts of one slot each.
    pub fn start(hosts: usize, graph: &Arc<JobGraph>, program: Arc<dyn JobProgram>) -> Self {
        Self::with_slots(hosts, 1, graph, program)
    }

    /// `hosts` hosts of `slots` slots each.
    pub fn with_slots(hosts: usize, slots: u32, graph: &Arc<JobGraph>, program: Arc<dyn JobProgram>) -> Self {
        Self::with_clock(hosts, slots, graph, program, Clock::System)
    }

    /// The same, with processing time of a clock.
    pub fn with_clock(
        hosts: usize,
        slots: u32,
        graph: &Arc<JobGraph>,
        program: Arc<dyn JobProgram>,
        clock: Clock,
    ) -> Self {
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
        let start = |number| {
            let options = HostOptions {
                process: ProcessId::random(),
                setup: setup.clone(),
                graph: graph.clone(),
                worker: WorkerId(format!("worker-{number}")),
                slots,
                data: Some(("127.0.0.1:0".parse().unwrap(), "127.0.0.1".into())),
                clock: clock.clone(),
            };
            let reports = reports.clone();
            let report = Arc::new(move |message| reports.send((number, message)).unwrap_or(()));
            Host::start(options, program.clone(), report).unwrap()
        };
        Self { hosts: (0..hosts).map(start).collect(), inbox, graph: graph.clone() }
    }

    fn host_of(&self, subtask: u32) -> usize {
        subtask as usize % self.hosts.len()
    }

    fn parallelism(&self, vertex: usize) -> u32 {
        match self.graph.vertices[vertex].parallelism {
            Parallelism::Fixed(parallelism) => parallelism,
            ref other => panic!("{other:?} is not used by hand"),
        }
    }

    /// The deployment of host `number`: subtask i of each vertex on host i modulo hosts.
    pub fn deployment(&self, number: usize, attempt: u32) -> Deployment {
        let attempt = AttemptNumber(attempt);
        let peers = |vertex: VertexId| {
            let vertex = self.graph.vertices.iter().position(|other| other.id == vertex).unwrap();
            let peer = |subtask| Peer { attempt, process: self.host_of(subtask) as u32 };
            (0..self.parallelism(vertex)).map(peer).collect::<Vec<_>>()
        };
        let edge = |(index, edge): (u32, &JobEdge)| EdgeDeployment {
            edge: EdgeIndex(index),
            producers: peers(edge.source),
            consumers: peers(edge.target),
            max_parallelism: 128,
        };
        let tasks = self.graph.vertices.iter().enumerate().flat_map(|(place, vertex)| {
            let parallelism = self.parallelism(place);
            (0..parallelism).filter(|subtask| self.host_of(*subtask) == number).map(move |subtask| TaskDeployment {
                attempt: AttemptId { vertex: vertex.id, subtask: SubtaskIndex(subtask), attempt },
                allocation: AllocationId::from_bytes([0; 16]),
                parallelism,
                max_parallelism: 128,
                restore: None,
            })
        });
        Deployment {
            epoch: JobMasterEpoch(1),
            tasks: tasks.collect(),
            edges: (0..).zip(&self.graph.edges).map(edge).map(Arc::new).collect(),
            processes: self.hosts.iter().map(Host::location).collect(),
        }
    }

    /// Deploys everything.
    pub fn deploy(&self, attempt: u32) {
        for (number, host) in self.hosts.iter().enumerate() {
            host.deliver(JobToHost::Deploy(Box::new(self.deployment(number, attempt))));
        }
    }

    /// The next report that is not about figures.
    #[track_caller]
    pub fn next(&self) -> (usize, HostToJob) {
        loop {
            let (from, message) = self.inbox.recv_timeout(PATIENCE).expect("the job goes on");
            if !matches!(message, HostToJob::Metrics(_)) {
                return (from, message);
            }
        }
    }

    /// The next report of a task in a terminal state. Requests for splits are not answered.
    #[track_caller]
    pub fn next_ended(&self) -> TaskStateChange {
        loop {
            if let (_, HostToJob::TaskState(change)) = self.next()
                && change.state.is_terminal()
            {
                return *change;
            }
        }
    }

    /// Hands out `splits` and waits until all tasks have finished; their last reports come back.
    #[track_caller]
    pub fn finish(&self, splits: impl IntoIterator<Item = Bytes>) -> Vec<TaskStateChange> {
        let mut splits: VecDeque<_> = splits.into_iter().collect();
        let tasks: u32 = (0..self.graph.vertices.len()).map(|vertex| self.parallelism(vertex)).sum();
        let mut finished = Vec::new();
        while finished.len() < tasks as usize {
            match self.next() {
                (from, HostToJob::RequestSplit { attempt, source }) => {
                    let split = splits.pop_front();
                    self.hosts[from].deliver(JobToHost::AssignSplit { attempt, source, split, share: 1 });
                }
                (_, HostToJob::TaskState(change)) => {
                    assert_eq!(change.failure, None);
                    if change.state == ExecutionState::Finished {
                        finished.push(*change);
                    }
                }
                _ => {}
            }
        }
        finished
    }
}
