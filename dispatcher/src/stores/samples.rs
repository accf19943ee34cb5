//! Values for tests of stores.

use bytes::Bytes;
use flott_core::{
    failure::Failure,
    id::{
        AllocationId, AttemptId, AttemptNumber, CheckpointId, Digest, JobId, OperatorId, SubtaskIndex, TriggerId,
        VertexId, WorkerId,
    },
    job_graph::scale::{ParallelismBounds, Scale, VertexScale},
    message::Committable,
    past::{Past, Spent},
    status::{ExecutionState, JobStatus},
    view::{Accumulator, AttemptView, ExceptionView, JobView, SubtaskView, TaskMetrics, VertexRescaleView, VertexView},
};
use flott_jobmaster::Rescaled;

use super::{ArchivedJob, Left, Leftover, NewJob, Obsolete};
use crate::operations::{AfterSavepoint, Done, OperationRecord, OperationState, Subject, Undertaken};

pub(super) fn id(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

pub(super) fn new_job(n: u8) -> NewJob {
    NewJob { job: id(n), graph: Bytes::from(vec![n; 100]), program: Digest::of(&[n]), accepted_at: 1000 - u64::from(n) }
}

pub(super) fn ended(n: u8) -> ArchivedJob {
    let failure = Failure::environment("the disk is full").because("no space left on device");
    let attempt = AttemptView {
        attempt: 1,
        state: ExecutionState::Finished,
        entered: [(ExecutionState::Running, 3), (ExecutionState::Finished, 6)].into(),
        allocation: Some(AllocationId::from_bytes([n; 16])),
        worker: Some(WorkerId("tm".into())),
        endpoint: Some("host:1234".to_owned()),
        metrics: TaskMetrics { records_in: 5, ..TaskMetrics::default() },
        failure: None,
    };
    let before =
        AttemptView { attempt: 0, state: ExecutionState::Failed, failure: Some(failure.clone()), ..attempt.clone() };
    let vertex = VertexView {
        id: vertex(),
        name: "source".to_owned(),
        parallelism: 1,
        max_parallelism: 128,
        bounds: Some(ParallelismBounds { lower: 1, upper: 4 }),
        slot_sharing_group: "default".to_owned(),
        subtasks: vec![SubtaskView { current: attempt, previous: vec![before] }],
    };
    let view = JobView {
        entered: [(JobStatus::Finished, 7)].into(),
        vertices: vec![vertex],
        exceptions: vec![ExceptionView { at: 4, failure: failure.clone(), concurrent: vec![failure] }],
        restarts: 1,
        accumulators: [("lines".to_owned(), Accumulator::LongCounter(5))].into(),
        ..JobView::ended(id(n), format!("job {n}"), JobStatus::Finished, 1, u64::from(n))
    };
    ArchivedJob { view, graph: new_job(n).graph }
}

fn vertex() -> VertexId {
    VertexId::of_chain(OperatorId::from_uid("source"))
}

pub(super) fn committable(data: &'static [u8]) -> Committable {
    let head = OperatorId::from_uid("sink");
    let attempt = AttemptId { vertex: VertexId::of_chain(head), subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
    Committable { sink: head, attempt, data: Bytes::from_static(data) }
}

pub(super) fn scale() -> Scale {
    let bounds = ParallelismBounds { lower: 1, upper: 4 };
    let vertex = VertexScale { parallelism: 3, max_parallelism: 128, bounds };
    Scale { vertices: [(self::vertex(), vertex)].into() }
}

pub(super) fn past(restarts: u32) -> Past {
    let failure = Failure::environment("torn");
    Past {
        exceptions: vec![ExceptionView { at: 2, failure: failure.clone(), concurrent: Vec::new() }],
        failure: Some(failure.clone()),
        restarts,
        spent: Spent { used: restarts, failures: vec![2], wait_ms: 50, last: Some((2, 55)) },
        damaged: [(CheckpointId(3), failure)].into(),
        ..Past::default()
    }
}

pub(super) fn undertaken(n: u8, at: u64) -> OperationRecord {
    let what = Undertaken::Savepoint { directory: format!("/savepoints/{n}"), then: AfterSavepoint::Stop };
    let id = TriggerId::from_bytes([n; 16]);
    OperationRecord { subject: Subject::Savepoint(self::id(1)), id, at, state: OperationState::Undertaken(what) }
}

pub(super) fn obsolete() -> Obsolete {
    Obsolete { root: "/checkpoints".to_owned(), spares_results: true }
}

/// What is left of a savepoint.
pub(super) fn savepoint_left() -> Leftover {
    Leftover { job: id(1), what: Left::Savepoint { directory: "/savepoints/3".to_owned() } }
}

/// One of each sort.
pub(super) fn operations() -> Vec<OperationRecord> {
    let job = id(1);
    let failure = Failure::environment("the disk is full");
    let vertices = vec![VertexRescaleView { id: vertex(), name: "source".to_owned(), before: 2, after: 4 }];
    let rescaled = Rescaled { vertices, checkpoint: Some(CheckpointId(7)), pause_ms: 900 };
    let savepoint =
        |then| OperationState::Undertaken(Undertaken::Savepoint { directory: "/savepoints/1".to_owned(), then });
    let states = [
        (Subject::Savepoint(job), savepoint(AfterSavepoint::GoOn)),
        (Subject::Savepoint(job), savepoint(AfterSavepoint::Cancel)),
        (Subject::Savepoint(job), savepoint(AfterSavepoint::Stop)),
        (Subject::Savepoint(job), savepoint(AfterSavepoint::Drain)),
        (Subject::Checkpoint(job), OperationState::Undertaken(Undertaken::Other)),
        (Subject::Checkpoint(job), OperationState::Ended(Ok(Done::Checkpoint(CheckpointId(5))))),
        (Subject::Savepoint(job), OperationState::Ended(Ok(Done::Savepoint("/savepoints/2".to_owned())))),
        (Subject::Disposal, OperationState::Ended(Ok(Done::Disposed))),
        (Subject::Rescale(job), OperationState::Ended(Ok(Done::Rescaled(rescaled)))),
        (Subject::Rescale(job), OperationState::Ended(Err(failure))),
    ];
    let record = |(n, (subject, state)): (u8, _)| OperationRecord {
        subject,
        id: TriggerId::from_bytes([n; 16]),
        at: n.into(),
        state,
    };
    (1..).zip(states).map(record).collect()
}
