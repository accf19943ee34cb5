//! A running job gets another parallelism.
//!
//! While the job runs, the slots that it will need are gathered and their processes brought up, and a checkpoint is taken. Only
//! then, when nothing is left to wait for but the tasks themselves, is the new scale made durable: from here on there is no way
//! back. The tasks are ended, the execution graph is built anew, and all tasks start from that checkpoint. That is no failure,
//! and costs no restart.
//!
//! Whoever asks: a person, or the job itself when there are more slots, or fewer ([`reacting`](super)).
//!
//! What cannot be had in time is given up, and the job runs on as it was. Should the checkpoint fail, the latest one serves.

mod gathering;

use std::collections::{BTreeMap, VecDeque};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, VertexId, WorkerKey},
    job_graph::{ExecutionMode, scale::ParallelismBounds},
    message::JobToWorker,
    resource::ResourceProfile,
    view::{RescaleCause, RescaleView},
};

use super::{Action, JobMasterCore, Phase, Wait, regions::RegionStates};
use crate::{
    alignment::Alignment,
    checkpoints::RequestId,
    execution_graph::{Resolved, job_transition::JobStep},
    region::Regions,
    scaling::{RescaleRequest, Rescaled, Target},
    slot_pool::{HeldSlot, SlotSharing},
    splits::SplitCoordinator,
    time::Millis,
};

/// Changes that are remembered.
pub const RESCALES_MAX: usize = 16;

/// A change that is under way.
#[derive(Debug, Clone)]
pub(super) struct Rescaling {
    /// Who asked; nobody if the job goes after the slots there are.
    request: Option<RequestId>,
    cause: RescaleCause,
    target: Target,
    /// What it takes.
    slots: BTreeMap<ResourceProfile, u32>,
    began: Millis,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Slots and processes are gathered.
    Gathering,
    /// The checkpoint to go on from is taken.
    Checkpointing { checkpoint: CheckpointId, until: Millis },
    /// The new scale is made durable.
    Persisting,
    /// The tasks end.
    Stopping { since: Millis },
    /// The new tasks start.
    Starting { since: Millis },
}

/// The changes of one job.
#[derive(Debug, Clone, Default)]
pub(super) struct Rescales {
    current: Option<Box<Rescaling>>,
    /// What was asked for of vertices, where it was.
    pub(super) bounds: BTreeMap<VertexId, ParallelismBounds>,
    /// Newest at the back.
    history: VecDeque<RescaleView>,
}

impl Rescales {
    pub(super) fn with_bounds(bounds: BTreeMap<VertexId, ParallelismBounds>) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// As they are shown, newest first.
    pub(super) fn views(&self) -> Vec<RescaleView> {
        self.history.iter().rev().cloned().collect()
    }

    fn note(&mut self, change: impl FnOnce(&mut RescaleView)) {
        if let Some(latest) = self.history.back_mut() {
            change(latest);
        }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.current.is_some()
    }

    fn stage(&self) -> Option<Stage> {
        self.current.as_ref().map(|current| current.stage)
    }

    fn enter(&mut self, stage: Stage) {
        if let Some(current) = &mut self.current {
            current.stage = stage;
        }
    }
}

impl JobMasterCore {
    // ------------------------------------------------------------ requests

    /// What a request makes of the job.
    ///
    /// # Errors
    /// When it cannot be had, or not at this moment.
    pub fn rescale_target(&self, request: &RescaleRequest) -> Result<Target, Failure> {
        if self.spec.graph.mode == ExecutionMode::Batch {
            let message = "a job in batch mode cannot be rescaled: it takes no checkpoints to go on from";
            return Err(Failure::user(message).fatal());
        }
        if self.spec.adaptive.reactive {
            let message = "a job in reactive mode has the parallelism that the slots there are allow for: start or stop TaskManagers, or \
                           start it without `scheduler-mode: reactive`";
            return Err(Failure::user(message).fatal());
        }
        let scale = Target::current(self.graph.resolved(), &self.rescales.bounds);
        let target = Target::new(&self.spec, &scale, request)?;
        let obstacle = match &self.phase {
            Phase::New => Some("the job has not begun yet"),
            Phase::Reconciling(_) => Some("the job is being taken over from an earlier JobManager"),
            Phase::Committing(_) | Phase::Stopping(_) | Phase::Aborting(..) | Phase::Done => Some("the job is ending"),
            Phase::Executing if self.is_falling_back() => Some("the job goes back to an earlier checkpoint; try again"),
            Phase::Executing if self.checkpoints.is_stopping() => Some("the job is being stopped with a savepoint"),
            Phase::Executing => match self.rescales.stage() {
                None | Some(Stage::Gathering | Stage::Checkpointing { .. }) => None,
                Some(Stage::Persisting | Stage::Stopping { .. } | Stage::Starting { .. }) => {
                    Some("the job is being rescaled at this moment; try again")
                }
            },
        };
        match obstacle {
            Some(obstacle) => Err(Failure::environment(obstacle)),
            None => Ok(target),
        }
    }

