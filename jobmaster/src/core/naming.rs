//! Which of the failures that come together is said to be the root.
//!
//! A process that dies takes its connections with it. Its peers notice at once, and often say so before anyone has told
//! of the death: then the job would be said to have failed of a lost connection, which is true and helps nobody. So a
//! failure of [`Kind::Peer`] stops its regions at once, like any other, but its name stays open for a while: the loss of
//! a process or a TaskManager that had tasks in these regions takes its place, as the same failure, not as one more. Only
//! a job that ends with such a failure waits for the name.

use std::collections::BTreeSet;

use flott_core::{
    failure::{Failure, Kind, Retry},
    id::WorkerKey,
};

use super::{JobMasterCore, Phase, regions::RegionPhase};
use crate::{
    commit::Ending, execution_graph::job_transition::JobStep, failover::history::EntryId, index::RegionIndex,
    time::Millis,
};

/// Milliseconds within which the loss of a process explains that its peers have lost their connections. A process that
/// dies later may have died of being cancelled.
pub const CAUSE_WAIT: u64 = 1_000;

/// A lost connection that something else may be behind.
#[derive(Debug, Clone)]
pub(super) struct OpenName {
    entry: EntryId,
    /// What it has stopped.
    regions: BTreeSet<RegionIndex>,
    /// When they start over.
    at: Millis,
    until: Millis,
    /// Why they do not, if the job ends with it; empty if restarts were never wanted.
    given_up: Option<String>,
}

/// What a process or a TaskManager has taken with it.
pub(super) struct Loss {
    /// Regions of all that was deployed to it.
    pub regions: BTreeSet<RegionIndex>,
    /// Those that fail by it.
    pub hit: BTreeSet<RegionIndex>,
    /// A region that was being stopped, one of whose tasks was not known to have ended.
    pub stopping: Option<RegionIndex>,
    pub worker_gone: bool,
}

impl JobMasterCore {
    /// Leaves the name of a failure open, if it is one that may have another behind it.
    pub(super) fn leave_open(
        &mut self,
        failure: &Failure,
        entry: EntryId,
        regions: BTreeSet<RegionIndex>,
        at: Millis,
        given_up: Option<String>,
    ) {
        if failure.kind == Kind::Peer {
            let until = self.now.plus(CAUSE_WAIT);
            self.open_name = Some(OpenName { entry, regions, at, until, given_up });
        }
    }

    /// One thing may cut the connections of several regions. Those that say so while the name is open stop with the first
    /// of them, and count as one failure; `false` if `failure` is none of that kind.
    pub(super) fn join_open(&mut self, fresh: &BTreeSet<RegionIndex>, failure: &Failure) -> bool {
        let Some(open) = &self.open_name else { return false };
        // A region that has started over since fails anew.
        if failure.kind != Kind::Peer || self.now > open.until || !open.regions.is_disjoint(fresh) {
            return false;
        }
        let (entry, at) = (open.entry, open.at);
        self.history.concurrent(entry, failure.clone());
        let stopped = self.stop_regions(fresh.clone(), at, Some(entry));
        if let Some(open) = &mut self.open_name {
            open.regions.extend(stopped);
        }
        true
    }

    /// A process or a TaskManager was lost: a failure of its own, or the one behind another, or one that comes while
    /// regions are being stopped anyway.
    pub(super) fn lost(&mut self, loss: Loss, failure: &Failure) {
        if let Some(open) = self.open_name.take_if(|open| open.is_explained_by(&loss, self.now)) {
            self.name(open, loss.hit, failure);
        } else if !loss.hit.is_empty() {
            self.fail_regions(loss.hit, failure.clone());
        } else if let Some(region) = loss.stopping
            && !matches!(self.phase, Phase::Stopping(Ending::Canceled))
        {
            let entry = self.stopped_by(region);
            self.note_concurrent(entry, failure.clone());
        }
    }

    /// Whether a region is on its way to start over.
    pub(super) fn is_stopping(&self, region: RegionIndex) -> bool {
        matches!(self.states.phase(region), RegionPhase::Stopping { .. })
    }

    /// The failure that has stopped a region that is to start over, if it was one.
    pub(super) fn stopped_by(&self, region: RegionIndex) -> Option<EntryId> {
        match self.states.phase(region) {
            RegionPhase::Stopping { entry, .. } => entry,
            RegionPhase::Blocked
            | RegionPhase::Waiting
            | RegionPhase::Deployed
            | RegionPhase::Finished
            | RegionPhase::Ended => None,
        }
    }

    /// What became of a TaskManager that was lost is known at last.
    pub(super) fn loss_is_explained(&mut self, worker: &WorkerKey, failure: Failure) {
        if self.failure.as_ref().is_some_and(|latest| latest.is_loss_of(&worker.worker)) {
            self.failure = Some(failure.clone());
        }
        self.history.retell_loss(&worker.worker, failure);
    }

    fn name(&mut self, open: OpenName, hit: BTreeSet<RegionIndex>, cause: &Failure) {
        let cause = match &open.given_up {
            Some(reason) => not_restarted(cause.clone(), reason),
            None => cause.clone(),
        };
        self.history.explain(open.entry, cause.clone());
        if self.history.latest() == Some(open.entry) {
            self.failure = Some(cause.clone());
        }
        match &mut self.phase {
            Phase::Executing if cause.retry == Retry::Never => self.end_by(cause),
            Phase::Executing => {
                let fresh = hit.into_iter().filter(|region| !self.is_stopping(*region)).collect();
                self.stop_regions(fresh, open.at, Some(open.entry));
            }
            Phase::Stopping(Ending::Failed(ending)) if open.given_up.is_some() => **ending = cause,
            Phase::New
            | Phase::Reconciling(_)
            | Phase::Committing(_)
            | Phase::Stopping(_)
            | Phase::Aborting(..)
            | Phase::Done => {}
        }
    }

    /// Stops regions that fail, and what must start over with them; returns all of them.
    pub(super) fn stop_regions(
        &mut self,
        fresh: BTreeSet<RegionIndex>,
        at: Millis,
        entry: Option<EntryId>,
    ) -> BTreeSet<RegionIndex> {
        let stopped = self.with_dependents(fresh);
        for region in &stopped {
            self.stop_region(*region, at, entry);
        }
        if !stopped.is_empty() {
            self.step_job(JobStep::Restart);
        }
        stopped
    }

    /// Until when the job, all of whose tasks may be gone, waits to learn of what it fails.
    pub(super) fn awaits_cause(&self) -> Option<Millis> {
        let open = self.open_name.as_ref().filter(|open| open.given_up.is_some() && self.now < open.until)?;
        matches!(self.phase, Phase::Stopping(Ending::Failed(_))).then_some(open.until)
    }
}

impl OpenName {
    fn is_explained_by(&self, loss: &Loss, now: Millis) -> bool {
        // A TaskManager may be missed for long before it counts as lost; that is never for being told to cancel.
        let in_time = now <= self.until || (loss.worker_gone && loss.stopping.is_some());
        // A region that has started over since fails anew.
        in_time && !self.regions.is_disjoint(&loss.regions) && self.regions.is_disjoint(&loss.hit)
    }
}

/// Adds to a failure that ends the job why it was not restarted from, if there is a reason.
pub(super) fn not_restarted(failure: Failure, reason: &str) -> Failure {
    if reason.is_empty() {
        return failure;
    }
    Failure { message: format!("{} (not restarted: {reason})", failure.message), ..failure }
}
