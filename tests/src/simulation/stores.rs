//! What JobMasters have written down, and how another JobManager begins with it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use flott_core::{
    failure::Failure,
    id::{CheckpointId, JobId, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    past::Past,
};
use flott_jobmaster::{Event, JobMasterCore, JobSpec, RestorePoint, checkpoints::found};
use flott_resource_manager::{
    Declaration,
    backend::BackendWorker,
    slot_manager::{Event as ManagerEvent, SlotManager},
};
use flott_snapshot::Manifest;

use super::{
    check::{Broken, Invariant},
    world::{Happening, World},
};

/// Longest time that the store takes, in milliseconds.
const STORE_MS: u64 = 50;
/// The same, where it is bad.
const SLOW_STORE_MS: u64 = 5000;

/// Something that is to be written, in the order of asking.
#[derive(Debug)]
pub enum Pending {
    Checkpoint { manifest: Arc<Manifest>, retained: BTreeSet<CheckpointId> },
    Savepoint(CheckpointId),
    Commit(Vec<Committable>),
    Scale(Scale),
    Past(Box<Past>),
    End,
}

/// What is stored of a job.
#[derive(Debug)]
pub struct Kept {
    /// As it was submitted.
    spec: JobSpec,
    checkpoints: BTreeMap<CheckpointId, Arc<Manifest>>,
    /// The highest place of its log that is taken.
    top: CheckpointId,
    commit: Option<Vec<Committable>>,
    scale: Scale,
    past: Past,
    /// Its end is known, and nobody goes on with it.
    pub has_ended: bool,
    pending: VecDeque<Pending>,
}

impl Kept {
    pub fn new(spec: JobSpec) -> Self {
        let scale = spec.scale.clone();
        let (checkpoints, top, commit, pending) = (BTreeMap::new(), CheckpointId(0), None, VecDeque::new());
        Self { spec, checkpoints, top, commit, scale, past: Past::default(), has_ended: false, pending }
    }

    /// The newest checkpoint but for these.
    pub fn newest_but(&self, damaged: &BTreeSet<CheckpointId>) -> Option<RestorePoint> {
        let (_, manifest) = self.checkpoints.iter().rfind(|(checkpoint, _)| !damaged.contains(checkpoint))?;
        let directory = self.spec.snapshots.directory.clone()?;
        Some(RestorePoint { manifest: Arc::clone(manifest), directory })
    }

    fn write(&mut self, what: Pending) {
        match what {
            Pending::Checkpoint { manifest, retained } => {
                let number = manifest.checkpoint;
                self.top = self.top.max(number);
                self.checkpoints.insert(number, manifest);
                self.checkpoints.retain(|checkpoint, _| *checkpoint == number || retained.contains(checkpoint));
            }
            Pending::Commit(committables) => self.commit = Some(committables),
            Pending::Scale(scale) => self.scale = scale,
            Pending::Past(past) => self.past = *past,
            Pending::End => self.has_ended = true,
            // Nobody starts from it.
            Pending::Savepoint(_) => {}
        }
    }

    /// What another JobMaster begins with, whose claim comes on top of the log.
    fn recover(&mut self, epoch: flott_core::id::JobMasterEpoch) -> JobSpec {
        let mut spec = JobSpec { recovered: true, epoch, scale: self.scale.clone(), ..self.spec.clone() };
        spec.restored_commit.clone_from(&self.commit);
        spec.past.clone_from(&self.past);
        if let Some(directory) = &spec.snapshots.directory {
            self.top = self.top.next();
            spec.snapshots.next = self.top.next();
            let latest = self.checkpoints.values().next_back();
            let restore = |manifest| RestorePoint { manifest: Arc::clone(manifest), directory: directory.clone() };
            spec.snapshots.restore = latest.map(restore).map(Arc::new);
            let location = |manifest: &Manifest| format!("{directory}/chk-{}", manifest.checkpoint);
            let found = self.checkpoints.values().map(|manifest| found(manifest, location(manifest)));
            spec.snapshots.found = found.collect();
        }
        spec
    }
}

