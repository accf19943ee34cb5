//! The job within this process: a real JobMaster, and a cluster of one worker whose job process is this one.
//!
//! The cluster grants every slot that is asked for, at once. Everything else (scheduling, splits, restarts, the commit)
//! is the JobMaster's, as on any cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use flott_core::{
    config::{
        Configuration,
        keys::{checkpointing, slots},
    },
    failure::Failure,
    id::{
        AllocationId, CheckpointId, Digest, IdSequence, InstanceId, JobId, JobMasterEpoch, JobSecret, ProcessId,
        SlotIndex, WorkerId, WorkerKey,
    },
    job_graph::{ExecutionMode, JobGraph, scale::Scale},
    message::{Committable, JobSetup, JobToWorker, SlotGrant, WorkerToJob},
    past::Past,
    resource::ResourceProfile,
    status::JobStatus,
    view::JobView,
};
use flott_jobmaster::{
    Adaptive, CheckpointKeeper, ClusterPort, Declaration, FoundOn, JobListener, JobMasterHandle, JobMasterService,
    JobSpec, Known, Millis, Options, Recovery, SnapshotSpec, Timeouts, ToStore,
};
use flott_runtime::{
    host::{Host, HostOptions},
    program::JobProgram,
    time::Clock,
};
use tokio::sync::mpsc;

use crate::error::{Error, Result};

const EPOCH: JobMasterEpoch = JobMasterEpoch(1);

/// Runs the job to its end. Blocks.
pub(super) fn run(
    graph: JobGraph,
    program: Arc<dyn JobProgram>,
    config: &Configuration,
    clock: Clock,
) -> Result<Arc<JobView>> {
    let cores = thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    let spec = spec(graph, config, cores)?;
    // A thread of its own: the caller may be on an executor, where nothing may block.
    let outcome = thread::scope(|scope| {
        let thread = thread::Builder::new().name("flott-local".to_owned());
        let control = thread.spawn_scoped(scope, || control(spec, program, cores, clock));
        match control.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::internal("the local cluster panicked").into()),
            Err(error) => Err(Failure::environment("a thread cannot be started").because(error).into()),
        }
    });
    let view = outcome?;
    match view.status {
        JobStatus::Finished => Ok(view),
        JobStatus::Canceled => Err(Error::Canceled(view.job)),
        status => Err(view.failure.clone().unwrap_or_else(|| Failure::internal(format!("the job is {status}"))).into()),
    }
}

fn spec(graph: JobGraph, config: &Configuration, cores: u32) -> Result<JobSpec> {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Vertices that leave their parallelism open must fit the key groups they have.
    let most = graph.vertices.iter().filter_map(|vertex| vertex.max_parallelism).min();
    let timeout = config.get(&slots::REQUEST_TIMEOUT).as_millis();
    Ok(JobSpec {
        graph_digest: Digest::of(b""),
        epoch: EPOCH,
        secret: JobSecret::random(),
        configuration: graph.configuration.clone(),
        default_parallelism: cores.min(most.unwrap_or(cores)),
        cluster_restart: config.restart_strategy(),
        // Who has started the program is there to mend what is in the way of its results, and nobody else is told of it.
        timeouts: Timeouts {
            slot_request: u64::try_from(timeout).unwrap_or(u64::MAX),
            mending: 0,
            ..Timeouts::default()
        },
        adaptive: Adaptive::default(),
        restored_commit: None,
        snapshots: SnapshotSpec::default(),
        scale: Scale::default(),
        past: Past::default(),
        recovered: false,
        accepted_at: Millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)),
        seed: IdSequence::random_seed(),
        graph: Arc::new(graph),
    })
}

