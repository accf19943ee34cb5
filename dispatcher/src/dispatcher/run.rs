//! One JobMaster's life: its start, and the archive.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use flott_core::{
    config::{
        Configuration,
        keys::{adaptive, checkpointing, slots, taskmanager},
    },
    failure::Failure,
    id::{CheckpointId, Digest, IdSequence, JobId, JobMasterEpoch, JobSecret},
    job_graph::{ExecutionMode, JobGraph, scale::Scale},
    message::Committable,
    past::Past,
    status::JobStatus,
    view::{ExceptionView, JobView},
};
use flott_jobmaster::{
    Adaptive, CheckpointKeeper, JobMasterService, JobSpec, Known, Millis, Options, Recovery, RestorePoint,
    SnapshotSpec, Timeouts,
};
use flott_snapshot::{Manifest, SnapshotKind};

use super::{Dispatcher, Leading, jobs::Job, leftovers::Doomed, on_store, reports::Reports, snapshots::is_absolute};
use crate::{
    address, clock::now_ms, control::JobPort, rest::render::job_overview, stores::StoreError, submission::is_reactive,
};

/// Pause before what a store has refused is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
/// How long a store may take to say which checkpoints of a job there are, for one try.
const OPENING: Duration = Duration::from_secs(30);
/// What a TaskManager has on top of `task.cancellation.timeout` to kill a process that does not obey.
const KILL_GRACE_MS: u64 = 15_000;
/// How long a job in reactive mode waits for more of the slots that come together: each comes in a message of its own.
const REACTIVE_WAIT_MS: u64 = 1_000;
/// Settings of the cluster that are none of a job's business.
const CLUSTER_ONLY: &str = "security.";

/// What a JobMaster is started from.
#[derive(Debug, Clone)]
pub(super) struct Begin {
    pub graph: Arc<JobGraph>,
    /// What it was read from.
    pub document: Bytes,
    pub graph_digest: Digest,
    /// The cluster's configuration, overlaid with the job's.
    pub configuration: BTreeMap<String, String>,
    pub default_parallelism: u32,
    pub accepted_at: u64,
    pub epoch: JobMasterEpoch,
    /// Whether its cancellation was asked for in an earlier life.
    pub cancelled: bool,
    /// Whether an earlier life has had it.
    pub recovered: bool,
    /// What an earlier life wanted to commit.
    pub manifest: Option<Vec<Committable>>,
    /// With how many subtasks it goes on.
    pub scale: Scale,
    /// What earlier lives have written down of it.
    pub past: Past,
    /// A checkpoint that its tasks know to be complete.
    pub complete: Option<CheckpointId>,
}

/// The log of a job's checkpoints, and what it starts from.
pub(super) type Opened = (Option<CheckpointKeeper>, SnapshotSpec);

impl Dispatcher {
    /// Starts the JobMaster of a new job that was entered. If it cannot be started, the job ends as failed.
    pub(super) async fn begin(&self, leading: &Leading, mut begin: Begin) {
        let opened = async {
            let opened = self.open_checkpoints(&mut begin).await?;
            self.note_claim(leading, &mut begin, &opened).await?;
            Ok(opened)
        };
        match opened.await {
            Ok(opened) => self.start_master(leading, begin, opened),
            Err(failure) => self.cannot_start(leading, begin, failure),
        }
    }

    /// Ends a job that cannot be started, and will not be.
    pub(super) fn cannot_start(&self, leading: &Leading, begin: Begin, failure: Failure) {
        let (job, epoch) = (begin.graph.job_id, begin.epoch);
        tracing::warn!(%job, %failure, "job cannot be started");
        let view = failed(job, begin.graph.name.clone(), begin.accepted_at, failure);
        self.archive(leading.clone(), epoch, Arc::new(with_past(view, begin.past)), None);
    }

    /// Ends a job whose JobMaster was stopped because another has claimed the log of its checkpoints. If that one leads the job in this
    /// cluster, this JobManager is deposed, and the store refuses it.
    pub(super) fn end_deposed(
        &self,
        leading: Leading,
        (job, epoch): (JobId, JobMasterEpoch),
        keeper: &Arc<CheckpointKeeper>,
        failure: Failure,
    ) {
        let Ok(Job::Active(active)) = self.inner.jobs.lock().get(job) else { return };
        // Not another JobMaster's.
        if active.epoch != epoch || active.keeper.as_ref().is_none_or(|own| !Arc::ptr_eq(own, keeper)) {
            return;
        }
        tracing::warn!(%job, %failure, "a job is ended whose checkpoints were taken");
        let view = failed(job, active.graph.name.clone(), active.accepted_at, failure);
        self.archive(leading, epoch, Arc::new(with_past(view, Past::clone(&active.past))), None);
    }

