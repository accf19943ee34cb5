//! Process functions with a key and its state.

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::{Progress, StateSize},
    task::TaskInfo,
};

use super::keyed::KeyedDesk;
use crate::{
    function::KeyedProcessFunction,
    plan::{KeyOf, Site},
};

/// A keyed process function at work.
pub(crate) struct KeyedProcess<F: KeyedProcessFunction> {
    function: F,
    keys_of: Arc<dyn KeyOf<F::In, F::Key>>,
    desk: KeyedDesk<F::Key, F::Out>,
}

impl<F: KeyedProcessFunction> KeyedProcess<F> {
    pub fn new(function: F, keys_of: Arc<dyn KeyOf<F::In, F::Key>>, site: &Site) -> Self {
        Self { function, keys_of, desk: KeyedDesk::new(site) }
    }
}

impl<F: KeyedProcessFunction> Operator<F::In, F::Out> for KeyedProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.desk.open(task, |mut open| self.function.open(&mut open))
    }

    fn process(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.each(&*self.keys_of, input, out, |record, _, ctx| self.function.process(record, ctx))
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.event(event, out)
    }

    fn resume(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        self.desk.resume(out, |timer, _, ctx| self.function.on_timer(timer, ctx))
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.time(now);
        Ok(())
    }

    fn barrier(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.apart(out, |_, ctx| self.function.before_snapshot(ctx))
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        self.desk.snapshot_more(into)
    }

    fn drain(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        self.desk.drain(out, |timer, _, ctx| self.function.on_timer(timer, ctx))
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.apart(out, |_, ctx| self.function.finish(ctx))
    }

    fn state_size(&self) -> StateSize {
        self.desk.state_size()
    }
}
