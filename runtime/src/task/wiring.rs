//! From a deployment to gates and writers: which channels a task has, and where they lead.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use flott_core::{
    failure::Failure,
    id::{EdgeIndex, OperatorId, SubtaskIndex},
    job_graph::{JobEdge, JobGraph},
    key_group::{KeyGroupAssignment, MaxParallelism, Router},
    message::{ChannelId, Deployment, EdgeDeployment, HostToJob, Peer, ProcessLocation},
    topology,
};
use tokio::sync::mpsc;

use super::{
    TaskInfo,
    splits::{Splits, ToSource},
};
use crate::{
    batch::{Batch, Data},
    channel::{
        Partitioner,
        gate::{Claims, InputGate, Origin, within_chain},
        writer::{ChannelWriter, Exit, Target},
    },
    error::TaskResult,
    net::Exchange,
    output::Output,
    snapshot::in_flight::Edge,
};

/// Where the host's reports go. Called from any thread; never blocks.
pub type Report = Arc<dyn Fn(HostToJob) + Send + Sync>;

/// Channels that a task receives from, kept by the host to withdraw them.
pub(crate) type Offered = Arc<parking_lot::Mutex<Vec<ChannelId>>>;

/// What a task is given to wire itself with.
pub struct TaskWiring {
    info: Arc<TaskInfo>,
    graph: Arc<JobGraph>,
    deployment: Arc<Deployment>,
    exchange: Arc<Exchange>,
    report: Report,
    splits: Option<mpsc::UnboundedReceiver<ToSource>>,
    offered: Offered,
    /// Rules of edges into the task, by the type of their records.
    rules: BTreeMap<EdgeIndex, Box<dyn Any + Send>>,
}

impl TaskWiring {
    /// Wiring for the task of `info`, which is part of `deployment`. What the JobMaster says to its source comes by `splits`.
    pub fn new(
        info: Arc<TaskInfo>,
        graph: Arc<JobGraph>,
        deployment: Arc<Deployment>,
        exchange: Arc<Exchange>,
        report: Report,
        splits: mpsc::UnboundedReceiver<ToSource>,
    ) -> Self {
        Self {
            info,
            graph,
            deployment,
            exchange,
            report,
            splits: Some(splits),
            offered: Offered::default(),
            rules: BTreeMap::new(),
        }
    }

    /// The task.
    pub fn info(&self) -> &Arc<TaskInfo> {
        &self.info
    }

    /// Channels that this task offered to receive from; withdrawn when it ends.
    pub(crate) fn offered(&self) -> Offered {
        self.offered.clone()
    }

    /// Says how the producers of `edge` spread their records, before the [gate](Self::input_gate) is made that it leads to. Needed
    /// of edges by key or by a user's rule, where records that were under way may go to other subtasks than before.
    pub fn spread_by<T: Data>(&mut self, edge: EdgeIndex, partitioner: Partitioner<T>) {
        self.rules.insert(edge, Box::new(partitioner));
    }

    /// The gate of input number `input`: all edges into it together.
    pub fn input_gate<T: Data>(&mut self, input: u32) -> TaskResult<InputGate<T>> {
        let graph = self.graph.clone();
        let subtask = self.info.subtask();
        let mut channels: Vec<(ChannelId, bool)> = Vec::new();
        let (mut origins, mut edges, mut groups) = (Vec::new(), Vec::new(), None);
        for (index, edge) in graph.inputs_of(self.info.vertex).filter(|(_, edge)| edge.target_input == input) {
            let identity = Arc::new(identity(&graph, edge)?);
            let rule = self.rules.remove(&index).and_then(|rule| rule.downcast::<Partitioner<T>>().ok());
            edges.push((identity.clone(), rule.map(|rule| *rule)));
            let deployed = self.deployed(index)?;
            groups = Some(router(deployed, self.info.parallelism)?);
            let producers = deployed.producers.len() as u32;
            for producer in topology::producers_of(edge.ship, subtask, producers, self.info.parallelism) {
                let peer = peer(&deployed.producers, producer)?;
                let local = self.location(peer)?.process == self.exchange.process();
                let own = (self.info.attempt.subtask, self.info.attempt.attempt);
                let id = ChannelId { edge: index, producer: (SubtaskIndex(producer), peer.attempt), consumer: own };
                channels.push((id, local));
                origins.push(Origin { edge: identity.clone(), from: SubtaskIndex(producer) });
            }
        }
        if channels.is_empty() {
            return Err(Box::new(Failure::internal(format!("input {input} of {} has no edge", self.info.task_name))));
        }
        let (snapshots, head) = (&self.info.snapshots, edges.first().map(|(edge, _)| edge.consumer));
        let segments = head.map(|head| snapshots.take_in_flight(head, input)).unwrap_or_default();
        let Some(router) = groups else { return Err(Box::new(Failure::internal("an input has no key groups"))) };
        let claims = Claims {
            edges,
            subtask: self.info.attempt.subtask,
            parallelism: self.info.parallelism,
            router,
            ignore_unclaimed: snapshots.ignores_unclaimed(),
        };
        let gate = InputGate::wired(origins, segments, claims, self.info.clone())?;
        for (number, (id, local)) in (0..).zip(channels) {
            if local {
                self.exchange.offer_local(id, &gate, number);
            } else {
                self.exchange.offer_remote(id, &gate, number);
            }
            self.offered.lock().push(id);
        }
        Ok(gate)
    }

