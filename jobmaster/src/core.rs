//! The JobMaster's decisions: one pure machine over the execution graph, regions, slots, processes and splits.
//!
//! [`JobMasterCore::handle`] takes an event and the time, and returns what is to be done. It does no I/O, reads no clock
//! and draws no random numbers, so a cluster of thousands of TaskManagers runs in one test.
//!
//! An event is worked off in three steps: what is due by now, then the event itself, then what follows from the new state
//! (`settle`): regions whose slots and processes are all there are deployed in one batch, a job whose
//! tasks are all done goes on to its commit, needs that have changed are declared. A handler only ever writes down; it
//! does not deploy or end things in the middle of a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use flott_core::{
    failure::Failure,
    id::{AttemptId, JobMasterEpoch, OperatorId, ProcessId, WorkerKey},
    message::{JobSetup, JobToHost, JobToWorker},
    past::{Past, Spent},
    status::JobStatus,
    view::{JobView, PendingReason},
};

mod checkpointing;
mod committing;
mod due;
mod ending;
mod event;
mod failing;
mod falling_back;
mod manifest;
mod messages;
mod naming;
mod promises;
mod reacting;
mod reconciling;
mod regions;
mod remembering;
mod rescaling;
mod restoring;
mod scheduling;
mod sources;
mod taking_over;
mod view;

pub use checkpointing::RestorePoint;
pub use event::{Action, Event, FoundOn, Needs, Taken, Wait};
pub(crate) use falling_back::NOTHING_WHOLE;
pub use naming::CAUSE_WAIT;
pub use rescaling::RESCALES_MAX;

use crate::{
    alignment::Alignment,
    checkpoints::{Checkpoints, Settings},
    commit::{Abort, Commit, CommitQueue, Ending, Stop},
    error::JobMasterError,
    execution_graph::Overrides,
    execution_graph::{ExecutionGraph, Resolved, job_transition, job_transition::JobStep},
    failover::{History, RestartBackoff},
    index::{ExecutionIndex, RegionIndex, VertexIndex},
    processes::Processes,
    region::Regions,
    slot_pool::{SlotPool, SlotSharing},
    spec::JobSpec,
    splits::SplitCoordinator,
    time::Millis,
};
use falling_back::FallingBack;
use reacting::Reaction;
use regions::RegionStates;
use rescaling::Rescales;

/// What the job as a whole is doing.
#[derive(Debug, Clone)]
enum Phase {
    /// Not started.
    New,
    /// Waits for the tasks that an earlier JobMaster has left.
    Reconciling(Box<reconciling::Reconciling>),
    /// Regions are scheduled, run, and start over.
    Executing,
    /// All tasks have finished; their results are being made visible.
    Committing(Commit),
    /// The job ends early; tasks are being cancelled.
    Stopping(Ending),
    /// No task is left; prepared results are being removed.
    Aborting(Ending, Abort),
    /// Over, or given up.
    Done,
}

