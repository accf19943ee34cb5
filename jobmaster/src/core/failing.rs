//! From a failure to the regions that start over, or to the end of the job.

use std::collections::BTreeSet;

use flott_core::{
    config::keys::jobmanager::FailoverStrategy,
    failure::{Failure, Retry},
    id::{AllocationId, WorkerKey},
    message::JobToWorker,
    status::ExecutionState,
};

use super::{
    JobMasterCore, Phase,
    naming::{Loss, not_restarted},
    regions::RegionPhase,
};
use crate::{
    commit::Ending,
    execution_graph::{
        job_transition::JobStep,
        transition::{ExecutionStep, is_deployed},
    },
    failover::{Decision, history::EntryId},
    index::{ExecutionIndex, RegionIndex},
    time::Millis,
};

impl JobMasterCore {
    // ------------------------------------------------------------ losses

    /// A TaskManager is gone for good.
    pub(super) fn worker_lost(&mut self, worker: &WorkerKey, failure: Failure) {
        if self.is_over() {
            return;
        }
        if self.processes.is_lost(worker) {
            return self.loss_is_explained(worker, failure);
        }
        if self.has_found(worker) {
            self.give_up_reconciling("a TaskManager that had tasks of it is lost");
            if self.is_over() {
                return;
            }
        }
        self.give_up_worker(worker, failure);
        self.processes.lose_worker(worker);
    }

    /// Counts a TaskManager's process and slots as gone.
    pub(super) fn give_up_worker(&mut self, worker: &WorkerKey, failure: Failure) {
        let executions = self.processes.drop_process(worker);
        self.process_down(worker, executions, failure, true);
        let slots: Vec<_> = self.slots.on_worker(worker).collect();
        for slot in slots {
            let wanted = self.states.wants(slot);
            self.slots.lose(slot, wanted, self.now);
        }
        self.slots.lose_reserved_on(worker);
    }

    /// A process is gone, or did not come up. One loss is one failure, however many tasks it hits.
    pub(super) fn process_down(
        &mut self,
        worker: &WorkerKey,
        executions: BTreeSet<ExecutionIndex>,
        failure: Failure,
        worker_gone: bool,
    ) {
        let failure = failure.at(|place| {
            place.worker.get_or_insert_with(|| worker.worker.clone());
        });
        let regions = self.regions_of(executions.iter().copied());
        let (mut hit, mut stopping) = (BTreeSet::new(), None);
        for execution in executions {
            if is_deployed(self.graph.execution(execution).state) {
                let transition = self.apply(execution, ExecutionStep::Lose);
                let region = self.regions.of(execution);
                if transition.is_some_and(|transition| transition.to == ExecutionState::Failed) {
                    self.graph.execution_mut(execution).failure = Some(failure.clone());
                    hit.insert(region);
                } else if transition.is_some() {
                    stopping = Some(region);
                }
            } else if self.graph.execution(execution).done {
                if self.is_output_needed(execution) {
                    hit.insert(self.regions.of(execution));
                } else {
                    self.graph.execution_mut(execution).output_lost = true;
                }
            }
        }
        let slots: Vec<_> = self.slots.on_worker(worker).collect();
        for slot in slots {
            self.states.set_ready(slot, false);
            if worker_gone {
                // Another slot is asked for; that the wait has an end sees the slot request timeout to.
                continue;
            }
            let waiting = self.states.of_slot[slot].iter().copied();
            hit.extend(waiting.filter(|region| self.states.phase(*region) == RegionPhase::Waiting));
        }
        self.lost(Loss { regions, hit, stopping, worker_gone }, &failure);
        self.ending_lost_process(worker, &failure, worker_gone);
        if !worker_gone {
            self.rescaling_lost_process(worker, &failure);
        }
    }

    /// Whether someone has yet to read, through a blocking edge, what a finished subtask has left behind.
    fn is_output_needed(&self, execution: ExecutionIndex) -> bool {
        let resolved = self.graph.resolved();
        let subtask = self.graph.execution(execution).subtask.0;
        self.graph.vertex_of(execution).outputs.iter().any(|place| {
            let edge = &resolved.edges[*place];
            self.regions.orders(*place)
                && if edge.ship.is_pointwise() {
                    resolved.consumers(edge, subtask).any(|consumer| !self.graph.execution(consumer).done)
                } else {
                    self.graph.undone_of(edge.target) > 0
                }
        })
    }

