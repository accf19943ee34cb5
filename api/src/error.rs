//! Why a program cannot run as a job, or did not run to its end.

use std::path::PathBuf;

use flott_core::{config::ConfigError, failure::Failure, id::JobId, job_graph::check::GraphError};
use flott_runtime::time::TimeDelta;

/// Outcome of everything that a program asks of its [`Environment`](crate::Environment).
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a job could not be run, or did not finish.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the program has put together is no job.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The job failed.
    #[error("{}", .0.report())]
    Failed(Box<Failure>),
    /// The job was cancelled.
    #[error("job {0} was cancelled")]
    Canceled(JobId),
    /// A file that Flott itself needs cannot be read or written.
    #[error("cannot {action} {path:?}: {error}")]
    File {
        /// What was tried, as `read`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// What the runtime told the program in its environment makes no sense.
    #[error("{variable}: {problem}")]
    Environment {
        /// The environment variable, or the file it names.
        variable: String,
        /// What is wrong.
        problem: String,
    },
    /// A collected result cannot be read as the type that it was collected as.
    #[error("collected result {name:?}: {problem}")]
    Collected {
        /// Name of the sink.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl Error {
    /// The failure that ended the job, if it is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl From<Box<Failure>> for Error {
    fn from(failure: Box<Failure>) -> Self {
        Self::Failed(failure)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// What a program has put together is no job. The message names the operator and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Nothing was built.
    #[error("the job {0:?} has no sources: read something with one of the environment's sources before `execute`")]
    NoSources(String),
    /// Nobody would see a result.
    #[error("the job {0:?} has no sinks: end at least one stream with a sink, for example `print` or `discard`")]
    NoSinks(String),
    /// Two operators would share state and identity.
    #[error("uid {uid:?} is given to both {first:?} and {second:?}; uids must be unique in a job")]
    DuplicateUid {
        /// The uid.
        uid: String,
        /// Operator that has it.
        first: String,
        /// Operator that was given it too.
        second: String,
    },
    /// Out of range.
    #[error("parallelism of {operator:?} must be between 1 and 32768, not {given}")]
    Parallelism {
        /// The operator, or `the environment`.
        operator: String,
        /// What was asked for.
        given: u32,
    },
    /// Out of range.
    #[error("maximum parallelism of {operator:?} must be between 1 and 32768, not {given}")]
    MaxParallelism {
        /// The operator, or `the environment`.
        operator: String,
        /// What was asked for.
        given: u32,
    },
    /// More subtasks than key groups.
    #[error("parallelism {parallelism} of {operator:?} exceeds its maximum parallelism {max}")]
    AboveMax {
        /// The operator.
        operator: String,
        /// Its parallelism.
        parallelism: u32,
        /// Its bound.
        max: u32,
    },
    /// Subtask i to subtask i, but there are not as many.
    #[error(
        "forward from {from:?} to {to:?} needs equal parallelism, but it is {from_parallelism} and {to_parallelism}"
    )]
    Forward {
        /// Producer.
        from: String,
        /// Consumer.
        to: String,
        /// Of the producer.
        from_parallelism: String,
        /// Of the consumer.
        to_parallelism: String,
    },
    /// An operator that can only have one subtask was given more.
    #[error("{operator:?} cannot run in parallel: its parallelism must be 1, not {given}")]
    NotParallel {
        /// The operator.
        operator: String,
        /// What was asked for.
        given: u32,
    },
    /// A setting was made on something that is no operator.
    #[error("`{setting}` must follow an operator, and not a union, a partitioning or a side output")]
    NoOperator {
        /// The method.
        setting: &'static str,
    },
    /// A setting for sources was made on something else.
    #[error("`{setting}` must come right behind a source, and not behind {operator:?}")]
    NoSource {
        /// The method.
        setting: &'static str,
        /// The operator.
        operator: String,
    },
    /// A stream cannot be held back.
    #[error(
        "watermark alignment is for the strategies of sources, and {operator:?} is none: use `source_watermarks` or \
         `from_source_with_watermarks`"
    )]
    Alignment {
        /// The operator.
        operator: String,
    },
    /// Streams of different environments were combined.
    #[error("`{0}` combines streams of two environments")]
    Mixed(&'static str),
    /// Two sinks would overwrite each other.
    #[error("{first:?} and {second:?} write to the same directory {directory:?}")]
    SameDirectory {
        /// A sink.
        first: String,
        /// Another.
        second: String,
        /// Where both write.
        directory: PathBuf,
    },
    /// An interval without any times in it.
    #[error("the lower bound {lower} of an interval join is above its upper bound {upper}")]
    IntervalBounds {
        /// What was given as the lower bound.
        lower: TimeDelta,
        /// What was given as the upper bound.
        upper: TimeDelta,
    },
    /// A side output carries two types.
    #[error("side output {tag:?} of {operator:?} is read as {first} and as {second}")]
    SideOutputType {
        /// Name of the tag.
        tag: String,
        /// The operator.
        operator: String,
        /// One type.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// Windows that cannot be.
    #[error("{what} is not possible: {problem}")]
    Window {
        /// The assigner, trigger or evictor.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Asynchronous calls cannot be made in this way.
    #[error("asynchronous calls of {operator:?}: {problem}")]
    Calls {
        /// The operator.
        operator: String,
        /// What is wrong, and what would be right.
        problem: &'static str,
    },
    /// A configuration key is unknown, or its value does not fit.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// Collected data that cannot travel.
    #[error("elements of {operator:?} cannot be encoded: {problem}")]
    Elements {
        /// The source.
        operator: String,
        /// Why not.
        problem: String,
    },
    /// `execute` was called a second time.
    #[error(
        "`execute` was called twice: a program is one job, and on a cluster only the first would run; \
         use `Environment::local` for several jobs that always run within the program"
    )]
    ExecutedTwice,
    /// The graph breaks a rule of the document that it would be written to.
    #[error("the job graph is not valid: {0}")]
    Graph(#[from] GraphError),
}