    /// Someone asks for another parallelism.
    pub(super) fn rescale_asked(&mut self, request: RequestId, asked: &RescaleRequest) {
        let target = match self.rescale_target(asked) {
            Ok(target) => target,
            Err(failure) => {
                self.actions.push(Action::RescaleAnswered { request, result: Err(failure) });
                return;
            }
        };
        self.give_up_rescale(&Failure::environment("another change of the parallelism was asked for meanwhile"));
        self.begin_rescale(Some(request), RescaleCause::Asked, target);
    }

    pub(super) fn begin_rescale(&mut self, request: Option<RequestId>, cause: RescaleCause, target: Target) {
        if self.rescales.history.len() == RESCALES_MAX {
            self.rescales.history.pop_front();
        }
        self.rescales.history.push_back(RescaleView {
            cause,
            began_at: self.now.0,
            ended_at: None,
            stopped_at: None,
            checkpoint: None,
            pause_ms: None,
            failure: None,
            vertices: target.changes(self.graph.resolved()),
        });
        let current = Target::current(self.graph.resolved(), &self.rescales.bounds);
        if target.scale == current {
            self.rescales.note(|view| (view.ended_at, view.pause_ms) = (Some(view.began_at), Some(0)));
            let nothing = Rescaled { vertices: Vec::new(), checkpoint: None, pause_ms: 0 };
            self.answer_rescale(request, Ok(nothing));
            return;
        }
        let (own, slots) = (self.slots.needs(), target.slots());
        let extra = slots.iter().filter_map(|(profile, count)| {
            let lack = count.saturating_sub(own.get(profile).copied().unwrap_or(0));
            (lack > 0).then_some((*profile, lack))
        });
        let extra = extra.collect();
        self.slots.reserve(extra);
        let vertices: Vec<_> = self.rescales.history.back().map(|view| view.vertices.clone()).unwrap_or_default();
        let vertices = vertices.iter().map(|vertex| format!("{} {} -> {}", vertex.name, vertex.before, vertex.after));
        let vertices = vertices.collect::<Vec<_>>().join(", ");
        tracing::info!(job = %self.spec.graph.job_id, ?cause, vertices, "the job is to be rescaled");
        let rescaling = Rescaling { request, cause, target, slots, began: self.now, stage: Stage::Gathering };
        self.rescales.current = Some(Box::new(rescaling));
    }

    /// There is no need for it any more, and nothing was done.
    fn drop_rescale(&mut self) {
        self.rescales.current = None;
        self.rescales.history.pop_back();
        self.slots.reserve(BTreeMap::new());
    }

    /// The job stays as it is: what was gathered is given back, and who asked is told why.
    pub(super) fn give_up_rescale(&mut self, failure: &Failure) {
        let Some(rescaling) = self.rescales.current.take() else { return };
        self.slots.reserve(BTreeMap::new());
        let now = self.now.0;
        self.rescales.note(|view| (view.ended_at, view.failure) = (Some(now), Some(failure.clone())));
        let outcome = match rescaling.stage {
            Stage::Gathering | Stage::Checkpointing { .. } | Stage::Persisting => "the job was not rescaled",
            Stage::Stopping { .. } | Stage::Starting { .. } => "the rescale did not come to its end",
        };
        let causes = std::iter::once(failure.to_string()).chain(failure.causes.iter().cloned());
        let failure = causes.fold(Failure::environment(outcome), Failure::because);
        if rescaling.request.is_none() {
            tracing::warn!(job = %self.spec.graph.job_id, %failure, "the job does not go after the slots there are");
            self.reaction_failed(rescaling.cause);
        }
        self.answer_rescale(rescaling.request, Err(failure));
    }

    fn answer_rescale(&mut self, request: Option<RequestId>, result: Result<Rescaled, Failure>) {
        self.actions.extend(request.map(|request| Action::RescaleAnswered { request, result }));
    }

