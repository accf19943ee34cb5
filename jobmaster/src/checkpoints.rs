//! Checkpoints of one job: when one begins, who is awaited, which is complete, and what a restart goes back to.
//!
//! Nothing here is done: who has to be told, and what has to be stored, is for the machine around it.
//!
//! # Life of a checkpoint
//! It *collects* from the moment its barrier is sent until every task that it needs has reported, or one has failed, or
//! time is up. Then it is *whole*, and *stored*: its manifest is committed, one at a time and in order. From the moment a manifest is handed
//! out to be stored until the answer comes, nobody knows whether it counts; until then nothing is started again, since
//! that would have to know what is the latest, and what ends waits for a while. When it is stored it is *complete*: it is what a restart goes
//! back to, and what sinks have prepared for it becomes visible.
//!
//! A savepoint does not wait for the checkpoint that is being stored: its store may be another one, and the job may be stopped with it because
//! that of the checkpoints is silent. It has all that the checkpoint has, so it is right whatever becomes of that. What waits for
//! its turn does so no longer than it may collect.
//!
//! # Layout
//! - `settings`: how often, and how long
//! - `pending`: one that is under way
//! - `history`: what people see of them; `found`: of those of earlier JobMasters; `summary`: figures over all of them

mod found;
mod history;
mod pending;
mod settings;
mod summary;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use flott_core::{
    checkpoint::{Barrier, Behind, Overtaking, SnapshotKind, SnapshotReport},
    failure::Failure,
    id::CheckpointId,
    message::Committable,
    view::{CheckpointStatus, CheckpointView, RestoredView},
};
use flott_snapshot::Manifest;

pub use found::found;
pub use history::{CheckpointHistory, HISTORY_MAX};
pub use pending::{Pending, Purpose, RequestId, SourceCut};
pub use settings::Settings;

use crate::{execution_graph::Resolved, index::ExecutionIndex, time::Millis};

/// Why a checkpoint was given up, and whether that counts among those that the job tolerates.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenUp {
    /// What it was for.
    pub purpose: Purpose,
    /// Which.
    pub checkpoint: CheckpointId,
    /// Why.
    pub failure: Failure,
}

/// A snapshot that is complete.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What it was made of.
    pub pending: Pending,
    /// What it consists of.
    pub manifest: Arc<Manifest>,
    /// What older checkpoints were for that it makes needless.
    pub superseded: Vec<Purpose>,
}

/// The checkpoints of one job.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    settings: Settings,
    next: CheckpointId,
    collecting: BTreeMap<CheckpointId, Pending>,
    /// Whole, and to be stored when the one before is.
    whole: VecDeque<Pending>,
    /// One, or a savepoint beside a checkpoint that was there first.
    storing: Vec<(Pending, Arc<Manifest>)>,
    /// Complete ones that are kept, oldest first.
    retained: VecDeque<CheckpointId>,
    began: Option<Millis>,
    ended: Option<Millis>,
    /// Whether the next one is to begin whatever the interval.
    is_overdue: bool,
    failed_in_row: u32,
    /// Given up, from one number to another, and the tasks are not told yet.
    aborted: Vec<(CheckpointId, CheckpointId)>,
    history: CheckpointHistory,
}

impl Checkpoints {
    /// Those of a job that begins at `now`; the first is number `next`. `found` are those of earlier JobMasters, the oldest first;
    /// those that are complete are kept as if they were its own.
    pub fn new(
        settings: Settings,
        next: CheckpointId,
        found: Vec<CheckpointView>,
        graph: &Resolved,
        now: Millis,
    ) -> Self {
        let complete = found.iter().filter(|found| found.status == CheckpointStatus::Completed);
        let retained = complete.map(|found| found.id).collect();
        let history = CheckpointHistory::new(graph, found);
        Self {
            settings,
            next,
            collecting: BTreeMap::new(),
            whole: VecDeque::new(),
            storing: Vec::new(),
            retained,
            began: Some(now),
            ended: None,
            is_overdue: false,
            failed_in_row: 0,
            aborted: Vec::new(),
            history,
        }
    }

    /// How often, and how long.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What people see.
    pub fn history(&self) -> &CheckpointHistory {
        &self.history
    }

    /// The number of the next one.
    pub fn next(&self) -> CheckpointId {
        self.next
    }

    /// Tasks start from a complete one.
    pub fn note_restored(&mut self, what: RestoredView) {
        self.history.restored(what);
    }

