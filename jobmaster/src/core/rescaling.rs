//! A running job gets another parallelism.
//!
//! While the job runs, the slots that it will need are gathered and their processes brought up, and a checkpoint is taken. Only
//! then, when nothing is left to wait for but the tasks themselves, is the new scale made durable: from here on there is no way
//! back. The tasks are ended, the execution graph is built anew, and all tasks start from that checkpoint. That is no failure,
//! and costs no restart.
//!
//! What cannot be had in time is given up, and the job runs on as it was. Should the checkpoint fail, the latest one serves.

use std::collections::{BTreeMap, VecDeque};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, VertexId, WorkerKey},
    job_graph::{ExecutionMode, scale::ParallelismBounds},
    message::JobToWorker,
    resource::ResourceProfile,
    status::JobStatus,
    view::RescaleView,
};

use super::{Action, JobMasterCore, Phase, Wait, regions::RegionStates};
use crate::{
    alignment::Alignment,
    checkpoints::{Purpose, RequestId},
    execution_graph::job_transition::JobStep,
    region::Regions,
    scaling::{RescaleRequest, Rescaled, Target, suffice},
    slot_pool::{HeldSlot, SlotSharing},
    splits::SplitCoordinator,
    time::Millis,
};

/// Changes that are remembered.
const HISTORY_MAX: usize = 16;

