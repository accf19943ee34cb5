//! Why a JobMaster cannot be started or asked.

use flott_core::failure::Failure;

/// A job graph that cannot be run with this configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobMasterError {
    /// There is nothing to run.
    #[error("job {job:?} has no vertices")]
    Empty {
        /// Name of the job.
        job: String,
    },
    /// Two vertices have one id.
    #[error("vertex {vertex:?} has the id of another vertex")]
    DuplicateVertex {
        /// Name of the second one.
        vertex: String,
    },
    /// A vertex would have no subtasks, or more than it has key groups.
    #[error("parallelism of vertex {vertex:?} must be between 1 and its maximum parallelism {max}, not {parallelism}")]
    Parallelism {
        /// Name.
        vertex: String,
        /// What was asked for.
        parallelism: u32,
        /// Key groups.
        max: u32,
    },
    /// More or fewer key groups than can be.
    #[error("maximum parallelism of vertex {vertex:?} must be between 1 and 32768, not {given}")]
    MaxParallelism {
        /// Name.
        vertex: String,
        /// What was asked for.
        given: u32,
    },
    /// More subtasks than one JobMaster takes on.
    #[error("the job has {subtasks} subtasks, and at most {max} can be run")]
    TooLarge {
        /// All of the job.
        subtasks: u64,
        /// The bound.
        max: u64,
    },
    /// An edge names a vertex that does not exist.
    #[error("edge {edge} connects a vertex that is not in the graph")]
    DanglingEdge {
        /// Place in the graph.
        edge: u32,
    },
    /// Subtask i to subtask i, but the numbers differ.
    #[error(
        "forward edge {edge} connects {source_name:?} with parallelism {source_parallelism} and {target_name:?} with \
         parallelism {target_parallelism}; they must be equal"
    )]
    Forward {
        /// Place in the graph.
        edge: u32,
        /// Producing vertex.
        source_name: String,
        /// Its parallelism.
        source_parallelism: u32,
        /// Consuming vertex.
        target_name: String,
        /// Its parallelism.
        target_parallelism: u32,
    },
    /// A snapshot holds state that nothing in the job asks for.
    #[error(
        "the snapshot holds state of {vertex:?}, which the job does not have; give operators the uids that they had, or start with -n \
         (--allowNonRestoredState) to leave it behind"
    )]
    Unclaimed {
        /// Name of the vertex in the snapshot.
        vertex: String,
    },
    /// A snapshot to start from holds what a sink is to make visible that the job does not have.
    #[error(
        "the snapshot holds results of sink {sink:?}, which the job does not have to make them visible; give it the uid that it had, or \
         start with -n (--allowNonRestoredState) to leave behind those that are not visible yet"
    )]
    NoSink {
        /// Name of the sink in the snapshot.
        sink: String,
    },
    /// The key groups of a vertex are not those of its state.
    #[error("state of vertex {vertex:?} has maximum parallelism {stored}, and the job has {now}; it cannot change")]
    KeyGroups {
        /// Name.
        vertex: String,
        /// Of the state.
        stored: u32,
        /// Of the job.
        now: u32,
    },
}

impl From<JobMasterError> for Failure {
    /// The program's fault, and a restart does not help.
    fn from(error: JobMasterError) -> Self {
        Self::user(error.to_string()).fatal()
    }
}

/// The JobMaster was stopped before its job had ended, so there is nobody to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the JobMaster of job {job} has stopped")]
pub struct Stopped {
    /// The job.
    pub job: flott_core::id::JobId,
}