impl World {
    /// Has something written.
    pub(super) fn store(&mut self, id: JobId, what: Pending) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        if matches!(what, Pending::End | Pending::Past(_)) && !self.plan.durable {
            return job.kept.write(what);
        }
        job.kept.pending.push_back(what);
        let is_slow = self.plan.durable && self.has_faults() && self.random.per_mille(self.plan.faults.stores);
        let delay = self.random.within(1..=if is_slow { SLOW_STORE_MS } else { STORE_MS });
        self.at(self.now + delay, Happening::Stored(id, self.leader));
    }

    /// The oldest of what a JobMaster of `leader` has written is there, or cannot be.
    pub(super) fn stored(&mut self, id: JobId, leader: LeaderEpoch) {
        // What becomes of what an earlier JobManager had begun was settled when it died.
        if leader != self.leader || self.is_down {
            return;
        }
        let may_fail = self.plan.durable && self.has_faults();
        let Some(job) = self.jobs.get_mut(&id) else { return };
        let Some(what) = job.kept.pending.pop_front() else { return };
        // How a job ends is written until it is there.
        let must_be = matches!(what, Pending::Commit(_) | Pending::End);
        let fails = may_fail && !must_be && self.random.per_mille(self.plan.faults.stores);
        let result = if fails { Err(Failure::environment("the disk is full")) } else { Ok(()) };
        let event = match &what {
            Pending::Checkpoint { manifest, .. } => {
                self.summary.checkpoints += u64::from(!fails);
                Some(Event::CheckpointStored { checkpoint: manifest.checkpoint, result })
            }
            Pending::Savepoint(checkpoint) => Some(Event::CheckpointStored { checkpoint: *checkpoint, result }),
            Pending::Commit(_) => Some(Event::CommitPersisted(result)),
            Pending::Scale(_) => {
                self.summary.scales += u64::from(!fails);
                Some(Event::ScalePersisted(result))
            }
            Pending::Past(_) | Pending::End => None,
        };
        if !fails {
            job.kept.write(what);
        }
        if let Some(event) = event {
            self.master(id, event);
        }
    }

    /// The JobManager is killed: nobody knows what of that becomes which it was just writing.
    pub(super) fn jobmanager_dies(&mut self) {
        if self.is_down {
            return;
        }
        self.is_down = true;
        self.later.clear();
        self.lose_all_connections();
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
        let pause = self.random.within(0..=3000);
        self.at(self.now + pause, Happening::Lead);
    }

    /// Another one leads.
    pub(super) fn lead(&mut self) -> Result<(), Broken> {
        self.leader = LeaderEpoch(self.leader.0 + 1);
        (self.is_down, self.led_since) = (false, self.connections_ever);
        self.summary.leaders += 1;
        self.new_manager();
        for id in self.jobs.keys().copied().collect::<Vec<_>>() {
            let Some(job) = self.jobs.get_mut(&id).filter(|job| !job.kept.has_ended) else { continue };
            let spec = job.kept.recover(job.core.spec().epoch.next());
            job.outside.epoch = spec.epoch;
            (job.ended, job.waits_since) = (None, None);
            job.declared = Declaration::withdrawn(id, spec.epoch);
            job.core = JobMasterCore::new(spec)
                .map_err(|error| Invariant::I8.broken(format!("job {id} cannot go on: {error}")))?;
            let is_cancelled = job.is_cancelled;
            self.master(id, Event::Start);
            if is_cancelled {
                self.master(id, Event::Cancel);
            }
        }
        Ok(())
    }

    fn new_manager(&mut self) {
        let mut options = self.options.clone();
        (options.leader, options.id_seed) = (self.leader, self.random.next());
        self.manager = SlotManager::new(options, self.abilities);
        self.manager_tick = None;
        if self.plan.backend {
            let running = self.machines.values().filter_map(|machine| machine.started.clone());
            let found = running.chain(self.booting.values().cloned()).map(|spec| BackendWorker { spec });
            self.manage(ManagerEvent::Found(found.collect()));
        }
    }
}
