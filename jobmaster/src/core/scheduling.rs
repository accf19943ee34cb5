//! From a region that may run to tasks on processes.

use flott_core::{
    id::WorkerKey,
    message::{JobToHost, JobToWorker, SlotGrant},
    status::ExecutionState,
};

use super::{JobMasterCore, regions::RegionPhase};
use crate::{
    deployment,
    execution_graph::{
        Placement, Transition,
        job_transition::JobStep,
        transition::{ExecutionStep, is_deployed},
    },
    index::{ExecutionIndex, RegionIndex, SharedSlotIndex},
    slot_pool::Answer,
};

impl JobMasterCore {
    /// Takes a step of an attempt, and keeps every count that hangs on it.
    pub(super) fn apply(&mut self, execution: ExecutionIndex, step: ExecutionStep) -> Option<Transition> {
        let transition = self.graph.step(execution, step, self.now)?;
        let Transition { from, to } = transition;
        let region = self.regions.of(execution);
        if from == ExecutionState::Canceling
            && let Some(since) = self.graph.execution(execution).entered(ExecutionState::Canceling)
        {
            self.canceling.remove(&(since, execution));
        }
        if to == ExecutionState::Canceling {
            self.canceling.insert((self.now, execution));
            self.alignment.forget(execution);
        }
        if to.is_terminal() {
            self.end_reader(execution);
        }
        let state = &mut self.states.regions[region];
        match (is_deployed(from), is_deployed(to)) {
            (false, true) => state.live += 1,
            (true, false) => {
                state.live -= 1;
                if let RegionPhase::Stopping { at, .. } = state.phase
                    && state.live == 0
                {
                    self.states.backoff.insert((at, region));
                }
            }
            (true, true) | (false, false) => {}
        }
        Some(transition)
    }

    /// Schedules a region, unless it has to wait for what it reads.
    pub(super) fn schedule_if_ready(&mut self, region: RegionIndex) {
        if self.states.regions[region].unmet > 0 {
            self.states.regions[region].phase = RegionPhase::Blocked;
            self.states.restarting.remove(&region);
            return;
        }
        self.states.regions[region].phase = RegionPhase::Waiting;
        for place in 0..self.regions.members(region).len() {
            let execution = self.regions.members(region)[place];
            self.apply(execution, ExecutionStep::Schedule);
        }
        for place in 0..self.states.regions[region].slots.len() {
            let slot = self.states.regions[region].slots[place];
            self.slots.want(slot, self.now);
            if let Some(held) = self.slots.held(slot) {
                let worker = held.worker.clone();
                self.ensure_process(&worker);
            }
        }
        if self.states.regions[region].unready == 0 {
            self.states.deployable.insert(region);
        }
    }

    /// Asks for a process on a TaskManager, unless one is up or coming up.
    pub(super) fn ensure_process(&mut self, worker: &WorkerKey) {
        if self.processes.start(worker, self.now) {
            self.send(worker, JobToWorker::StartProcess(Box::new(self.setup.clone())));
        }
    }

    /// Answers an offer of slots.
    pub(super) fn offered(&mut self, worker: &WorkerKey, grants: &[SlotGrant]) {
        let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
        for grant in grants {
            let ours = grant.job == self.spec.graph.job_id && self.is_ours(grant.epoch);
            let answer = if ours { self.slots.offer(worker, grant) } else { Answer::Rejected };
            match answer {
                Answer::Accepted(slot) => {
                    accepted.push(grant.allocation);
                    let up = self.processes.host(worker).is_some();
                    self.states.set_ready(slot, up);
                }
                Answer::Reserved | Answer::Known => accepted.push(grant.allocation),
                Answer::Rejected => rejected.push(grant.allocation),
            }
        }
        if !accepted.is_empty() {
            let job = self.spec.graph.job_id;
            tracing::debug!(%job, worker = %worker.worker, slots = accepted.len(), "slots are offered");
            self.reaction.slots_came();
            self.send(worker, JobToWorker::AcceptSlots(accepted));
            self.ensure_process(worker);
        }
        if !rejected.is_empty() {
            self.send(worker, JobToWorker::RejectSlots(rejected));
        }
    }

