//! What is checked of a job before it is accepted. Pure; reads the given bytes and nothing else.

use flott_core::{
    config::{
        ConfigError, Configuration,
        keys::{
            adaptive::{self, SchedulerMode},
            pipeline,
        },
    },
    id::Digest,
    job_graph::{
        ExecutionMode, JobGraph,
        check::{GraphError, check_with_default},
        document::{self, DocumentError},
        host_target,
    },
};

/// Why a job is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// The document cannot be read.
    #[error("the job graph is refused: {0}")]
    Document(#[from] DocumentError),
    /// The graph does not fit this cluster's settings.
    #[error("the job graph is refused: graph.{0}")]
    Graph(#[from] GraphError),
    /// The job's configuration is wrong.
    #[error("the job graph is refused: {0}")]
    Configuration(#[from] ConfigError),
    /// The program was built for another platform.
    #[error("the program was built for {found}, and this cluster runs {host}; build it for {host}")]
    Platform {
        /// What it was built for.
        found: String,
        /// What runs here.
        host: String,
    },
    /// The program that came with the graph is another one.
    #[error("the program does not belong to the job graph: it hashes to {actual}, and the graph names {expected}")]
    Program {
        /// What the graph names.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// No program came with the graph, and none is stored.
    #[error(
        "the job graph names the program {digest} ({file_name}), which was not sent with it and is not stored here"
    )]
    NoProgram {
        /// What the graph names.
        digest: Digest,
        /// Its file name.
        file_name: String,
    },
    /// A job that takes every slot there is, where others want some.
    #[error(
        "the job graph is refused: scheduler-mode: a job in reactive mode takes every slot that comes, and needs a cluster of its own; in a \
         session, give a job bounds (resource-requirements)"
    )]
    Reactive,
    /// The file cannot be run.
    #[error("the program {file_name} cannot be run: {cause}")]
    Executable {
        /// Its file name.
        file_name: String,
        /// What it is.
        cause: crate::executable::ExecutableError,
    },
}

/// A job that may be accepted.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The graph.
    pub graph: JobGraph,
    /// The cluster's configuration, overlaid with the job's.
    pub configuration: Configuration,
    /// Parallelism of vertices that name none.
    pub default_parallelism: u32,
}

/// Reads and checks a `job.graph` document for a cluster of this configuration on this host.
///
/// # Errors
/// [`SubmissionError`], the first problem found.
pub fn check(document: &[u8], cluster: &Configuration) -> Result<Checked, SubmissionError> {
    let graph = document::read(document)?;
    let host = host_target();
    if graph.program.target != host {
        return Err(SubmissionError::Platform { found: graph.program.target, host });
    }
    let (configuration, default_parallelism) = effective(&graph, cluster)?;
    check_with_default(&graph, default_parallelism)?;
    Ok(Checked { graph, configuration, default_parallelism })
}

/// Whether a job is to have as many subtasks as there are slots for.
pub fn is_reactive(graph: &JobGraph, configuration: &Configuration) -> bool {
    graph.mode == ExecutionMode::Streaming
        && configuration.get(&adaptive::SCHEDULER_MODE) == Some(SchedulerMode::Reactive)
}

/// The configuration that a job runs with, and the parallelism of vertices that name none.
///
/// # Errors
/// [`ConfigError`] for an unknown key or a bad value in the job's part.
pub fn effective(graph: &JobGraph, cluster: &Configuration) -> Result<(Configuration, u32), ConfigError> {
    let mut configuration = cluster.clone();
    configuration.merge(&Configuration::try_from(graph.configuration.clone())?);
    let default_parallelism = configuration.get(&pipeline::DEFAULT_PARALLELISM);
    Ok((configuration, default_parallelism))
}
