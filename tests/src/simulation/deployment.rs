//! The deployment of ten thousand subtasks, measured.

use std::time::Instant;

use flott_core::{
    job_graph::{Exchange, OperatorKind, Parallelism, RestartStrategy, ShipStrategy},
    resource::ResourceProfile,
    status::JobStatus,
};
use flott_jobmaster::{
    Millis,
    testing::{TestGraph, spec_of},
};

use super::{
    jobs::Profile,
    plan::{Faults, Plan},
    world::World,
};

/// What a deployment took.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// Subtasks that run.
    pub subtasks: u32,
    /// TaskManagers that they run on.
    pub workers: u32,
    /// Real seconds from the submission until all of them run: the time of all deciding, on one core, without any
    /// transport.
    pub seconds: f64,
    /// Simulated milliseconds of the same; processes take up to 300 of them to come up.
    pub simulated_ms: u64,
    /// Messages, timers and steps of tasks on the way.
    pub happenings: u64,
}

/// Deploys a job of two vertices with 5,000 subtasks each, with a keyed exchange between them and a slot for each
/// subtask, on 1,000 TaskManagers with 10 slots each that are registered already.
///
/// # Errors
/// When it does not come to run.
pub fn deploy_10k() -> Result<Deployed, String> {
    let plan = Plan {
        seed: 1,
        machines: 1000,
        slots: 10,
        backend: false,
        jobs: 0,
        arrivals_ms: 0,
        parallelism_max: 5000,
        // Longer than the measurement.
        work_ms_max: 1 << 40,
        reactive: false,
        durable: false,
        faults: Faults::default(),
    };
    let (subtasks, workers) = (plan.slots_max(), plan.machines);
    let mut world = World::new(plan);
    let all = workers as usize;
    world.run_while(u64::MAX, |world| world.jobmanager.manager.overview().len() < all)?;

    let half = Parallelism::Fixed(subtasks / 2);
    let graph = TestGraph::new("deploy-10k")
        .vertex_in("sources", ResourceProfile::ANY, "source", half, OperatorKind::Source)
        .vertex_in("counts", ResourceProfile::ANY, "count", half, OperatorKind::Operator)
        .edge("source", "count", ShipStrategy::Hash, Exchange::Pipelined);
    let mut spec = spec_of(graph, RestartStrategy::None);
    spec.accepted_at = Millis(world.now);
    let profile = Profile { work_ms_max: world.plan().work_ms_max, ..Profile::default() };
    let (simulated, happenings, began) = (world.now(), world.summary.happenings, Instant::now());
    let job = world.submit(spec, profile)?;
    // A task reports first and then runs on; counting them all after each step would be most of the work.
    while world.running_tasks() < subtasks as usize {
        let (now, status) = (world.now, world.jobmanager.masters.get(&job).map(|master| master.core.status()));
        if status.is_none_or(JobStatus::is_terminal) || world.now() - simulated > 60_000 {
            return Err(format!("the job is {status:?} with {} subtasks running", world.running_tasks()));
        }
        world.run_while(now + 10, |_| true)?;
        world.now = world.now.max(now + 10);
    }
    Ok(Deployed {
        subtasks,
        workers,
        seconds: began.elapsed().as_secs_f64(),
        simulated_ms: world.now() - simulated,
        happenings: world.summary.happenings - happenings,
    })
}
