//! While the job runs: slots and processes for its new scale, and the checkpoint to go on from.

use std::collections::BTreeMap;

use flott_core::{
    failure::Failure,
    id::{CheckpointId, WorkerKey},
    resource::ResourceProfile,
    status::JobStatus,
    view::RescaleCause,
};

use super::{
    super::{Action, JobMasterCore},
    Stage,
};
use crate::{
    checkpoints::Purpose,
    scaling::{Target, suffice},
    time::Millis,
};

impl JobMasterCore {
    /// Since when slots are gathered.
    pub(in crate::core) fn gathering_since(&self) -> Option<Millis> {
        let current = self.rescales.current.as_ref()?;
        (current.stage == Stage::Gathering).then_some(current.began)
    }

    pub(super) fn gathering_until(&self) -> Option<Millis> {
        Some(self.gathering_since()?.plus(self.slot_timeout()))
    }

    /// When fewer slots than are aimed for have to do, if they can.
    pub(super) fn fitting_at(&self) -> Option<Millis> {
        let since = self.gathering_since()?;
        let wait = if self.rescales_between_bounds() { self.spec.adaptive.executing_stabilization } else { u64::MAX };
        Some(since.plus(wait.min(self.slot_timeout())))
    }

    /// Waits for slots with processes, and for tasks that can take a checkpoint.
    pub(super) fn gather(&mut self) -> bool {
        let Some(rescaling) = &self.rescales.current else { return false };
        let is_late = self.gathering_until().is_some_and(|until| until <= self.now);
        let given = self.slots.held_where(|worker| self.processes.host(worker).is_some());
        let changes = |target: &Target| !target.changes(self.graph.resolved()).is_empty();
        let is_own = rescaling.request.is_none();
        if is_own && rescaling.cause == RescaleCause::FewerSlots && self.slots.missing_since().is_none() {
            // Those that it did without have come.
            self.drop_rescale();
            return false;
        }
        if is_own && !suffice(&self.slots.held_where(|_| true), &rescaling.slots) {
            self.give_up_rescale(&Failure::environment("slots that the job had are gone again"));
            return false;
        }
        let fitted = if suffice(&given, &rescaling.slots) {
            rescaling.target.clone()
        } else if is_own && !is_late {
            // The processes beside them are coming up.
            return false;
        } else if self.fitting_at().is_some_and(|at| self.now < at) {
            return false;
        } else if let Some(fitted) = rescaling.target.fitted(&self.spec, &given) {
            fitted
        } else if !is_late {
            return false;
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
        if !runs && self.status != JobStatus::Restarting && self.slots.missing_since().is_none() && !is_late {
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
    pub(in crate::core) fn rescale_checkpointed(&mut self, completed: CheckpointId) {
        if let Some(Stage::Checkpointing { checkpoint, .. }) = self.rescales.stage()
            && completed >= checkpoint
            && let Some(target) = self.rescales.current.as_ref().map(|current| current.target.clone())
        {
            self.persist(target);
        }
    }

    pub(super) fn go_on_from_latest(&mut self) -> bool {
        let Some(target) = self.rescales.current.as_ref().map(|current| current.target.clone()) else { return false };
        // A job that cannot run as it is starts over anyway.
        let is_down = self.slots.missing_since().is_some() && self.is_own_rescale();
        if self.latest.is_none() && !is_down {
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

    /// Whether the job is being rescaled because of the slots there are.
    fn is_own_rescale(&self) -> bool {
        self.rescales.current.as_ref().is_some_and(|current| current.request.is_none())
    }

    /// Whether slots are gathered of which fewer would do, too.
    pub(in crate::core) fn rescales_between_bounds(&self) -> bool {
        let gathering = self.rescales.current.as_ref().filter(|current| current.stage == Stage::Gathering);
        gathering.is_some_and(|current| current.target.has_room())
    }

    /// A process is gone that was brought up for this, or did not come up.
    pub(in crate::core) fn rescaling_lost_process(&mut self, worker: &WorkerKey, failure: &Failure) {
        let is_gathering = matches!(self.rescales.stage(), Some(Stage::Gathering | Stage::Checkpointing { .. }));
        if is_gathering && self.slots.reserves_on(worker) {
            self.give_up_rescale(failure);
        }
    }
}
