//! A checkpoint that tasks cannot start from, since it is damaged.
//!
//! The damage is found by tasks when they read what they start from, and they would find it again and again. So all tasks are ended,
//! the store is asked for the newest other checkpoint that is whole, and the job is put together anew from there. It is asked once
//! nobody waits for a checkpoint that is being stored: if that one is complete, it is the newest, or damaged too, and never something
//! that is newer than what the job goes on from and that nobody has looked at. That is one
//! failure and one restart. What sinks have made visible since that checkpoint stays, and comes once more: nothing better can be
//! had, and the failure says so. Where there is no other checkpoint, and where what the job was started from is what is damaged, the
//! job ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use flott_core::{
    failure::{Failure, Kind},
    id::CheckpointId,
};
use flott_snapshot::SnapshotKind;

use super::{Action, JobMasterCore, Phase, RestorePoint, Wait};
use crate::index::RegionIndex;

/// Why a job ends that has nothing left to go back to.
pub const NOTHING_WHOLE: &str =
    "no other checkpoint is whole (execution.checkpointing.num-retained says how many are kept)";

/// Damaged checkpoints that are remembered. They go from the store with the next one that is complete.
const DAMAGED_MAX: usize = 64;

/// What is known of damage.
#[derive(Debug, Clone, Default)]
pub(super) struct FallingBack {
    /// Checkpoints that cannot be restored, and why.
    damaged: BTreeMap<CheckpointId, Failure>,
    stage: Stage,
}

impl FallingBack {
    /// Begins with what earlier JobMasters have found.
    pub(super) fn knowing(damaged: BTreeMap<CheckpointId, Failure>) -> Self {
        Self { damaged, stage: Stage::None }
    }

    pub(super) fn damaged(&self) -> &BTreeMap<CheckpointId, Failure> {
        &self.damaged
    }
}

#[derive(Debug, Clone, Default)]
enum Stage {
    /// There is nothing to do.
    #[default]
    None,
    /// The store is to be asked for another checkpoint, because of this, when it has said what becomes of the one that it has.
    ToAsk(Box<Failure>),
    /// It is asked.
    Asking(Box<Failure>),
    /// Tasks are to start from it when all have ended.
    Found(Arc<RestorePoint>),
}

impl JobMasterCore {
    /// Whether the job is on its way back: nothing is deployed until it is known from where.
    pub(super) fn is_falling_back(&self) -> bool {
        matches!(self.phase, Phase::Executing) && !matches!(self.falling_back.stage, Stage::None)
    }

    /// Whether nobody knows at the moment what tasks start from.
    pub(super) fn asks_for_checkpoint(&self) -> bool {
        matches!(self.phase, Phase::Executing) && matches!(self.falling_back.stage, Stage::ToAsk(_) | Stage::Asking(_))
    }

    /// Whether restarts that are due wait for something that is told: what to start from, or the end of a task.
    pub(super) fn holds_restarts(&self) -> bool {
        self.is_falling_back() && (self.asks_for_checkpoint() || self.graph.deployed() > 0)
    }

    pub(super) fn falling_back_waits(&self, waits: &mut Vec<Wait>) {
        if self.asks_for_checkpoint() {
            waits.push(Wait::Checkpoint);
        }
    }

    /// A failure hits regions. If it is that they cannot start from what they are to start from, the job goes further back, and this
    /// is `None`; else it is given back.
    pub(super) fn go_further_back(&mut self, hit: &BTreeSet<RegionIndex>, failure: Failure) -> Option<Failure> {
        let is_it = failure.kind == Kind::Damaged && matches!(self.phase, Phase::Executing);
        let Some(latest) = self.latest.clone().filter(|_| is_it && !self.is_falling_back()) else {
            return Some(failure);
        };
        if self.is_about_to_rescale() {
            // It starts over from there all the same, and fails of it then.
            return Some(failure);
        }
        let manifest = &latest.manifest;
        let is_own = manifest.kind == SnapshotKind::Checkpoint
            && manifest.job_id == self.spec.graph.job_id
            && self.spec.snapshots.directory.as_ref() == Some(&latest.directory);
        if !is_own {
            let message = format!("{} (what the job starts from is damaged: start it from another)", failure.message);
            self.fail_job(Failure { message, ..failure }.fatal());
            return None;
        }
        self.give_up_rescale(&Failure::environment("a checkpoint is damaged").because(&failure));
        let damaged = manifest.checkpoint;
        let message = format!(
            "{} (checkpoint {damaged} is damaged: the job goes back to an earlier one, and what was made visible since may come twice)",
            failure.message
        );
        let failure = Failure { message, ..failure };
        self.is_damaged(damaged, failure.clone());
        let mut all: BTreeSet<_> = self.regions.keys().filter(|region| self.has_begun(*region)).collect();
        all.extend(hit);
        self.fail_together(all, failure.clone());
        if matches!(self.phase, Phase::Executing) {
            self.falling_back.stage = Stage::ToAsk(Box::new(failure));
        }
        None
    }

    /// One was complete, and nothing can start from it.
    fn is_damaged(&mut self, checkpoint: CheckpointId, failure: Failure) {
        self.checkpoints.damaged(checkpoint, &failure, self.now);
        self.falling_back.damaged.insert(checkpoint, failure);
        if self.falling_back.damaged.len() > DAMAGED_MAX {
            self.falling_back.damaged.pop_first();
        }
        self.past_changed = true;
    }

    /// The newest checkpoint that is whole but for those that are known to be damaged, or what the job was started from; or there
    /// is none. Others are `damaged` too, for these reasons.
    pub(super) fn checkpoint_found(
        &mut self,
        point: Option<Arc<RestorePoint>>,
        damaged: BTreeMap<CheckpointId, String>,
    ) {
        if !matches!((&self.phase, &self.falling_back.stage), (Phase::Executing, Stage::Asking(_))) {
            return;
        }
        for (checkpoint, problem) in damaged {
            self.is_damaged(checkpoint, Failure::environment(problem));
        }
        let Stage::Asking(failure) = std::mem::take(&mut self.falling_back.stage) else { return };
        match point {
            Some(point) => {
                let (job, location) = (self.spec.graph.job_id, point.location());
                let damaged = self.falling_back.damaged.keys().collect::<Vec<_>>();
                tracing::warn!(%job, location, ?damaged, "the job goes back to an earlier checkpoint");
                self.falling_back.stage = Stage::Found(point);
            }
            None => {
                self.fail_job(Failure::environment(NOTHING_WHOLE).because(&*failure).fatal());
            }
        }
    }

    /// Goes on as far as it can: asks the store, and puts the job together anew when all tasks have ended and the delay before the
    /// restart is over.
    pub(super) fn advance_falling_back(&mut self) {
        if self.is_falling_back()
            && !self.checkpoints.is_storing()
            && let Stage::ToAsk(failure) = &self.falling_back.stage
        {
            self.falling_back.stage = Stage::Asking(failure.clone());
            let damaged = self.falling_back.damaged.keys().copied().collect();
            self.actions.push(Action::FindCheckpoint { damaged });
        }
        let is_due = || self.states.backoff.first().is_none_or(|(at, _)| *at <= self.now);
        let Stage::Found(point) = &self.falling_back.stage else { return };
        if !self.is_falling_back() || self.graph.deployed() > 0 || self.checkpoints.is_storing() || !is_due() {
            return;
        }
        self.latest = Some(Arc::clone(point));
        self.falling_back.stage = Stage::None;
        let resolved = self.graph.resolved().clone();
        self.begin_from_latest(resolved);
    }
}
