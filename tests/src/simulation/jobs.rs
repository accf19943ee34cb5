//! Random jobs.

use std::collections::BTreeMap;

use flott_core::{
    id::{JobId, OperatorId, VertexId},
    job_graph::{Exchange, OperatorKind, Parallelism, RestartStrategy, ShipStrategy},
    resource::ResourceProfile,
};
use flott_jobmaster::{
    Adaptive, JobSpec, Millis, Timeouts,
    testing::{TestGraph, spec_of},
};

use super::plan::Plan;
use crate::random::Random;

/// What tasks of a job do.
#[derive(Debug, Clone)]
pub struct Profile {
    pub work_ms_max: u64,
    pub sinks: BTreeMap<VertexId, OperatorId>,
    /// Whether the job restarts however often it fails.
    pub is_patient: bool,
}

/// A job of a random shape that the cluster can hold.
pub fn draw(plan: &Plan, random: &mut Random, now: u64) -> (JobSpec, Profile) {
    let id = JobId::from_bytes(random.bytes());
    let vertices = random.within(1..=4);
    let mut graph = TestGraph::new(&format!("job {id}"));
    let mut sinks = BTreeMap::new();
    let mut before: Option<String> = None;
    // Vertices share slots, so the widest one is what the job needs.
    let widest = plan.parallelism_max.min(plan.slots_max());
    for place in 0..vertices {
        let name = format!("{id} {place}");
        let kind = match place {
            0 => OperatorKind::Source,
            _ if place + 1 == vertices => OperatorKind::Sink,
            _ => OperatorKind::Operator,
        };
        let operator = OperatorId::from_uid(&name);
        if kind == OperatorKind::Sink {
            sinks.insert(VertexId::of_chain(operator), operator);
        }
        // Many small jobs and few large ones.
        let width = random.within(1..=u64::from(widest));
        let parallelism = Parallelism::Fixed(random.within(1..=width) as u32);
        let parallelism = if plan.reactive && random.per_mille(700) { Parallelism::Default } else { parallelism };
        graph = graph.vertex_in("default", ResourceProfile::ANY, &name, parallelism, kind);
        if let Some(before) = before.filter(|_| !random.per_mille(100)) {
            let exchange = if random.per_mille(250) { Exchange::Blocking } else { Exchange::Pipelined };
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
    let mut spec = spec_of(graph.with(|graph| graph.job_id = id), restart);
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
    (spec, Profile { work_ms_max: plan.work_ms_max, sinks, is_patient })
}
