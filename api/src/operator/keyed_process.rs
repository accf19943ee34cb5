//! Process functions with a key and its state.

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
    state::{KeyedStates, StateSize},
    task::TaskInfo,
};

use super::{firing::Firing, process::Desk};
use crate::{
    function::{KeyedOpen, KeyedProcessFunction, failed},
    plan::{KeyOf, Keys, Site},
};

/// A keyed process function at work.
pub(crate) struct KeyedProcess<F: KeyedProcessFunction> {
    function: F,
    keys_of: Arc<dyn KeyOf<F::In, F::Key>>,
    keys: Keys<F::Key>,
    states: KeyedStates<F::Key>,
    desk: Desk<F::Out>,
    firing: Firing<F::Key>,
}

impl<F: KeyedProcessFunction> KeyedProcess<F> {
    pub fn new(function: F, keys_of: Arc<dyn KeyOf<F::In, F::Key>>, site: &Site) -> Self {
        Self {
            function,
            keys_of,
            keys: Keys::default(),
            states: KeyedStates::default(),
            desk: Desk::new(site),
            firing: Firing::default(),
        }
    }
}

impl<F: KeyedProcessFunction> Operator<F::In, F::Out> for KeyedProcess<F> {
    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut KeyedOpen::new(&mut self.states, task)).map_err(failed)
    }

    fn process(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, keys_of, keys, states, desk, .. } = self;
        keys.take(&**keys_of, input);
        desk.with_states(states, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                function.process(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })?;
        Firing::set_alarm(states, &desk.task);
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.firing.event(event, &mut self.states, &mut self.desk, out)
    }

    fn resume(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Self { function, states, desk, firing, .. } = self;
        firing.resume(states, desk, out, |timer, ctx| function.on_timer(timer, ctx))
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<F::Out>) -> TaskResult {
        self.firing.time(now, &mut self.states);
        Ok(())
    }

    fn drain(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult<Drained> {
        let Self { function, states, desk, firing, .. } = self;
        firing.drain(states, desk, out, |timer, ctx| function.on_timer(timer, ctx))
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let function = &mut self.function;
        self.desk.finish(out, |ctx| function.finish(ctx).map_err(failed))
    }

    fn state_size(&self) -> StateSize {
        self.states.size()
    }
}
