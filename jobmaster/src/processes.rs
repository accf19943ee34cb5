//! The job processes: one per TaskManager that the job has slots of, each in one of its lives.
//!
//! A life is over when *its* end is reported, and by nothing else: news may be held up, so word of another life, be it of
//! its beginning or of its end, does not say whether that life came before or after. Tasks that are counted as gone while
//! they run would run twice. A TaskManager answers what is addressed to a life that has ended with that end, and a
//! repeated `StartProcess` with the life that is up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flott_core::{
    id::{ProcessId, WorkerKey},
    message::ProcessLocation,
};

use crate::{bounded::Recent, execution_graph::Host, index::ExecutionIndex, time::Millis};

/// Lives that are remembered as lost, per TaskManager.
const LIVES_MAX: usize = 16;
/// TaskManagers that are remembered as lost.
const WORKERS_MAX: usize = 4096;

/// What is known of the process on one TaskManager.
#[derive(Debug, Clone, PartialEq)]
pub enum ProcessState {
    /// None that we know of.
    Absent,
    /// Asked for.
    Starting {
        /// Since when.
        since: Millis,
    },
    /// Up.
    Ready(Arc<Host>),
}

#[derive(Debug, Clone)]
struct Entry {
    state: ProcessState,
    lost: Recent<ProcessId>,
    /// Subtasks whose current attempts were deployed here, whatever became of them.
    executions: BTreeSet<ExecutionIndex>,
}

/// All job processes of a job.
#[derive(Debug, Clone)]
pub struct Processes {
    workers: BTreeMap<WorkerKey, Entry>,
    starting: BTreeSet<(Millis, WorkerKey)>,
    lost_workers: Recent<WorkerKey>,
}

impl Default for Processes {
    fn default() -> Self {
        Self { workers: BTreeMap::new(), starting: BTreeSet::new(), lost_workers: Recent::new(WORKERS_MAX) }
    }
}

impl Processes {
    /// The process of a TaskManager.
    pub fn state(&self, worker: &WorkerKey) -> &ProcessState {
        self.workers.get(worker).map_or(&ProcessState::Absent, |entry| &entry.state)
    }

    /// The process of a TaskManager, if it is up.
    pub fn host(&self, worker: &WorkerKey) -> Option<&Arc<Host>> {
        match self.state(worker) {
            ProcessState::Absent | ProcessState::Starting { .. } => None,
            ProcessState::Ready(host) => Some(host),
        }
    }

    /// Processes that are up.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.workers.keys().filter_map(|worker| self.host(worker))
    }

    /// TaskManagers that have been asked for anything, and are not lost.
    pub fn workers(&self) -> impl Iterator<Item = &WorkerKey> {
        self.workers.keys()
    }

    /// TaskManagers whose processes are coming up, longest wait first.
    pub fn starting(&self) -> impl ExactSizeIterator<Item = (Millis, &WorkerKey)> {
        self.starting.iter().map(|(since, worker)| (*since, worker))
    }

    /// Whether a TaskManager is known to be gone for good.
    pub fn is_lost(&self, worker: &WorkerKey) -> bool {
        self.lost_workers.contains(worker)
    }

    fn entry(&mut self, worker: &WorkerKey) -> &mut Entry {
        self.workers.entry(worker.clone()).or_insert_with(|| Entry {
            state: ProcessState::Absent,
            lost: Recent::new(LIVES_MAX),
            executions: BTreeSet::new(),
        })
    }

    /// Notes that a process is wanted on `worker`; `true` if it must be asked for.
    pub fn start(&mut self, worker: &WorkerKey, now: Millis) -> bool {
        let entry = self.entry(worker);
        match entry.state {
            ProcessState::Absent => {
                entry.state = ProcessState::Starting { since: now };
                self.starting.insert((now, worker.clone()));
                true
            }
            ProcessState::Starting { .. } | ProcessState::Ready(_) => false,
        }
    }

    /// A process was left by an earlier JobMaster, and runs.
    pub fn adopt(&mut self, worker: &WorkerKey, location: ProcessLocation) {
        self.entry(worker).state = ProcessState::Ready(Arc::new(Host { worker: worker.clone(), location }));
    }

    /// A TaskManager says that a process is up; `true` if that is news. It is none if that life has ended, or if another
    /// is up as far as we know: should that one have ended, the TaskManager says so when it is next spoken to.
    pub fn up(&mut self, worker: &WorkerKey, location: ProcessLocation) -> bool {
        let Some(entry) = self.workers.get_mut(worker) else { return false };
        if entry.lost.contains(&location.process) {
            return false;
        }
        match &entry.state {
            ProcessState::Absent => {}
            ProcessState::Starting { since } => {
                self.starting.remove(&(*since, worker.clone()));
            }
            ProcessState::Ready(_) => return false,
        }
        entry.state = ProcessState::Ready(Arc::new(Host { worker: worker.clone(), location }));
        true
    }

    /// A TaskManager says that a life has ended, or never came up. `None` if we were not counting on it; else the
    /// subtasks that were deployed to it.
    pub fn down(&mut self, worker: &WorkerKey, process: ProcessId) -> Option<BTreeSet<ExecutionIndex>> {
        let entry = self.workers.get_mut(worker)?;
        if !entry.lost.insert(process) {
            return None;
        }
        match &entry.state {
            ProcessState::Absent => None,
            ProcessState::Starting { .. } => Some(self.drop_process(worker)),
            ProcessState::Ready(host) if host.location.process == process => Some(self.drop_process(worker)),
            ProcessState::Ready(_) => None,
        }
    }

    /// Gives up the process of `worker`, whichever it is, and returns the subtasks that were deployed to it.
    pub fn drop_process(&mut self, worker: &WorkerKey) -> BTreeSet<ExecutionIndex> {
        let Some(entry) = self.workers.get_mut(worker) else { return BTreeSet::new() };
        match std::mem::replace(&mut entry.state, ProcessState::Absent) {
            ProcessState::Absent => {}
            ProcessState::Starting { since } => {
                self.starting.remove(&(since, worker.clone()));
            }
            ProcessState::Ready(host) => {
                entry.lost.insert(host.location.process);
            }
        }
        std::mem::take(&mut entry.executions)
    }

    /// A TaskManager is gone for good, and says nothing any more; `false` if that was known.
    pub fn lose_worker(&mut self, worker: &WorkerKey) -> bool {
        self.workers.remove(worker);
        self.lost_workers.insert(worker.clone())
    }

    /// Notes that a subtask's current attempt is deployed to the process on `worker`.
    pub fn deployed(&mut self, worker: &WorkerKey, execution: ExecutionIndex) {
        self.entry(worker).executions.insert(execution);
    }

    /// Notes that a subtask has a new attempt, which is not on `worker` so far.
    pub fn withdrawn(&mut self, worker: &WorkerKey, execution: ExecutionIndex) {
        if let Some(entry) = self.workers.get_mut(worker) {
            entry.executions.remove(&execution);
        }
    }

    /// No attempt is deployed anywhere: all have new ones.
    pub fn forget_executions(&mut self) {
        self.workers.values_mut().for_each(|entry| entry.executions.clear());
    }

    /// Subtasks whose current attempts were deployed to `worker`.
    pub fn executions(&self, worker: &WorkerKey) -> impl Iterator<Item = ExecutionIndex> {
        self.workers.get(worker).into_iter().flat_map(|entry| entry.executions.iter().copied())
    }
}
