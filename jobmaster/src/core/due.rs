//! Waits that have an end.

use std::collections::BTreeSet;

use flott_core::failure::Failure;

use super::{JobMasterCore, Phase};
use crate::{commit::Ending, time::Millis};

impl JobMasterCore {
    /// When something is to be done without further news.
    pub(super) fn next_due(&self) -> Option<Millis> {
        let timeouts = &self.spec.timeouts;
        let slots = || self.slots_until();
        let process = || self.processes.starting().next().map(|(since, _)| since.plus(timeouts.process_start));
        let cancel = || self.canceling.first().map(|(since, _)| since.plus(timeouts.cancellation));
        // While nobody knows what is to be gone back to, the answer is waited for.
        let restart = || {
            self.states
                .backoff
                .first()
                .map(|(at, _)| *at)
                .filter(|_| !self.checkpoints.is_storing() && !self.stops_to_rescale() && !self.holds_restarts())
        };
        let waits = match &self.phase {
            Phase::New | Phase::Done => return None,
            Phase::Reconciling(reconciling) => [Some(reconciling.until()), None, None, None],
            Phase::Executing => [slots(), process(), cancel(), restart()],
            Phase::Committing(commit) => [slots(), process(), commit.deadline(), None],
            Phase::Stopping(_) => [cancel(), self.awaits_cause(), None, process().filter(|_| self.awaits_processes())],
            Phase::Aborting(_, abort) => [Some(abort.until), None, None, None],
        };
        let commit = self.commits.at_hand().and_then(|(_, commit)| commit.deadline());
        let undecided = self.ends_undecided.filter(|_| self.checkpoints.is_storing());
        let checkpoints = [self.checkpoint_due(), self.checkpoints.deadline(), undecided, commit];
        waits.into_iter().chain(checkpoints).chain([self.rescale_due(), self.reaction_due()]).flatten().min()
    }

    /// Does what is due by now.
    pub(super) fn run_due(&mut self) {
        self.reconciling_due();
        self.cancellations_due();
        self.processes_due();
        self.slots_due();
        self.commit_due();
        self.abort_due();
        self.expire_checkpoints();
        self.checkpoint_commit_due();
    }

    fn cancellations_due(&mut self) {
        let timeout = self.spec.timeouts.cancellation;
        let late = self.canceling.iter().take_while(|(since, _)| since.plus(timeout) <= self.now);
        let workers: BTreeSet<_> =
            late.filter_map(|(_, execution)| self.host_of(*execution)).map(|host| host.worker.clone()).collect();
        for worker in workers {
            self.give_up_stuck(&worker);
        }
    }

    /// Whether something hangs on processes that come up. An abort has an end of its own.
    fn awaits_processes(&self) -> bool {
        match self.phase {
            Phase::Executing | Phase::Committing(_) => true,
            Phase::Stopping(Ending::Failed(_) | Ending::Canceled) => !self.commits.is_empty(),
            Phase::New
            | Phase::Reconciling(_)
            | Phase::Stopping(Ending::Stopped)
            | Phase::Aborting(..)
            | Phase::Done => false,
        }
    }

    fn processes_due(&mut self) {
        if !self.awaits_processes() {
            return;
        }
        let timeout = self.spec.timeouts.process_start;
        let late: Vec<_> = self
            .processes
            .starting()
            .take_while(|(since, _)| since.plus(timeout) <= self.now)
            .map(|(_, worker)| worker.clone())
            .collect();
        for worker in late {
            let executions = self.processes.drop_process(&worker);
            let failure = Failure::environment(format!("the job process did not come up within {timeout} ms"));
            self.process_down(&worker, executions, failure, false);
        }
    }

    fn slots_due(&mut self) {
        let due = self.slots_until().is_some_and(|until| until <= self.now);
        match self.phase {
            Phase::Executing if due => self.fail_job(self.slots_not_there()),
            Phase::Committing(_) if due => self.last_commit_failed(self.slots_not_there()),
            _ => {}
        }
    }

    /// When the job fails for want of slots.
    fn slots_until(&self) -> Option<Millis> {
        let since = self.slots.missing_since()?;
        (!self.makes_do()).then(|| since.plus(self.slot_timeout()))
    }

    fn is_hopeless(&self) -> bool {
        self.pending.iter().any(|reason| reason.unattainable)
    }

    pub(super) fn slot_timeout(&self) -> u64 {
        let timeouts = &self.spec.timeouts;
        if self.is_hopeless() { timeouts.slot_hopeless.min(timeouts.slot_request) } else { timeouts.slot_request }
    }

    /// Names what was asked for, what there is, and what the ResourceManager says of the rest.
    fn slots_not_there(&self) -> Failure {
        let asked: Vec<_> = self.slots.needs().iter().map(|(profile, count)| format!("{count} of {profile}")).collect();
        let missing: Vec<_> = self.slots.missing().map(|(profile, count)| format!("{count} of {profile}")).collect();
        let held: usize = self.slots.workers().map(|(_, count)| count).sum();
        let mut on: Vec<_> =
            self.slots.workers().take(8).map(|(worker, count)| format!("{count} on {worker}")).collect();
        let more = self.slots.workers().count().saturating_sub(8);
        if more > 0 {
            on.push(format!("and more on {more} other TaskManagers"));
        }
        let given = if held == 0 { "none".to_owned() } else { format!("{held} ({})", on.join(", ")) };
        let when = if self.is_hopeless() {
            "the cluster may not have enough slots".to_owned()
        } else {
            format!("not enough slots within {} ms (slot.request.timeout)", self.spec.timeouts.slot_request)
        };
        let message = format!(
            "{when}: asked for {}; given {given}; still missing {}",
            asked.join(" and "),
            missing.join(" and "),
        );
        let mut failure = Failure::environment(message).fatal();
        for reason in self.pending.iter().take(8) {
            let (slots, are) = if reason.slots_missing == 1 { ("slot", "is") } else { ("slots", "are") };
            failure = failure.because(format_args!(
                "{} {slots} of {} {are} missing: {}",
                reason.slots_missing, reason.profile, reason.reason
            ));
        }
        failure
    }

    fn commit_due(&mut self) {
        let Phase::Committing(commit) = &mut self.phase else { return };
        if commit.wake(self.now) {
            let late = self.late_commit();
            self.committed(Err(late));
        }
    }

    fn abort_due(&mut self) {
        if let Phase::Aborting(_, abort) = &self.phase
            && abort.until <= self.now
        {
            let message = format!("prepared results were not removed within {} ms", self.spec.timeouts.abort);
            self.aborted(Err(Failure::environment(message)));
        }
    }
}
