use super::failure::{cause, queue_status};
use crate::{
    operations::{Done, Outcome},
    rest::shapes::{
        CheckpointOperation, CheckpointOutcome, DisposalOperation, DisposalOutcome, QueueStatus, SavepointOperation,
        SavepointOutcome,
    },
};

fn status(outcome: Option<&Outcome>) -> QueueStatus {
    queue_status(if outcome.is_some() { "COMPLETED" } else { "IN_PROGRESS" })
}

/// A checkpoint that was asked for.
pub fn checkpoint_operation(outcome: Option<&Outcome>) -> CheckpointOperation {
    let operation = |outcome: &Outcome| CheckpointOutcome {
        checkpoint_id: match outcome {
            Ok(Done::Checkpoint(id)) => Some(id.0),
            Ok(Done::Savepoint(_) | Done::Disposed | Done::Rescaled(_)) | Err(_) => None,
        },
        failure_cause: outcome.as_ref().err().map(cause),
    };
    CheckpointOperation { status: status(outcome), operation: outcome.map(operation) }
}

/// A savepoint that was asked for.
pub fn savepoint_operation(outcome: Option<&Outcome>) -> SavepointOperation {
    let operation = |outcome: &Outcome| SavepointOutcome {
        location: match outcome {
            Ok(Done::Savepoint(location)) => Some(location.clone()),
            Ok(Done::Checkpoint(_) | Done::Disposed | Done::Rescaled(_)) | Err(_) => None,
        },
        failure_cause: outcome.as_ref().err().map(cause),
    };
    SavepointOperation { status: status(outcome), operation: outcome.map(operation) }
}

/// The removal of a savepoint.
pub fn disposal_operation(outcome: Option<&Outcome>) -> DisposalOperation {
    let operation = |outcome: &Outcome| DisposalOutcome { failure_cause: outcome.as_ref().err().map(cause) };
    DisposalOperation { status: status(outcome), operation: outcome.map(operation) }
}
