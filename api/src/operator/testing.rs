//! What unit tests of operators share.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll},
};

use flott_core::id::{AttemptId, AttemptNumber, JobId, OperatorId, SubtaskIndex, VertexId, WorkerId};
use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{OperatorName, Output},
    task::TaskInfo,
};

use crate::plan::Site;

/// The place of an operator in a task that does not exist.
pub(crate) fn site() -> Site {
    let vertex = VertexId::from_bytes([1; 16]);
    let task = TaskInfo {
        job: JobId::from_bytes([1; 16]),
        job_name: "test".into(),
        vertex,
        task_name: "test".into(),
        attempt: AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) },
        parallelism: 1,
        max_parallelism: 128,
        worker: WorkerId("worker".into()),
        configuration: BTreeMap::new(),
        accumulators: Default::default(),
        figures: Default::default(),
        clock: Default::default(),
        alarm: Default::default(),
    };
    let name = OperatorName { id: OperatorId::from_bytes([1; 16]), name: "test".into() };
    Site { name, task: Arc::new(task), sides: None }
}

/// Keeps records with their timestamps, and events, in order.
pub(crate) struct Recorder<T> {
    pub items: Vec<Result<(T, Option<Timestamp>), Event>>,
}

impl<T> Default for Recorder<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T: Send> Output<T> for Recorder<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let mut timestamps = batch.timestamps.drain(..);
        self.items.extend(batch.records.drain(..).map(|record| Ok((record, timestamps.next()))));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.items.push(Err(event));
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, bytes::Bytes)>) -> TaskResult {
        Ok(())
    }
}
