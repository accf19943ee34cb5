//! Process functions of a stream and a broadcast one.

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
    function::{
        BroadcastOpen, BroadcastProcessFunction, KeyedBroadcastContext, KeyedBroadcastOpen,
        KeyedBroadcastProcessFunction, KeyedOpen, failed,
    },
    plan::{KeyOf, Keys, Site},
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
        desk.with(lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process(record, broadcast, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn process_right(&mut self, input: &mut Batch<F::Broadcast>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states: OperatorStates { lists, broadcast, .. }, desk } = self;
        desk.with(lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process_broadcast(record, broadcast, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
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
    keys: Keys<F::Key>,
    states: States<F::Key>,
    desk: Desk<F::Out>,
    firing: Firing<F::Key>,
}

impl<F: KeyedBroadcastProcessFunction> KeyedBroadcastProcess<F> {
    pub fn new(function: F, keys_of: Arc<dyn KeyOf<F::In, F::Key>>, site: &Site) -> Self {
        Self {
            function,
            keys_of,
            keys: Keys::default(),
            states: States::default(),
            desk: Desk::new(site),
            firing: Firing::default(),
        }
    }
}

impl<F: KeyedBroadcastProcessFunction> TwoInputOperator<F::In, F::Broadcast, F::Out> for KeyedBroadcastProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from)?;
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        let keyed = KeyedOpen::new(&mut self.states, task);
        self.function.open(&mut KeyedBroadcastOpen::new(keyed)).map_err(failed)?;
        Firing::set_alarm(&mut self.states.keyed, task);
        Ok(())
    }

    fn process_left(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, keys_of, keys, states, desk, .. } = self;
        let States { keyed, operator: OperatorStates { lists, broadcast, .. } } = states;
        keys.take(&**keys_of, input);
        keyed.timers().hear(&input.timestamps);
        desk.with_keyed(keyed, lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                function.process(record, broadcast, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })?;
        Firing::set_alarm(keyed, &desk.task);
        Ok(())
    }

    fn process_right(&mut self, input: &mut Batch<F::Broadcast>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk, .. } = self;
        let States { keyed, operator: OperatorStates { lists, broadcast, .. } } = states;
        desk.with_keyed(keyed, lists, out, |ctx| {
            let mut ctx = KeyedBroadcastContext::new(ctx);
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process_broadcast(record, broadcast, &mut ctx).map_err(failed)?;
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
        let Self { function, states, desk, firing, .. } = self;
        let States { keyed, operator: OperatorStates { lists, broadcast, .. } } = states;
        firing.resume(keyed, lists, desk, out, |timer, ctx| function.on_timer(timer, broadcast, ctx))
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<F::Out>) -> TaskResult {
        self.firing.time(now, &mut self.states.keyed);
        Ok(())
    }

    fn barrier(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk, .. } = self;
        let OperatorStates { lists, broadcast, .. } = &mut states.operator;
        desk.apart(lists, out, |ctx| function.before_snapshot(broadcast, ctx))
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.states(&mut self.states)?;
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more(&mut self.states.keyed)
    }

    fn drain(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Self { function, states, desk, firing, .. } = self;
        let States { keyed, operator: OperatorStates { lists, broadcast, .. } } = states;
        firing.drain(keyed, lists, desk, out, |timer, ctx| function.on_timer(timer, broadcast, ctx))
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk, .. } = self;
        let OperatorStates { lists, broadcast, .. } = &mut states.operator;
        desk.apart(lists, out, |ctx| function.finish(broadcast, ctx))
    }

    fn state_size(&self) -> StateSize {
        self.states.keyed.size()
    }
}
