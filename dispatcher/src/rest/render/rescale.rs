use flott_core::view::{JobView, RescaleCause, RescaleView, VertexRescaleView, VertexView};

use super::{
    failure::{cause, queue_status},
    signed, time_or_not_yet,
};
use crate::{
    operations::{Done, Outcome},
    rest::shapes::{
        ParallelismRange, RescaleEntry, RescaleOperation, RescaleOutcomeInfo, Rescales, ResourceRequirements,
        VertexRequirements, VertexRescale,
    },
};

/// Between how many subtasks the vertices of a job are to have.
pub fn resource_requirements(view: &JobView) -> ResourceRequirements {
    let requirement = |vertex: &VertexView| {
        let (lower_bound, upper_bound) =
            vertex.bounds.map_or((vertex.parallelism, vertex.parallelism), |bounds| (bounds.lower, bounds.upper));
        let parallelism = ParallelismRange { lower_bound, upper_bound };
        (vertex.id.to_string(), VertexRequirements { parallelism })
    };
    ResourceRequirements { vertices: view.vertices.iter().map(requirement).collect() }
}

fn vertex(vertex: &VertexRescaleView) -> VertexRescale {
    VertexRescale { id: vertex.id.to_string(), name: vertex.name.clone(), before: vertex.before, after: vertex.after }
}

/// A change of parallelism that was asked for.
pub fn rescale_operation(outcome: Option<&Outcome>) -> RescaleOperation {
    let operation = |outcome: &Outcome| {
        let done = match outcome {
            Ok(Done::Rescaled(rescaled)) => Some(rescaled),
            Ok(Done::Checkpoint(_) | Done::Savepoint(_) | Done::Disposed) | Err(_) => None,
        };
        RescaleOutcomeInfo {
            checkpoint_id: done.and_then(|done| Some(done.checkpoint?.0)),
            pause_ms: done.map(|done| done.pause_ms),
            vertices: done.map(|done| done.vertices.iter().map(vertex).collect()),
            failure_cause: outcome.as_ref().err().map(cause),
        }
    };
    let status = queue_status(if outcome.is_some() { "COMPLETED" } else { "IN_PROGRESS" });
    RescaleOperation { status, operation: outcome.map(operation) }
}

/// In Flink's words.
pub(super) const fn trigger_cause(cause: RescaleCause) -> &'static str {
    match cause {
        RescaleCause::Asked => "UPDATE_REQUIREMENT",
        RescaleCause::MoreSlots => "NEW_RESOURCE_AVAILABLE",
        RescaleCause::FewerSlots => "RECOVERABLE_FAILOVER",
    }
}

/// The changes of a job's parallelism.
pub fn rescales(view: &JobView) -> Rescales {
    let entry = |rescale: &RescaleView| RescaleEntry {
        status: match (&rescale.failure, rescale.ended_at) {
            (Some(_), _) => "FAILED",
            (None, Some(_)) => "COMPLETED",
            (None, None) => "IN_PROGRESS",
        }
        .to_owned(),
        cause: trigger_cause(rescale.cause).to_owned(),
        start_time: signed(rescale.began_at),
        end_time: time_or_not_yet(rescale.ended_at),
        stop_time: time_or_not_yet(rescale.stopped_at),
        pause_ms: rescale.pause_ms,
        checkpoint_id: rescale.checkpoint.map(|checkpoint| checkpoint.0),
        vertices: rescale.vertices.iter().map(vertex).collect(),
        failure_cause: rescale.failure.as_ref().map(cause),
    };
    Rescales { rescales: view.rescales.iter().map(entry).collect() }
}