    pub(super) fn start_master(&self, leading: &Leading, begin: Begin, (keeper, snapshots): Opened) {
        let (job, epoch, mut cancelled) = (begin.graph.job_id, begin.epoch, begin.cancelled);
        let (name, accepted_at) = (begin.graph.name.clone(), begin.accepted_at);
        // Only such a one may have to be begun once more.
        let recovered = begin.recovered.then(|| begin.clone());
        let spec = JobSpec { snapshots, ..self.spec(begin) };
        let port = Arc::new(JobPort { control: self.inner.control.clone(), job });
        let keeper = keeper.map(Arc::new);
        let reports = Reports::new(self, leading, (job, epoch), keeper.clone(), recovered, &spec.configuration);
        // The jobs are locked until the JobMaster is among them, so that a cancellation finds it.
        let mut jobs = self.inner.jobs.lock();
        let started =
            self.inner.control.lead(job, || JobMasterService::start(spec, Options::default(), port, Arc::new(reports)));
        match started {
            Ok(master) => jobs.update(job, epoch, |active| {
                cancelled |= active.cancelled;
                if cancelled {
                    master.cancel();
                }
                active.master = Some(master);
                active.keeper = keeper;
            }),
            Err(error) => {
                drop(jobs);
                tracing::warn!(%job, %error, "job cannot be started");
                self.archive(leading.clone(), epoch, Arc::new(failed(job, name, accepted_at, error.into())), None);
            }
        }
    }

    /// Says where the checkpoints of a job go, and has its processes know it, if it takes any. Nothing is read yet.
    pub(super) fn locate_checkpoints(&self, begin: &mut Begin) -> Result<Option<(String, Recovery)>, Failure> {
        let configuration = Configuration::try_from(begin.configuration.clone())
            .map_err(|error| Failure::internal("the job's configuration cannot be read").caused_by(&error))?;
        let recovery = Recovery::of(&configuration);
        if begin.graph.mode == ExecutionMode::Batch {
            // Its tasks need not be able to reach it.
            begin.configuration.remove(checkpointing::DIR.key());
            return recovery.check_batch().map(|()| None);
        }
        let root = match configuration.get(&checkpointing::DIR) {
            Some(root) if !is_absolute(&root) => {
                let key = checkpointing::DIR.key();
                let message = format!(
                    "{key}: {root:?} is relative, and each process of a cluster runs in a directory of its own; expected an absolute \
                     path or a URL"
                );
                return Err(Failure::user(message).fatal());
            }
            Some(root) => root,
            None => self.inner.setup.checkpoint_directory.clone(),
        };
        // Its processes write where the JobMaster reads, whatever directory each of them runs in.
        let root = recovery.stores.open(&root).map_err(Failure::from)?.location().to_owned();
        begin.configuration.insert(checkpointing::DIR.key().to_owned(), root.clone());
        Ok(Some((root, recovery)))
    }

    /// Opens the log of the job's checkpoints, where it takes any or starts from one.
    pub(super) async fn open_checkpoints(&self, begin: &mut Begin) -> Result<Opened, Failure> {
        let Some((root, recovery)) = self.locate_checkpoints(begin)? else {
            return Ok((None, SnapshotSpec::default()));
        };
        let known = Known::of(&begin.past).with_complete(begin.complete);
        let opening = CheckpointKeeper::open(&root, begin.graph.job_id, begin.epoch, &recovery, &known);
        let (keeper, spec) = tokio::time::timeout(OPENING, opening).await.map_err(|_| {
            let wait = OPENING.as_secs();
            Failure::environment(format!("the store of its checkpoints, {root}, did not answer within {wait} s"))
        })??;
        // Once, before anything is deployed. An earlier JobManager may have died before it came to this.
        let is_new = begin.past.claimed.is_none();
        if let Some(point) = spec.restore.as_deref().filter(|_| recovery.claimed_behind.is_some() && is_new) {
            self.refuse_what_is_another_jobs(begin.graph.job_id, point)?;
        }
        Ok((Some(keeper), spec))
    }

