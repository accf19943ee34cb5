//! The tasks of a job in the caller's thread, one step at a time: for tests of operators and pipelines.
//!
//! The tasks are the ones that a host runs, with their gates, their writers and the loop that drives a chain; only the
//! executor is another. It polls one task at a time, in the order in which they were woken or in one drawn from a seed,
//! and stops when none has anything to do. So a test sees what a job does, less the threads and the real time.
//!
//! - `deployment`: where everything runs: here
//! - `order`: which task is next
//! - `snapshot`: what all tasks remember at a barrier

mod deployment;
mod order;
mod snapshot;

use std::{
    collections::BTreeMap,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
};

use flott_core::{
    failure::Failure,
    id::JobMasterEpoch,
    job_graph::JobGraph,
    message::{Committable, TaskDeployment},
    view::Accumulator,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

pub use order::Draws;
use order::Ready;
use snapshot::Cuts;
pub use snapshot::HarnessSnapshot;

use crate::{
    batch::Timestamp,
    error::TaskResult,
    host::{backend::backend, guard},
    net::Exchange,
    program::JobProgram,
    snapshot::TaskSnapshots,
    state::{Backend, StateSize},
    task::{Prepared, TaskFigures, TaskHead, TaskInfo, TaskWiring},
    time::{Alarm, Clock, ManualClock},
};

/// Polls after which it is taken that tasks wake themselves for ever. Between two polls of a task are up to sixteen
/// batches.
const POLLS_MAX: usize = 20_000;

/// All tasks of a job, in the thread of whoever drives them.
pub struct TaskHarness {
    program: Arc<dyn JobProgram>,
    /// In the order of the graph: producers first.
    tasks: Vec<Task>,
    ready: Arc<Ready>,
    draws: Option<Draws>,
    clock: ManualClock,
    failure: Option<Box<Failure>>,
    cuts: Arc<Cuts>,
}

struct Task {
    info: Arc<TaskInfo>,
    waker: Waker,
    state: State,
}

enum State {
    Running(Pin<Box<dyn Future<Output = TaskResult<Prepared>> + Send>>),
    Finished(Prepared),
    Failed,
}

impl TaskHarness {
    /// Builds every task of `graph`, whose vertices must all say how many subtasks they have. With a `seed` it is drawn
    /// which of the tasks that have something to do is next. Operators begin with what there is `from` a snapshot.
    ///
    /// # Errors
    /// When a task cannot be built, an operator does not open, or the snapshot is one of another pipeline.
    pub fn start(
        graph: Arc<JobGraph>,
        program: Arc<dyn JobProgram>,
        clock: &ManualClock,
        seed: Option<u64>,
        from: Option<&HarnessSnapshot>,
    ) -> TaskResult<Self> {
        guard::note_panics();
        let deployment = Arc::new(deployment::of(&graph)?);
        from.map_or(Ok(()), |from| from.fits(&graph, &deployment.tasks))?;
        let exchange = Exchange::alone(graph.job_id, deployment::PROCESS);
        let cuts = Arc::<Cuts>::default();
        let snapshots = |task| snapshot::of_task(task, &graph, from, &cuts);
        let backend = backend(&graph.configuration, 1)?;
        let infos = deployment.tasks.iter().map(|task| info(task, &graph, clock, snapshots(task), backend.clone()));
        let mut built = Vec::with_capacity(deployment.tasks.len());
        // Consumers come before their producers.
        for info in infos.rev() {
            let (_, splits) = mpsc::unbounded_channel();
            let wiring = TaskWiring::new(
                info.clone(),
                graph.clone(),
                deployment.clone(),
                exchange.clone(),
                Arc::new(|_| ()),
                splits,
            );
            let build = || {
                let head = program.build_task(wiring)?;
                info.snapshots.check_in_flight()?;
                Ok(head)
            };
            let head = guard::catch(build).map_err(|failure| placed(failure, &info))?;
            built.push((info, head));
        }
        let ready = Arc::new(Ready::all(built.len()));
        let task = |(number, (info, head)): (usize, (_, Box<dyn TaskHead>))| Task {
            info,
            waker: Ready::waker(&ready, number),
            state: State::Running(head.run()),
        };
        let tasks = built.into_iter().rev().enumerate().map(task).collect();
        Ok(Self { program, tasks, ready, draws: seed.map(Draws::new), clock: clock.clone(), failure: None, cuts })
    }

    /// Has one task do what it can, if one can do anything.
    ///
    /// # Errors
    /// When a task fails, or has failed before. All tasks are gone then.
    pub fn step(&mut self) -> TaskResult<bool> {
        self.outside(Self::poll_one)
    }

    /// Has tasks do all that they can.
    ///
    /// # Errors
    /// As [`step`](Self::step); and when the tasks wake themselves without end.
    pub fn settle(&mut self) -> TaskResult {
        self.outside(|tasks| {
            for _ in 0..POLLS_MAX {
                if !tasks.poll_one()? {
                    return Ok(());
                }
            }
            let message = "tasks wake themselves without end: does a timer set itself for a time that has come?";
            Err(tasks.fail(Box::new(Failure::user(message).fatal())))
        })
    }

    /// Has tasks do what they can until each has given all that it has for the barrier that was given last.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn settle_cuts(&mut self) -> TaskResult {
        self.outside(|tasks| {
            for _ in 0..POLLS_MAX {
                if tasks.cuts.are_whole(tasks.running()) || !tasks.poll_one()? {
                    return Ok(());
                }
            }
            let message = "tasks wake themselves without end, and a barrier does not pass";
            Err(tasks.fail(Box::new(Failure::user(message).fatal())))
        })
    }

    fn running(&self) -> usize {
        self.tasks.iter().filter(|task| matches!(task.state, State::Running(_))).count()
    }

    /// Why all tasks are gone, if they are.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// The earliest processing time that an operator waits for, or a call that it has under way.
    pub fn next_alarm(&self) -> Option<Timestamp> {
        let running = self.tasks.iter().filter(|task| matches!(task.state, State::Running(_)));
        running.filter_map(|task| task.info.alarm.next()).chain(self.clock.awaited()).min()
    }

    /// Whether all tasks have ended.
    pub fn is_over(&self) -> bool {
        !self.tasks.iter().any(|task| matches!(task.state, State::Running(_)))
    }

    /// After the end: makes visible what sinks have prepared.
    ///
    /// # Errors
    /// Those of the sinks.
    pub fn commit(&mut self) -> TaskResult {
        let mut committables = Vec::new();
        for task in &mut self.tasks {
            if let State::Finished(prepared) = &mut task.state {
                let attempt = task.info.attempt;
                committables.extend(prepared.drain(..).map(|(sink, data)| Committable { sink, attempt, data }));
            }
        }
        guard::catch(|| self.program.commit(committables)).map(drop).map_err(|failure| self.fail(failure))
    }

    /// After a barrier was given to every input that has not ended: what all operators remembered as it passed them. What
    /// sinks have prepared by then is made visible, as of a checkpoint that is complete.
    ///
    /// # Errors
    /// When the barrier has not passed all tasks, as one waits for something outside; when an operator cannot give its state;
    /// those of the sinks.
    pub fn snapshot(&mut self) -> TaskResult<HarnessSnapshot> {
        let is_whole = self.cuts.are_whole(self.running());
        let mut cuts = self.cuts.take();
        if !is_whole {
            let message = "no snapshot can be taken: the pipeline has ended, or waits for something, such as the answer to a call";
            return Err(Box::new(Failure::user(message)));
        }
        let mut committables = Vec::new();
        for given in &mut cuts {
            let attempt = given.attempt;
            let Some(cut) = &mut given.cut else { continue };
            committables.extend(cut.prepared.drain(..).map(|(sink, data)| Committable { sink, attempt, data }));
        }
        let tasks = self.tasks.iter().map(|task| (task.info.attempt, task.info.max_parallelism));
        let groups: BTreeMap<_, _> = tasks.collect();
        let gathered =
            snapshot::gather(self.clock.now(), cuts, |attempt| groups.get(&attempt).copied().unwrap_or_default())?;
        if !committables.is_empty() {
            guard::catch(|| self.program.commit(committables)).map_err(|failure| self.fail(failure))?;
        }
        Ok(gathered)
    }

    /// What all operators together remembered when their tasks last began to wait, or ended.
    pub fn state_size(&self) -> StateSize {
        self.tasks.iter().map(|task| task.info.figures.state_size()).sum()
    }

    /// The accumulators of all tasks together: counters as they are now, and results of those that have ended.
    pub fn accumulators(&self) -> BTreeMap<String, Accumulator> {
        let mut merged: BTreeMap<String, Accumulator> = BTreeMap::new();
        let of_task = |task: &Task| {
            let results = task.info.accumulators.lock().clone();
            results.into_iter().chain(task.info.figures.counters().read().accumulators())
        };
        for (name, value) in self.tasks.iter().flat_map(of_task) {
            match merged.get_mut(&name) {
                // As in a job, one of another type is left out.
                Some(known) => _ = known.merge(value),
                None => _ = merged.insert(name, value),
            }
        }
        merged
    }

    fn poll_one(&mut self) -> TaskResult<bool> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let Some(number) = self.ready.next(self.draws.as_mut()) else { return Ok(false) };
        let Task { info, waker, state } = &mut self.tasks[number];
        let State::Running(task) = state else { return Ok(true) };
        let polled = guard::catch(|| match task.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Pending => Ok(None),
            Poll::Ready(outcome) => outcome.map(Some),
        });
        let outcome = polled.and_then(|prepared| {
            // User code runs once more when its state is dropped.
            prepared.map_or(Ok(()), |prepared| dropped(std::mem::replace(state, State::Finished(prepared))))
        });
        match outcome {
            Ok(()) => Ok(true),
            Err(failure) => {
                let failure = placed(failure, &info.clone());
                Err(self.fail(failure))
            }
        }
    }

    /// Ends everything; the failure comes back.
    fn fail(&mut self, failure: Box<Failure>) -> Box<Failure> {
        self.failure = Some(failure.clone());
        let abort = || self.program.abort(BTreeMap::new());
        // The first failure is what counts.
        let _ = guard::catch(abort);
        for task in &mut self.tasks {
            let _ = dropped(std::mem::replace(&mut task.state, State::Failed));
        }
        failure
    }

    /// Has `work` done, on a thread of its own if this one belongs to an executor: what yields there is woken by the
    /// executor alone, which waits for us.
    fn outside<R: Send>(&mut self, work: impl FnOnce(&mut Self) -> TaskResult<R> + Send) -> TaskResult<R> {
        if !within_executor() {
            return work(self);
        }
        thread::scope(|scope| match scope.spawn(|| work(self)).join() {
            Ok(outcome) => outcome,
            Err(_) => Err(Box::new(Failure::internal("the thread that drives the tasks panicked"))),
        })
    }
}