/// A change that is under way.
#[derive(Debug, Clone)]
pub(super) struct Rescaling {
    request: RequestId,
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
        let scale = Target::current(self.graph.resolved(), &self.rescales.bounds);
        let target = Target::new(&self.spec, &scale, request)?;
        let obstacle = match &self.phase {
            Phase::New => Some("the job has not begun yet"),
            Phase::Reconciling(_) => Some("the job is being taken over from an earlier JobManager"),
            Phase::Committing(_) | Phase::Stopping(_) | Phase::Aborting(..) | Phase::Done => Some("the job is ending"),
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
        if self.rescales.history.len() == HISTORY_MAX {
            self.rescales.history.pop_front();
        }
        self.rescales.history.push_back(RescaleView {
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
            self.actions.push(Action::RescaleAnswered { request, result: Ok(nothing) });
            return;
        }
        let (own, slots) = (self.slots.needs(), target.slots());
        let extra = slots.iter().filter_map(|(profile, count)| {
            let lack = count.saturating_sub(own.get(profile).copied().unwrap_or(0));
            (lack > 0).then_some((*profile, lack))
        });
        let extra = extra.collect();
        self.slots.reserve(extra);
        tracing::info!(job = %self.spec.graph.job_id, scale = ?target.scale, "the job is to be rescaled");
        let rescaling = Rescaling { request, target, slots, began: self.now, stage: Stage::Gathering };
        self.rescales.current = Some(Box::new(rescaling));
    }

    /// The job stays as it is: what was gathered is given back, and who asked is told why.
    pub(super) fn give_up_rescale(&mut self, failure: &Failure) {
        let Some(rescaling) = self.rescales.current.take() else { return };
        let surplus = self.slots.drop_reserve();
        self.return_slots(surplus);
        let now = self.now.0;
        self.rescales.note(|view| (view.ended_at, view.failure) = (Some(now), Some(failure.clone())));
        let outcome = match rescaling.stage {
            Stage::Gathering | Stage::Checkpointing { .. } | Stage::Persisting => "the job was not rescaled",
            Stage::Stopping { .. } | Stage::Starting { .. } => "the job ended while it was being rescaled",
        };
        let failure = Failure::environment(outcome).because(failure);
        self.actions.push(Action::RescaleAnswered { request: rescaling.request, result: Err(failure) });
    }

    fn return_slots(&mut self, surplus: Vec<HeldSlot>) {
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
            Stage::Gathering => self.gathering_until(),
            Stage::Checkpointing { until, .. } => Some(until),
            Stage::Persisting | Stage::Stopping { .. } | Stage::Starting { .. } => None,
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

    /// Since when slots are gathered.
    pub(super) fn gathering_since(&self) -> Option<Millis> {
        let current = self.rescales.current.as_ref()?;
        (current.stage == Stage::Gathering).then_some(current.began)
    }

    fn gathering_until(&self) -> Option<Millis> {
        Some(self.gathering_since()?.plus(self.slot_timeout()))
    }

    /// Goes on with a rescale as far as it can.
    pub(super) fn advance_rescale(&mut self) {
        while self.rescales.current.is_some() && self.step_rescale() {}
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
                }
                all_run
            }
        }
    }

    /// Waits for slots with processes, and for tasks that can take a checkpoint.
    fn gather(&mut self) -> bool {
        let Some(rescaling) = &self.rescales.current else { return false };
        let is_late = self.gathering_until().is_some_and(|until| until <= self.now);
        let given = self.slots.held_where(|worker| self.processes.host(worker).is_some());
        let changes = |target: &Target| !target.changes(self.graph.resolved()).is_empty();
        let fitted = if suffice(&given, &rescaling.slots) {
            rescaling.target.clone()
        } else if !is_late {
            return false;
        } else if let Some(fitted) = rescaling.target.fitted(&self.spec, &given) {
            fitted
        } else {
            let failure = self.slots_not_gathered();
            self.give_up_rescale(&failure);
            return false;
        };
        if !changes(&fitted) {
            // Bounds alone have changed.
            return self.persist(fitted);
        }
        let runs = self.may_checkpoint();
        if !runs && self.status != JobStatus::Restarting && !is_late {
            // Tasks are just starting.
            return false;
        }
        if let Some(rescaling) = &mut self.rescales.current {
            rescaling.target = fitted;
        }
        if !runs || self.spec.snapshots.directory.is_none() {
            return self.go_on_from_latest();
        }
        let checkpoint = self.begin_checkpoint(Purpose::Rescale);
        let until = self.now.plus(self.spec.timeouts.rescale_checkpoint);
        self.rescales.enter(Stage::Checkpointing { checkpoint, until });
        true
    }

    fn slots_not_gathered(&self) -> Failure {
        let waited = self.gathering_since().map_or(0, |since| self.now.since(since));
        let given = self.slots.held_where(|worker| self.processes.host(worker).is_some());
        let count = |slots: &BTreeMap<ResourceProfile, u32>| slots.values().sum::<u32>();
        let wanted = self.rescales.current.as_ref().map_or(0, |current| count(&current.slots));
        let message = format!(
            "there were not enough slots for it within {waited} ms (slot.request.timeout): it takes {wanted}, and there are {}",
            count(&given)
        );
        let mut failure = Failure::environment(message);
        for reason in self.pending.iter().take(8) {
            failure = failure.because(&reason.reason);
        }
        failure
    }

    /// A checkpoint is complete; it may be the one that is waited for.
    pub(super) fn rescale_checkpointed(&mut self, completed: CheckpointId) {
        if let Some(Stage::Checkpointing { checkpoint, .. }) = self.rescales.stage()
            && completed >= checkpoint
            && let Some(target) = self.rescales.current.as_ref().map(|current| current.target.clone())
        {
            self.persist(target);
        }
    }

    fn go_on_from_latest(&mut self) -> bool {
        let Some(target) = self.rescales.current.as_ref().map(|current| current.target.clone()) else { return false };
        if self.latest.is_none() {
            let failure = Failure::environment("there is no checkpoint to go on from, and none could be taken");
            self.give_up_rescale(&failure);
            return false;
        }
        self.persist(target)
    }

    fn persist(&mut self, target: Target) -> bool {
        let given = self.slots.held_where(|worker| self.processes.host(worker).is_some());
        if !target.changes(self.graph.resolved()).is_empty() && !suffice(&given, &target.slots()) {
            let message = "slots that had been gathered for it, or their processes, are gone again";
            self.give_up_rescale(&Failure::environment(message));
            return false;
        }
        self.actions.push(Action::PersistScale(target.scale.clone()));
        if let Some(rescaling) = &mut self.rescales.current {
            rescaling.target = target;
            rescaling.stage = Stage::Persisting;
        }
        false
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
        let Some(target) = self.rescales.current.as_ref().map(|current| &current.target) else { return };
        self.rescales.bounds = target.scale.vertices.iter().map(|(id, vertex)| (*id, vertex.bounds)).collect();
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
        self.graph = self.graph.rescaled(target.resolved, self.now);
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
        let surplus = self.slots.reshare(sharing, |worker| processes.host(worker).is_some());
        self.return_slots(surplus);
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
        let surplus = self.slots.drop_reserve();
        self.return_slots(surplus);
        let (now, pause_ms) = (self.now, self.now.since(since));
        self.rescales.note(|view| (view.ended_at, view.pause_ms) = (Some(now.0), Some(pause_ms)));
        let latest = self.rescales.history.back();
        let vertices = latest.map(|view| view.vertices.clone()).unwrap_or_default();
        let checkpoint = latest.and_then(|view| view.checkpoint);
        tracing::info!(job = %self.spec.graph.job_id, pause_ms, ?checkpoint, "the job is rescaled");
        let result = Ok(Rescaled { vertices, checkpoint, pause_ms });
        self.actions.push(Action::RescaleAnswered { request: rescaling.request, result });
    }

    /// A process is gone that was brought up for this, or did not come up.
    pub(super) fn rescaling_lost_process(&mut self, worker: &WorkerKey, failure: &Failure) {
        let is_gathering = matches!(self.rescales.stage(), Some(Stage::Gathering | Stage::Checkpointing { .. }));
        if is_gathering && self.slots.reserves_on(worker) {
            self.give_up_rescale(failure);
        }
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
