//! Many tasks of one job in one process: under a TaskManager, or inside a program that runs by itself.
//!
//! The host takes what a JobMaster says ([`JobToHost`]) from any thread, and reports back ([`HostToJob`]) from any
//! thread. Tasks, data connections and user code run on an executor of its own, sized to the slots; nothing here waits
//! for user code, so that even a task that spins can be reported on and its process be ended from outside.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, mpsc::RecvTimeoutError},
    time::Duration,
};

use commits::Commits;
use ended::Ended;
use snapshots::Snapshots;

use flott_core::{
    failure::{Failure, Location},
    id::{AllocationId, AttemptId, OperatorId, ProcessId, WorkerId},
    job_graph::JobGraph,
    message::{Committable, HostToJob, JobSetup, JobToHost, ProcessLocation, TaskStateChange},
    status::ExecutionState,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    error::TaskResult,
    lanes::Lanes,
    net::Exchange,
    program::JobProgram,
    state::Backend,
    task::{
        Prepared, Run, TaskInfo,
        splits::ToSource,
        wiring::{Offered, Report},
    },
    time::Clock,
};

pub(crate) mod backend;
mod building;
mod commits;
mod ended;
pub(crate) mod guard;
mod snapshots;

/// How often figures of running tasks are reported.
const METRICS_INTERVAL: Duration = Duration::from_secs(1);

/// Attempts whose figures go into one message. Each may have 66 KiB of counters, and a message has 64 MiB at most.
const REPORTED_TOGETHER_MAX: usize = 256;

/// What a host is given.
pub struct HostOptions {
    /// Which life of the process this is.
    pub process: ProcessId,
    /// The job.
    pub setup: JobSetup,
    /// Its graph.
    pub graph: Arc<JobGraph>,
    /// The TaskManager, by name.
    pub worker: WorkerId,
    /// How many tasks do CPU work at once.
    pub slots: u32,
    /// Address to listen on for data (port 0 is any), and the host name or address that peers reach it at.
    pub data: Option<(SocketAddr, String)>,
    /// Processing time.
    pub clock: Clock,
}

struct Running {
    info: Arc<TaskInfo>,
    /// Its slot.
    allocation: AllocationId,
    /// At home in this lane.
    lane: usize,
    cancel: CancellationToken,
    /// To its source.
    source: mpsc::UnboundedSender<ToSource>,
}

#[derive(Default)]
struct Attempts {
    running: HashMap<AttemptId, Running>,
    ended: Ended,
}

impl Attempts {
    /// The lane of the tasks in a slot: that of those which are there, else the one with the fewest tasks.
    fn lane(&self, allocation: AllocationId, lanes: usize) -> usize {
        let mut tasks = vec![0; lanes];
        for running in self.running.values() {
            if running.allocation == allocation {
                return running.lane;
            }
            tasks[running.lane] += 1;
        }
        (0..lanes).min_by_key(|lane| tasks[*lane]).unwrap_or_default()
    }
}

struct Shared {
    options: HostOptions,
    location: ProcessLocation,
    program: Arc<dyn JobProgram>,
    report: Report,
    lanes: Lanes,
    exchange: Arc<Exchange>,
    snapshots: Arc<Snapshots>,
    backend: Backend,
    commits: Commits,
    attempts: Mutex<Attempts>,
}

/// A running host. Dropping it ends its tasks without waiting for them.
pub struct Host {
    shared: Arc<Shared>,
    /// Dropped to end the thread that reports figures.
    _figures: std::sync::mpsc::Sender<()>,
}

