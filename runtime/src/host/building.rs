//! From a deployment to tasks that can run.

use std::sync::Arc;

use flott_core::{checkpoint::TaskRestore, id::AttemptId, message::Deployment, status::ExecutionState};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Running, Shared, guard, snapshots::Belongs};
use crate::{
    snapshot::TaskSnapshots,
    task::{Prepared, TaskFigures, TaskHead, TaskInfo, TaskWiring, wiring::Offered},
    time::Alarm,
};

/// A task of a deployment that is to be built.
pub(super) struct Accepted {
    info: Arc<TaskInfo>,
    lane: usize,
    wiring: TaskWiring,
    cancel: CancellationToken,
    offered: Offered,
    restore: Option<Box<TaskRestore>>,
}

/// A task that can run.
struct Built {
    info: Arc<TaskInfo>,
    lane: usize,
    head: Box<dyn TaskHead>,
    cancel: CancellationToken,
    offered: Offered,
    /// In the checkpoint that it starts from.
    had_finished: bool,
}

impl Shared {
    /// Notes the new attempts of a deployment; consumers come before their producers.
    pub(super) fn accept(&self, mut deployment: Deployment) -> Vec<Accepted> {
        let place = |attempt: &AttemptId| self.options.graph.vertices.iter().position(|v| v.id == attempt.vertex);
        let mut tasks = std::mem::take(&mut deployment.tasks);
        tasks.sort_by_key(|task| (std::cmp::Reverse(place(&task.attempt)), task.attempt));
        let deployment = Arc::new(deployment);
        let mut attempts = self.attempts.lock();
        let mut accepted = Vec::new();
        for task in tasks {
            if attempts.running.contains_key(&task.attempt) || attempts.ended.contains(task.attempt) {
                continue;
            }
            let setup = &self.options.setup;
            let vertex = self.options.graph.vertex(task.attempt.vertex);
            let info = Arc::new(TaskInfo {
                job: setup.job,
                job_name: setup.name.clone(),
                vertex: task.attempt.vertex,
                task_name: vertex.map_or_else(|| task.attempt.vertex.to_string(), |vertex| vertex.name.clone()),
                attempt: task.attempt,
                epoch: deployment.epoch,
                parallelism: task.parallelism,
                max_parallelism: task.max_parallelism,
                worker: self.options.worker.clone(),
                configuration: setup.configuration.clone(),
                accumulators: Mutex::default(),
                figures: TaskFigures::default(),
                clock: self.options.clock.clone(),
                alarm: Alarm::default(),
                snapshots: TaskSnapshots::new(
                    task.attempt.subtask,
                    task.parallelism,
                    task.max_parallelism,
                    &setup.configuration,
                    self.snapshots.clone(),
                ),
                backend: self.backend.clone(),
            });
            let cancel = CancellationToken::new();
            let (source, answers) = mpsc::unbounded_channel();
            let lane = attempts.lane(task.allocation, self.lanes.runtimes().len());
            let running =
                Running { info: info.clone(), allocation: task.allocation, lane, cancel: cancel.clone(), source };
            attempts.running.insert(task.attempt, running);
            let wiring = TaskWiring::new(
                info.clone(),
                self.options.graph.clone(),
                deployment.clone(),
                self.exchange.clone(),
                self.report.clone(),
                answers,
            );
            let offered = wiring.offered();
            accepted.push(Accepted { info, lane, wiring, cancel, offered, restore: task.restore });
        }
        accepted
    }

    pub(super) fn build(self: &Arc<Self>, tasks: Vec<Accepted>) {
        let mut built = Vec::new();
        let mut tasks = tasks.into_iter().peekable();
        while let Some(first) = tasks.next() {
            let vertex = first.info.vertex;
            let mut subtasks = vec![first];
            while let Some(next) = tasks.next_if(|next| next.info.vertex == vertex) {
                subtasks.push(next);
            }
            built.extend(self.build_subtasks(subtasks));
        }
        for Built { info, lane, head, cancel, offered, had_finished } in built {
            let shared = self.clone();
            let task = if had_finished { head.pass() } else { head.run() };
            self.lanes.spawn(lane, async move { shared.run(info, task, cancel, offered).await });
        }
    }

    /// Builds subtasks of one vertex, which have nothing to do with each other: side by side where there is state to be taken up,
    /// which takes its time.
    fn build_subtasks(&self, subtasks: Vec<Accepted>) -> Vec<Built> {
        let has_state = |task: &Accepted| task.restore.as_ref().is_some_and(|restore| !restore.parts.is_empty());
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(subtasks.len());
        if threads == 1 || !subtasks.iter().any(has_state) {
            return subtasks.into_iter().filter_map(|task| self.build_one(task)).collect();
        }
        let (waiting, built) = (Mutex::new(subtasks.into_iter()), Mutex::new(Vec::new()));
        let build = || {
            loop {
                let Some(next) = waiting.lock().next() else { break };
                // Not within one statement: the lock would be held while it is built.
                let task = self.build_one(next);
                built.lock().extend(task);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                let helper = std::thread::Builder::new().name("flott-build".into());
                let help = || {
                    // Operators find the executor there, as in the thread that called.
                    let _executor = self.lanes.runtimes()[0].enter();
                    build();
                };
                // Where there is no thread to be had, it is done without.
                if let Err(error) = helper.spawn_scoped(scope, help) {
                    tracing::warn!(%error, "a thread that builds tasks cannot be started");
                }
            }
            build();
        });
        built.into_inner()
    }

    fn build_one(&self, task: Accepted) -> Option<Built> {
        let Accepted { info, lane, wiring, cancel, offered, restore } = task;
        if cancel.is_cancelled() {
            self.ended(&info, None, &offered);
            return None;
        }
        self.say(&info, ExecutionState::Initializing, None, Prepared::new());
        let build = || {
            self.snapshots.check()?;
            if let Some(restore) = restore.as_deref().filter(|restore| !restore.finished) {
                let (groups, subtask) = (info.snapshots.groups().held, (info.attempt.subtask, info.parallelism));
                let (vertex, graph) = (info.vertex, Arc::clone(&self.options.graph));
                let belong = move |operator| Belongs::to(vertex, &graph, operator);
                let restored = self.snapshots.restore(restore, groups, belong, subtask, &cancel)?;
                info.snapshots.restore(restored);
            }
            let head = self.program.build_task(wiring)?;
            info.snapshots.check_in_flight()?;
            Ok(head)
        };
        match guard::catch(build) {
            Ok(head) => {
                let had_finished = restore.is_some_and(|restore| restore.finished);
                Some(Built { info, lane, head, cancel, offered, had_finished })
            }
            Err(failure) => {
                // Reading what it starts from ends with that.
                let outcome = if cancel.is_cancelled() { None } else { Some(Err(failure)) };
                self.ended(&info, outcome, &offered);
                None
            }
        }
    }
}
