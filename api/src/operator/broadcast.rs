//! Process functions of a stream and a broadcast one.

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
    function::{
        BroadcastOpen, BroadcastProcessFunction, KeyedBroadcastContext, KeyedBroadcastOpen,
        KeyedBroadcastProcessFunction, failed,
    },
    plan::{KeyOf, Site},
};

/// A broadcast function at work. The broadcast stream is its second input.
pub(crate) struct BroadcastProcess<F: BroadcastProcessFunction> {
    function: F,
    states: OperatorStates,
    desk: Desk<F::Out>,
}

impl<F: BroadcastProcessFunction> BroadcastProcess<F> {
    pub fn new(function: F, site: &Site) -> Self {
        Self { function, states: OperatorStates::default(), desk: Desk::new(site) }
    }
}

impl<F: BroadcastProcessFunction> TwoInputOperator<F::In, F::Broadcast, F::Out> for BroadcastProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from);
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut BroadcastOpen::new(&mut self.states, task)).map_err(failed)
    }

    fn process_left(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states: OperatorStates { lists, broadcast, .. }, desk } = self;
        desk.each(lists, input, out, |record, ctx| function.process(record, broadcast, ctx))
    }

    fn process_right(&mut self, input: &mut Batch<F::Broadcast>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states: OperatorStates { lists, broadcast, .. }, desk } = self;
        desk.each(lists, input, out, |record, ctx| function.process_broadcast(record, broadcast, ctx))
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.pass(event, out)
    }

    fn barrier(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states: OperatorStates { lists, broadcast, .. }, desk } = self;
        desk.apart(lists, out, |ctx| function.before_snapshot(broadcast, ctx))
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.operator(&self.states)?;
        self.desk.snapshot(into)
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states: OperatorStates { lists, broadcast, .. }, desk } = self;
        desk.apart(lists, out, |ctx| function.finish(broadcast, ctx))
    }
}

/// A keyed broadcast function at work. The broadcast stream is its second input.
pub(crate) struct KeyedBroadcastProcess<F: KeyedBroadcastProcessFunction> {
    function: F,
    keys_of: Arc<dyn KeyOf<F::In, F::Key>>,
    desk: KeyedDesk<F::Key, F::Out>,
}

impl<F: KeyedBroadcastProcessFunction> KeyedBroadcastProcess<F> {
    pub fn new(function: F, keys_of: Arc<dyn KeyOf<F::In, F::Key>>, site: &Site) -> Self {
        Self { function, keys_of, desk: KeyedDesk::new(site) }
    }
}

impl<F: KeyedBroadcastProcessFunction> TwoInputOperator<F::In, F::Broadcast, F::Out> for KeyedBroadcastProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.desk.open(task, |keyed| self.function.open(&mut KeyedBroadcastOpen::new(keyed)))
    }

    fn process_left(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, keys_of, desk } = self;
        desk.each(&**keys_of, input, out, |record, broadcast, ctx| function.process(record, broadcast, ctx))
    }

    fn process_right(&mut self, input: &mut Batch<F::Broadcast>, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.batch(out, |_, broadcast, ctx| {
            let mut ctx = KeyedBroadcastContext::new(ctx);
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                self.function.process_broadcast(record, broadcast, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.event(event, out)
    }

    fn resume(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        self.desk.resume(out, |timer, broadcast, ctx| self.function.on_timer(timer, broadcast, ctx))
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.time(now);
        Ok(())
    }

    fn barrier(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.apart(out, |broadcast, ctx| self.function.before_snapshot(broadcast, ctx))
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        self.desk.snapshot_more(into)
    }

    fn drain(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        self.desk.drain(out, |timer, broadcast, ctx| self.function.on_timer(timer, broadcast, ctx))
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.apart(out, |broadcast, ctx| self.function.finish(broadcast, ctx))
    }

    fn state_size(&self) -> StateSize {
        self.desk.state_size()
    }
}
