//! Process functions of two streams.

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    snapshot::{Restored, StateSink},
    state::{OperatorStates, Progress, StateSize},
    task::{TaskInfo, TwoInputOperator},
};

use super::{keyed::KeyedDesk, process::Desk};
use crate::{
    function::{CoProcessFunction, KeyedCoProcessFunction, OpenContext, failed},
    plan::{KeyOf, Site},
};

/// A function of two streams at work.
pub(crate) struct CoProcess<F: CoProcessFunction> {
    function: F,
    states: OperatorStates,
    desk: Desk<F::Out>,
}

impl<F: CoProcessFunction> CoProcess<F> {
    pub fn new(function: F, site: &Site) -> Self {
        Self { function, states: OperatorStates::default(), desk: Desk::new(site) }
    }
}

impl<F: CoProcessFunction> TwoInputOperator<F::Left, F::Right, F::Out> for CoProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from);
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut OpenContext::new(&mut self.states, task)).map_err(failed)
    }

    fn process_left(&mut self, input: &mut Batch<F::Left>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.each(&mut states.lists, input, out, |record, ctx| function.process_left(record, ctx))
    }

    fn process_right(&mut self, input: &mut Batch<F::Right>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.each(&mut states.lists, input, out, |record, ctx| function.process_right(record, ctx))
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.pass(event, out)
    }

    fn barrier(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.apart(&mut states.lists, out, |ctx| function.before_snapshot(ctx))
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.operator(&self.states)?;
        self.desk.snapshot(into)
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.apart(&mut states.lists, out, |ctx| function.finish(ctx))
    }
}

/// A keyed function of two streams at work.
pub(crate) struct KeyedCoProcess<F: KeyedCoProcessFunction> {
    function: F,
    left: Arc<dyn KeyOf<F::Left, F::Key>>,
    right: Arc<dyn KeyOf<F::Right, F::Key>>,
    desk: KeyedDesk<F::Key, F::Out>,
}

impl<F: KeyedCoProcessFunction> KeyedCoProcess<F> {
    pub fn new(
        function: F,
        left: Arc<dyn KeyOf<F::Left, F::Key>>,
        right: Arc<dyn KeyOf<F::Right, F::Key>>,
        site: &Site,
    ) -> Self {
        Self { function, left, right, desk: KeyedDesk::new(site) }
    }
}

impl<F: KeyedCoProcessFunction> TwoInputOperator<F::Left, F::Right, F::Out> for KeyedCoProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.desk.open(task, |mut open| self.function.open(&mut open))
    }

    fn process_left(&mut self, input: &mut Batch<F::Left>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.each(&*self.left, input, out, |record, _, ctx| self.function.process_left(record, ctx))
    }

    fn process_right(&mut self, input: &mut Batch<F::Right>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.each(&*self.right, input, out, |record, _, ctx| self.function.process_right(record, ctx))
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
