//! The job as people see it, and what it waits for.

use flott_core::{
    status::JobStatus,
    view::{CheckpointsView, JobView, PendingReason, VertexView},
};

use super::{JobMasterCore, Phase, Wait};
use crate::commit::{CommitState, Stop};

impl JobMasterCore {
    /// Everything about the job. Takes time in proportion to its subtasks.
    pub fn view(&self) -> JobView {
        let graph = &self.spec.graph;
        JobView {
            job: graph.job_id,
            name: graph.name.clone(),
            status: self.status,
            started_at: self.spec.accepted_at.0,
            ended_at: self.status.is_terminal().then(|| self.entered.get(&self.status).map(|at| at.0)).flatten(),
            entered: self.entered.iter().map(|(status, at)| (*status, at.0)).collect(),
            vertices: self.vertex_views(),
            failure: self.failure.clone(),
            exceptions: self.history.views(),
            exceptions_truncated: self.history.is_truncated(),
            restarts: self.restarts,
            accumulators: self.graph.accumulators(),
            pending: self.pending_reasons(),
            checkpoints: CheckpointsView { holds_results: self.stranded, ..self.checkpoints.history().view() },
            rescales: self.rescales.views(),
        }
    }

    fn vertex_views(&self) -> Vec<VertexView> {
        let mut views = self.graph.views();
        for view in &mut views {
            view.bounds = self.rescales.bounds.get(&view.id).copied();
        }
        views
    }

    /// When the job entered `status` last.
    pub fn entered(&self, status: JobStatus) -> Option<crate::time::Millis> {
        self.entered.get(&status).copied()
    }

    /// The ResourceManager's reasons, as long as something is missing; ours until it has given one.
    fn pending_reasons(&self) -> Vec<PendingReason> {
        let Some(since) = self.slots.missing_since().or(self.gathering_since()) else { return Vec::new() };
        if !self.pending.is_empty() {
            return self.pending.clone();
        }
        let reason = |(profile, slots_missing)| PendingReason {
            slots_missing,
            profile,
            since: since.0,
            reason: "asked of the ResourceManager".to_owned(),
            unattainable: false,
        };
        self.slots.missing().map(reason).collect()
    }

    /// What the job waits for; never empty before it is over. Cheap enough to be asked after each event.
    pub fn waits(&self) -> Vec<Wait> {
        let mut waits = Vec::new();
        let missing = self.slots.missing().map(|(_, count)| count).sum();
        if missing > 0 {
            waits.push(Wait::Slots { missing });
        }
        let starting = self.processes.starting().len();
        if starting > 0 {
            waits.push(Wait::Processes { starting });
        }
        let deployed = self.graph.deployed();
        if deployed > 0 {
            waits.push(Wait::Tasks { deployed });
        }
        if let Some((until, _)) = self.states.backoff.first() {
            waits.push(Wait::Restart { until: *until });
        }
        if let Some(until) = self.awaits_cause() {
            waits.push(Wait::Cause { until });
        }
        if self.checkpoints.is_storing() {
            waits.push(Wait::Checkpoint);
        }
        self.falling_back_waits(&mut waits);
        self.rescale_waits(&mut waits);
        if let Some(until) = self.commits.at_hand().and_then(|(_, commit)| commit.deadline()) {
            waits.push(Wait::Commit { until });
        }
        match &self.phase {
            Phase::New => waits.push(Wait::Start),
            Phase::Reconciling(reconciling) => waits.push(Wait::Found { missing: reconciling.missing() }),
            Phase::Stopping(_) if self.stop == Some(Stop::Persisting) => waits.push(Wait::Manifest),
            Phase::Executing | Phase::Stopping(_) | Phase::Done => {}
            Phase::Committing(commit) => match &commit.state {
                CommitState::Persisting => waits.push(Wait::Manifest),
                CommitState::Asked { until, .. } | CommitState::Waiting { until } => {
                    waits.push(Wait::Commit { until: *until });
                }
                CommitState::Seeking => {}
            },
            Phase::Aborting(_, abort) => waits.push(Wait::Abort { until: abort.until }),
        }
        waits
    }

    /// Checks what must hold between two events, for tests: the first thing that does not, in words.
    #[cfg(any(test, feature = "testing"))]
    pub fn check_invariants(&self) -> Result<(), String> {
        use super::regions::RegionPhase;
        use crate::execution_graph::transition::is_deployed;

        if !self.is_over() && self.waits().is_empty() {
            return Err(format!("{} and waits for nothing", self.status));
        }
        if self.is_over() {
            return Ok(());
        }
        for region in self.regions.keys() {
            let state = &self.states.regions[region];
            let members = self.regions.members(region);
            let live = members.iter().filter(|member| is_deployed(self.graph.execution(**member).state)).count();
            let undone = members.iter().filter(|member| !self.graph.execution(**member).done).count();
            let unready = state.slots.iter().filter(|slot| !self.states.ready[**slot]).count();
            if (state.live, state.undone, state.unready) != (live as u32, undone as u32, unready as u32) {
                return Err(format!("region {} miscounts: {state:?}, not {live} {undone} {unready}", region.0));
            }
            let right = match state.phase {
                RegionPhase::Blocked => state.unmet > 0 && live == 0,
                RegionPhase::Waiting => live == 0 && (unready > 0 || undone == 0),
                RegionPhase::Deployed => undone > 0,
                RegionPhase::Finished => undone == 0 && live == 0,
                RegionPhase::Stopping { .. } => {
                    live > 0 || self.states.backoff.iter().any(|(_, stopped)| *stopped == region)
                }
                RegionPhase::Ended => true,
            };
            if !right && !matches!(self.phase, Phase::New | Phase::Reconciling(_)) {
                return Err(format!("region {} is inconsistent: {state:?}", region.0));
            }
        }
        if let Some(gone) = self.alignment.members().find(|member| !self.reads(*member)) {
            let state = self.graph.execution(gone).state;
            return Err(format!("subtask {} is {state}, and its watermark counts", gone.0));
        }
        self.slots.check()?;
        for slot in self.slots.sharing().keys() {
            let up = self.slots.held(slot).is_some_and(|held| self.processes.host(&held.worker).is_some());
            if up != self.states.ready[slot] {
                return Err(format!(
                    "slot {} is ready: {}, but its process is up: {up}",
                    slot.0, self.states.ready[slot]
                ));
            }
        }
        Ok(())
    }
}