    /// What was under way to `operator` where the task starts from a snapshot, if that is within a chain now: else its gate has it.
    ///
    /// # Errors
    /// When it belongs elsewhere, or cannot be decoded.
    pub fn chained_in_flight<T: Data>(&self, operator: OperatorId) -> TaskResult<Vec<Batch<T>>> {
        let vertex = self.graph.vertex(self.info.vertex);
        if vertex.and_then(|vertex| vertex.operators.first()).is_none_or(|head| head.id == operator) {
            return Ok(Vec::new());
        }
        let segments = self.info.snapshots.take_in_flight(operator, 0);
        within_chain(segments, self.info.attempt.subtask, self.info.parallelism)
    }

    /// The writer of an edge out of this task.
    pub fn writer<T: Data>(&mut self, edge: EdgeIndex, partitioner: Partitioner<T>) -> TaskResult<Box<dyn Output<T>>> {
        let spec = self.edge(edge)?;
        let (ship, identity) = (spec.ship, Arc::new(identity(&self.graph, spec)?));
        let deployed = self.deployed(edge)?;
        let subtask = self.info.subtask();
        let consumers = deployed.consumers.len() as u32;
        let mut targets = Vec::new();
        for consumer in topology::consumers_of(ship, subtask, self.info.parallelism, consumers) {
            let peer = peer(&deployed.consumers, consumer)?;
            let location = self.location(peer)?;
            let own = (self.info.attempt.subtask, self.info.attempt.attempt);
            let id = ChannelId { edge, producer: own, consumer: (SubtaskIndex(consumer), peer.attempt) };
            targets.push(if location.process == self.exchange.process() {
                Target::Local(self.exchange.take_local(id)?)
            } else {
                Target::Remote(self.exchange.open_remote(location, id)?)
            });
        }
        let router = router(deployed, consumers)?;
        let writer = ChannelWriter::new(targets, partitioner, router, self.info.clone());
        Ok(Box::new(writer.overtaken(Exit { edge: identity, consumers })))
    }

    /// Splits for a source of this task. Once per task.
    pub(super) fn splits(&mut self, source: OperatorId) -> TaskResult<Splits> {
        let answers = self.splits.take();
        let answers = answers.ok_or_else(|| Failure::internal("a task has more than one source at its head"))?;
        Ok(Splits::new(source, self.info.clone(), self.report.clone(), answers))
    }

    fn edge(&self, index: EdgeIndex) -> TaskResult<&JobEdge> {
        let edge = self.graph.edges.get(index.0 as usize);
        Ok(edge.ok_or_else(|| Failure::internal(format!("edge {index} is not in the job graph")))?)
    }

    fn deployed(&self, index: EdgeIndex) -> TaskResult<&EdgeDeployment> {
        let edge = self.deployment.edges.iter().map(Arc::as_ref).find(|deployed| deployed.edge == index);
        Ok(edge.ok_or_else(|| Failure::internal(format!("edge {index} is not in the deployment")))?)
    }

    fn location(&self, peer: Peer) -> TaskResult<&ProcessLocation> {
        let location = self.deployment.processes.get(peer.process as usize);
        Ok(location.ok_or_else(|| Failure::internal("a peer's process is not in the deployment"))?)
    }
}

/// An edge, as snapshots know it.
fn identity(graph: &JobGraph, edge: &JobEdge) -> TaskResult<Edge> {
    let unknown = |what: &str| Failure::internal(format!("{what} of an edge is not in the job graph"));
    let operators = |vertex| graph.vertex(vertex).map(|vertex| &vertex.operators[..]).unwrap_or_default();
    let producer = operators(edge.source).iter().find(|operator| operator.node == edge.source_node);
    Ok(Edge {
        producer: producer.ok_or_else(|| unknown("the producing operator"))?.id,
        side_output: edge.side_output.clone(),
        consumer: operators(edge.target).first().ok_or_else(|| unknown("the consuming operator"))?.id,
        input: edge.target_input,
        ship: edge.ship,
    })
}

fn peer(peers: &[Peer], subtask: u32) -> TaskResult<Peer> {
    let peer = peers.get(subtask as usize).copied();
    Ok(peer.ok_or_else(|| Failure::internal(format!("peer subtask {subtask} is not in the deployment")))?)
}

fn router(deployed: &EdgeDeployment, consumers: u32) -> TaskResult<Router> {
    let refused =
        |error: &dyn std::fmt::Display| Failure::internal("a deployment has impossible key groups").because(error);
    let max = MaxParallelism::new(deployed.max_parallelism).map_err(|error| refused(&error))?;
    Ok(KeyGroupAssignment::new(max, consumers).map_err(|error| refused(&error))?.router())
}