    /// One slot was taken back. Its tasks are stopped; another is asked for.
    pub(super) fn slot_lost(&mut self, worker: &WorkerKey, allocation: AllocationId, reason: &str) {
        if self.slots.lose_reserved(allocation) {
            return;
        }
        let Some(slot) = self.slots.holder(allocation) else {
            self.slots.forget(allocation);
            return;
        };
        if self.slots.held(slot).is_none_or(|held| held.worker != *worker) {
            return;
        }
        self.states.set_ready(slot, false);
        let mut hit = BTreeSet::new();
        for &execution in &self.slots.sharing().slot(slot).executions {
            let entry = self.graph.execution(execution);
            let here = entry.placement.as_ref().is_some_and(|placement| placement.allocation == allocation);
            if here && is_deployed(entry.state) {
                hit.insert(self.regions.of(execution));
            }
        }
        if !hit.is_empty() {
            let failure = Failure::environment(format!("slot {allocation} was taken back: {reason}"));
            let failure = failure.at(|place| place.worker = Some(worker.worker.clone()));
            self.fail_regions(hit, failure);
        }
        let wanted = self.states.wants(slot);
        self.slots.lose(slot, wanted, self.now);
    }

    // ------------------------------------------------------------ restarts

    /// One failure hits regions. Those that are already on their way to a restart do not count again.
    pub(super) fn fail_regions(&mut self, hit: BTreeSet<RegionIndex>, failure: Failure) {
        if let Some(failure) = self.go_further_back(&hit, failure) {
            self.fail_together(hit, failure);
        }
    }

    /// The same for what is no reason to go further back than usual.
    pub(super) fn fail_together(&mut self, hit: BTreeSet<RegionIndex>, failure: Failure) {
        match &self.phase {
            Phase::Executing => {}
            Phase::New
            | Phase::Reconciling(_)
            | Phase::Committing(_)
            | Phase::Stopping(_)
            | Phase::Aborting(..)
            | Phase::Done => {
                self.note_concurrent(None, failure);
                return;
            }
        }
        let stopping = hit.iter().find_map(|region| self.stopped_by(*region));
        let fresh: BTreeSet<_> = hit.into_iter().filter(|region| !self.is_stopping(*region)).collect();
        if failure.retry == Retry::Never {
            self.fail_job(failure);
            return;
        }
        if fresh.is_empty() {
            self.note_concurrent(stopping, failure);
            return;
        }
        if self.join_open(&fresh, &failure) {
            return;
        }
        match self.backoff.on_failure(self.now) {
            Decision::GiveUp { reason } => {
                let named = not_restarted(failure.clone(), &reason);
                let entry = self.history.record(self.now, named.clone());
                self.end_by(named);
                self.leave_open(&failure, entry, fresh, self.now, Some(reason));
            }
            Decision::Restart { delay } => {
                let entry = self.history.record(self.now, failure.clone());
                self.failure = Some(failure.clone());
                self.restarts = self.restarts.saturating_add(1);
                let at = self.now.plus(delay);
                let stopped = self.stop_regions(fresh, at, Some(entry));
                self.leave_open(&failure, entry, stopped, at, None);
            }
        }
    }

    pub(super) fn note_concurrent(&mut self, entry: Option<EntryId>, failure: Failure) {
        match entry.or_else(|| self.history.latest()) {
            Some(entry) => self.history.concurrent(entry, failure),
            None => {
                self.history.record(self.now, failure);
            }
        }
    }

    /// Adds to regions that start over what must start over with them: regions that have begun to read what they write,
    /// and regions whose finished output they would read again but which is gone.
    /// With the strategy `full`, everything that has begun starts over.
    pub(super) fn with_dependents(&self, roots: BTreeSet<RegionIndex>) -> BTreeSet<RegionIndex> {
        if self.spec.failover_strategy() == FailoverStrategy::Full && !roots.is_empty() {
            return self.regions.keys().filter(|region| roots.contains(region) || self.has_begun(*region)).collect();
        }
        let resolved = self.graph.resolved();
        let mut found = roots.clone();
        let mut open: Vec<RegionIndex> = roots.into_iter().collect();
        // An edge that connects all with all is followed once in each direction.
        let (mut ahead, mut back) = (BTreeSet::new(), BTreeSet::new());
        while let Some(region) = open.pop() {
            let mut next = Vec::new();
            for &execution in self.regions.members(region) {
                let vertex = self.graph.vertex_of(execution);
                let subtask = self.graph.execution(execution).subtask.0;
                for place in vertex.outputs.iter().filter(|place| self.regions.orders(**place)) {
                    let edge = &resolved.edges[*place];
                    if edge.ship.is_pointwise() || ahead.insert(*place) {
                        next.extend(resolved.consumers(edge, subtask).map(|consumer| self.regions.of(consumer)));
                    }
                }
                for place in vertex.inputs.iter().filter(|place| self.regions.orders(**place)) {
                    let edge = &resolved.edges[*place];
                    if edge.ship.is_pointwise() || back.insert(*place) {
                        let producers = resolved.producers(edge, subtask);
                        let lost = producers.filter(|producer| self.graph.execution(*producer).output_lost);
                        next.extend(lost.map(|producer| self.regions.of(producer)));
                    }
                }
            }
            for region in next {
                if self.has_begun(region) && found.insert(region) {
                    open.push(region);
                }
            }
        }
        found
    }

