//! Process functions of two streams.

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    snapshot::{Restored, StateSink},
    state::{OperatorStates, Progress, StateSize, States},
    task::{TaskInfo, TwoInputOperator},
};

use super::{firing::Firing, process::Desk};
use crate::{
    function::{CoProcessFunction, KeyedCoProcessFunction, KeyedOpen, OpenContext, failed},
    plan::{KeyOf, Keys, Site},
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
        desk.with(&mut states.lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process_left(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn process_right(&mut self, input: &mut Batch<F::Right>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.with(&mut states.lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process_right(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
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
    keys: Keys<F::Key>,
    states: States<F::Key>,
    desk: Desk<F::Out>,
    firing: Firing<F::Key>,
}

impl<F: KeyedCoProcessFunction> KeyedCoProcess<F> {
    pub fn new(
        function: F,
        left: Arc<dyn KeyOf<F::Left, F::Key>>,
        right: Arc<dyn KeyOf<F::Right, F::Key>>,
        site: &Site,
    ) -> Self {
        let (keys, states) = (Keys::default(), States::default());
        Self { function, left, right, keys, states, desk: Desk::new(site), firing: Firing::default() }
    }
}

impl<F: KeyedCoProcessFunction> TwoInputOperator<F::Left, F::Right, F::Out> for KeyedCoProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from)?;
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut KeyedOpen::new(&mut self.states, task)).map_err(failed)?;
        Firing::set_alarm(&mut self.states.keyed, task);
        Ok(())
    }

    fn process_left(&mut self, input: &mut Batch<F::Left>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, left, keys, states: States { keyed, operator }, desk, .. } = self;
        keys.take(&**left, input);
        keyed.timers().hear(&input.timestamps);
        desk.with_keyed(keyed, &mut operator.lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                function.process_left(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })?;
        Firing::set_alarm(keyed, &desk.task);
        Ok(())
    }

    fn process_right(&mut self, input: &mut Batch<F::Right>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, right, keys, states: States { keyed, operator }, desk, .. } = self;
        keys.take(&**right, input);
        keyed.timers().hear(&input.timestamps);
        desk.with_keyed(keyed, &mut operator.lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                function.process_right(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })?;
        Firing::set_alarm(keyed, &desk.task);
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.firing.event(event, &mut self.states.keyed, &mut self.desk, out)
    }

    fn resume(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Self { function, states: States { keyed, operator }, desk, firing, .. } = self;
        firing.resume(keyed, &mut operator.lists, desk, out, |timer, ctx| function.on_timer(timer, ctx))
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<F::Out>) -> TaskResult {
        self.firing.time(now, &mut self.states.keyed);
        Ok(())
    }

    fn barrier(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk, .. } = self;
        desk.apart(&mut states.operator.lists, out, |ctx| function.before_snapshot(ctx))
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.states(&mut self.states)?;
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more(&mut self.states.keyed)
    }

    fn drain(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Self { function, states: States { keyed, operator }, desk, firing, .. } = self;
        firing.drain(keyed, &mut operator.lists, desk, out, |timer, ctx| function.on_timer(timer, ctx))
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk, .. } = self;
        desk.apart(&mut states.operator.lists, out, |ctx| function.finish(ctx))
    }

    fn state_size(&self) -> StateSize {
        self.states.keyed.size()
    }
}