    /// Tasks go on that an earlier JobMaster has left, up to whose `barrier` none is begun again. Some may have come to it that others
    /// never come to, and wait: the next one, which ends that, is due at once. `complete` is the latest.
    pub fn take_over(&mut self, barrier: CheckpointId, complete: CheckpointId) {
        self.next = self.next.max(barrier.next());
        if barrier > CheckpointId(0) {
            // Nobody gathers what comes of those.
            self.aborted.push((CheckpointId(0), barrier));
        }
        self.is_overdue = complete < barrier;
    }

    /// When the next one is to begin, if the job is in a state for it: an interval after the last began, and a pause after it
    /// ended, when no more are under way than may be. None does where they are `held_up`, but for one that tasks wait for.
    pub fn due(&self, held_up: bool) -> Option<Millis> {
        if self.is_overdue {
            return Some(Millis(0));
        }
        let interval = self.settings.interval?;
        let periodic = self.under_way().filter(|pending| pending.is_periodic()).count();
        if held_up || self.is_stopping() || periodic >= self.settings.concurrent_max as usize {
            return None;
        }
        let after_begin = self.began.map(|began| began.plus(interval));
        let after_end = self.ended.map(|ended| ended.plus(self.settings.min_pause));
        after_begin.max(after_end)
    }

    fn under_way(&self) -> impl Iterator<Item = &Pending> {
        self.waiting().chain(self.storing.iter().map(|(pending, _)| pending))
    }

    /// Those that wait for tasks, or for their turn to be stored.
    fn waiting(&self) -> impl Iterator<Item = &Pending> {
        self.collecting.values().chain(&self.whole)
    }

    /// Whether the job is about to stop with a savepoint.
    pub fn is_stopping(&self) -> bool {
        self.under_way().any(|pending| pending.barrier.behind != Behind::GoOn)
    }

    /// When the first of those that are not being stored is to be given up.
    pub fn deadline(&self) -> Option<Millis> {
        self.waiting().map(|pending| pending.began.plus(self.settings.timeout)).min()
    }

    /// Begins one: `awaited` are to report, `finished` have nothing to report any more.
    pub fn begin(
        &mut self,
        purpose: Purpose,
        awaited: BTreeSet<ExecutionIndex>,
        finished: BTreeSet<ExecutionIndex>,
        sources: Vec<SourceCut>,
        now: Millis,
    ) -> Barrier {
        let overtaking = match purpose.kind() {
            SnapshotKind::Checkpoint => self.settings.overtaking,
            SnapshotKind::Savepoint => Overtaking::Never,
        };
        let (checkpoint, kind, behind) = (self.next, purpose.kind(), purpose.behind());
        // Who has asked for a full one gets this one, should it be complete before that.
        let replaces_full = kind == SnapshotKind::Checkpoint && self.under_way().any(|other| other.purpose.is_full());
        let full = purpose.is_full() || replaces_full;
        let barrier = Barrier { checkpoint, kind, behind, overtaking, full };
        self.next = self.next.next();
        self.is_overdue = false;
        if purpose == Purpose::Periodic {
            self.began = Some(now);
        }
        self.history.began(barrier, &finished, now);
        let pending = Pending::new(barrier, purpose, awaited, finished, sources, now);
        self.collecting.insert(barrier.checkpoint, pending);
        barrier
    }

    /// A task has reported. A report of one that is not collected any more, or from whom none is awaited, changes nothing.
    pub fn reported(&mut self, execution: ExecutionIndex, report: SnapshotReport, now: Millis) -> Option<GivenUp> {
        let SnapshotReport { checkpoint, result, figures, .. } = report;
        let pending = self.collecting.get_mut(&checkpoint)?;
        if !pending.awaits(execution) {
            return None;
        }
        match result {
            Ok(state) => {
                self.history.reported(checkpoint, execution, figures, now);
                pending.reported(execution, state);
                self.settle(checkpoint);
                None
            }
            Err(failure) => self.give_up(checkpoint, failure, now),
        }
    }

    /// A task has finished: it has come to no barrier that it has not reported.
    pub fn finished(&mut self, execution: ExecutionIndex) {
        let waiting: Vec<_> = self.collecting.values_mut().filter_map(|pending| pending.finished(execution)).collect();
        for checkpoint in waiting {
            self.history.finished(checkpoint, execution);
            self.settle(checkpoint);
        }
    }

    fn settle(&mut self, checkpoint: CheckpointId) {
        if self.collecting.get(&checkpoint).is_some_and(Pending::is_whole)
            && let Some(pending) = self.collecting.remove(&checkpoint)
        {
            self.whole.push_back(pending);
        }
    }