fn info(
    task: &TaskDeployment,
    graph: &JobGraph,
    clock: &ManualClock,
    snapshots: TaskSnapshots,
    backend: Backend,
) -> Arc<TaskInfo> {
    let vertex = task.attempt.vertex;
    Arc::new(TaskInfo {
        job: graph.job_id,
        job_name: graph.name.clone(),
        vertex,
        task_name: graph.vertex(vertex).map_or_else(|| vertex.to_string(), |vertex| vertex.name.clone()),
        attempt: task.attempt,
        epoch: JobMasterEpoch(1),
        parallelism: task.parallelism,
        max_parallelism: task.max_parallelism,
        worker: deployment::worker(),
        configuration: graph.configuration.clone(),
        accumulators: Mutex::default(),
        figures: TaskFigures::default(),
        clock: Clock::Manual(clock.clone()),
        alarm: Alarm::default(),
        snapshots,
        backend,
    })
}

fn placed(mut failure: Box<Failure>, info: &TaskInfo) -> Box<Failure> {
    failure.location.task = Some(info.task_name.clone());
    failure.location.subtask = Some((info.subtask(), info.parallelism));
    failure
}

fn dropped(state: State) -> TaskResult {
    guard::catch(|| {
        drop(state);
        Ok(())
    })
}

/// Whether a task that yields is not woken before the executor of this thread goes on.
fn within_executor() -> bool {
    #[derive(Default)]
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }
    let woken = Arc::<Woken>::default();
    let polled = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&woken.clone().into()));
    polled.is_pending() && !woken.0.load(SeqCst)
}

impl Drop for TaskHarness {
    fn drop(&mut self) {
        for task in &mut self.tasks {
            // Nobody is left to tell.
            let _ = dropped(std::mem::replace(&mut task.state, State::Failed));
        }
    }
}