    pub(super) fn has_begun(&self, region: RegionIndex) -> bool {
        match self.states.phase(region) {
            RegionPhase::Waiting | RegionPhase::Deployed | RegionPhase::Finished => true,
            RegionPhase::Blocked | RegionPhase::Stopping { .. } | RegionPhase::Ended => false,
        }
    }

    pub(super) fn stop_region(&mut self, region: RegionIndex, at: Millis, entry: Option<EntryId>) {
        let failure = Failure::environment("tasks that it needs have failed or are started again");
        self.give_up_checkpoints(&failure);
        self.states.regions[region].phase = RegionPhase::Stopping { at, entry };
        self.states.restarting.insert(region);
        self.cancel_members(region);
        if self.states.regions[region].live == 0 {
            self.states.backoff.insert((at, region));
        }
    }

    fn cancel_members(&mut self, region: RegionIndex) {
        for place in 0..self.regions.members(region).len() {
            let execution = self.regions.members(region)[place];
            self.mark_undone(execution);
            self.cancel_execution(execution);
        }
    }

    fn cancel_execution(&mut self, execution: ExecutionIndex) {
        let canceling = self
            .apply(execution, ExecutionStep::Cancel)
            .is_some_and(|transition| transition.to == ExecutionState::Canceling);
        if canceling && let Some(host) = self.host_of(execution) {
            let attempt = self.graph.attempt_id(execution);
            self.cancels.entry((host.worker.clone(), host.location.process)).or_default().push(attempt);
        }
    }

    /// Begins new attempts in every region whose old ones are gone and whose delay is over.
    pub(super) fn restart_due(&mut self) {
        if self.checkpoints.is_storing() || self.stops_to_rescale() || self.is_falling_back() {
            // What they go back to is known when the answer is there; or they go on with the whole job.
            return;
        }
        while let Some(&(at, region)) = self.states.backoff.first() {
            if at > self.now {
                return;
            }
            self.states.backoff.pop_first();
            for place in 0..self.regions.members(region).len() {
                let execution = self.regions.members(region)[place];
                self.begin_again(execution);
            }
            self.note_restored();
            self.schedule_if_ready(region);
        }
    }

    fn begin_again(&mut self, execution: ExecutionIndex) {
        let (vertex, subtask) = {
            let entry = self.graph.execution(execution);
            (entry.vertex, entry.subtask)
        };
        for &place in self.splits_of.get(&vertex).into_iter().flatten() {
            self.splits[place].restarted(subtask);
        }
        if let Some(host) = self.host_of(execution) {
            self.processes.withdrawn(&host.worker, execution);
        }
        self.graph.reset(execution, self.now);
    }

    // ------------------------------------------------------------ the end of the job

    /// A failure ends the job.
    pub(super) fn fail_job(&mut self, failure: Failure) {
        self.history.record(self.now, failure.clone());
        self.end_by(failure);
    }

    /// A failure that has been written down ends the job.
    pub(super) fn end_by(&mut self, failure: Failure) {
        self.failure = Some(failure.clone());
        self.stop_job(JobStep::Fail, Ending::Failed(Box::new(failure)));
    }

    pub(super) fn stop_job(&mut self, step: JobStep, ending: Ending) {
        self.step_job(step);
        self.stop_tasks(ending);
    }

    /// Every task is ended.
    pub(super) fn stop_tasks(&mut self, ending: Ending) {
        self.give_up_checkpoints(&Failure::environment("the job is being ended"));
        self.commits.hurry();
        self.phase = Phase::Stopping(ending);
        for region in self.regions.keys() {
            self.states.regions[region].phase = RegionPhase::Ended;
            for place in 0..self.regions.members(region).len() {
                let execution = self.regions.members(region)[place];
                self.cancel_execution(execution);
            }
        }
        self.states.backoff.clear();
        self.states.deployable.clear();
        self.states.restarting.clear();
        let slots: Vec<_> = self.slots.sharing().keys().collect();
        for slot in slots {
            self.slots.stop_waiting(slot);
        }
    }

    /// A TaskManager did not end tasks that it was told to end: it is told to forget the job, and given up.
    pub(super) fn give_up_stuck(&mut self, worker: &WorkerKey) {
        let failure = Failure::environment(format!(
            "its tasks did not end within {} ms of being cancelled, and it did not end their process",
            self.spec.timeouts.cancellation
        ));
        self.send(worker, JobToWorker::Forget);
        // This is what comes of a failure, and explains none.
        self.open_name = None;
        self.give_up_worker(worker, failure);
    }
}