    /// The next one whose turn it is to be stored; `manifest` says what it consists of.
    pub fn store_next(&mut self, manifest: impl FnOnce(&Pending) -> Manifest) -> Option<Arc<Manifest>> {
        let place = match &self.storing[..] {
            [] => 0,
            [(checkpoint, _)] if !checkpoint.is_savepoint() => self.whole.iter().position(Pending::is_savepoint)?,
            _ => return None,
        };
        let pending = self.whole.remove(place)?;
        let manifest = Arc::new(manifest(&pending));
        self.storing.push((pending, Arc::clone(&manifest)));
        Some(manifest)
    }

    /// The directory of one that is being stored, if it is a savepoint.
    pub fn storing_directory(&self, checkpoint: CheckpointId) -> Option<String> {
        let (pending, _) = self.storing.iter().find(|(pending, _)| pending.barrier.checkpoint == checkpoint)?;
        pending.purpose.directory().map(str::to_owned)
    }

    /// What those that are being stored are to make visible.
    pub fn storing_committables(&self) -> impl Iterator<Item = &Committable> {
        self.storing.iter().flat_map(|(_, manifest)| &manifest.committables)
    }

    /// Savepoints that wait, and that checkpoint `by` has overtaken, which is complete.
    pub fn overtaken(&mut self, by: CheckpointId) -> impl Iterator<Item = &mut Pending> {
        let waiting = self.collecting.values_mut().chain(&mut self.whole);
        waiting.filter(move |pending| pending.is_savepoint() && pending.barrier.checkpoint < by)
    }

    /// Whether this one may still become complete.
    pub fn is_under_way(&self, checkpoint: CheckpointId) -> bool {
        self.under_way().any(|pending| pending.barrier.checkpoint == checkpoint)
    }

    /// The job has other numbers of subtasks. None is under way.
    pub fn rescaled(&mut self, graph: &Resolved) {
        self.history.rescaled(graph);
    }

    /// One is damaged: it is not kept any more, and nothing goes back to it.
    pub fn damaged(&mut self, checkpoint: CheckpointId, failure: &Failure, now: Millis) {
        self.retained.retain(|retained| *retained != checkpoint);
        self.history.damaged(checkpoint, failure, now);
    }

    /// Those that were given up since this was asked last, from one number to another: their tasks are to drop what they write.
    pub fn take_aborted(&mut self) -> Vec<(CheckpointId, CheckpointId)> {
        std::mem::take(&mut self.aborted)
    }

    /// Nobody knows yet whether one that is being stored is complete; `failure` is what the last try has ended with.
    pub fn undecided(&mut self, checkpoint: CheckpointId, failure: Failure) {
        if let Some((pending, _)) = self.storing.iter_mut().find(|(one, _)| one.barrier.checkpoint == checkpoint) {
            pending.may_be_there = true;
            self.history.undecided(checkpoint, failure);
        }
    }

    /// Whether the manifest of one that is being stored may be there already.
    pub fn may_be_there(&self, checkpoint: CheckpointId) -> bool {
        self.storing.iter().any(|(pending, _)| pending.barrier.checkpoint == checkpoint && pending.may_be_there)
    }

    /// What the latest complete one holds has become visible, or cannot as yet.
    pub fn note_visible(&mut self, result: Result<(), Failure>) {
        self.history.visible(result);
    }

    /// The job ends without knowing whether those that are being stored are complete. The answers, should they come, change nothing.
    pub fn give_up_storing(&mut self, failure: &Failure, now: Millis) -> Vec<GivenUp> {
        let storing = std::mem::take(&mut self.storing);
        storing.into_iter().map(|(pending, _)| self.given_up(pending, failure.clone(), now)).collect()
    }

    /// Whether nobody knows at the moment which one is the latest, or whether the job ends with the one that is being stored.
    pub fn is_storing(&self) -> bool {
        !self.storing.is_empty()
    }

    /// Those that are to be kept once `checkpoint` is stored.
    pub fn retained_with(&self, checkpoint: CheckpointId) -> BTreeSet<CheckpointId> {
        let older = self.settings.retained.saturating_sub(1);
        self.retained.iter().rev().take(older).copied().chain([checkpoint]).collect()
    }

