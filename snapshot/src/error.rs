//! Why something with checkpoints did not work.

use flott_core::{
    failure::{Domain, Failure, Kind},
    id::{CheckpointId, JobMasterEpoch},
};

use crate::manifest::ManifestError;

/// What callers can tell apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A directory that cannot be what is meant.
    #[error("{location}: {problem}")]
    Location {
        /// As it was given.
        location: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Nothing lies there.
    #[error("{0}: no checkpoint or savepoint there")]
    NotFound(String),
    /// The log of a job is not the one that the job has had.
    #[error(
        "{path}: there is {what}; is the volume not mounted, was the directory emptied, or is \
         execution.checkpointing.dir another one?"
    )]
    Vanished {
        /// The directory of the job's checkpoints.
        path: String,
        /// What there is, as far as it goes, and why there should be more.
        what: String,
    },
    /// Something that was written is not as it was written.
    #[error("{path}: {problem}")]
    Damaged {
        /// The document or state file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A newer JobMaster has begun: this one must end.
    #[error("JobMaster epoch {epoch} is deposed by epoch {by}, which is in the log of checkpoints at {at}")]
    Deposed {
        /// Who asked.
        epoch: JobMasterEpoch,
        /// Who leads.
        by: JobMasterEpoch,
        /// Where it was seen.
        at: CheckpointId,
    },
    /// The place of a checkpoint is taken by something else, though by nobody newer. A later checkpoint can be committed.
    #[error("checkpoint {checkpoint} cannot be committed: its place is taken (by JobMaster epoch {by})")]
    Taken {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Who wrote what is there.
        by: JobMasterEpoch,
    },
    /// Nobody knows whether a checkpoint was committed: not even asking worked. Its state files must be left alone.
    #[error("whether checkpoint {checkpoint} was committed is unknown")]
    Unknown {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What the last try ended with.
        #[source]
        cause: Box<Error>,
    },
    /// A manifest that must not be committed.
    #[error("manifest.{0}")]
    Invalid(#[from] ManifestError),
    /// What a state file is to hold does not fit it.
    #[error("state file {path}: {problem}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The store, or the way to it, failed.
    #[error("{operation} {path} failed: {cause}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: String,
        /// What the store said, in full.
        cause: String,
    },
}

impl Error {
    /// Whose fault.
    pub fn domain(&self) -> Domain {
        match self {
            Self::Location { .. } | Self::NotFound(_) => Domain::User,
            Self::Vanished { .. }
            | Self::Damaged { .. }
            | Self::Deposed { .. }
            | Self::Taken { .. }
            | Self::Store { .. } => Domain::Environment,
            Self::Unknown { cause, .. } => cause.domain(),
            Self::Invalid(_) | Self::Content { .. } => Domain::Internal,
        }
    }

    pub(crate) fn store(operation: &'static str, path: impl ToString, cause: &object_store::Error) -> Self {
        Self::Store { operation, path: path.to_string(), cause: in_full(cause) }
    }
}

/// An error and those under it that it does not mention itself.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = if matches!(error, Error::Damaged { .. }) { Kind::Damaged } else { Kind::Cause };
        let failure = Self { kind, ..Self::new(error.domain(), error.to_string()) };
        match std::error::Error::source(&error) {
            Some(cause) => failure.caused_by(cause),
            None => failure,
        }
    }
}
