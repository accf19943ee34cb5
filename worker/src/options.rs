//! What a TaskManager is told when it starts.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use flott_core::{id::WorkerId, resource::ResourceProfile};
use flott_rpc::tls::Connector;

use crate::{Error, MetricsOptions, process::ProgramVariables};

/// Where the JobManager is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobManagerAddress {
    /// `host:port`, always the same.
    Fixed(String),
    /// A file that holds `host:port`, read again before each try. It need not be there yet.
    File(PathBuf),
}

/// What a TaskManager is told when it starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name, unique in the cluster.
    pub worker: WorkerId,
    /// Where it registers.
    pub jobmanager: JobManagerAddress,
    /// Sent to the JobManager as bearer token.
    pub token: Option<String>,
    /// Where JobManagers speak TLS.
    pub tls: Option<Connector>,
    /// Host that peers reach its job processes at.
    pub host: String,
    /// Where job processes take data connections; port 0 is any free one.
    pub data_bind: SocketAddr,
    /// What each slot offers; one entry per slot.
    pub slots: Vec<ResourceProfile>,
    /// `taskmanager.memory.process.size` in bytes: what it and its job processes may take together.
    pub memory: u64,
    /// Blobs and the directories of job processes. Of this TaskManager alone; made if it is not there.
    pub work_dir: PathBuf,
    /// What job processes print; its own log, if it has one, should be there too. Made if it is not there.
    pub log_dir: PathBuf,
    /// Time between two heartbeats.
    pub heartbeat_interval: Duration,
    /// How long it may be without a JobManager before it ends.
    pub registration_timeout: Duration,
    /// How long connecting to the JobManager may take, and again its answer to the registration.
    pub connect_timeout: Duration,
    /// Time between two offers of a slot that its JobMaster does not answer.
    pub offer_interval: Duration,
    /// How long a program may take until it says that it hosts.
    pub process_start_timeout: Duration,
    /// How long a cancelled task may take to end when its job does not say; `None` is for ever.
    pub cancellation_timeout: Option<Duration>,
    /// How long a process that is asked to end may take before SIGTERM.
    pub ask_grace: Duration,
    /// How long a process may take from SIGTERM to its end before SIGKILL.
    pub terminate_grace: Duration,
    /// Time between two looks at the memory of job processes.
    pub memory_interval: Duration,
    /// Bytes kept of standard output, and of standard error, of each job.
    pub log_bytes_max: u64,
    /// Bytes per second that a job process may print; a faster one waits.
    pub log_rate_max: u64,
    /// Log files of jobs that have ended.
    pub log_files_max: usize,
    /// Bytes of blobs that are kept when no process uses them.
    pub blob_cache_bytes_max: u64,
    /// The largest blob in bytes.
    pub blob_bytes_max: u64,
    /// Added to the niceness of job processes.
    pub nice: i32,
    /// What programs see of the environment.
    pub programs: ProgramVariables,
    /// Where it serves metrics, if it does.
    pub metrics: Option<MetricsOptions>,
}

impl Options {
    /// One slot on the loopback device, and the defaults of the configuration reference for the rest.
    pub fn new(worker: WorkerId, jobmanager: JobManagerAddress, work_dir: PathBuf, log_dir: PathBuf) -> Self {
        let memory = 1728 << 20;
        Self {
            worker,
            jobmanager,
            token: None,
            tls: None,
            host: "127.0.0.1".into(),
            data_bind: ([127, 0, 0, 1], 0).into(),
            slots: vec![ResourceProfile { cpu_millicores: 1000, memory_bytes: memory }],
            memory,
            work_dir,
            log_dir,
            heartbeat_interval: Duration::from_secs(2),
            registration_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            offer_interval: Duration::from_secs(1),
            process_start_timeout: Duration::from_secs(30),
            cancellation_timeout: Some(Duration::from_secs(30)),
            ask_grace: Duration::from_secs(1),
            terminate_grace: Duration::from_secs(5),
            memory_interval: Duration::from_millis(200),
            log_bytes_max: 16 << 20,
            log_rate_max: 64 << 20,
            log_files_max: 1_000,
            blob_cache_bytes_max: 4 << 30,
            blob_bytes_max: 2 << 30,
            nice: 0,
            programs: ProgramVariables::default(),
            metrics: None,
        }
    }

    /// Checks what types do not, and makes paths absolute: job processes work elsewhere.
    pub(crate) fn validated(mut self) -> Result<Self, Error> {
        let refused = |what: &str| Err(Error::Options(what.to_owned()));
        if self.worker.0.is_empty() || self.worker.0.chars().any(|char| char.is_control() || char == '/') {
            return refused("the name of a TaskManager must be text without control characters and slashes");
        }
        if self.slots.is_empty() {
            return refused("a TaskManager must have at least one slot");
        }
        if self.heartbeat_interval.is_zero() || self.offer_interval.is_zero() || self.memory_interval.is_zero() {
            return refused("intervals must be longer than zero");
        }
        for dir in [&mut self.work_dir, &mut self.log_dir] {
            *dir = std::path::absolute(&*dir).map_err(|source| Error::Directory { path: dir.clone(), source })?;
        }
        Ok(self)
    }
}
