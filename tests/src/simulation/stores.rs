//! The records of jobs: what JobMasters have written down beside checkpoints, and how another one begins with it.
//!
//! Records are written in the order of asking. Once another JobManager leads, what an earlier one was just writing is settled: it is
//! there, or never will be, and nobody is told. What that one writes later is refused in the same way.

use std::collections::{BTreeMap, VecDeque};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, JobId, JobMasterEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    status::JobStatus,
};
use flott_jobmaster::{Event, JobSpec, SnapshotSpec};

use super::{
    check::Broken,
    world::{Happening, World},
};

/// Longest time that the store takes, in milliseconds.
const STORE_MS: u64 = 50;
/// The same, where it is bad.
const SLOW_STORE_MS: u64 = 5000;

/// How a job has ended.
#[derive(Debug, Clone)]
pub struct End {
    pub status: JobStatus,
    pub failure: Option<Failure>,
    /// Nobody goes back to its checkpoints.
    pub is_obsolete: bool,
    /// The savepoint that it has stopped with, as whoever asked for it knows.
    pub stopped_with: Option<String>,
}

/// Something that is to be written, in the order of asking.
#[derive(Debug)]
pub enum Pending {
    /// The last commit, and the savepoint that the job stops with.
    Commit(Vec<Committable>, Option<String>),
    Scale(Scale),
    Past(Box<Past>),
    End(Box<End>),
}

/// What is stored of a job.
#[derive(Debug)]
pub struct Kept {
    /// As it was submitted.
    spec: JobSpec,
    /// Of the latest JobMaster.
    pub epoch: JobMasterEpoch,
    commit: Option<Vec<Committable>>,
    /// The savepoint that the job stops with, whoever brings it to its end.
    pub stopped_with: Option<String>,
    scale: Scale,
    past: Past,
    /// Its end is known, and nobody goes on with it.
    pub end: Option<End>,
    /// Whether its checkpoints are to be removed.
    has_leftovers: bool,
    pending: VecDeque<Pending>,
}

impl Kept {
    pub fn new(spec: JobSpec) -> Self {
        let (scale, epoch) = (spec.scale.clone(), spec.epoch);
        let (commit, stopped_with, past, end, has_leftovers, pending) = Default::default();
        Self { spec, epoch, commit, stopped_with, scale, past, end, has_leftovers, pending }
    }

    /// As it was submitted.
    pub fn spec(&self) -> &JobSpec {
        &self.spec
    }

    /// Where its checkpoints are, if it takes any.
    pub fn checkpoints(&self) -> Option<&String> {
        self.spec.snapshots.directory.as_ref()
    }

    /// The savepoint that it starts from where it has no checkpoint of its own.
    pub fn starts_from(&self) -> Option<String> {
        self.spec.snapshots.restore.as_ref().map(|point| point.directory.clone())
    }

    /// Checkpoints that earlier JobMasters have found to be damaged.
    pub fn damaged(&self) -> BTreeMap<CheckpointId, Failure> {
        self.past.damaged.clone()
    }

    /// Whether it has ended, and its checkpoints are to be removed.
    pub fn has_leftovers(&self) -> bool {
        self.has_leftovers
    }

    /// They are removed; what one `is_deposed` writes is refused.
    pub fn cleared(&mut self, is_deposed: bool) {
        self.has_leftovers &= is_deposed;
    }

    /// Whether an earlier JobMaster has had it.
    pub fn is_recovered(&self) -> bool {
        self.epoch > self.spec.epoch
    }

    fn write(&mut self, what: Pending) {
        match what {
            Pending::Commit(committables, stopped_with) => {
                (self.commit, self.stopped_with) = (Some(committables), stopped_with);
            }
            Pending::Scale(scale) => self.scale = scale,
            Pending::Past(past) => self.past = *past,
            Pending::End(end) => {
                self.has_leftovers = end.is_obsolete && self.checkpoints().is_some();
                self.end = Some(*end);
            }
        }
    }

    /// What a JobMaster begins with.
    pub fn recover(&self, epoch: JobMasterEpoch, snapshots: SnapshotSpec) -> JobSpec {
        JobSpec {
            recovered: self.is_recovered(),
            epoch,
            scale: self.scale.clone(),
            restored_commit: self.commit.clone(),
            past: self.past.clone(),
            snapshots,
            ..self.spec.clone()
        }
    }
}

impl World {
    /// Has something written.
    pub(super) fn store(&mut self, id: JobId, what: Pending) {
        let Some(job) = self.jobs.get_mut(&id).filter(|_| !self.is_past) else { return };
        if matches!(what, Pending::End(_) | Pending::Past(_)) && !self.plan.durable {
            return job.kept.write(what);
        }
        job.kept.pending.push_back(what);
        let is_slow = self.plan.durable && self.has_faults() && self.random.per_mille(self.plan.faults.stores);
        let delay = self.random.within(1..=if is_slow { SLOW_STORE_MS } else { STORE_MS });
        self.at(self.now + delay, Happening::Stored(self.jobmanager.leader, id));
    }

    /// The oldest of what a JobMaster has written is there, or cannot be.
    pub(super) fn stored(&mut self, id: JobId) -> Result<(), Broken> {
        // What becomes of what an earlier JobManager had begun was settled when another led.
        let Some(job) = self.jobs.get_mut(&id).filter(|_| !self.is_past) else { return Ok(()) };
        let Some(what) = job.kept.pending.pop_front() else { return Ok(()) };
        // How a job ends is written until it is there.
        let may_fail = self.plan.durable && self.has_faults() && matches!(what, Pending::Scale(_));
        let fails = may_fail && self.random.per_mille(self.plan.faults.stores);
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        let result = if fails { Err(Failure::environment("the disk is full")) } else { Ok(()) };
        let event = match &what {
            Pending::Commit(..) => Some(Event::CommitPersisted(result)),
            Pending::Scale(_) => {
                self.summary.scales += u64::from(!fails);
                Some(Event::ScalePersisted(result))
            }
            Pending::Past(_) | Pending::End(_) => None,
        };
        if !fails {
            job.kept.write(what);
        }
        match event {
            Some(event) => {
                // Which scale is meant an answer does not say.
                if matches!(event, Event::CommitPersisted(_)) {
                    self.maybe_again(id, &event);
                }
                self.master(id, event);
                Ok(())
            }
            None => self.ended(id),
        }
    }

    /// The end of a job is durable.
    fn ended(&mut self, id: JobId) -> Result<(), Broken> {
        let Some(end) = self.jobs.get(&id).and_then(|job| job.kept.end.clone()) else { return Ok(()) };
        if end.is_obsolete {
            self.discard_checkpoints(id);
        }
        match end.stopped_with {
            Some(savepoint) => self.start_from(id, &savepoint),
            None => Ok(()),
        }
    }

    /// Nobody knows what of that becomes which the JobManager was just writing.
    pub(super) fn settle_records(&mut self) {
        for job in self.jobs.values_mut() {
            for what in std::mem::take(&mut job.kept.pending) {
                if self.random.per_mille(500) {
                    job.kept.write(what);
                } else {
                    // What comes after it was never begun.
                    break;
                }
            }
        }
    }
}
