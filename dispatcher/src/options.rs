//! What a JobManager is started with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flott_core::{
    config::{
        Configuration,
        keys::{
            cluster::{self, ClusterBackend},
            jobmanager, slots, taskmanager,
        },
    },
    id::{JobId, LeaderEpoch},
};
use flott_resource_manager::{Backend, Options as ResourceOptions, WorkerShape};

use crate::{ha::HighAvailability, history::Retention};

/// What makes the backend, once the address is known that workers dial.
pub type BackendFactory = Box<dyn FnOnce(&BackendContext) -> Result<Arc<dyn Backend>, String> + Send + Sync>;

/// What a backend is made from.
#[derive(Debug, Clone)]
pub struct BackendContext {
    /// `HOST:PORT` that workers dial.
    pub address: String,
    /// Where the address stands, for workers that outlive this JobManager.
    pub address_file: PathBuf,
    /// The state directory.
    pub state_directory: PathBuf,
}

/// The one job of a JobManager that ends with it.
#[derive(Debug, Clone)]
pub struct SingleJob {
    /// Where it comes from.
    pub source: JobSource,
    /// How long the JobManager stays after the job's end, for clients to read the result.
    pub linger: Duration,
}

/// Where the one job of a JobManager comes from.
#[derive(Debug, Clone)]
pub enum JobSource {
    /// From files.
    Files {
        /// The `job.graph` document.
        graph: PathBuf,
        /// The executable.
        program: PathBuf,
    },
    /// From whoever has started this JobManager, over REST.
    Awaited {
        /// Its id.
        job: JobId,
        /// How long it may be in coming.
        patience: Duration,
    },
    /// From a program that this JobManager plans.
    Program {
        /// The id that the job gets.
        job: JobId,
        /// The executable.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// Its entry, if it has several.
        entry: Option<String>,
    },
}

/// What a JobManager is started with.
pub struct Options {
    /// The cluster's configuration.
    pub configuration: Configuration,
    /// Where everything durable is; made if need be.
    pub state_directory: PathBuf,
    /// Where this process writes its logs, if it writes files; they are served as `/jobmanager/logs`.
    pub log_directory: Option<PathBuf>,
    /// Where the end of each job is written as `<job id>.json`, for clients to read when this JobManager is gone.
    pub archive_directory: Option<PathBuf>,
    /// Where workers come from.
    pub backend: BackendFactory,
    /// Start this many workers at once, keep them, and start no more (`-yn`).
    pub workers: Option<u32>,
    /// Stands for election among several JobManagers. Without it this is the only one.
    pub high_availability: Option<HighAvailability>,
    /// Runs this one job and ends. Without it the JobManager is a session.
    pub job: Option<SingleJob>,
    /// How long jobs may take to end when the cluster is shut down.
    pub drain: Duration,
    /// How long planning an uploaded program may take.
    pub planning: Duration,
}

impl Options {
    /// A session with defaults.
    pub fn new(configuration: Configuration, state_directory: impl Into<PathBuf>, backend: BackendFactory) -> Self {
        Self {
            configuration,
            state_directory: state_directory.into(),
            log_directory: None,
            archive_directory: None,
            backend,
            workers: None,
            high_availability: None,
            job: None,
            drain: Duration::from_secs(60),
            planning: Duration::from_secs(60),
        }
    }

    /// Where the address of a running JobManager of `state_directory` stands, as `HOST:PORT`.
    pub fn address_file(state_directory: &Path) -> PathBuf {
        state_directory.join("jobmanager.address")
    }

    pub(crate) fn retention(&self) -> Retention {
        let expiration = self.configuration.get(&jobmanager::JOB_STORE_EXPIRATION).0;
        Retention {
            jobs_max: usize::try_from(self.configuration.get(&jobmanager::JOB_STORE_CAPACITY)).unwrap_or(usize::MAX),
            expiration_ms: Some(u64::try_from(expiration.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    pub(crate) fn resources(&self, leader: LeaderEpoch, address: &str) -> ResourceOptions {
        let configuration = &self.configuration;
        let slots_per_worker = configuration.get(&taskmanager::NUMBER_OF_TASK_SLOTS);
        let memory = configuration.get(&taskmanager::MEMORY_PROCESS_SIZE).bytes();
        let cpu_millicores = self.cpu_millicores(slots_per_worker);
        let mut options = ResourceOptions::new(leader, address);
        let manager = &mut options.slot_manager;
        manager.worker = WorkerShape { slots: slots_per_worker, memory, cpu_millicores };
        manager.workers_min = configuration.get(&slots::NUMBER_OF_SLOTS_MIN).div_ceil(slots_per_worker);
        manager.start_timeout = configuration.get(&slots::REGISTRATION_TIMEOUT);
        manager.spread = configuration.get(&slots::SPREAD_OUT);
        manager.slots_max = configuration.get(&slots::NUMBER_OF_SLOTS_MAX);
        manager.idle_timeout = configuration.get(&slots::TASKMANAGER_TIMEOUT);
        manager.heartbeat_timeout = configuration.get(&cluster::HEARTBEAT_TIMEOUT);
        manager.connection_grace = configuration.get(&cluster::CONNECTION_GRACE);
        // Workers of another host's JobManager are no pool's.
        manager.keeps_all =
            self.high_availability.is_some() && configuration.get(&cluster::BACKEND) == ClusterBackend::Process;
        if let Some(limit) = configuration.get(&slots::TOTAL_MEMORY_MAX) {
            let fitting = limit.bytes().checked_div(memory).unwrap_or(0);
            manager.workers_max = Some(u32::try_from(fitting).unwrap_or(u32::MAX));
        }
        if let Some(workers) = self.workers {
            let most = manager.workers_max.map_or(workers, |max| max.min(workers));
            (manager.workers_min, manager.workers_max) = (most, Some(most));
        }
        // No two JobManagers name two workers alike, not even when one has lost the state that its epoch comes from.
        let cluster_id = configuration.get(&cluster::ID);
        let prefix = cluster_id.map_or_else(|| "taskmanager".to_owned(), |id| format!("{id}-taskmanager"));
        manager.worker_prefix = format!("{prefix}-{:06x}", options.id_seed & 0xff_ffff);
        options
    }

    /// What a worker may use: what is set, else a core a slot, but on this very host all that it has.
    fn cpu_millicores(&self, slots: u32) -> u32 {
        let configuration = &self.configuration;
        match (configuration.get(&taskmanager::CPU_CORES), configuration.get(&cluster::BACKEND)) {
            // The range of the key keeps it within.
            (Some(cores), _) => (cores * 1000.0).round() as u32,
            (None, ClusterBackend::Kubernetes) => slots.saturating_mul(1000),
            (None, ClusterBackend::Process | ClusterBackend::Standalone) => {
                let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
                u32::try_from(cores).unwrap_or(1).saturating_mul(1000)
            }
        }
    }
}
