//! The log of jobs, as the JobManagers of a history write it: the real one, over the faulty store.
//!
//! Whoever is elected opens it, writes that it leads, and begins with what is there. What it writes later is written until that is
//! known, as its Dispatcher does it, or refused, since another has written that it leads. Clients ask whom they reach, which may be one
//! that is deposed: what is refused they ask again, of another, and what was acknowledged whoever leads later must know.

use std::sync::Arc;

use flott_core::{
    failure::Failure,
    id::{Digest, JobId, JobMasterEpoch, LeaderEpoch},
    past::Past,
};
use flott_dispatcher::stores::{Ask, Inserted, JobRecord, Left, Leftover, NewJob, SharedLog, StoreError};
use flott_jobmaster::{CheckpointKeeper, Event, SnapshotSpec};
use tokio::{sync::Mutex, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    check::{Broken, Invariant},
    logs::{AGAIN, News, Owner, Reporter},
    stores::Pending,
    world::{Happening, World},
};

/// The log in the hands of one JobManager.
pub type Records = Arc<Mutex<SharedLog>>;

/// Longest time that a client waits for an answer until it asks another, in milliseconds.
const CLIENT_MS: u64 = 10_000;

/// How often a JobManager looks whether another leads, in milliseconds. Seldom, for many that are deposed to live for a while.
const LOOK_MS: u64 = 20_000;

/// A JobManager that has written that it leads, and what it begins with.
pub struct Begun {
    pub seat: usize,
    pub life: u32,
    pub leader: LeaderEpoch,
    pub records: SharedLog,
    /// Jobs that have not ended, with their new JobMasters.
    pub jobs: Vec<(JobRecord, JobMasterEpoch)>,
    pub leftovers: Vec<Leftover>,
}

/// What has become of one that has the lease.
pub enum Beginning {
    Done(Box<Begun>),
    /// Another has begun meanwhile, or later.
    Deposed(usize, u32),
}

/// What has become of something that was asked of the log.
pub type Asked<T> = Result<T, StoreError>;

impl World {
    /// Whoever has the lease opens the log, and writes that it leads.
    pub(super) fn begin_leading(&mut self, seat: usize, life: u32) {
        let (directory, sender) = (self.logs.records_directory(), self.logs.beginning.clone());
        let begin = async move {
            loop {
                let Ok(mut records) = SharedLog::open(directory.clone(), CancellationToken::new()).await else {
                    sleep(AGAIN).await;
                    continue;
                };
                // One that led may have written in the midst: then its last words are read too.
                let Ok(leader) = records.ask(Ask::begin_leadership()).await else {
                    sleep(AGAIN).await;
                    continue;
                };
                let leftovers = records.leftovers();
                let mut jobs = Vec::new();
                for record in records.unfinished() {
                    match begin_mastership(&mut records, record.job).await {
                        Ok(epoch) => jobs.push((record, epoch)),
                        // The world that hears of it ends the tasks when it ends.
                        Err(_) => return drop(sender.send(Beginning::Deposed(seat, life))),
                    }
                }
                let begun = Begun { seat, life, leader, records, jobs, leftovers };
                return drop(sender.send(Beginning::Done(Box::new(begun))));
            }
        };
        self.logs.spawn(Owner::Beginning(seat, life), begin);
        self.expect_logs(self.now + 1);
    }

    /// The JobManager at hand looks into the log whether another leads, and will again.
    pub(super) fn look_into_log(&mut self) {
        let (leader, sender) = (self.jobmanager.leader, self.logs.beginning.clone());
        self.at(self.now + LOOK_MS, Happening::Look(leader));
        let (Some(records), Some((seat, life))) = (self.jobmanager.records.clone(), self.seat()) else { return };
        let look = async move {
            if let Err(StoreError::Deposed(_)) = records.lock().await.look().await {
                // The world that hears of it ends the tasks when it ends.
                drop(sender.send(Beginning::Deposed(seat, life)));
            }
        };
        self.logs.spawn(Owner::Leading(leader), look);
        self.expect_logs(self.now + 1);
    }