fn control(spec: JobSpec, program: Arc<dyn JobProgram>, cores: u32, clock: Clock) -> Result<Arc<JobView>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::environment("the executor for control cannot be started").because(error))?;
    runtime.block_on(async {
        let (orders, mut incoming) = mpsc::unbounded_channel();
        let link = Arc::new(Link(orders));
        let (keeper, snapshots) = open_checkpoints(&spec).await?;
        let spec = JobSpec { snapshots, ..spec };
        let graph = spec.graph.clone();
        let master = JobMasterService::start(spec, Options::default(), link.clone(), link).map_err(Failure::from)?;
        let mut cluster = LocalCluster {
            worker: WorkerKey { worker: WorkerId("local".to_owned()), instance: InstanceId::random() },
            master: master.clone(),
            graph,
            program,
            slots: cores,
            clock,
            keeper: keeper.clone(),
            grants: BTreeMap::new(),
            next_slot: 0,
            host: None,
        };
        let ended = master.ended();
        tokio::pin!(ended);
        let view = loop {
            tokio::select! {
                view = &mut ended => break view,
                // The link lives as long as the JobMaster.
                Some(order) = incoming.recv() => cluster.take(order),
            }
        };
        if let Some((_, host)) = cluster.host.take() {
            host.shutdown();
        }
        if let Some(keeper) = keeper.filter(|_| view.as_ref().is_ok_and(|view| view.status == JobStatus::Finished))
            && let Err(failure) = keeper.discard().await
        {
            tracing::warn!(job = %keeper.job(), %failure, "the checkpoints of a job that has ended stay");
        }
        view.map_err(|error| Failure::internal("the JobMaster has stopped").because(error).into())
    })
}

/// Finds what the job starts from, and opens the log of its checkpoints where a directory is set for them.
async fn open_checkpoints(spec: &JobSpec) -> Result<(Option<Arc<CheckpointKeeper>>, SnapshotSpec)> {
    let config = Configuration::try_from(spec.configuration.clone())
        .map_err(|error| Failure::internal("the job's configuration cannot be read").caused_by(&error))?;
    let recovery = Recovery::of(&config);
    let job = spec.graph.job_id;
    match (spec.graph.mode, config.get(&checkpointing::DIR)) {
        (ExecutionMode::Batch, _) => {
            recovery.check_batch().map_err(Error::from)?;
            Ok((None, SnapshotSpec::default()))
        }
        (ExecutionMode::Streaming, Some(root)) => {
            let (keeper, snapshots) =
                CheckpointKeeper::open(&root, job, EPOCH, &recovery, &Known::default()).await.map_err(Error::from)?;
            Ok((Some(Arc::new(keeper)), snapshots))
        }
        (ExecutionMode::Streaming, None) => {
            let restore = recovery.load(job).await.map_err(Error::from)?.map(Arc::new);
            let ignore_unclaimed = recovery.ignore_unclaimed;
            Ok((None, SnapshotSpec { restore, ignore_unclaimed, ..SnapshotSpec::default() }))
        }
    }
}

/// What the JobMaster wants.
enum Order {
    Declare(Declaration),
    Send(JobToWorker),
    PersistCommit,
    PersistScale,
    StoreCheckpoint(ToStore),
    FindCheckpoint(BTreeSet<CheckpointId>),
}

/// The JobMaster's way to the local cluster.
struct Link(mpsc::UnboundedSender<Order>);

impl Link {
    fn order(&self, order: Order) {
        // Nobody takes orders of a job that is over.
        let _ = self.0.send(order);
    }
}

impl ClusterPort for Link {
    fn declare(&self, declaration: Declaration) {
        self.order(Order::Declare(declaration));
    }

    fn send(&self, _: &WorkerKey, _: JobMasterEpoch, message: JobToWorker) {
        self.order(Order::Send(message));
    }
}

impl JobListener for Link {
    fn status_changed(&self, job: JobId, status: JobStatus) {
        tracing::debug!(%job, %status, "local job");
    }

    fn persist_commit(&self, _: JobId, _: JobMasterEpoch, _: Vec<Committable>) {
        self.order(Order::PersistCommit);
    }

    fn persist_scale(&self, _: JobId, _: JobMasterEpoch, _: Scale) {
        self.order(Order::PersistScale);
    }

    // No JobMaster follows.
    fn persist_past(&self, _: JobId, _: JobMasterEpoch, _: Past) {}

    /// There is no earlier JobMaster.
    fn stepped_aside(&self, _: JobId, _: JobMasterEpoch, _: CheckpointId, _: Vec<FoundOn>) {}

    fn store_checkpoint(&self, _: JobId, _: JobMasterEpoch, what: ToStore) {
        self.order(Order::StoreCheckpoint(what));
    }