    pub(super) fn return_slots(&mut self, surplus: Vec<HeldSlot>) {
        let mut by_worker: BTreeMap<WorkerKey, Vec<_>> = BTreeMap::new();
        for HeldSlot { allocation, worker } in surplus {
            by_worker.entry(worker).or_default().push(allocation);
        }
        for (worker, allocations) in by_worker {
            if self.slots.on_worker(&worker).next().is_some() || self.slots.reserves_on(&worker) {
                self.send(&worker, JobToWorker::FreeSlots(allocations));
                continue;
            }
            // Its process ends with that, whatever slots of it are offered just now: it counts as lost here.
            self.send(&worker, JobToWorker::Forget);
            self.processes.drop_process(&worker);
            self.commit_lost_process(&worker);
        }
    }

    // ------------------------------------------------------------ stages

    /// Whether the tasks are being ended to start over with another parallelism.
    pub(super) fn stops_to_rescale(&self) -> bool {
        matches!(self.rescales.stage(), Some(Stage::Stopping { .. }))
    }

    /// Whether it is too late for a snapshot of the job as it is.
    pub(super) fn is_about_to_rescale(&self) -> bool {
        matches!(self.rescales.stage(), Some(Stage::Persisting | Stage::Stopping { .. }))
    }

    /// When a wait of the rescale is over.
    pub(super) fn rescale_due(&self) -> Option<Millis> {
        match self.rescales.stage()? {
            Stage::Gathering => {
                let until = [self.fitting_at(), self.gathering_until()].into_iter().flatten();
                until.filter(|at| *at > self.now).min()
            }
            Stage::Checkpointing { until, .. } => Some(until),
            Stage::Starting { .. } => self.stranded_at().filter(|at| *at > self.now),
            Stage::Persisting | Stage::Stopping { .. } => None,
        }
    }

    pub(super) fn rescale_waits(&self, waits: &mut Vec<Wait>) {
        match self.rescales.stage() {
            Some(Stage::Gathering) => waits.extend(self.gathering_until().map(|until| Wait::Gathering { until })),
            Some(Stage::Persisting) => waits.push(Wait::Scale),
            // Waits of tasks and checkpoints.
            None | Some(Stage::Checkpointing { .. } | Stage::Stopping { .. } | Stage::Starting { .. }) => {}
        }
    }

    /// Goes on with a rescale as far as it can.
    pub(super) fn advance_rescale(&mut self) {
        while self.rescales.current.is_some() && !self.is_falling_back() && self.step_rescale() {}
    }

    /// Takes one stage; `false` if it has to wait.
    fn step_rescale(&mut self) -> bool {
        if !matches!(self.phase, Phase::Executing) || self.graph.is_done() {
            self.give_up_rescale(&Failure::environment("the job is ending"));
            return false;
        }
        match self.rescales.stage() {
            None => false,
            Some(Stage::Gathering | Stage::Checkpointing { .. }) if self.checkpoints.is_stopping() => {
                self.give_up_rescale(&Failure::environment("the job is being stopped with a savepoint"));
                false
            }
            Some(Stage::Gathering) => self.gather(),
            Some(Stage::Checkpointing { checkpoint, until }) => {
                if self.checkpoints.is_under_way(checkpoint) && self.now < until {
                    return false;
                }
                // It has failed, or takes too long. (When it is complete, that is told.) Tasks that have ended could not start
                // while nobody knows which checkpoint is the latest.
                if !self.checkpoints.is_storing() {
                    return self.go_on_from_latest();
                }
                if self.now >= until {
                    let message = "the store does not say whether the checkpoint to go on from is complete";
                    self.give_up_rescale(&Failure::environment(message));
                }
                false
            }
            Some(Stage::Persisting) => false,
            Some(Stage::Stopping { since }) => {
                let all_ended = self.graph.deployed() == 0 && !self.checkpoints.is_storing();
                if all_ended {
                    self.rebuild();
                    self.rescales.enter(Stage::Starting { since });
                }
                all_ended
            }
            Some(Stage::Starting { since }) => {
                let all_run = self.graph.all_run();
                if all_run {
                    self.rescaled(since);
                    return true;
                }
                let is_stranded = self.stranded_at().is_some_and(|at| at <= self.now);
                if is_stranded {
                    let message = "slots were lost while its tasks started, and did not come again";
                    self.give_up_rescale(&Failure::environment(message));
                }
                is_stranded
            }
        }
    }