    /// Asks the log of the JobManager at hand.
    fn ask_records<F: Future<Output = News> + Send + 'static>(&mut self, id: JobId, ask: impl FnOnce(Records) -> F) {
        let Some(records) = self.jobmanager.records.clone() else { return };
        let asked = ask(records);
        self.spawn(id, |reporter: Reporter| async move { reporter.tell(asked.await) });
    }

    /// Who answers a client: the JobManager that leads, or one that is deposed.
    fn answers(&mut self) -> Option<LeaderEpoch> {
        let deposed = self.deposed.as_ref().map(|deposed| deposed.leader).filter(|_| self.random.per_mille(500));
        deposed.or_else(|| (!self.jobmanager.is_down).then_some(self.jobmanager.leader))
    }

    // ------------------------------------------------------------ what clients ask

    /// A client submits a job, until one has accepted it.
    pub(super) fn submit_again(&mut self, id: JobId) -> Result<(), Broken> {
        let Some(job) = self.jobs.get(&id).filter(|job| !job.is_accepted) else { return Ok(()) };
        let (graph, accepted_at) = (id.to_string().into_bytes().into(), job.kept.spec().accepted_at.0);
        let patience = self.random.within(500..=CLIENT_MS);
        self.at(self.now + patience, Happening::Submit(id));
        let Some(answers) = self.answers() else { return Ok(()) };
        self.tell(answers, |world| {
            world.ask_records(id, |records| async move {
                let new = NewJob { job: id, graph, program: Digest::of(b"program"), accepted_at };
                News::Inserted(records.lock().await.ask(Ask::insert(&new)).await)
            });
            Ok(())
        })
    }

    /// A JobManager has accepted a job, or has not.
    pub(super) fn inserted(&mut self, id: JobId, asked: Asked<Inserted>) -> Result<(), Broken> {
        let Some(job) = self.jobs.get_mut(&id) else { return Ok(()) };
        match asked {
            Ok(Inserted::New(epoch)) => {
                job.is_accepted = true;
                // Whoever follows one that is deposed has found the job.
                if !self.is_past {
                    job.kept.epoch = epoch;
                    return self.open(id);
                }
            }
            Ok(Inserted::Known { .. }) => job.is_accepted = true,
            Err(error) => self.refused(&error),
        }
        Ok(())
    }

    /// A client wants a job to be cancelled.
    pub(super) fn ask_to_cancel(&mut self, id: JobId) -> Result<(), Broken> {
        let Some(answers) = self.answers() else { return Ok(()) };
        if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.is_accepted) {
            // Be it that nobody hears the answer.
            job.may_be_cancelled = true;
            return self.tell(answers, |world| {
                world.ask_records(id, |records| async move {
                    News::Cancelled(records.lock().await.ask(Ask::mark_cancelled(id)).await)
                });
                Ok(())
            });
        }
        Ok(())
    }

    /// A JobManager has written down that a job is to be cancelled, or has not.
    pub(super) fn cancelled(&mut self, id: JobId, asked: Asked<()>) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        match asked {
            Ok(()) => {
                job.is_cancelled = true;
                self.master(id, Event::Cancel);
            }
            // It has ended meanwhile.
            Err(StoreError::Unknown(_)) => {}
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Deposed(_)) {
            self.summary.refused += 1;
            self.learns_deposed();
        }
    }

    // ------------------------------------------------------------ what JobMasters write

    /// Writes something of a job until it is known whether it is there; of one JobMaster in the order of asking.
    pub(super) fn write(&mut self, id: JobId, what: Pending) {
        let Some(master) = self.jobmanager.masters.get(&id) else { return };
        let (epoch, turn) = (master.core.spec().epoch, Arc::clone(&master.writes));
        self.ask_records(id, |records| async move {
            let mut is_refused = turn.lock().await;
            loop {
                let asked = records.lock().await.ask(what.ask(id, epoch)).await;
                *is_refused |= matches!(&asked, Err(error) if !matches!(error, StoreError::Io(_)));
                match asked {
                    Err(StoreError::Io(_)) => sleep(AGAIN).await,
                    // The write before, of which it was thought that it had failed, was done.
                    Err(StoreError::Unknown(_)) if matches!(what, Pending::End(..)) => {
                        return News::Written(Box::new(what), Ok(()));
                    }
                    asked => return News::Written(Box::new(what), asked),
                }
            }
        });
    }

    /// Has it written down that a JobMaster has claimed the log of its checkpoints, before anything is deployed.
    pub(super) fn note_claim(
        &mut self,
        id: JobId,
        epoch: JobMasterEpoch,
        opened: Box<(CheckpointKeeper, SnapshotSpec)>,
        past: Past,
    ) {
        self.ask_records(id, |records| async move {
            loop {
                match records.lock().await.ask(Ask::save_past(id, epoch, &past)).await {
                    Err(StoreError::Io(_)) => {}
                    asked => return News::Noted(epoch, opened, Box::new(past), asked),
                }
                sleep(AGAIN).await;
            }
        });
    }

    /// So it is, or it is refused.
    pub(super) fn noted(
        &mut self,
        id: JobId,
        epoch: JobMasterEpoch,
        (keeper, snapshots): (CheckpointKeeper, SnapshotSpec),
        past: Past,
        asked: Asked<()>,
    ) -> Result<(), Broken> {
        if let Err(error) = asked {
            self.refused(&error);
            return Ok(());
        }
        if let Some(job) = self.jobs.get_mut(&id).filter(|_| !self.is_past) {
            job.kept.claimed(past);
        }
        self.begin(id, epoch, (snapshots, Some(keeper)), false)
    }

    /// What a JobMaster has written is there, or is refused.
    pub(super) fn written(&mut self, id: JobId, what: Pending, asked: Asked<()>) -> Result<(), Broken> {
        let result = match asked {
            Ok(()) => Ok(()),
            Err(StoreError::Deposed(_)) => {
                // What becomes of it is for the one that leads to say.
                self.learns_deposed();
                return Ok(());
            }
            Err(error) => Err(Failure::internal("it is refused").caused_by(&error).fatal()),
        };
        self.answer_written(id, what, result)
    }
}

