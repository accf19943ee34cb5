//! A store that lives as long as its process: for tests and for clusters that nobody wants to recover.

use std::collections::BTreeMap;

use flott_core::{
    id::{Digest, JobId, JobMasterEpoch, LeaderEpoch},
    job_graph::scale::Scale,
    message::Committable,
    view::JobView,
};
use parking_lot::Mutex;

use super::{
    ArchivedJob, Inserted, JobRecord, JobStore, KNOWN_MAX, NewJob, StoreError,
    record::{Header, Tombstone},
};

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    leader: LeaderEpoch,
    jobs: BTreeMap<JobId, JobRecord>,
    archive: BTreeMap<JobId, ArchivedJob>,
    known: BTreeMap<JobId, Tombstone>,
}

impl Inner {
    fn led_by(&mut self, job: JobId, given: JobMasterEpoch) -> Result<&mut JobRecord, StoreError> {
        let record = self.jobs.get_mut(&job).ok_or(StoreError::Unknown(job))?;
        if record.epoch != given {
            return Err(StoreError::Stale { job, given, newest: record.epoch });
        }
        Ok(record)
    }
}

impl JobStore for MemoryStore {
    fn begin_leadership(&self) -> Result<LeaderEpoch, StoreError> {
        let mut inner = self.inner.lock();
        inner.leader = inner.leader.next();
        Ok(inner.leader)
    }

    fn insert(&self, job: &NewJob) -> Result<Inserted, StoreError> {
        let mut inner = self.inner.lock();
        if let Some(record) = inner.jobs.get(&job.job) {
            return Ok(Inserted::Known { graph: Digest::of(&record.graph), ended: false });
        }
        if let Some(tombstone) = inner.known.get(&job.job) {
            return Ok(Inserted::Known { graph: tombstone.graph, ended: true });
        }
        let Header { program, accepted_at, epoch, cancelled, .. } = Header::of(job);
        let record = JobRecord {
            job: job.job,
            graph: job.graph.clone(),
            program,
            accepted_at,
            epoch,
            cancelled,
            manifest: None,
            scale: Scale::default(),
        };
        inner.jobs.insert(job.job, record);
        Ok(Inserted::New(epoch))
    }

    fn begin_mastership(&self, job: JobId) -> Result<JobMasterEpoch, StoreError> {
        let mut inner = self.inner.lock();
        let record = inner.jobs.get_mut(&job).ok_or(StoreError::Unknown(job))?;
        record.epoch = record.epoch.next();
        Ok(record.epoch)
    }

    fn save_manifest(&self, job: JobId, by: JobMasterEpoch, manifest: &[Committable]) -> Result<(), StoreError> {
        self.inner.lock().led_by(job, by)?.manifest = Some(manifest.to_vec());
        Ok(())
    }

    fn save_scale(&self, job: JobId, by: JobMasterEpoch, scale: &Scale) -> Result<(), StoreError> {
        self.inner.lock().led_by(job, by)?.scale = scale.clone();
        Ok(())
    }

    fn mark_cancelled(&self, job: JobId) -> Result<(), StoreError> {
        self.inner.lock().jobs.get_mut(&job).ok_or(StoreError::Unknown(job))?.cancelled = true;
        Ok(())
    }

    fn end(&self, by: JobMasterEpoch, view: &JobView) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        let id = view.job;
        let graph = inner.led_by(id, by)?.graph.clone();
        inner.jobs.remove(&id);
        let ended_at = view.ended_at.unwrap_or(view.started_at);
        inner.known.insert(id, Tombstone { graph: Digest::of(&graph), ended_at });
        if inner.known.len() > KNOWN_MAX
            && let Some(oldest) = inner.known.iter().min_by_key(|(_, known)| known.ended_at).map(|(id, _)| *id)
        {
            inner.known.remove(&oldest);
        }
        inner.archive.insert(id, ArchivedJob { view: view.clone(), graph });
        Ok(())
    }

    fn unfinished(&self) -> Result<Vec<JobRecord>, StoreError> {
        let mut jobs: Vec<_> = self.inner.lock().jobs.values().cloned().collect();
        jobs.sort_by_key(|record| (record.accepted_at, record.job));
        Ok(jobs)
    }

    fn archived(&self) -> Result<Vec<ArchivedJob>, StoreError> {
        let mut jobs: Vec<_> = self.inner.lock().archive.values().cloned().collect();
        jobs.sort_by_key(|job| (job.view.ended_at, job.view.job));
        Ok(jobs)
    }

    fn archived_job(&self, job: JobId) -> Result<Option<ArchivedJob>, StoreError> {
        Ok(self.inner.lock().archive.get(&job).cloned())
    }

    fn forget(&self, jobs: &[JobId]) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        for job in jobs {
            inner.archive.remove(job);
        }
        Ok(())
    }
}
