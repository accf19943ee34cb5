//! A job between bounds uses the slots there are.
//!
//! Where vertices may have fewer subtasks than they have, or more, the job says beside its needs what it would use, and takes
//! what it is offered. Once more subtasks fit, and have for a while, it is rescaled to them while it runs. Once slots that it
//! has lost, or never had, do not come for a while, it makes do with those that it has, if they suffice for its lower bounds.
//!
//! How long that is, and how soon after a rescale the next one may begin, are Flink's `jobmanager.adaptive-scheduler.…`.

use std::collections::BTreeMap;

use flott_core::{
    id::{VertexId, WorkerKey},
    job_graph::{ExecutionMode, scale::ParallelismBounds},
    resource::ResourceProfile,
    status::JobStatus,
    view::RescaleCause,
};

use super::{JobMasterCore, Phase};
use crate::{
    execution_graph::Resolved,
    scaling::{Target, is_open, suffice},
    slot_pool::Wishes,
    spec::JobSpec,
    time::Millis,
};

/// How long a job that could not grow is left alone at least.
const GROW_AGAIN_MS: u64 = 10_000;
/// How long after a job could not make do with fewer slots it is tried again.
const SHRINK_AGAIN_MS: u64 = 1_000;

type Slots = BTreeMap<ResourceProfile, u32>;

/// What the bounds of a job come to.
#[derive(Debug, Clone)]
struct Limits {
    /// With these bounds.
    target: Target,
    /// Slots for the fewest subtasks.
    fewest: Slots,
    /// Slots that TaskManagers are started for.
    aim: Slots,
    /// Slots for the most.
    most: Slots,
    /// Slots for the job as it is.
    now: Slots,
}

/// What a job has seen of slots that it could use.
#[derive(Debug, Clone, Default)]
pub(super) struct Reaction {
    /// Nothing where the job has the numbers that it has, and no others.
    limits: Option<Box<Limits>>,
    /// Whether slots have come that were not looked at.
    news: bool,
    /// Since when.
    since: Option<Millis>,
    /// When a job that runs may be rescaled again.
    cooled: Millis,
    /// When it may grow again, and make do with less again, after that has failed.
    grows_from: Millis,
    shrinks_from: Millis,
}

impl Reaction {
    /// There are slots that were not there before.
    pub(super) fn slots_came(&mut self) {
        self.news = true;
    }
}

/// Bounds of a job that takes every slot there is.
pub(super) fn reactive_bounds(spec: &JobSpec, resolved: &Resolved) -> BTreeMap<VertexId, ParallelismBounds> {
    let open = spec.graph.vertices.iter().filter(|vertex| is_open(vertex, spec.default_parallelism));
    let open: Vec<_> = open.map(|vertex| vertex.id).collect();
    let bounds = |vertex: &crate::execution_graph::Vertex| {
        let all = ParallelismBounds { lower: 1, upper: vertex.max_parallelism };
        let own = ParallelismBounds::exactly(vertex.parallelism);
        (vertex.id, if open.contains(&vertex.id) { all } else { own })
    };
    resolved.vertices.values().map(bounds).collect()
}

impl JobMasterCore {
    /// Notes what the bounds come to, when these or the job have changed.
    pub(super) fn note_limits(&mut self) {
        let target = Target::as_it_is(self.graph.resolved(), &self.rescales.bounds);
        let is_open = self.spec.graph.mode == ExecutionMode::Streaming && target.has_room();
        let most = target.scale.vertices.values().map(|vertex| vertex.bounds.upper).max().unwrap_or(1);
        let aim = if self.spec.adaptive.reactive { self.spec.default_parallelism.min(most) } else { most };
        let slots = |target: Target| target.slots();
        let spec = &self.spec;
        self.reaction.limits = is_open
            .then(|| {
                Some(Box::new(Limits {
                    fewest: (1..=most).find_map(|level| target.at_level(spec, level)).map(slots)?,
                    aim: (1..=aim).rev().find_map(|level| target.at_level(spec, level)).map(slots)?,
                    most: (1..=most).rev().find_map(|level| target.at_level(spec, level)).map(slots)?,
                    now: target.slots(),
                    target: target.clone(),
                }))
            })
            .flatten();
        self.reaction.news = true;
    }

    /// What the job would use beyond its needs.
    fn wishes(&self) -> Wishes {
        let Some(limits) = &self.reaction.limits else { return Wishes::default() };
        if !matches!(self.phase, Phase::Executing) || self.checkpoints.is_stopping() {
            return Wishes::default();
        }
        let count = |slots: &Slots, profile| slots.get(profile).copied().unwrap_or(0);
        let mut wishes = Wishes::default();
        for (profile, most) in &limits.most {
            let needed = count(&limits.now, profile).saturating_add(count(self.slots.reserved(), profile));
            let aim = count(&limits.aim, profile).max(needed);
            wishes.wished.insert(*profile, aim - needed);
            wishes.welcome.insert(*profile, most.saturating_sub(aim));
        }
        for counts in [&mut wishes.wished, &mut wishes.welcome] {
            counts.retain(|_, count| *count > 0);
        }
        wishes
    }

