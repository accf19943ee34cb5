//! A whole control plane in one thread, in simulated time, from one seed.
//!
//! The deciding parts are the real ones: [`SlotManager`](flott_resource_manager::slot_manager::SlotManager),
//! [`JobMasterCore`](flott_jobmaster::JobMasterCore) for each job and [`State`](flott_worker::state::State) for each
//! TaskManager. Simulated is what surrounds them: clock, network, machines, the backend that starts them, job processes
//! and tasks. Messages are delayed, from workers also repeated and out of order; connections break, networks stall,
//! machines and processes die, tasks fail and do not stop, jobs are cancelled. In [durable](Plan::durable) histories
//! JobManagers die too, and others take over; sources read splits and sinks make what was read visible, with checkpoints
//! that now and then cannot be stored.
//!
//! What must hold is checked all along ([`check`]): no slot is given twice, no job starves that could run, nothing that was
//! read is visible twice, and all of it once the job is FINISHED. In the end,
//! when faults have ceased, every job ends, nothing is left of it, and no worker is left over.
//!
//! Everything is drawn from the seed, so a seed is a history: [`Violation`] prints the command that replays it. With
//! `FLOTT_SIM_TRACE=external-3` a history prints all that happens at that worker, with the id of a job all that its JobMasters are
//! told and want.
//!
//! # Layout
//! - [`plan`]: how large, how many jobs, which faults
//! - [`world`]: the queue of happenings and what becomes of each; `network`, `machines`, `masters`, `faults` its parts
//! - `host`: a job process; `jobs`: random jobs; `outside`: what they read and make visible
//! - `stores`: what JobMasters have written down, and how another JobManager begins with it
//! - [`check`]: the invariants, numbered
//! - [`deployment`]: the deployment of ten thousand subtasks, for the benchmark

pub mod check;
pub mod deployment;
mod faults;
mod host;
mod jobs;
mod machines;
mod masters;
mod network;
mod outside;
pub mod plan;
mod stores;

pub mod world;

pub use check::{Invariant, Violation};
pub use deployment::{Deployed, deploy_10k};
pub use plan::Plan;
pub use world::{Summary, World};

/// Runs the history of one seed to its end.
///
/// # Errors
/// The first thing that happened and must not.
pub fn run(plan: Plan) -> Result<Summary, Violation> {
    let mut world = World::new(plan);
    let summary = world.run();
    summary.map_err(|check::Broken { invariant, what }| {
        let what = format!("{what}\n{}", world.describe());
        Violation { seed: world.plan().seed, at_ms: world.now(), invariant, what }
    })
}