    /// The answer for one that is being stored, at `location`. `Ok` gives it back: it is the latest now, and older checkpoints that
    /// are still under way are given up, so that the latest is always the newest.
    pub fn stored(
        &mut self,
        checkpoint: CheckpointId,
        location: String,
        result: Result<(), Failure>,
        now: Millis,
    ) -> Option<Result<Stored, GivenUp>> {
        let place = self.storing.iter().position(|(pending, _)| pending.barrier.checkpoint == checkpoint)?;
        let (pending, manifest) = self.storing.remove(place);
        let mut superseded = Vec::new();
        self.ended = Some(now);
        match result {
            Ok(()) => {
                if !pending.is_savepoint() {
                    self.failed_in_row = 0;
                    self.retained.push_back(checkpoint);
                    while self.retained.len() > self.settings.retained {
                        self.retained.pop_front();
                    }
                    superseded = self.supersede(checkpoint, now);
                }
                self.history.completed(checkpoint, location, &self.retained, now);
                Some(Ok(Stored { pending, manifest, superseded }))
            }
            Err(failure) => Some(Err(self.given_up(pending, failure, now))),
        }
    }

    /// Gives up checkpoints that are older than a complete one. (Savepoints are wanted for themselves.)
    fn supersede(&mut self, by: CheckpointId, now: Millis) -> Vec<Purpose> {
        let is_older = |pending: &Pending| pending.barrier.checkpoint < by && !pending.is_savepoint();
        let collecting = self.collecting.extract_if(.., |_, pending| is_older(pending)).map(|(_, pending)| pending);
        let mut older: Vec<Pending> = collecting.collect();
        for pending in std::mem::take(&mut self.whole) {
            if is_older(&pending) { older.push(pending) } else { self.whole.push_back(pending) }
        }
        for pending in &older {
            let failure = Failure::environment(format!("checkpoint {by} was complete before"));
            self.aborted.push((pending.barrier.checkpoint, pending.barrier.checkpoint));
            self.history.failed(pending.barrier.checkpoint, failure, now);
        }
        older.into_iter().map(|pending| pending.purpose).collect()
    }

    /// Gives up those that have waited for too long. One that is whole has not failed: it only waits for the store of another.
    pub fn expire(&mut self, now: Millis) -> Vec<GivenUp> {
        let timeout = self.settings.timeout;
        let late = self.waiting().filter(|pending| pending.began.plus(timeout) <= now);
        let late: Vec<_> = late.map(|pending| (pending.barrier.checkpoint, pending.missing())).collect();
        let first = self.storing.first().map(|(pending, _)| pending.barrier.checkpoint);
        let give_up = |(checkpoint, missing): (CheckpointId, usize)| {
            let why = match first.filter(|_| missing == 0) {
                Some(first) => format!("the store does not say whether {first} is complete, which comes first"),
                None => format!("{missing} tasks had not reported"),
            };
            let message = format!("checkpoint {checkpoint} was not complete within {timeout} ms; {why}");
            let failed_in_row = self.failed_in_row;
            let given_up = self.give_up(checkpoint, Failure::environment(message), now);
            if missing == 0 {
                self.failed_in_row = failed_in_row;
            }
            given_up
        };
        late.into_iter().filter_map(give_up).collect()
    }

    /// Tasks have failed or are ended: what collects will never be whole. That is no failure of its own.
    pub fn give_up_collecting(&mut self, failure: &Failure, now: Millis) -> Vec<GivenUp> {
        // Some are whole, but what they would make visible is dropped with the tasks.
        let collecting = std::mem::take(&mut self.collecting).into_values();
        let all: Vec<_> = collecting.chain(std::mem::take(&mut self.whole)).collect();
        let failed_in_row = self.failed_in_row;
        let given_up = all.into_iter().map(|pending| self.given_up(pending, failure.clone(), now)).collect();
        self.failed_in_row = failed_in_row;
        given_up
    }

    fn give_up(&mut self, checkpoint: CheckpointId, failure: Failure, now: Millis) -> Option<GivenUp> {
        let whole = self.whole.iter().position(|pending| pending.barrier.checkpoint == checkpoint);
        let pending = match whole {
            Some(place) => self.whole.remove(place),
            None => self.collecting.remove(&checkpoint),
        };
        Some(self.given_up(pending?, failure, now))
    }

    fn given_up(&mut self, pending: Pending, failure: Failure, now: Millis) -> GivenUp {
        let checkpoint = pending.barrier.checkpoint;
        self.ended = Some(now);
        if pending.is_periodic() {
            self.failed_in_row = self.failed_in_row.saturating_add(1);
        }
        self.aborted.push((checkpoint, checkpoint));
        self.history.failed(checkpoint, failure.clone(), now);
        GivenUp { purpose: pending.purpose, checkpoint, failure }
    }

    /// Whether more have failed in a row than the job tolerates. If so its tasks go back for it, once: as many are tolerated again then.
    pub fn too_many_failed(&mut self) -> bool {
        let too_many = self.settings.tolerable.is_some_and(|tolerable| self.failed_in_row > tolerable);
        if too_many {
            self.failed_in_row = 0;
        }
        too_many
    }
}