    /// Makes durable that the log of the job's checkpoints was claimed, unless it is: from then on an empty one is another one. That is
    /// before anything is deployed, and a job that was not deployed may begin with an empty one.
    pub(super) async fn note_claim(
        &self,
        leading: &Leading,
        begin: &mut Begin,
        (keeper, _): &Opened,
    ) -> Result<(), Failure> {
        if keeper.is_none() || begin.past.claimed.is_some() {
            return Ok(());
        }
        let (job, epoch) = (begin.graph.job_id, begin.epoch);
        let past = Past { claimed: Some(epoch), ..begin.past.clone() };
        let noted = past.clone();
        on_store(&leading.store, move |store| store.save_past(job, epoch, &noted)).await.map_err(|error| {
            Failure::environment("it cannot be written down that the job has checkpoints").caused_by(&error)
        })?;
        begin.past = past;
        Ok(())
    }

    /// A job that goes on needs its checkpoints, so no other may claim one of them. (Its savepoints are whoever's has asked for them.)
    fn refuse_what_is_another_jobs(&self, job: JobId, point: &RestorePoint) -> Result<(), Failure> {
        let Manifest { kind, job_id: owner, checkpoint, .. } = &*point.manifest;
        let goes_on = || matches!(self.inner.jobs.lock().get(*owner), Ok(Job::Active(_)));
        if *kind == SnapshotKind::Savepoint || *owner == job || !goes_on() {
            return Ok(());
        }
        let key = checkpointing::CLAIM_MODE.key();
        let message = format!(
            "{key}: checkpoint {checkpoint} in {} cannot be claimed, since its job {owner} goes on and needs it; start from it with \
             NO_CLAIM, or from a savepoint",
            point.directory
        );
        Err(Failure::user(message).fatal())
    }

    fn spec(&self, begin: Begin) -> JobSpec {
        let Begin {
            graph,
            graph_digest,
            mut configuration,
            default_parallelism,
            accepted_at,
            epoch,
            manifest,
            scale,
            past,
            recovered,
            ..
        } = begin;
        // It was checked when the job was accepted.
        let job = Configuration::try_from(configuration.clone()).unwrap_or_default();
        let takes_checkpoints =
            graph.mode == ExecutionMode::Streaming && job.get(&checkpointing::INTERVAL) > Duration::ZERO;
        configuration.retain(|key, _| !key.starts_with(CLUSTER_ONLY));
        let cluster = &self.inner.setup.configuration;
        let adaptive = adaptive_of(&graph, &job, self.inner.setup.is_session);
        let timeouts = Timeouts {
            slot_request: slot_wait(&job, cluster, adaptive.reactive),
            slot_hopeless: if adaptive.reactive { u64::MAX } else { Timeouts::default().slot_hopeless },
            cancellation: millis(cluster.get(&taskmanager::CANCELLATION_TIMEOUT)).saturating_add(KILL_GRACE_MS),
            ..Timeouts::default()
        };
        JobSpec {
            graph,
            graph_digest,
            epoch,
            secret: JobSecret::random(),
            configuration,
            default_parallelism,
            cluster_restart: cluster.restart_strategy_for(takes_checkpoints),
            timeouts,
            adaptive,
            restored_commit: manifest,
            snapshots: SnapshotSpec::default(),
            scale,
            past,
            recovered,
            accepted_at: Millis(accepted_at),
            seed: IdSequence::random_seed(),
        }
    }

