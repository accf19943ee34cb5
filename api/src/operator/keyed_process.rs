//! Process functions with a key and its state.

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::{Progress, StateSize, States},
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
    states: States<F::Key>,
    desk: Desk<F::Out>,
    firing: Firing<F::Key>,
}

impl<F: KeyedProcessFunction> KeyedProcess<F> {
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

impl<F: KeyedProcessFunction> Operator<F::In, F::Out> for KeyedProcess<F> {
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from)?;
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut KeyedOpen::new(&mut self.states, task)).map_err(failed)?;
        Firing::set_alarm(&mut self.states.keyed, task);
        Ok(())
    }

    fn process(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, keys_of, keys, states: States { keyed, operator }, desk, .. } = self;
        keys.take(&**keys_of, input);
        keyed.timers().hear(&input.timestamps);
        desk.with_keyed(keyed, &mut operator.lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                function.process(record, &mut ctx).map_err(failed)?;
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