impl Host {
    /// Starts the executor and the data port. `report` never blocks.
    pub fn start(options: HostOptions, program: Arc<dyn JobProgram>, report: Report) -> Result<Self, Failure> {
        guard::note_panics();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let backend = backend::backend(&options.setup.configuration, options.slots).map_err(|failure| *failure)?;
        let lanes = Lanes::start((options.slots as usize).clamp(1, cores.max(2)))
            .map_err(|error| Failure::environment("the executor for tasks cannot be started").because(error))?;
        let exchange =
            Exchange::new(options.setup.job, options.setup.secret, options.process, lanes.runtimes().to_vec());
        let data_address = match &options.data {
            None => SocketAddr::from(([127, 0, 0, 1], 0)),
            Some((bind, host)) => {
                let bound = lanes.runtimes()[0].block_on(exchange.listen(*bind)).map_err(|error| {
                    Failure::environment(format!("the data port {bind} cannot be opened")).because(error)
                })?;
                reachable(bound, host)?
            }
        };
        let location = ProcessLocation {
            process: options.process,
            worker: options.worker.clone(),
            data_address,
            pid: std::process::id(),
        };
        let snapshots = Snapshots::start(&options.setup, report.clone())
            .map_err(|error| Failure::environment("the thread for snapshots cannot be started").because(error))?;
        let shared = Arc::new(Shared {
            options,
            location,
            program,
            report,
            lanes,
            exchange,
            snapshots: Arc::new(snapshots),
            backend,
            commits: Commits::default(),
            attempts: Mutex::default(),
        });
        // A thread of its own: tasks that spin may have all threads of the executor.
        let (figures, ended) = std::sync::mpsc::channel();
        let reporter = shared.clone();
        std::thread::Builder::new()
            .name("flott-figures".into())
            .spawn(move || {
                while ended.recv_timeout(METRICS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                    reporter.report_metrics();
                    reporter.lanes.relieve();
                }
            })
            .map_err(|error| {
                Failure::environment("the thread that reports figures cannot be started").because(error)
            })?;
        Ok(Self { shared, _figures: figures })
    }

    /// Where this host is.
    pub fn location(&self) -> ProcessLocation {
        self.shared.location.clone()
    }

    /// Takes a message of the JobMaster. Never blocks; answers come by the report.
    pub fn deliver(&self, message: JobToHost) {
        let shared = self.shared.clone();
        let runtime = &self.shared.lanes.runtimes()[0];
        match message {
            JobToHost::Deploy(deployment) => {
                let tasks = shared.accept(*deployment);
                // Opening an operator may block, and must not hold up the executor.
                runtime.spawn_blocking(move || shared.build(tasks));
            }
            JobToHost::Cancel(attempts) => attempts.into_iter().for_each(|attempt| shared.cancel(attempt)),
            JobToHost::EnumerateSplits { attempt, source, parallelism } => {
                runtime.spawn_blocking(move || shared.enumerate(attempt, source, parallelism));
            }
            JobToHost::AssignSplit { attempt, split, share, .. } => {
                shared.tell_source(attempt, ToSource::Split { split, share });
            }
            JobToHost::GroupWatermark { attempt, watermark } => {
                shared.tell_source(attempt, ToSource::Group { watermark });
            }
            JobToHost::Snapshot { barrier, attempts, directory } => {
                if let Some(directory) = directory {
                    shared.snapshots.savepoint(barrier.checkpoint, directory);
                }
                attempts.into_iter().for_each(|attempt| shared.tell_source(attempt, ToSource::Barrier(barrier)));
            }
            JobToHost::AbortCheckpoints { first, last } => shared.snapshots.abort(first, last),
            JobToHost::Commit { round, committables } => match shared.commits.begin() {
                Ok(()) => drop(runtime.spawn_blocking(move || shared.commit(round, committables))),
                Err(failure) => {
                    let result = Err(failure.at(|place| shared.name_place(place)));
                    (shared.report)(HostToJob::Committed { round, result });
                }
            },
            JobToHost::Abort { kept } => {
                runtime.spawn_blocking(move || {
                    let result = guard::catch(|| shared.program.abort(kept)).map_err(|failure| *failure);
                    (shared.report)(HostToJob::Aborted { result });
                });
            }
        }
    }

    /// Ends every task and connection without waiting for user code.
    pub fn shutdown(self) {}
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.exchange.close();
        for running in self.shared.attempts.lock().running.values() {
            running.cancel.cancel();
        }
        self.shared.lanes.end();
    }
}

/// The address that peers use: the bound port at the host they know.
fn reachable(bound: SocketAddr, host: &str) -> Result<SocketAddr, Failure> {
    use std::net::ToSocketAddrs;
    let found = (host, bound.port())
        .to_socket_addrs()
        .and_then(|mut addresses| addresses.next().ok_or_else(|| std::io::Error::other("the name has no address")));
    found.map_err(|error| {
        Failure::environment(format!("the host {host:?} of this TaskManager cannot be resolved")).because(error)
    })
}

impl Shared {
    /// Where this process is.
    fn name_place(&self, place: &mut Location) {
        place.host = Some(self.location.data_address.to_string());
        place.worker = Some(self.location.worker.clone());
    }

    fn tell_source(&self, attempt: AttemptId, message: ToSource) {
        if let Some(running) = self.attempts.lock().running.get(&attempt) {
            // A task that has just ended does not need it.
            let _ = running.source.send(message);
        }
    }

