//! What the next JobMaster is to know, and what this one knows by those before it.
//!
//! A failure costs a restart once, whoever hears of it. The JobMaster that has counted it may die before its region has started over; then
//! the next one is told of the same failure by the journals, and of tasks that had been told to end for it. These regions start over
//! without being counted again.

use std::collections::BTreeSet;

use flott_core::{message::TaskStateChange, past::Past};

use super::{Action, JobMasterCore, Phase};
use crate::{
    commit::Ending,
    execution_graph::transition::ExecutionStep,
    failover::history::EntryId,
    index::{ExecutionIndex, RegionIndex},
};

impl JobMasterCore {
    /// Has written down what is to be known, if any of it has changed.
    pub(super) fn tell_past(&mut self) {
        let is_new = self.history.take_changed() | std::mem::take(&mut self.past_changed);
        // How a job ends is archived.
        if is_new && !self.is_over() {
            let past = Past {
                exceptions: self.history.views(),
                exceptions_truncated: self.history.is_truncated(),
                failure: self.failure.clone(),
                failing: matches!(
                    &self.phase,
                    Phase::Stopping(Ending::Failed(_)) | Phase::Aborting(Ending::Failed(_), _)
                ),
                restarts: self.restarts,
                spent: self.backoff.spent(),
                damaged: self.falling_back.damaged().clone(),
                claimed: self.spec.past.claimed,
                promised: self.promised.clone(),
            };
            self.actions.push(Action::PersistPast(Box::new(past.bounded())));
        }
    }

    /// Takes in what tasks of an earlier JobMaster have reported that have ended without finishing. What that one has written down
    /// and whom it had told to end has cost its restart already. A job that it was about to end by a failure ends by it.
    pub(super) fn retell(&mut self, reports: Vec<(ExecutionIndex, TaskStateChange)>) {
        let (mut known, mut fresh, mut told_to_end) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (execution, change) in reports {
            let Some(step) = ExecutionStep::report(change.state) else { continue };
            self.graph.execution_mut(execution).note(change.metrics);
            if self.apply(execution, step).is_none() {
                continue;
            }
            let region = self.regions.of(execution);
            let Some(failure) = change.failure else {
                told_to_end.insert(region);
                continue;
            };
            let failure = self.graph.locate(execution, failure);
            self.graph.execution_mut(execution).failure = Some(failure.clone());
            match self.history.entry_of(&failure) {
                Some(entry) => known.push((region, entry)),
                None => fresh.push((region, failure)),
            }
        }
        if let Some(failure) = self.failure.clone().filter(|_| self.was_failing) {
            return self.end_by(failure);
        }
        for (region, entry) in known {
            self.start_again([region].into(), Some(entry));
        }
        for (region, failure) in fresh {
            self.fail_regions([region].into(), failure);
        }
        self.start_again(told_to_end, self.history.latest());
    }

    /// Regions start over that are not about to, after the wait that goes with a restart that was counted.
    fn start_again(&mut self, regions: BTreeSet<RegionIndex>, entry: Option<EntryId>) {
        if !matches!(self.phase, Phase::Executing) {
            return;
        }
        let idle = regions.into_iter().filter(|region| !self.is_stopping(*region)).collect();
        let at = self.now.plus(self.backoff.latest_delay());
        self.stop_regions(idle, at, entry);
    }
}
