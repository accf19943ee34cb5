//! Where a program begins and ends: sources, settings, and `execute`.
//!
//! # Layout
//! - `launch`: the mode that the program was started in
//! - `settings`: settings of the job as a whole
//! - `sources`: the beginnings of streams
//! - `execute`: what happens in each mode
//! - `local`: the job within this process
//! - `rehearsal`: looks for a second `execute` when a program is planned

mod execute;
mod launch;
mod local;
mod rehearsal;
mod settings;
mod sources;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flott_runtime::time::Clock;
use parking_lot::Mutex;

use crate::{
    error::PlanError,
    plan::{Node, NodeIndex, Plan},
};
use launch::Launch;
use settings::Settings;

/// A program's way to Flott: sources begin here, and [`execute`](Self::execute) runs what was put together.
///
/// The same executable runs in three modes, told apart by environment variables that the runtime sets: by itself (the
/// job runs within the process), to be planned (`execute` writes the job graph, and nothing behind it reaches the outside), and to host tasks
/// on a TaskManager (`execute` plans again, compares, and serves until the job ends). So what a program does before
/// `execute` happens on every machine, and must lead to the same plan each time; what it does after happens only when it
/// runs by itself.
#[derive(Clone)]
pub struct Environment {
    shared: Arc<Shared>,
}

struct Shared {
    /// Tells environments apart.
    id: u64,
    /// Runs within the process whatever the mode.
    always_local: bool,
    launch: Launch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    plan: Plan,
    settings: Settings,
    clock: Clock,
    executed: bool,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("operators", &self.shared.state.lock().plan.nodes.len()).finish()
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment {
    /// The environment of this program's job, in the mode that the program was started in. What is wrong with that mode's
    /// variables is told by [`execute`](Self::execute).
    pub fn new() -> Self {
        Self::with(false, Launch::of_process())
    }

    /// An environment whose job runs within this process, in whatever mode the program was started. There can be several
    /// of them.
    pub fn local() -> Self {
        Self::with(true, Launch::run())
    }

    fn with(always_local: bool, launch: Launch) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { shared: Arc::new(Shared { id, always_local, launch, state: Mutex::default() }) }
    }

    pub(crate) fn id(&self) -> u64 {
        self.shared.id
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.shared.id == other.shared.id
    }

    /// `path` from the directory in which the program was planned, wherever its tasks are hosted.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        match self.shared.launch.directory() {
            Some(directory) => Path::new(&directory).join(path),
            None => path.to_owned(),
        }
    }

    pub(crate) fn add(&self, node: Node) -> NodeIndex {
        self.shared.state.lock().plan.add(node)
    }

    pub(crate) fn change(&self, node: NodeIndex, change: impl FnOnce(&mut Node)) {
        change(self.shared.state.lock().plan.node(node));
    }

    pub(crate) fn with_plan<R>(&self, look: impl FnOnce(&mut Plan) -> R) -> R {
        look(&mut self.shared.state.lock().plan)
    }

    /// Notes what is wrong with the plan; `execute` tells.
    pub(crate) fn problem(&self, problem: PlanError) {
        self.shared.state.lock().plan.problems.push(problem);
    }
}