    /// Makes the end of a job durable, however often the disk refuses, and shows it. Checkpoints that are `doomed` are removed then;
    /// should this JobManager not come to it, by the next one.
    pub(super) fn archive(&self, leading: Leading, epoch: JobMasterEpoch, view: Arc<JobView>, doomed: Option<Doomed>) {
        let this = self.clone();
        self.inner.tasks.spawn(async move {
            let job = view.job;
            let Ok(Job::Active(active)) = this.inner.jobs.lock().get(job) else { return };
            let leftover = doomed.as_ref().map(|doomed| doomed.leftover(job, epoch));
            leftover.iter().for_each(|leftover| this.note_doomed(leftover));
            loop {
                let (ended, obsolete) = (view.clone(), doomed.as_ref().map(Doomed::obsolete));
                match on_store(&leading.store, move |store| store.end(epoch, &ended, obsolete.as_ref())).await {
                    Ok(()) => break,
                    // The write before, of which we thought that it had failed, was done.
                    Err(StoreError::Unknown(_)) => break,
                    Err(error @ (StoreError::Stale { .. } | StoreError::Deposed(_))) => {
                        tracing::warn!(%job, %error, "the end of a job is dropped");
                        return;
                    }
                    Err(error) => {
                        tracing::error!(%job, %error, "the end of a job cannot be stored; trying again");
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            // Not before: a job that is taken up again needs them.
            let discarded = match &doomed {
                Some(doomed) => doomed.discard().await,
                None => Ok(()),
            };
            this.write_archive(&view).await;
            this.inner.control.resign(job, epoch);
            leading.resources.withdraw(job, epoch);
            let overview = job_overview(&view, active.graph.mode, now_ms());
            this.inner.jobs.lock().end(job, view.ended_at.unwrap_or(view.started_at), overview);
            match &view.failure {
                Some(failure) if view.status == JobStatus::Failed => tracing::warn!(%job, %failure, "job failed"),
                _ => tracing::info!(%job, status = %view.status, "job ended"),
            }
            let blobs = this.inner.blobs.clone();
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || blobs.release(job)).await {
                tracing::warn!(%job, %error, "the blobs of a job cannot be deleted");
            }
            if let Some(programs) = this.inner.programs.clone()
                && let Ok(Err(error)) = tokio::task::spawn_blocking(move || programs.release(job)).await
            {
                tracing::warn!(%job, %error, "the shared program of a job cannot be deleted; the next leader tries again");
            }
            if let Some(leftover) = leftover {
                this.clear_behind(&leading, leftover, discarded).await;
            }
            this.expire(&leading).await;
        });
    }

    /// Writes the end of a job where it can be read without a JobManager. The store has it already: a failure costs no
    /// more than that.
    async fn write_archive(&self, view: &Arc<JobView>) {
        let Some(directory) = self.inner.setup.archive_directory.clone() else { return };
        let (view, job) = (view.clone(), view.job);
        let written = tokio::task::spawn_blocking(move || {
            let text = serde_json::to_string(&*view).map_err(std::io::Error::other)?;
            address::private_directory(&directory)?;
            address::write_file(&directory.join(format!("{}.json", view.job)), &text)
        });
        match written.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(()) => {}
            Err(error) => tracing::warn!(%job, %error, "the end of a job cannot be written to the archive"),
        }
    }

    /// Drops what the archive does not keep any more.
    pub(super) async fn expire(&self, leading: &Leading) {
        let expired = self.inner.jobs.lock().history.expire(now_ms(), self.inner.setup.retention);
        {
            let mut jobs = self.inner.jobs.lock();
            expired.iter().for_each(|job| drop(jobs.by_id.remove(job)));
        }
        let expired = self.without_doomed(expired);
        if expired.is_empty() {
            return;
        }
        if let Err(error) = on_store(&leading.store, move |store| store.forget(&expired)).await {
            // They go at the next start.
            tracing::warn!(%error, "old jobs cannot be dropped from the archive");
        }
    }
}

/// The same with what earlier lives have written down of the job.
pub(super) fn with_past(view: JobView, past: Past) -> JobView {
    let exceptions = view.exceptions.into_iter().chain(past.exceptions).collect();
    JobView { exceptions, exceptions_truncated: past.exceptions_truncated, restarts: past.restarts, ..view }
}

/// The view of a job that never got a JobMaster.
pub(super) fn failed(job: JobId, name: String, accepted_at: u64, failure: Failure) -> JobView {
    let now = now_ms();
    JobView {
        failure: Some(failure.clone()),
        exceptions: vec![ExceptionView { at: now, failure, concurrent: Vec::new() }],
        ..JobView::ended(job, name, JobStatus::Failed, accepted_at, now)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How a job goes after the slots there are.
pub(crate) fn adaptive_of(graph: &JobGraph, configuration: &Configuration, is_session: bool) -> Adaptive {
    // Of a session it may be set since the job was accepted.
    let reactive = is_reactive(graph, configuration) && !is_session;
    let default = Adaptive::default();
    let (executing, submission) = if reactive {
        (REACTIVE_WAIT_MS, REACTIVE_WAIT_MS)
    } else {
        (default.executing_stabilization, default.submission_stabilization)
    };
    Adaptive {
        reactive,
        cooldown: configuration.get(&adaptive::COOLDOWN).map_or(default.cooldown, millis),
        executing_stabilization: configuration.get(&adaptive::EXECUTING_STABILIZATION).map_or(executing, millis),
        submission_stabilization: configuration.get(&adaptive::SUBMISSION_STABILIZATION).map_or(submission, millis),
    }
}

/// How long a job waits for slots, in milliseconds.
pub(crate) fn slot_wait(configuration: &Configuration, cluster: &Configuration, reactive: bool) -> u64 {
    match configuration.get(&adaptive::SUBMISSION_WAIT) {
        Some(wait) => millis(wait),
        None if reactive => u64::MAX,
        None => millis(cluster.get(&slots::REQUEST_TIMEOUT)),
    }
}