    /// What is missing is taken from the reserve, before any is asked for.
    pub(super) fn use_reserve(&mut self) {
        let up = |processes: &crate::processes::Processes, worker: &WorkerKey| processes.host(worker).is_some();
        while let Some((slot, worker)) = self.slots.use_reserved(|worker| up(&self.processes, worker)) {
            self.states.set_ready(slot, up(&self.processes, &worker));
            self.ensure_process(&worker);
        }
    }

    /// Gives back what the reserve has and nobody wants.
    pub(super) fn settle_reserve(&mut self) {
        let wishes = self.wishes();
        if wishes != *self.slots.wishes() || self.slots.has_reserve() {
            let surplus = self.slots.wish(wishes);
            self.return_slots(surplus);
        }
    }

    /// How many of the slots that are missing are of use at the least; 0: all of them.
    pub(super) fn useful_slots(&self) -> u32 {
        let sum = |slots: &Slots| slots.values().fold(0_u32, |sum, count| sum.saturating_add(*count));
        if self.slots.missing_since().is_none() {
            // What it would use beyond its needs is of use slot by slot.
            return u32::from(self.reaction.limits.is_some() || self.rescales_between_bounds());
        }
        match &self.reaction.limits {
            Some(limits) => sum(&limits.fewest).saturating_sub(sum(&self.slots.held_where(|_| true))).max(1),
            None => 0,
        }
    }

    /// Whether the job can make do with the slots that it has.
    pub(super) fn makes_do(&self) -> bool {
        let limits = self.reaction.limits.as_ref();
        limits.is_some_and(|limits| suffice(&self.slots.held_where(|_| true), &limits.fewest))
    }

    fn may_react(&self) -> bool {
        self.reaction.limits.is_some()
            && matches!(self.phase, Phase::Executing)
            && !self.rescales.is_under_way()
            && !self.checkpoints.is_stopping()
            && !self.graph.is_done()
    }

    /// When slots that are missing are not waited for any more.
    fn shrinks_at(&self) -> Option<Millis> {
        let missing = self.slots.missing_since()?;
        Some(missing.plus(self.spec.adaptive.submission_stabilization).max(self.reaction.shrinks_from))
    }

    /// When a rescale is given up whose tasks wait for slots that were lost while they started, and need not.
    pub(super) fn stranded_at(&self) -> Option<Millis> {
        self.shrinks_at().filter(|_| self.makes_do())
    }

    /// When slots that have come are used.
    fn grows_at(&self) -> Option<Millis> {
        let limits = self.reaction.limits.as_ref()?;
        let is_ready =
            self.reaction.news && self.slots.has_reserve() && self.status == JobStatus::Running && self.graph.all_run();
        if !is_ready {
            return None;
        }
        let all = suffice(&self.slots.held_where(|_| true), &limits.most);
        let wait = if all { 0 } else { self.spec.adaptive.executing_stabilization };
        let since = self.reaction.since.unwrap_or(self.now);
        Some(since.plus(wait).max(self.reaction.cooled).max(self.reaction.grows_from))
    }

    /// When [`react`](Self::react) has something to do without further news.
    pub(super) fn reaction_due(&self) -> Option<Millis> {
        if !self.may_react() {
            return None;
        }
        let soon = self.now.plus(1);
        match self.shrinks_at() {
            // What is due and was not done waits for slots.
            Some(at) if at <= self.now => self.makes_do().then_some(soon),
            Some(at) => Some(at),
            None => self.grows_at().map(|at| at.max(soon)),
        }
    }

    /// Begins a rescale if other numbers fit the slots there are.
    pub(super) fn react(&mut self) {
        if !self.may_react() {
            return;
        }
        if let Some(at) = self.shrinks_at() {
            self.reaction.since = None;
            if at <= self.now && self.makes_do() {
                self.rescale_to_slots(RescaleCause::FewerSlots);
            }
            return;
        }
        if self.reaction.news && self.slots.has_reserve() {
            self.reaction.since.get_or_insert(self.now);
        }
        if self.grows_at().is_some_and(|at| at <= self.now) {
            (self.reaction.news, self.reaction.since) = (false, None);
            self.rescale_to_slots(RescaleCause::MoreSlots);
        }
    }

    fn rescale_to_slots(&mut self, cause: RescaleCause) {
        let Some(limits) = &self.reaction.limits else { return };
        let given = self.slots.held_where(|_| true);
        if let Some(target) = limits.target.fitted(&self.spec, &given)
            && !target.changes(self.graph.resolved()).is_empty()
        {
            self.begin_rescale(None, cause, target);
        }
    }

    /// The job has another parallelism.
    pub(super) fn reacted(&mut self) {
        self.reaction.cooled = self.now.plus(self.spec.adaptive.cooldown);
        self.look_again();
    }

    /// A rescale that the job had begun by itself came to nothing.
    pub(super) fn reaction_failed(&mut self, cause: RescaleCause) {
        match cause {
            // The job is down: it is not left alone for long.
            RescaleCause::FewerSlots => self.reaction.shrinks_from = self.now.plus(SHRINK_AGAIN_MS),
            RescaleCause::Asked | RescaleCause::MoreSlots => {
                self.reaction.grows_from = self.now.plus(self.spec.adaptive.cooldown.max(GROW_AGAIN_MS));
            }
        }
        self.look_again();
    }

    fn look_again(&mut self) {
        self.reaction.news = true;
        self.reaction.since = self.slots.has_reserve().then_some(self.now);
    }
}
