//! What unit tests share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Wake, Waker},
};

use flott_core::id::{AttemptId, AttemptNumber, JobId, OperatorId, SubtaskIndex, VertexId, WorkerId};

use crate::{output::OperatorName, task::TaskInfo, time::Clock};

/// A name for an operator.
pub(crate) fn named_operator(name: &str) -> OperatorName {
    OperatorName { id: OperatorId::from_bytes([1; 16]), name: name.into() }
}

/// A task that does not exist.
pub(crate) fn task() -> Arc<TaskInfo> {
    task_with(Clock::System, &[])
}

/// As [`task`], with a clock and a configuration.
pub(crate) fn task_with(clock: Clock, configuration: &[(&str, &str)]) -> Arc<TaskInfo> {
    let vertex = VertexId::from_bytes([1; 16]);
    Arc::new(TaskInfo {
        job: JobId::from_bytes([1; 16]),
        job_name: "test".into(),
        vertex,
        task_name: "test".into(),
        attempt: AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) },
        parallelism: 1,
        max_parallelism: 128,
        worker: WorkerId("worker".into()),
        configuration: configuration.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        accumulators: Default::default(),
        figures: Default::default(),
        clock,
        alarm: Default::default(),
        snapshots: Default::default(),
    })
}

/// A task that counts how often it is woken.
#[derive(Default)]
pub(crate) struct Sleeper(AtomicUsize);

impl Sleeper {
    pub fn new() -> (Arc<Self>, Waker) {
        let sleeper = Arc::<Self>::default();
        (sleeper.clone(), sleeper.into())
    }

    /// Wake-ups since the last question.
    pub fn woken(&self) -> usize {
        self.0.swap(0, SeqCst)
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
