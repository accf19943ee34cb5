//! Directories of checkpoints that a JobManager does not see as they are: their volume is not mounted, or it is an older copy.
//!
//! That is so from when it begins to lead, of jobs that were deployed before, and for a while. A job whose directory is empty must not get
//! a JobMaster, and nothing may be written there. In an older copy the JobMaster finds less than there was, and nothing else tells it so but
//! tasks that know better: then it must step aside. Where there are none it cannot know, and what it did would be done again; so its
//! JobManager dies before anything comes of it.

use flott_core::{
    id::{CheckpointId, JobId, JobMasterEpoch},
    message::WorkerToJob,
};
use flott_jobmaster::{Action, Event, FoundOn};
use futures::{FutureExt, StreamExt};
use object_store::{ObjectStore, memory::InMemory};

use super::{
    check::{Broken, Invariant},
    logs::ROOT,
    world::{Happening, World},
};

/// Longest time until a volume is mounted, in milliseconds.
const AWAY_MS: u64 = 30_000;
/// Older copies that are kept of a directory.
const COPIES: usize = 3;

fn is_empty(content: &InMemory) -> bool {
    content.list(None).next().now_or_never().flatten().is_none()
}

impl World {
    /// A JobManager that begins to lead sees the checkpoints of a job, or something else in their place.
    pub(super) fn look_at_volume(&mut self, id: JobId, has_to_commit: bool) {
        let Some(job) = self.jobs.get_mut(&id).filter(|job| job.kept.checkpoints().is_some()) else { return };
        let location = format!("{ROOT}/{id}");
        let is_away = self.now < self.began_at + self.plan.faults.until_ms
            && job.was_deployed
            // That needs nothing of them.
            && !has_to_commit
            && self.random.per_mille(self.plan.faults.volumes);
        if is_away {
            let older = self.random.choose(job.copies.iter().cloned()).filter(|_| self.random.per_mille(700));
            let content = older.unwrap_or_default();
            self.summary.unmounted += u32::from(is_empty(&content));
            self.jobmanager.unmounted.extend(is_empty(&content).then_some(id));
            self.jobmanager.store.take_away(&location, content);
            let back = self.now + self.random.within(1..=AWAY_MS);
            self.at(back, Happening::Mounted(self.jobmanager.leader, id));
        }
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.copies.push_back(self.logs.store.copy(&location));
        if job.copies.len() > COPIES {
            job.copies.pop_front();
        }
    }

    /// The volume of a job's checkpoints is mounted. Who has begun with what was there in its place has that still.
    pub(super) fn mounted(&mut self, id: JobId) -> Result<(), Broken> {
        let was_empty = self.jobmanager.unmounted.remove(&id);
        match self.jobmanager.store.bring_back(&format!("{ROOT}/{id}")) {
            Some(content) if was_empty && !is_empty(&content) => {
                Err(Invariant::I18
                    .broken(format!("something of job {id} is written where its volume is to be mounted")))
            }
            _ => Ok(()),
        }
    }

    /// A JobMaster hears something; whether it knows from it that its log is not the one.
    pub(super) fn note_found(&mut self, id: JobId, event: &Event) {
        let Some(master) = self.jobmanager.masters.get_mut(&id).filter(|master| master.is_away) else { return };
        if let Event::Worker { worker, epoch, message: WorkerToJob::Found(found) } = event
            && *epoch < master.core.spec().epoch
            && master.declared.reconciling
            && !master.known.lost.contains(worker)
        {
            master.heard = master.heard.max(found.latest_complete(id));
        }
    }

    /// Whether a JobMaster would go on with an older copy of its log: it must not if it has heard of a later checkpoint. Nobody sees it
    /// do so.
    pub(super) fn goes_astray(&mut self, id: JobId, actions: &[Action]) -> bool {
        let Some(master) = self.jobmanager.masters.get(&id).filter(|master| master.is_away) else { return false };
        let is_harmless = |action: &Action| match action {
            Action::Declare(_)
            | Action::WakeAt(_)
            | Action::StatusChanged(_)
            | Action::PersistPast(_)
            | Action::StepAside { .. }
            // It does nothing of what it is asked.
            | Action::SnapshotAnswered { result: Err(_), .. }
            | Action::RescaleAnswered { result: Err(_), .. } => true,
            Action::Send { .. }
            | Action::PersistCommit(_)
            | Action::PersistScale(_)
            | Action::StoreCheckpoint { .. }
            | Action::FindCheckpoint { .. }
            | Action::SnapshotAnswered { .. }
            | Action::RescaleAnswered { .. }
            | Action::Ended(_) => false,
        };
        if actions.iter().all(is_harmless) {
            return false;
        }
        let restored = master.core.spec().snapshots.restore.as_ref().filter(|point| point.manifest.job_id == id);
        let (heard, own) = (master.heard, restored.map_or(CheckpointId(0), |point| point.manifest.checkpoint));
        let is_cancelled = self.jobs.get(&id).is_some_and(|job| job.is_cancelled);
        if heard > own && !is_cancelled {
            let what = format!("job {id} goes on from checkpoint {own}, though its tasks know {heard}");
            self.faults_seen.push(Invariant::I18.broken(what));
        }
        self.is_killed();
        true
    }

    /// A JobMaster has stepped aside: another is to come when the log has this checkpoint.
    pub(super) fn stepped_aside(
        &mut self,
        id: JobId,
        epoch: JobMasterEpoch,
        checkpoint: CheckpointId,
        found: Vec<FoundOn>,
    ) {
        if self.jobmanager.masters.remove(&id).is_none_or(|master| !master.is_away) {
            let what = format!("checkpoint {checkpoint} of job {id} is not in its log, as JobMaster {epoch} says");
            return self.faults_seen.push(Invariant::I12.broken(what));
        }
        self.summary.asides += 1;
        self.await_master(id, epoch);
        for (worker, by, found) in found {
            self.jobmanager.keeps(&worker, id, by, &WorkerToJob::Found(found));
        }
        self.open_log(id, epoch, Some(checkpoint));
    }
}