/// One job's mind.
#[derive(Debug, Clone)]
pub struct JobMasterCore {
    spec: JobSpec,
    setup: JobSetup,
    phase: Phase,
    status: JobStatus,
    entered: BTreeMap<JobStatus, Millis>,
    graph: ExecutionGraph,
    regions: Regions,
    states: RegionStates,
    slots: SlotPool,
    processes: Processes,
    splits: Vec<SplitCoordinator>,
    rescales: Rescales,
    reaction: Reaction,
    splits_of: BTreeMap<VertexIndex, Vec<usize>>,
    alignment: Alignment,
    checkpoints: Checkpoints,
    /// What a restart goes back to.
    latest: Option<Arc<RestorePoint>>,
    falling_back: FallingBack,
    /// What complete checkpoints make visible.
    commits: CommitQueue,
    /// Whether a checkpoint holds what could not be made visible, so that it is to be kept.
    stranded: bool,
    /// How much of what the last commit is to make visible, from its beginning on, a savepoint or checkpoint has, or may have. None if
    /// no snapshot has anything of it.
    last_held: Option<usize>,
    /// When a job that ends does not wait any more to be told whether its last checkpoint is complete.
    ends_undecided: Option<Millis>,
    /// TaskManagers on which a process was started to make visible what is certain, for a job that ends without any.
    last_committers: BTreeSet<WorkerKey>,
    /// What snapshots hold that is not visible, as far as is known: it is kept when the job ends.
    promised: BTreeSet<(OperatorId, Bytes)>,
    /// What of it only the savepoint holds that is being stored.
    promised_alone: BTreeSet<(OperatorId, Bytes)>,
    /// Of a job that ends with a savepoint that is complete.
    stop: Option<Stop>,
    /// Whether someone wants the job to be cancelled whose last commit is under way, should that not come to its end.
    cancels_commit: bool,
    backoff: RestartBackoff,
    /// What earlier JobMasters have used up, until it is known what time it is.
    spent: Spent,
    history: History,
    /// What ended the job, or the failure it last restarted from.
    failure: Option<Failure>,
    restarts: u32,
    /// Whether the next JobMaster is to know something that is not in the history of failures.
    past_changed: bool,
    /// Whether an earlier JobMaster was about to end the job by its failure.
    was_failing: bool,
    /// The latest failure whose cause may still become known.
    open_name: Option<naming::OpenName>,
    /// Attempts that were told to stop, longest wait first.
    canceling: BTreeSet<(Millis, ExecutionIndex)>,
    /// Whether a subtask with a sink was ever deployed, so that there may be something to remove.
    prepared: bool,
    pending: Vec<PendingReason>,
    now: Millis,
    /// What this event has led to so far.
    actions: Vec<Action>,
    /// Cancellations of this event, to be sent together.
    cancels: BTreeMap<(WorkerKey, ProcessId), Vec<AttemptId>>,
    /// Sources whose list of splits may have to be asked for.
    unlisted: BTreeSet<usize>,
    declared: Needs,
    wake: Option<Millis>,
    /// How the job ended, until it has been told.
    last_view: Option<Box<JobView>>,
}

impl JobMasterCore {
    /// The machine for one job. It does nothing before [`Event::Start`].
    ///
    /// # Errors
    /// When the graph is inconsistent, or does not fit the configuration.
    pub fn new(mut spec: JobSpec) -> Result<Self, JobMasterError> {
        let latest = spec.snapshots.restore.clone();
        let mut given = Overrides::of(&spec.scale);
        for (vertex, max) in latest.as_deref().map(|point| checkpointing::key_groups(point, &spec)).unwrap_or_default()
        {
            given.max_parallelism.entry(vertex).or_insert(max);
        }
        let resolved = Resolved::with(&spec.graph, spec.default_parallelism, &given)?;
        let graph = ExecutionGraph::new(resolved, spec.accepted_at);
        let resolved = graph.resolved();
        let regions = Regions::new(resolved);
        let sharing = SlotSharing::new(resolved);
        let states = RegionStates::new(&regions, &sharing);
        if let Some(point) = &latest {
            checkpointing::check_fits(point, &graph, &spec)?;
        }
        let splits = rescaling::coordinators(resolved, latest.as_deref());
        let mut splits_of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (place, coordinator) in splits.iter().enumerate() {
            splits_of.entry(coordinator.vertex).or_default().push(place);
        }
        let mut commits = CommitQueue::default();
        let visible = latest.as_ref().map(|point| checkpointing::claimed(&point.manifest, &spec));
        if let Some((checkpoint, committables)) = visible {
            // Whether that was done before is not known; done again it is harmless.
            commits.push(checkpoint, committables);
        }
        let handed_on = Past { claimed: spec.past.claimed, ..Past::default() };
        let (found, past) = (std::mem::take(&mut spec.snapshots.found), std::mem::replace(&mut spec.past, handed_on));
        let settings = Settings::of(&spec);
        let bounds = if spec.adaptive.reactive {
            reacting::reactive_bounds(&spec, graph.resolved())
        } else {
            spec.scale.vertices.iter().map(|(id, scale)| (*id, scale.bounds)).collect()
        };
        let mut core = Self {
            checkpoints: Checkpoints::new(settings, spec.snapshots.next, found, graph.resolved(), spec.accepted_at),
            latest,
            falling_back: FallingBack::knowing(past.damaged),
            commits,
            stranded: false,
            last_held: None,
            ends_undecided: None,
            last_committers: BTreeSet::new(),
            promised: past.promised,
            promised_alone: BTreeSet::new(),
            stop: None,
            cancels_commit: false,
            setup: spec.setup(),
            phase: Phase::New,
            status: JobStatus::Initializing,
            entered: BTreeMap::from([(JobStatus::Initializing, spec.accepted_at)]),
            slots: SlotPool::new(sharing),
            processes: Processes::default(),
            backoff: RestartBackoff::new(spec.restart(), spec.seed),
            spent: past.spent,
            history: History::resume(past.exceptions, past.exceptions_truncated, spec.exceptions_kept()),
            failure: past.failure,
            restarts: past.restarts,
            past_changed: false,
            was_failing: past.failing,
            open_name: None,
            canceling: BTreeSet::new(),
            prepared: spec.restored_commit.is_some() || spec.snapshots.restore.is_some(),
            pending: Vec::new(),
            now: spec.accepted_at,
            actions: Vec::new(),
            cancels: BTreeMap::new(),
            unlisted: BTreeSet::new(),
            declared: Needs::default(),
            wake: None,
            last_view: None,
            graph,
            regions,
            states,
            rescales: Rescales::with_bounds(bounds),
            reaction: Reaction::default(),
            splits,
            splits_of,
            alignment: Alignment::default(),
            spec,
        };
        core.note_limits();
        // What is certain is committed, and no promise any more.
        let latest = core.latest.clone();
        core.keep_promises(latest.iter().flat_map(|latest| &latest.manifest.committables));
        Ok(core)
    }