    fn find_checkpoint(&self, _: JobId, _: JobMasterEpoch, damaged: BTreeSet<CheckpointId>) {
        self.order(Order::FindCheckpoint(damaged));
    }

    fn ended(&self, _: Arc<JobView>) {}
}

struct LocalCluster {
    worker: WorkerKey,
    master: JobMasterHandle,
    graph: Arc<JobGraph>,
    program: Arc<dyn JobProgram>,
    /// Tasks that do CPU work at once.
    slots: u32,
    clock: Clock,
    /// Of a job that takes checkpoints.
    keeper: Option<Arc<CheckpointKeeper>>,
    grants: BTreeMap<AllocationId, ResourceProfile>,
    next_slot: u32,
    host: Option<(ProcessId, Host)>,
}

impl LocalCluster {
    fn tell(&self, message: WorkerToJob) {
        self.master.tell_worker_message(self.worker.clone(), EPOCH, message);
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Declare(declaration) => self.grant(&declaration),
            Order::Send(message) => self.obey(message),
            // The job does not outlive this process, so there is nothing to write down.
            Order::PersistCommit => self.master.commit_persisted(Ok(())),
            Order::PersistScale => self.master.scale_persisted(Ok(())),
            Order::StoreCheckpoint(what) => {
                if let Some(keeper) = self.keeper.clone() {
                    let master = self.master.clone();
                    tokio::spawn(async move { keeper.store(&master, what).await });
                }
            }
            Order::FindCheckpoint(damaged) => match self.keeper.clone() {
                Some(keeper) => {
                    let master = self.master.clone();
                    tokio::spawn(async move { keeper.find(&master, &damaged).await });
                }
                None => self.master.checkpoint_found(None, BTreeMap::new()),
            },
        }
    }

    /// Offers the slots that are missing.
    fn grant(&mut self, declaration: &Declaration) {
        let mut offer = Vec::new();
        for (profile, wanted) in &declaration.needs.slots {
            let held = self.grants.values().filter(|held| *held == profile).count();
            for _ in held..*wanted as usize {
                let allocation = AllocationId::random();
                self.grants.insert(allocation, *profile);
                offer.push(SlotGrant {
                    slot: SlotIndex(self.next_slot),
                    allocation,
                    job: declaration.job,
                    epoch: declaration.epoch,
                    profile: *profile,
                });
                self.next_slot = self.next_slot.wrapping_add(1);
            }
        }
        if !offer.is_empty() {
            self.tell(WorkerToJob::OfferSlots(offer));
        }
    }

    fn obey(&mut self, message: JobToWorker) {
        match message {
            // There was no JobMaster before this one, and none follows.
            JobToWorker::AcceptSlots(_) | JobToWorker::Adopt { .. } | JobToWorker::Completed { .. } => {}
            JobToWorker::RejectSlots(allocations) | JobToWorker::FreeSlots(allocations) => {
                for allocation in allocations {
                    self.grants.remove(&allocation);
                }
            }
            JobToWorker::StartProcess(setup) => self.start(*setup),
            JobToWorker::Forget => {
                self.grants.clear();
                if let Some((_, host)) = self.host.take() {
                    host.shutdown();
                }
            }
            JobToWorker::Host { process, message } => {
                if let Some((_, host)) = self.host.as_ref().filter(|(running, _)| *running == process) {
                    host.deliver(message);
                }
            }
        }
    }

    fn start(&mut self, setup: JobSetup) {
        if let Some((_, host)) = &self.host {
            self.tell(WorkerToJob::ProcessReady(host.location()));
            return;
        }
        let process = ProcessId::random();
        let options = HostOptions {
            process,
            setup,
            graph: self.graph.clone(),
            worker: self.worker.worker.clone(),
            slots: self.slots,
            data: None,
            clock: self.clock.clone(),
        };
        let (master, worker) = (self.master.clone(), self.worker.clone());
        let report = move |message| {
            master.tell_worker_message(worker.clone(), EPOCH, WorkerToJob::Host { process, message });
        };
        match Host::start(options, self.program.clone(), Arc::new(report)) {
            Ok(host) => {
                self.tell(WorkerToJob::ProcessReady(host.location()));
                self.host = Some((process, host));
            }
            Err(failure) => self.tell(WorkerToJob::ProcessLost { process, failure }),
        }
    }
}