async fn begin_mastership(records: &mut SharedLog, job: JobId) -> Asked<JobMasterEpoch> {
    loop {
        match records.ask(Ask::begin_mastership(job)).await {
            Err(StoreError::Io(_)) => sleep(AGAIN).await,
            asked => return asked,
        }
    }
}

impl World {
    /// Takes up what the log has of the jobs, under a JobManager that leads.
    pub(super) fn take_up(
        &mut self,
        records: &SharedLog,
        jobs: Vec<(JobRecord, JobMasterEpoch)>,
        leftovers: Vec<Leftover>,
    ) -> Result<(), Broken> {
        let unfinished: Vec<_> = jobs.iter().map(|(record, _)| record.job).collect();
        for (record, epoch) in jobs {
            let id = record.job;
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            if job.kept.end.is_some() {
                return Err(Invariant::I16.broken(format!("job {id} had ended, and has not any more")));
            }
            if job.is_cancelled && !record.cancelled {
                return Err(Invariant::I16.broken(format!("that job {id} is cancelled is not known any more")));
            }
            (job.is_accepted, job.is_cancelled) = (true, record.cancelled);
            let has_to_commit = record.manifest.is_some();
            job.kept.recovered(record, epoch);
            self.look_at_volume(id, has_to_commit);
            self.open(id)?;
        }
        for (id, job) in self.jobs.iter_mut().filter(|(id, _)| !unfinished.contains(id)) {
            match records.archived_job(*id) {
                Some(archived) if job.kept.end.is_none() => job.kept.ended_unheard(&archived.view),
                None if job.is_accepted => {
                    return Err(Invariant::I16.broken(format!("job {id} was accepted, and is not known any more")));
                }
                Some(_) | None => {}
            }
        }
        for leftover in leftovers {
            // Above its last JobMaster: what that one may yet store counts for nothing. (Nobody asks for savepoints by an id here, so none
            // is noted.)
            if let Left::Checkpoints { epoch, .. } = leftover.what {
                self.discard_left(leftover, epoch.next());
            }
        }
        Ok(())
    }
}