    fn commit(&self, round: u32, committables: Vec<Committable>) {
        let result = guard::catch(|| self.program.commit(committables)).map_err(|failure| *failure);
        // First: who hears the answer may ask for the next round at once.
        self.commits.over();
        (self.report)(HostToJob::Committed { round, result });
    }

    async fn run(&self, info: Arc<TaskInfo>, mut task: Run, cancel: CancellationToken, offered: Offered) {
        if !cancel.is_cancelled() {
            self.say(&info, ExecutionState::Running, None, Prepared::new());
        }
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            result = guard::catch_future(&mut task) => Some(result),
        };
        if let Some(Ok(_)) = &outcome {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = self.snapshots.reported(info.attempt) => {}
            }
        }
        // User code runs once more when its state is dropped; a panic there must not swallow the report either.
        let dropped = guard::catch(|| {
            drop(task);
            Ok(())
        });
        let outcome = match (outcome, dropped) {
            (Some(Ok(_)), Err(failure)) => Some(Err(failure)),
            (outcome, _) => outcome,
        };
        self.ended(&info, outcome, &offered);
    }

    /// Reports how a task ended; without an outcome it was cancelled.
    fn ended(&self, info: &Arc<TaskInfo>, outcome: Option<TaskResult<Prepared>>, offered: &Offered) {
        self.exchange.withdraw(&offered.lock());
        match outcome {
            None => self.finish(info, ExecutionState::Canceled, None, Prepared::new()),
            Some(Ok(prepared)) => self.finish(info, ExecutionState::Finished, None, prepared),
            Some(Err(failure)) => {
                let failure = failure.at(|place| {
                    place.task = Some(info.task_name.clone());
                    place.subtask = Some((info.subtask(), info.parallelism));
                    place.attempt = Some(info.attempt.attempt.0);
                    self.name_place(place);
                });
                self.finish(info, ExecutionState::Failed, Some(failure), Prepared::new());
            }
        }
    }

    fn finish(&self, info: &Arc<TaskInfo>, state: ExecutionState, failure: Option<Failure>, prepared: Prepared) {
        let mut attempts = self.attempts.lock();
        attempts.running.remove(&info.attempt);
        attempts.ended.insert(info.attempt, failure.clone());
        drop(attempts);
        self.say(info, state, failure, prepared);
        // Not before: the report of a cut that is stored just now would tell of a task that runs, without what its sinks prepared.
        self.snapshots.forget(info.attempt);
    }

    fn say(&self, info: &TaskInfo, state: ExecutionState, failure: Option<Failure>, prepared: Prepared) {
        let committable = |(sink, data)| Committable { sink, attempt: info.attempt, data };
        let finished = state == ExecutionState::Finished;
        (self.report)(HostToJob::TaskState(Box::new(TaskStateChange {
            attempt: info.attempt,
            state,
            failure,
            metrics: info.figures.read(),
            committables: prepared.into_iter().map(committable).collect(),
            accumulators: if finished { info.accumulators.lock().clone() } else { BTreeMap::new() },
        })));
    }

    fn cancel(&self, attempt: AttemptId) {
        let mut attempts = self.attempts.lock();
        if let Some(running) = attempts.running.get(&attempt) {
            running.cancel.cancel();
            return;
        }
        // Never heard of it: should its deployment still come, it is answered as ended. One that has ended says again that
        // it is gone, in case its report was lost; what it finished with is not said twice, so that it counts at most once.
        let failure = attempts.ended.get_or_insert(attempt);
        drop(attempts);
        (self.report)(HostToJob::TaskState(Box::new(TaskStateChange {
            attempt,
            state: if failure.is_some() { ExecutionState::Failed } else { ExecutionState::Canceled },
            failure,
            metrics: Default::default(),
            committables: Vec::new(),
            accumulators: BTreeMap::new(),
        })));
    }

    fn enumerate(&self, attempt: AttemptId, source: OperatorId, parallelism: u32) {
        let result = guard::catch(|| self.program.enumerate_splits(source, parallelism)).map_err(|failure| *failure);
        (self.report)(HostToJob::SplitsEnumerated { attempt, source, result });
    }

    fn report_metrics(&self) {
        let mut figures: Vec<_> = {
            let attempts = self.attempts.lock();
            attempts.running.iter().map(|(attempt, running)| (*attempt, running.info.figures.read())).collect()
        };
        while !figures.is_empty() {
            let rest = figures.split_off(figures.len().min(REPORTED_TOGETHER_MAX));
            (self.report)(HostToJob::Metrics(std::mem::replace(&mut figures, rest)));
        }
    }
}
