//! A planned program, as the runtime sees it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use flott_core::{
    failure::Failure,
    id::{JobId, OperatorId, VertexId},
    message::Committable,
};
use flott_runtime::{
    error::TaskResult,
    output::{OperatorName, named},
    program::JobProgram,
    task::{TaskHead, TaskWiring},
};

use crate::{
    graph::StreamGraph,
    plan::{Body, Commit, Erased, Outputs},
};

/// Builds the tasks of a job, and does for its sources and sinks what no task can do alone.
pub(crate) struct PlannedProgram {
    job: JobId,
    graph: StreamGraph,
    heads: BTreeMap<VertexId, usize>,
    places: BTreeMap<OperatorId, usize>,
}

impl PlannedProgram {
    /// `graph` as job `job`.
    pub fn new(job: JobId, graph: StreamGraph) -> Self {
        let heads = graph.nodes.iter().map(|node| (graph.vertex_of(node), node.head)).collect();
        let places = graph.nodes.iter().enumerate().map(|(place, node)| (node.id, place)).collect();
        Self { job, graph, heads, places }
    }

    fn name(&self, place: usize) -> OperatorName {
        let node = &self.graph.nodes[place];
        OperatorName { id: node.id, name: node.name.as_str().into() }
    }

    /// Everything that the results of `place` go to, built from the tail.
    fn outputs(&self, place: usize, wiring: &mut TaskWiring) -> TaskResult<Outputs> {
        let mut main = Vec::new();
        let mut by_side: BTreeMap<&Arc<str>, Vec<Erased>> = BTreeMap::new();
        for edge in self.graph.outputs(place) {
            let output = match edge.index {
                Some(index) => edge.body.writer(edge.ship, index, wiring)?,
                None => self.chained(edge.to, wiring)?,
            };
            match &edge.side {
                None => main.push(output),
                Some(side) => by_side.entry(side).or_default().push(output),
            }
        }
        let mut sides = Vec::new();
        for (name, outputs) in by_side {
            let Some(side) = self.graph.nodes[place].sides.get(name) else {
                return Err(internal(format!(
                    "operator {:?} has no side output {name:?}",
                    self.graph.nodes[place].name
                )));
            };
            sides.push((name.clone(), side.port(outputs)?));
        }
        Ok(Outputs { main, sides })
    }

    fn chained(&self, place: usize, wiring: &mut TaskWiring) -> TaskResult<Erased> {
        let outputs = self.outputs(place, wiring)?;
        match &self.graph.nodes[place].body {
            Body::One(body) => body.chained(self.name(place), outputs, wiring),
            Body::Source(_) | Body::Two(_) => {
                Err(internal(format!("operator {:?} cannot be within a chain", self.graph.nodes[place].name)))
            }
        }
    }

    fn committing(&self, operator: OperatorId) -> Option<(OperatorName, &dyn Commit)> {
        let place = *self.places.get(&operator)?;
        let commit = match &self.graph.nodes.get(place)?.body {
            Body::Source(body) => body.commit()?,
            Body::One(body) => body.commit()?,
            Body::Two(_) => return None,
        };
        Some((self.name(place), commit))
    }
}

#[cold]
fn internal(message: String) -> Box<Failure> {
    Box::new(Failure::internal(message).fatal())
}

impl JobProgram for PlannedProgram {
    fn build_task(&self, mut wiring: TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        let vertex = wiring.info().vertex;
        let Some(&head) = self.heads.get(&vertex) else {
            return Err(internal(format!("the program has no vertex {vertex}")));
        };
        for edge in self.graph.inputs(head) {
            if let Some(index) = edge.index {
                edge.body.rule(index, &mut wiring);
            }
        }
        match &self.graph.nodes[head].body {
            Body::Source(body) => {
                let outputs = self.outputs(head, &mut wiring)?;
                body.head(self.name(head), outputs, &mut wiring)
            }
            Body::One(body) => {
                let chain = self.chained(head, &mut wiring)?;
                body.head(chain, &mut wiring)
            }
            Body::Two(body) => {
                let outputs = self.outputs(head, &mut wiring)?;
                body.head(self.name(head), outputs, &mut wiring)
            }
        }
    }

    fn enumerate_splits(&self, source: OperatorId, parallelism: u32) -> TaskResult<Vec<Bytes>> {
        let place = self.places.get(&source).copied();
        match place.map(|place| (place, &self.graph.nodes[place].body)) {
            Some((place, Body::Source(body))) => {
                body.enumerate(parallelism).map_err(|failure| named(failure, &self.name(place)))
            }
            _ => Err(internal(format!("the program has no source {source}"))),
        }
    }

    fn commit(&self, committables: Vec<Committable>) -> TaskResult<Vec<Failure>> {
        let mut by_sink: BTreeMap<OperatorId, Vec<Bytes>> = BTreeMap::new();
        for committable in committables {
            by_sink.entry(committable.sink).or_default().push(committable.data);
        }
        // One sink that fails does not keep the others from trying; the first failure is told, and before others one that does not pass.
        let (mut told, mut outcome) = (Vec::new(), TaskResult::Ok(()));
        for (sink, prepared) in &by_sink {
            let done = match self.committing(*sink) {
                Some((name, commit)) => {
                    let named = |failure| named(failure, &name);
                    commit.commit(self.job, prepared).map_err(named)
                }
                None => Err(internal(format!("the program has no sink {sink}"))),
            };
            match (done, &outcome) {
                (Ok(more), _) => told.extend(more),
                (Err(failure), Err(first)) if failure.may_pass() || !first.may_pass() => {}
                (Err(failure), _) => outcome = Err(failure),
            }
        }
        outcome?;
        for (sink, prepared) in &by_sink {
            if let Some((name, commit)) = self.committing(*sink) {
                commit.settle(self.job, prepared).map_err(|failure| named(failure, &name))?;
            }
        }
        Ok(told)
    }

    fn abort(&self, kept: BTreeMap<OperatorId, Vec<Bytes>>) -> TaskResult {
        let mut outcome = Ok(());
        for node in &self.graph.nodes {
            if let Some((name, commit)) = self.committing(node.id) {
                let kept = kept.get(&node.id).map(Vec::as_slice).unwrap_or_default();
                outcome = outcome.and(commit.abort(self.job, node.id, kept).map_err(|failure| named(failure, &name)));
            }
        }
        outcome
    }
}
