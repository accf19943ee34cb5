//! How worker processes are started.

use std::{ffi::OsString, fmt, path::PathBuf, sync::Arc, time::Duration};

use super::WorkerSpec;

/// Knobs of the process backend.
#[derive(Clone)]
pub struct ProcessOptions {
    /// Where the records of workers are; one cluster has it for itself.
    pub record_dir: PathBuf,
    /// Where workers' standard output and error go, as `<worker>.out` and `<worker>.err`. Workers bound what they
    /// write there; files of the most recent workers are kept.
    pub log_dir: PathBuf,
    /// Where every worker has a directory of its name to work in, if they do. What is left there of workers that are
    /// gone is removed, but for the `logs` of the most recent ones.
    pub work_dir: Option<PathBuf>,
    /// Most worker processes at a time.
    pub workers_max: u32,
    /// How long a worker may take to end after it was asked to, before it is killed.
    pub stop_grace: Duration,
    /// Makes the command line of a worker.
    pub command: Arc<dyn Fn(&WorkerSpec) -> WorkerCommand + Send + Sync>,
}

impl ProcessOptions {
    /// Defaults, with `workers` and `logs` as directories under `state_dir`.
    pub fn new(
        state_dir: impl Into<PathBuf>,
        command: impl Fn(&WorkerSpec) -> WorkerCommand + Send + Sync + 'static,
    ) -> Self {
        let state_dir = state_dir.into();
        Self {
            record_dir: state_dir.join("workers"),
            log_dir: state_dir.join("logs"),
            work_dir: None,
            workers_max: 256,
            stop_grace: Duration::from_secs(5),
            command: Arc::new(command),
        }
    }
}

impl fmt::Debug for ProcessOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessOptions")
            .field("record_dir", &self.record_dir)
            .field("log_dir", &self.log_dir)
            .field("work_dir", &self.work_dir)
            .field("workers_max", &self.workers_max)
            .field("stop_grace", &self.stop_grace)
            .finish_non_exhaustive()
    }
}

/// A program with its arguments and what is added to its environment, which else is this process's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables that are set or replaced.
    pub environment: Vec<(OsString, OsString)>,
}

impl WorkerCommand {
    /// `program taskmanager --jobmanager ADDRESS` with the worker's name and size as configuration; `program` is the
    /// `flott` executable, as a rule the one that runs.
    pub fn taskmanager(program: impl Into<PathBuf>, jobmanager: &str, spec: &WorkerSpec) -> Self {
        let mut arguments: Vec<OsString> = vec!["taskmanager".into(), "--jobmanager".into(), jobmanager.into()];
        for (key, value) in [
            ("taskmanager.resource-id", spec.worker.to_string()),
            ("taskmanager.numberOfTaskSlots", spec.slots.to_string()),
            ("taskmanager.memory.process.size", format!("{} b", spec.memory)),
        ] {
            arguments.extend(["-D".into(), format!("{key}={value}").into()]);
        }
        Self { program: program.into(), arguments, environment: Vec::new() }
    }
}
