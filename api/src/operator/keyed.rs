//! What process functions with a key have in common, be it of one stream or of two.

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    snapshot::{Restored, StateSink},
    state::{BroadcastStates, OperatorStates, Progress, StateSize, States},
    task::TaskInfo,
};

use super::{firing::Firing, process::Desk};
use crate::{
    function::{Context, FunctionResult, KeyedContext, KeyedOpen, Timer, failed},
    plan::{KeyOf, Keys, Site},
};

/// What an operator has beside its function. Whatever is called with a key, a timer or at no record may look at broadcast state,
/// of which there is none but in a broadcast function; who works on a [batch](Self::batch) by itself may change it.
pub(super) struct KeyedDesk<K, Out> {
    keys: Keys<K>,
    states: States<K>,
    desk: Desk<Out>,
    firing: Firing<K>,
}

impl<K: Key, Out> KeyedDesk<K, Out> {
    pub fn new(site: &Site) -> Self {
        Self { keys: Keys::default(), states: States::default(), desk: Desk::new(site), firing: Firing::default() }
    }

    pub fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from)?;
        self.desk.restore(from)
    }

    pub fn open(&mut self, task: &Arc<TaskInfo>, open: impl FnOnce(KeyedOpen<'_, K>) -> FunctionResult) -> TaskResult {
        open(KeyedOpen::new(&mut self.states, task)).map_err(failed)?;
        Firing::set_alarm(&mut self.states.keyed, task);
        Ok(())
    }

    /// Calls `process` for each record with its key at hand.
    #[inline]
    pub fn each<T>(
        &mut self,
        keys_of: &dyn KeyOf<T, K>,
        input: &mut Batch<T>,
        out: &mut dyn Output<Out>,
        mut process: impl FnMut(T, &BroadcastStates, &mut KeyedContext<'_, K, Out>) -> FunctionResult,
    ) -> TaskResult {
        self.keys.take(keys_of, input);
        self.states.keyed.timers().hear(&input.timestamps);
        self.batch(out, |keys, broadcast, mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                process(record, broadcast, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    /// Lets `work` have a context for one batch.
    #[inline]
    pub fn batch(
        &mut self,
        out: &mut dyn Output<Out>,
        work: impl FnOnce(&mut Keys<K>, &mut BroadcastStates, KeyedContext<'_, K, Out>) -> TaskResult,
    ) -> TaskResult {
        let Self { keys, states: States { keyed, operator }, desk, .. } = self;
        let OperatorStates { lists, broadcast, .. } = operator;
        desk.with_keyed(keyed, lists, out, |ctx| work(keys, broadcast, ctx))?;
        Firing::set_alarm(keyed, &desk.task);
        Ok(())
    }

    pub fn event(&mut self, event: Event, out: &mut dyn Output<Out>) -> TaskResult {
        self.firing.event(event, &mut self.states.keyed, &mut self.desk, out)
    }

    pub fn time(&mut self, now: Timestamp) {
        self.firing.time(now, &mut self.states.keyed);
    }

    pub fn resume(
        &mut self,
        out: &mut dyn Output<Out>,
        mut on_timer: impl FnMut(Timer, &BroadcastStates, &mut KeyedContext<'_, K, Out>) -> FunctionResult,
    ) -> TaskResult<Drained> {
        let Self { states: States { keyed, operator }, desk, firing, .. } = self;
        let OperatorStates { lists, broadcast, .. } = operator;
        firing.resume(keyed, lists, desk, out, |timer, ctx| on_timer(timer, broadcast, ctx))
    }

    pub fn drain(
        &mut self,
        out: &mut dyn Output<Out>,
        mut on_timer: impl FnMut(Timer, &BroadcastStates, &mut KeyedContext<'_, K, Out>) -> FunctionResult,
    ) -> TaskResult<Drained> {
        let Self { states: States { keyed, operator }, desk, firing, .. } = self;
        let OperatorStates { lists, broadcast, .. } = operator;
        firing.drain(keyed, lists, desk, out, |timer, ctx| on_timer(timer, broadcast, ctx))
    }

    /// What the function does of its own accord, with no key at hand.
    pub fn apart(
        &mut self,
        out: &mut dyn Output<Out>,
        work: impl FnOnce(&BroadcastStates, &mut Context<'_, Out>) -> FunctionResult,
    ) -> TaskResult {
        let OperatorStates { lists, broadcast, .. } = &mut self.states.operator;
        self.desk.apart(lists, out, |ctx| work(broadcast, ctx))
    }

    pub fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.states(&mut self.states)?;
        self.desk.snapshot(into)
    }

    pub fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more(&mut self.states.keyed)
    }

    pub fn state_size(&self) -> StateSize {
        self.states.keyed.size()
    }
}
