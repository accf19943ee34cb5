//! What is known of a job whoever leads: what it was submitted with, and what its records say, from which another JobMaster begins.
//!
//! In durable histories the log of jobs has the records. In others no JobManager dies, and what is written is there after a while.

use std::collections::VecDeque;

use flott_core::{
    failure::Failure,
    id::{JobId, JobMasterEpoch, JobSecret},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
    status::JobStatus,
    view::JobView,
};
use flott_dispatcher::stores::{Ask, JobRecord, Obsolete};
use flott_jobmaster::{Event, JobSpec, Known, SnapshotSpec};
use tokio::time::Instant;

use super::{
    check::Broken,
    world::{Happening, World},
};

/// Longest time that the store takes, in milliseconds.
const STORE_MS: u64 = 50;

/// How a job has ended.
#[derive(Debug, Clone)]
pub struct End {
    pub status: JobStatus,
    pub failure: Option<Failure>,
    /// Its checkpoints, if nobody goes back to them.
    pub obsolete: Option<Obsolete>,
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
    End(Box<End>, Box<JobView>),
}

impl Pending {
    /// The same, asked of the log of jobs.
    pub fn ask(&self, job: JobId, by: JobMasterEpoch) -> Ask<'_, ()> {
        match self {
            Self::Commit(committables, _) => Ask::save_manifest(job, by, committables),
            Self::Scale(scale) => Ask::save_scale(job, by, scale),
            Self::Past(past) => Ask::save_past(job, by, past),
            Self::End(end, view) => Ask::end(by, view, end.obsolete.as_ref()),
        }
    }
}

/// What is known of a job.
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
    /// When what was removed of its checkpoints was there.
    pub removed: Option<Instant>,
    /// What JobMasters have wanted to be its last commit, and which savepoint they stopped it with.
    commits: Vec<(JobMasterEpoch, Vec<Committable>, Option<String>)>,
    /// How JobMasters have wanted it to end, and when.
    ends: Vec<(Option<u64>, End)>,
    pending: VecDeque<Pending>,
}

impl Kept {
    pub fn new(spec: JobSpec) -> Self {
        let (scale, epoch) = (spec.scale.clone(), spec.epoch);
        let (commit, stopped_with, past, end, removed) = Default::default();
        let (commits, ends, pending) = Default::default();
        Self { spec, epoch, commit, stopped_with, scale, past, end, removed, commits, ends, pending }
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

    /// What earlier JobMasters have written down of its checkpoints.
    pub fn known(&self) -> Known {
        Known::of(&self.past)
    }

    /// What is to be written down when JobMaster `epoch` has claimed its log, if nobody had before.
    pub fn claims(&self, epoch: JobMasterEpoch) -> Option<Past> {
        self.past.claimed.is_none().then(|| Past { claimed: Some(epoch), ..self.past.clone() })
    }

    /// That is written down.
    pub fn claimed(&mut self, past: Past) {
        self.past = past;
    }

    /// Those of its checkpoints are removed that were there when that `began`.
    pub fn cleared(&mut self, began: Instant) {
        self.removed = self.removed.max(Some(began));
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
            Pending::End(end, _) => self.end = Some(*end),
        }
    }

    /// Notes what JobMaster `by` wants to be written: should nobody be told that it is there, whoever finds it knows what it means.
    fn note(&mut self, by: JobMasterEpoch, what: &Pending) {
        match what {
            Pending::Commit(committables, stopped_with) => {
                self.commits.push((by, committables.clone(), stopped_with.clone()));
            }
            Pending::End(end, view) => self.ends.push((view.ended_at, End::clone(end))),
            Pending::Scale(_) | Pending::Past(_) => {}
        }
    }

    /// JobMaster `epoch` begins with this.
    pub fn recovered(&mut self, record: JobRecord, epoch: JobMasterEpoch) {
        let mut commits = self.commits.iter().rev();
        let noted = commits.find(|(by, committables, _)| *by < epoch && Some(committables) == record.manifest.as_ref());
        self.stopped_with = noted.and_then(|(_, _, stopped_with)| stopped_with.clone());
        (self.epoch, self.commit, self.scale, self.past) = (epoch, record.manifest, record.scale, record.past);
    }

    /// It has ended so, and whoever brought it to its end was not told.
    pub fn ended_unheard(&mut self, view: &JobView) {
        let mut ends = self.ends.iter().rev();
        self.end = ends.find(|(at, end)| *at == view.ended_at && end.status == view.status).map(|(_, end)| end.clone());
    }

    /// What a JobMaster begins with.
    pub fn recover(&self, epoch: JobMasterEpoch, secret: JobSecret, snapshots: SnapshotSpec) -> JobSpec {
        JobSpec {
            recovered: self.is_recovered(),
            epoch,
            secret,
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
        let is_full = self.has_faults() && self.random.per_mille(self.plan.faults.stores);
        let Some(epoch) = self.jobmanager.masters.get(&id).map(|master| master.core.spec().epoch) else { return };
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if !self.plan.durable {
            if matches!(what, Pending::End(..) | Pending::Past(_)) {
                return job.kept.write(what);
            }
            job.kept.pending.push_back(what);
            let delay = self.random.within(1..=STORE_MS);
            return self.at(self.now + delay, Happening::Stored(self.jobmanager.leader, id));
        }
        job.kept.note(epoch, &what);
        if is_full && matches!(what, Pending::Scale(_)) {
            // It is certain that it is not there.
            let delay = self.random.within(1..=STORE_MS);
            job.kept.pending.push_back(what);
            return self.at(self.now + delay, Happening::Stored(self.jobmanager.leader, id));
        }
        self.write(id, what);
    }

    /// The oldest of what was to be written without the log of jobs is there, or cannot be.
    pub(super) fn stored(&mut self, id: JobId) -> Result<(), Broken> {
        let Some(what) = self.jobs.get_mut(&id).and_then(|job| job.kept.pending.pop_front()) else { return Ok(()) };
        let result = if self.plan.durable { Err(Failure::environment("the disk is full")) } else { Ok(()) };
        self.answer_written(id, what, result)
    }

    /// A JobMaster hears what has become of something that it wanted to be written.
    pub(super) fn answer_written(
        &mut self,
        id: JobId,
        what: Pending,
        result: Result<(), Failure>,
    ) -> Result<(), Broken> {
        let is_there = result.is_ok();
        let event = match &what {
            Pending::Commit(..) => Some(Event::CommitPersisted(result)),
            Pending::Scale(_) => {
                self.summary.scales += u64::from(is_there);
                Some(Event::ScalePersisted(result))
            }
            Pending::Past(_) | Pending::End(..) => None,
        };
        let has_ended = is_there && matches!(what, Pending::End(..));
        // What one that is deposed has written the next one has read, and maybe overwritten.
        if let Some(job) = self.jobs.get_mut(&id).filter(|_| is_there && (has_ended || !self.is_past)) {
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
            None if has_ended => self.ended(id),
            None => Ok(()),
        }
    }

    /// The end of a job is durable.
    fn ended(&mut self, id: JobId) -> Result<(), Broken> {
        let Some(end) = self.jobs.get(&id).and_then(|job| job.kept.end.clone()) else { return Ok(()) };
        if end.obsolete.is_some() {
            self.discard_checkpoints(id);
        }
        match end.stopped_with {
            Some(savepoint) => self.start_from(id, &savepoint),
            None => Ok(()),
        }
    }
}