    /// The new scale is durable, or surely is not.
    pub(super) fn scale_persisted(&mut self, result: Result<(), Failure>) {
        if self.rescales.stage() != Some(Stage::Persisting) {
            return;
        }
        if let Err(failure) = result {
            self.give_up_rescale(&failure);
            return;
        }
        let Some(target) = self.rescales.current.as_ref().map(|current| current.target.clone()) else { return };
        self.rescales.bounds = target.scale.vertices.iter().map(|(id, vertex)| (*id, vertex.bounds)).collect();
        self.note_limits();
        if target.changes(self.graph.resolved()).is_empty() {
            self.rescaled(self.now);
            return;
        }
        if !matches!(self.phase, Phase::Executing) {
            return;
        }
        let now = self.now;
        self.rescales.note(|view| view.stopped_at = Some(now.0));
        self.rescales.enter(Stage::Stopping { since: now });
        self.give_up_checkpoints(&Failure::environment("the job is being rescaled"));
        for region in self.regions.keys() {
            if !self.is_stopping(region) {
                self.stop_region(region, now, None);
            }
        }
        self.step_job(JobStep::Restart);
    }

    /// All tasks have ended: the job is put together anew, and begins where its latest checkpoint is.
    fn rebuild(&mut self) {
        let Some(target) = self.rescales.current.as_ref().map(|current| current.target.clone()) else { return };
        let checkpoint = self.latest.as_ref().map(|latest| latest.manifest.checkpoint);
        let vertices = target.changes(self.graph.resolved());
        self.rescales.note(|view| (view.checkpoint, view.vertices) = (checkpoint, vertices));
        self.begin_from_latest(target.resolved);
    }

    /// The job begins where its latest checkpoint is, with these numbers of subtasks. All tasks have ended.
    pub(super) fn begin_from_latest(&mut self, resolved: Resolved) {
        self.graph = self.graph.rescaled(resolved, self.now);
        let resolved = self.graph.resolved();
        self.regions = Regions::new(resolved);
        let sharing = SlotSharing::new(resolved);
        self.states = RegionStates::new(&self.regions, &sharing);
        self.splits = coordinators(resolved, self.latest.as_deref());
        self.checkpoints.rescaled(resolved);
        self.alignment = Alignment::default();
        self.unlisted.clear();
        self.open_name = None;
        self.processes.forget_executions();
        let processes = &self.processes;
        self.slots.reshare(sharing, |worker| processes.host(worker).is_some());
        self.note_limits();
        self.settle_reserve();
        for slot in self.slots.sharing().keys() {
            let up = self.slots.held(slot).is_some_and(|held| self.processes.host(&held.worker).is_some());
            self.states.set_ready(slot, up);
        }
        self.note_restored();
        self.begin_executing();
    }

    /// All tasks run.
    fn rescaled(&mut self, since: Millis) {
        let Some(rescaling) = self.rescales.current.take() else { return };
        self.slots.reserve(BTreeMap::new());
        self.reacted();
        let (now, pause_ms) = (self.now, self.now.since(since));
        self.rescales.note(|view| (view.ended_at, view.pause_ms) = (Some(now.0), Some(pause_ms)));
        let latest = self.rescales.history.back();
        let vertices = latest.map(|view| view.vertices.clone()).unwrap_or_default();
        let checkpoint = latest.and_then(|view| view.checkpoint);
        tracing::info!(job = %self.spec.graph.job_id, pause_ms, ?checkpoint, "the job is rescaled");
        let result = Ok(Rescaled { vertices, checkpoint, pause_ms });
        self.answer_rescale(rescaling.request, result);
    }
}

/// Who hands out the splits of each source: what a checkpoint has left of them.
pub(super) fn coordinators(
    resolved: &crate::execution_graph::Resolved,
    latest: Option<&super::RestorePoint>,
) -> Vec<SplitCoordinator> {
    let mut coordinators = Vec::new();
    for (index, vertex) in resolved.vertices.iter() {
        for source in &vertex.sources {
            let mut coordinator = SplitCoordinator::new(*source, index, vertex.parallelism);
            if let Some(left) = latest.and_then(|point| point.manifest.left_to_read(*source)) {
                coordinator.restore(left);
            }
            coordinators.push(coordinator);
        }
    }
    coordinators
}
