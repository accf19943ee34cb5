//! Clusters of real processes that are killed, stopped and robbed of their disk while jobs run into exactly-once sinks.
//!
//! What happens is a [`Plan`], drawn from a seed: SIGKILL and SIGSTOP of job processes, TaskManagers and JobManagers, one or two at a
//! time, also while they recover; TaskManagers that do not reach the JobManager; savepoints, stops with a savepoint, and other parallelisms meanwhile; checkpoints that cannot be written, to a
//! directory or to a bucket; state in memory or on disk. The jobs are
//! those of `src/bin/chaos-program`. When all is over, the job must be FINISHED, and what it has shown must be the same
//! multiset of lines as a batch run of the same program gives, which nothing has disturbed. Equal seeds have equal plans; what
//! the processes do in between is not the same each time.
//!
//! # Layout
//! - [`plan`]: what is done, and when
//! - [`scenario`]: doing it
//! - `report`: how it went
//! - `store`: where checkpoints are, and how that goes wrong
//! - [`oracle`]: what must have been written

pub mod oracle;
pub mod plan;
mod report;
pub mod scenario;
mod store;

pub use plan::{Plan, Scope};
pub use report::Report;
pub use scenario::{INTERRUPTED, run};

/// Seeds whose [plain](Plan::plain) plans once went wrong. `chaos --regressions` runs them; what they have found has tests of its own beside.
///
/// - 110: a checkpoint overtook a savepoint, and did not hold what the savepoint's barrier had sinks prepare
/// - 127: a JobManager that was started while checkpoints could not be reached ended the job
/// - 511: a process died while it removed what a stopped job had left, and nobody else did
/// - 531, 533: two rounds of a commit removed what was left, and the process of one ended when the other had nothing to do
pub const REGRESSIONS: &[u64] = &[110, 127, 511, 531, 533];

/// The command that replays a plan.
pub fn replay(plan: &Plan) -> String {
    let scope = match plan.scope {
        Scope::Plain => " --plain",
        Scope::Local => " --local",
        Scope::All => "",
    };
    format!("cargo xtask chaos --seed {}{scope}", plan.seed)
}