    /// What the job was started with.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// The state of the job.
    pub fn status(&self) -> JobStatus {
        self.status
    }

    /// Whether the job has ended or was given up, so that nothing more will come of it.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }

    /// Takes in `event`, which happens at `now`, and says what is to be done about it.
    ///
    /// Time that goes back is taken as standing still. Costs grow with what changes, not with the size of the job: a
    /// report of a task is a matter of logarithms. (A job between bounds that misses slots, or gathers them, looks at all it has.)
    pub fn handle(&mut self, now: Millis, event: Event) -> Vec<Action> {
        self.now = self.now.max(now);
        if !self.is_over() {
            self.run_due();
        }
        match event {
            Event::Start => self.start(),
            Event::Worker { worker, epoch, message } => self.worker_message(&worker, epoch, message),
            Event::WorkerLost { worker, failure } => self.worker_lost(&worker, failure),
            Event::Pending(reasons) => self.pending = reasons,
            Event::Cancel => self.cancel(),
            Event::CommitPersisted(result) => self.commit_persisted(result),
            Event::CheckpointStored { checkpoint, result } => self.checkpoint_stored(checkpoint, result),
            Event::CheckpointUndecided { checkpoint, failure } => self.checkpoints.undecided(checkpoint, failure),
            Event::CheckpointFound { point, damaged } => self.checkpoint_found(point, damaged),
            Event::Snapshot(purpose) => self.snapshot_asked(purpose),
            Event::Rescale { request, asked } => self.rescale_asked(request, &asked),
            Event::ScalePersisted(result) => self.scale_persisted(result),
            Event::Suspend => self.suspend(),
            Event::Wake => {}
        }
        self.settle();
        std::mem::take(&mut self.actions)
    }

    /// When [`Event::Wake`] is wanted; as in the last [`Action::WakeAt`].
    pub fn next_wake(&self) -> Option<Millis> {
        self.wake
    }

    fn start(&mut self) {
        if !matches!(self.phase, Phase::New) {
            return;
        }
        self.step_job(JobStep::Start);
        self.backoff.resume(&std::mem::take(&mut self.spent), self.now);
        match self.spec.restored_commit.clone() {
            Some(committables) => self.restore(committables),
            None if self.spec.recovered && self.can_reconcile() => self.begin_reconciling(),
            None => self.begin_anew(),
        }
    }