    /// A process is up, or down: the slots beside it are ready, or not.
    pub(super) fn set_worker_ready(&mut self, worker: &WorkerKey, ready: bool) {
        let slots: Vec<SharedSlotIndex> = self.slots.on_worker(worker).collect();
        for slot in slots {
            self.states.set_ready(slot, ready);
        }
    }

    /// Deploys every region whose slots and processes are all there, in one batch.
    pub(super) fn deploy_ready(&mut self) {
        let mut batch = Vec::new();
        for region in std::mem::take(&mut self.states.deployable) {
            let state = &mut self.states.regions[region];
            if state.phase != RegionPhase::Waiting || state.unready > 0 {
                continue;
            }
            state.phase = RegionPhase::Deployed;
            self.states.restarting.remove(&region);
            for slot in &self.states.regions[region].slots {
                self.slots.settle(*slot);
            }
            batch.extend_from_slice(self.regions.members(region));
        }
        if batch.is_empty() {
            self.note_running();
            return;
        }
        batch.sort_unstable();
        for &execution in &batch {
            self.place(execution);
        }
        self.send_deployments(&batch);
        self.note_running();
    }

    pub(super) fn send_deployments(&mut self, batch: &[ExecutionIndex]) {
        let restore = |execution| self.restore_of(execution);
        for (host, deployment) in deployment::build(self.spec.epoch, &self.graph, batch, restore) {
            self.send_host(&host, JobToHost::Deploy(Box::new(deployment)));
        }
    }

    pub(super) fn place(&mut self, execution: ExecutionIndex) {
        let slot = self.slots.sharing().of(execution);
        let held = self.slots.held(slot).cloned();
        let placement = held.and_then(|held| {
            let host = self.processes.host(&held.worker).cloned()?;
            Some(Placement { allocation: held.allocation, host })
        });
        let Some(placement) = placement else {
            debug_assert!(false, "a region without unready slots has a process for each");
            return;
        };
        self.prepared |= self.graph.vertex_of(execution).has_sink;
        self.processes.deployed(&placement.host.worker, execution);
        let inherited = self.inherited_results(execution);
        let entry = self.graph.execution_mut(execution);
        entry.placement = Some(placement);
        entry.inherited = inherited;
        self.apply(execution, ExecutionStep::Deploy);
    }

    /// The job runs when something was deployed and nothing waits for a restart.
    fn note_running(&mut self) {
        if self.states.restarting.is_empty() && (self.graph.deployed() > 0 || self.graph.is_done()) {
            self.step_job(JobStep::Run);
        }
    }

    /// A subtask has finished: its output is there, and what waits for it may begin.
    pub(super) fn mark_done(&mut self, execution: ExecutionIndex) {
        if !self.graph.set_done(execution, true) {
            return;
        }
        let region = self.regions.of(execution);
        let state = &mut self.states.regions[region];
        state.undone -= 1;
        if state.undone == 0 {
            state.phase = RegionPhase::Finished;
        }
        for waiting in self.waiting_for(execution, 0) {
            let state = &mut self.states.regions[waiting];
            state.unmet -= 1;
            if state.unmet == 0 && state.phase == RegionPhase::Blocked {
                self.schedule_if_ready(waiting);
            }
        }
    }

    /// The output of a subtask does not count any more.
    pub(super) fn mark_undone(&mut self, execution: ExecutionIndex) {
        if !self.graph.set_done(execution, false) {
            return;
        }
        let region = self.regions.of(execution);
        self.states.regions[region].undone += 1;
        for waiting in self.waiting_for(execution, 1) {
            self.states.regions[waiting].unmet += 1;
        }
    }

    /// Regions for which `execution` is something to wait for, one entry per thing. It is for those that wait for the
    /// whole vertex if just `others` of it are not done.
    fn waiting_for(&self, execution: ExecutionIndex, others: u32) -> Vec<RegionIndex> {
        let vertex = self.graph.execution(execution).vertex;
        let mut waiting = self.regions.after_execution(execution).to_vec();
        if self.graph.undone_of(vertex) == others {
            waiting.extend_from_slice(self.regions.after_vertex(vertex));
        }
        waiting
    }
}
