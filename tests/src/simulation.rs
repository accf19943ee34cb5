//! A whole control plane in one thread, in simulated time, from one seed.
//!
//! The deciding parts are the real ones: [`SlotManager`](flott_resource_manager::slot_manager::SlotManager),
//! [`JobMasterCore`](flott_jobmaster::JobMasterCore) for each job and [`State`](flott_worker::state::State) for each
//! TaskManager; and so is the [keeper](flott_jobmaster::CheckpointKeeper) of each job's checkpoints. Simulated is what surrounds
//! them: clock, network, object store, machines, the backend that starts them, job processes and tasks. Messages are delayed, from workers also repeated
//! and out of order; connections break, networks stall, machines and processes die, tasks fail and do not stop, jobs are cancelled.
//!
//! In [durable](Plan::durable) histories JobManagers are elected: [`Candidature`](flott_dispatcher::ha::Candidature)s stand for a lease
//! in the store, each by a clock that runs fast or slow. They die, at whatever await their work with the store has come to, or are
//! deposed and go on without knowing it while another leads; requests to the store are late, refused, done without an answer, lost or torn; and directories of checkpoints are not mounted, or older copies.
//! Sources read splits, and sinks make what was read visible; jobs stop with savepoints, and new ones go on from these. There, what
//! TaskManagers say of a job comes in order, as their sessions have it, but late, and after what was said later of slots. Much of it
//! comes once more when it is over, as do answers of the store, and some reaches a JobMaster that it is not meant for.
//!
//! What must hold is checked all along ([`check`]): no slot is given twice, no job starves that could run, nothing that was
//! read is visible twice, and all of it once the job is FINISHED, or those that go on from it; no checkpoint is lost that was
//! complete to anybody. In the end, when faults have ceased, every job ends, nothing is left of it, and no worker is left over.
//!
//! Everything is drawn from the seed, so a seed is a history: [`Violation`] prints the command that replays it. With
//! `FLOTT_SIM_TRACE=external-3` a history prints all that happens at that worker, with the id of a job all that its JobMasters are
//! told and want.
//!
//! # Layout
//! - [`plan`]: how large, how many jobs, which faults
//! - [`world`]: the queue of happenings and what becomes of each; `network`, `machines`, `masters`, `faults` its parts
//! - `host`: a job process; `jobs`: random jobs; `outside`: what they read and make visible
//! - `elections`: who of several JobManagers leads; `jobmanager`: the one that does, and one that is deposed
//! - `logs`: the keepers of checkpoints; `store`: the object store below, and what goes wrong in it; `leftovers`: what is removed from it
//! - `records`: the log of jobs, and what clients and JobMasters ask of it; `stores`: what is known of a job from it
//! - `volumes`: checkpoints that are away, or an older copy
//! - `stale`: what is said when it is over; `summary`: what has happened, in numbers
//! - [`check`]: the invariants, numbered
//! - [`deployment`]: the deployment of ten thousand subtasks, for the benchmark

pub mod check;
pub mod deployment;
mod elections;
mod faults;
mod host;
mod jobmanager;
mod jobs;
mod leftovers;
mod logs;
mod machines;
mod masters;
mod network;
mod outside;
pub mod plan;
mod records;
mod stale;
mod store;
mod stores;
mod summary;
mod volumes;

pub mod world;

pub use check::{Invariant, Violation};
pub use deployment::{Deployed, deploy_10k};
pub use plan::Plan;
pub use stale::Stale;
pub use summary::Summary;
pub use world::World;

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