    /// All tasks are to be deployed.
    fn begin_anew(&mut self) {
        // It is started once more: who takes over its tasks later must not end them by what is over.
        self.past_changed |= std::mem::take(&mut self.was_failing);
        self.note_restored();
        self.warn_of_lost_results();
        self.begin_executing();
    }

    fn begin_executing(&mut self) {
        self.phase = Phase::Executing;
        for region in self.regions.keys() {
            self.schedule_if_ready(region);
        }
    }

    /// Is over without having ended the job, and says no more.
    fn suspend(&mut self) {
        if self.is_over() {
            return;
        }
        self.step_job(JobStep::Suspend);
        self.phase = Phase::Done;
    }

    /// Draws the consequences of what has been written down.
    fn settle(&mut self) {
        if !self.is_over() {
            self.use_reserve();
            self.react();
            self.advance_rescale();
            self.advance_falling_back();
            // A restart without delay is due at once.
            self.restart_due();
            self.deploy_ready();
            self.ask_for_splits();
            self.send_cancels();
            self.advance_checkpoints();
            self.advance_commits();
            self.advance_ending();
            self.settle_reserve();
        }
        self.tell_past();
        let idle = self.is_idle();
        let reconciling = matches!(self.phase, Phase::Reconciling(_));
        let (useful_min, wishes) = (self.useful_slots(), self.slots.wishes());
        let declared = &self.declared;
        let is_declared = (declared.idle, declared.reconciling, declared.useful_min) == (idle, reconciling, useful_min)
            && declared.slots == *self.slots.needs()
            && declared.wishes == *wishes;
        if !is_declared && self.status != JobStatus::Suspended {
            let (slots, wishes) = (self.slots.needs().clone(), wishes.clone());
            self.declared = Needs { slots, wishes, useful_min, idle, reconciling };
            self.actions.push(Action::Declare(self.declared.clone()));
        }
        let wake = self.next_due();
        if wake != self.wake {
            self.wake = wake;
            self.actions.push(Action::WakeAt(wake));
        }
        if let Some(view) = self.last_view.take() {
            self.actions.push(Action::Ended(view));
        }
    }

    /// Whether the job holds slots that it runs nothing on while others are missing. Results that finished tasks have left
    /// there do not count: jobs that each keep some and wait for the slots of the other would wait for ever. Who is
    /// drawn on, which takes a long wait, makes them again.
    fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Executing)
            && self.slots.missing().next().is_some()
            && self.slots.workers().next().is_some()
            && self.graph.deployed() == 0
    }

    fn step_job(&mut self, step: JobStep) -> bool {
        let Some(status) = job_transition::step(self.status, step) else { return false };
        self.status = status;
        self.entered.insert(status, self.now);
        self.actions.push(Action::StatusChanged(status));
        true
    }

    fn send(&mut self, worker: &WorkerKey, message: JobToWorker) {
        self.actions.push(Action::Send { worker: worker.clone(), message });
    }

    fn send_host(&mut self, host: &crate::execution_graph::Host, message: JobToHost) {
        self.send(&host.worker, JobToWorker::Host { process: host.location.process, message });
    }

    fn send_cancels(&mut self) {
        for ((worker, process), attempts) in std::mem::take(&mut self.cancels) {
            self.send(&worker, JobToWorker::Host { process, message: JobToHost::Cancel(attempts) });
        }
    }

    fn is_ours(&self, epoch: JobMasterEpoch) -> bool {
        epoch == self.spec.epoch
    }

    /// The process that an attempt was deployed to.
    fn host_of(&self, execution: ExecutionIndex) -> Option<Arc<crate::execution_graph::Host>> {
        self.graph.execution(execution).placement.as_ref().map(|placement| Arc::clone(&placement.host))
    }

    /// Regions that have a subtask in what was deployed, without repeats.
    fn regions_of(&self, executions: impl IntoIterator<Item = ExecutionIndex>) -> BTreeSet<RegionIndex> {
        executions.into_iter().map(|execution| self.regions.of(execution)).collect()
    }
}
