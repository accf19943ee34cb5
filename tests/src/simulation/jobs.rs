//! Random jobs.

use std::{collections::BTreeMap, sync::Arc};

use flott_core::{
    id::{JobId, OperatorId, VertexId},
    job_graph::{Exchange, JobGraph, OperatorKind, OperatorSpec, Parallelism, RestartStrategy, ShipStrategy},
    resource::ResourceProfile,
};
use flott_jobmaster::{
    Adaptive, JobSpec, Millis, RestorePoint, SnapshotSpec, Timeouts,
    testing::{TestGraph, spec_of},
};

use super::plan::Plan;
use crate::random::Random;

/// What tasks of a job do.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    pub work_ms_max: u64,
    pub sinks: BTreeMap<VertexId, OperatorId>,
    /// Whether the job restarts however often it fails.
    pub is_patient: bool,
    /// Vertices that read splits, with how many. Others just run for a while.
    pub sources: BTreeMap<VertexId, (OperatorId, u32)>,
}

/// A job of a random shape that the cluster can hold.
pub fn draw(plan: &Plan, random: &mut Random, now: u64) -> (JobSpec, Profile) {
    let id = JobId::from_bytes(random.bytes());
    let vertices = random.within(1..=4);
    let mut graph = TestGraph::new(&format!("job {id}"));
    let mut profile = Profile { work_ms_max: plan.work_ms_max, ..Profile::default() };
    let mut before: Option<String> = None;
    // Vertices share slots, so the widest one is what the job needs.
    let widest = plan.parallelism_max.min(plan.slots_max());
    for place in 0..vertices {
        let name = format!("{id} {place}");
        let is_last = place + 1 == vertices;
        let is_alone = plan.durable && place > 0 && random.per_mille(100);
        let kind = match place {
            0 => OperatorKind::Source,
            // Barriers come from sources alone.
            _ if is_alone => OperatorKind::Source,
            _ if is_last => OperatorKind::Sink,
            _ => OperatorKind::Operator,
        };
        let operator = OperatorId::from_uid(&name);
        match kind {
            OperatorKind::Sink => drop(profile.sinks.insert(VertexId::of_chain(operator), operator)),
            OperatorKind::Source if plan.durable => {
                let splits = random.within(0..=30) as u32;
                profile.sources.insert(VertexId::of_chain(operator), (operator, splits));
            }
            _ => {}
        }
        // Many small jobs and few large ones.
        let width = random.within(1..=u64::from(widest));
        let parallelism = Parallelism::Fixed(random.within(1..=width) as u32);
        let parallelism = if plan.reactive && random.per_mille(700) { Parallelism::Default } else { parallelism };
        graph = graph.vertex_in("default", ResourceProfile::ANY, &name, parallelism, kind);
        if let Some(before) = before.filter(|_| if plan.durable { !is_alone } else { !random.per_mille(100) }) {
            let is_blocking = random.per_mille(250) && !plan.durable;
            let exchange = if is_blocking { Exchange::Blocking } else { Exchange::Pipelined };
            let ship = if random.per_mille(500) { ShipStrategy::Hash } else { ShipStrategy::Rebalance };
            graph = graph.edge(&before, &name, ship, exchange);
        }
        before = Some(name);
    }
    let delay_ms = random.within(0..=3000);
    let (is_patient, restart) = match random.within(0..=7) {
        0 => (false, RestartStrategy::None),
        1 => (false, RestartStrategy::FixedDelay { attempts: 3, delay_ms }),
        _ => (true, RestartStrategy::FixedDelay { attempts: u32::MAX, delay_ms }),
    };
    profile.is_patient = is_patient;
    let graph = graph.with(|graph| {
        graph.job_id = id;
        chain_sinks(graph, &mut profile);
    });
    let mut spec = spec_of(graph, restart);
    spec.accepted_at = Millis(now);
    spec.seed = random.next();
    // Starvation is to be seen, not to be ended by a timeout.
    spec.timeouts = Timeouts { slot_request: 24 * 3_600_000, ..Timeouts::default() };
    if plan.reactive {
        spec.default_parallelism = random.within(1..=u64::from(widest)) as u32;
        spec.adaptive = Adaptive {
            reactive: true,
            cooldown: random.within(0..=3_000),
            executing_stabilization: random.within(0..=3_000),
            submission_stabilization: random.within(0..=3_000),
        };
    }
    if plan.durable && !random.per_mille(200) {
        let interval = format!("{} ms", random.within(100..=2000));
        spec.configuration.insert("execution.checkpointing.interval".to_owned(), interval);
        spec.configuration.insert("execution.checkpointing.timeout".to_owned(), "20 s".to_owned());
        spec.snapshots = SnapshotSpec { directory: Some(format!("/checkpoints/{id}")), ..SnapshotSpec::default() };
    }
    (spec, profile)
}

/// The same job as a new one, that starts from a savepoint.
pub fn again(spec: &JobSpec, savepoint: RestorePoint, random: &mut Random, now: u64) -> JobSpec {
    let (id, mut graph) = (JobId::from_bytes(random.bytes()), JobGraph::clone(&spec.graph));
    graph.job_id = id;
    let directory = spec.snapshots.directory.as_ref().map(|_| format!("/checkpoints/{id}"));
    let snapshots = SnapshotSpec { directory, restore: Some(Arc::new(savepoint)), ..SnapshotSpec::default() };
    JobSpec { graph: Arc::new(graph), snapshots, accepted_at: Millis(now), seed: random.next(), ..spec.clone() }
}

/// Gives each source that reads splits a sink of its own, so that what it has read shows in what becomes visible.
fn chain_sinks(graph: &mut JobGraph, profile: &mut Profile) {
    for vertex in graph.vertices.iter_mut().filter(|vertex| profile.sources.contains_key(&vertex.id)) {
        let Some(source) = vertex.operators.first() else { continue };
        let name = format!("{} sink", source.name);
        let id = OperatorId::from_uid(&name);
        let sink = OperatorSpec { id, uid: Some(name.clone()), name, kind: OperatorKind::Sink, ..source.clone() };
        profile.sinks.insert(vertex.id, id);
        vertex.operators.push(sink);
    }
}
