//! Settings of windows: trigger, evictor, lateness.

use std::time::Duration;

use flott_runtime::batch::{Data, Key};

use super::{WindowedStream, note};
use crate::{
    function::OutputTag,
    operator::Late,
    window::{AnyEvictor, Evictor, Trigger, WindowAssigner, millis},
};

impl<K, T, A, Tr> WindowedStream<K, T, A, Tr>
where
    K: Key,
    T: Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
{
    /// Has windows give results when `trigger` says so, and only then: it takes the place of the one before.
    pub fn trigger<N: Trigger<T, A::Window>>(self, trigger: N) -> WindowedStream<K, T, A, N> {
        let Self { stream, keys, single, assigner, evictor, lateness_ms, late, .. } = self;
        let mut problem = trigger.problem();
        if assigner.merges() && !trigger.can_merge() {
            problem.get_or_insert_with(|| format!("it cannot be used where windows merge, as {}", assigner.describe()));
        }
        note(&stream.env, trigger.describe(), problem);
        WindowedStream { stream, keys, single, assigner, trigger, evictor, lateness_ms, late }
    }

    /// Has an evictor take records out of windows when they fire. Windows then keep all their records, even where they
    /// would be reduced or aggregated as they come.
    #[must_use]
    pub fn evictor(mut self, evictor: impl Evictor<T, A::Window>) -> Self {
        note(&self.stream.env, evictor.describe(), evictor.problem());
        self.evictor = Some(AnyEvictor::new(evictor));
        self
    }

    /// Has windows take records for so long after their end. With the default trigger each such record gives a result
    /// anew. Without this they take none. It means nothing where windows end in processing time.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.lateness_ms = millis(lateness);
        self
    }

    /// Gives records that are too late for all their windows to a side output, which is read from the stream of results.
    /// Without it they are dropped, and counted by the job's accumulator `numLateRecordsDropped`.
    #[must_use]
    pub fn side_output_late_data(mut self, tag: &OutputTag<T>) -> Self {
        self.late = Late::to(tag);
        self
    }
}
