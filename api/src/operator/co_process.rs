//! Operators with two inputs.

use std::{mem, sync::Arc};

use flott_runtime::{
    batch::Batch,
    error::TaskResult,
    output::Output,
    state::KeyedStates,
    task::{TaskInfo, TwoInputOperator},
};

use super::process::Desk;
use crate::{
    function::{CoProcessFunction, KeyedCoProcessFunction, KeyedOpen, failed},
    plan::{KeyOf, Keys, Site},
};

/// A function for each side.
pub(crate) struct CoMap<F, G, Out> {
    left: F,
    right: G,
    out: Batch<Out>,
}

impl<F, G, Out> CoMap<F, G, Out> {
    pub fn new(left: F, right: G) -> Self {
        Self { left, right, out: Batch::default() }
    }
}

impl<A, B, Out, F, G> TwoInputOperator<A, B, Out> for CoMap<F, G, Out>
where
    Out: Send,
    F: FnMut(A) -> Out + Send,
    G: FnMut(B) -> Out + Send,
{
    fn process_left(&mut self, input: &mut Batch<A>, out: &mut dyn Output<Out>) -> TaskResult {
        self.out.records.extend(input.records.drain(..).map(&mut self.left));
        mem::swap(&mut self.out.timestamps, &mut input.timestamps);
        out.collect(&mut self.out)
    }

    fn process_right(&mut self, input: &mut Batch<B>, out: &mut dyn Output<Out>) -> TaskResult {
        self.out.records.extend(input.records.drain(..).map(&mut self.right));
        mem::swap(&mut self.out.timestamps, &mut input.timestamps);
        out.collect(&mut self.out)
    }
}

/// A function of two streams at work.
pub(crate) struct CoProcess<F: CoProcessFunction> {
    function: F,
    desk: Desk<F::Out>,
}

impl<F: CoProcessFunction> CoProcess<F> {
    pub fn new(function: F, site: &Site) -> Self {
        Self { function, desk: Desk::new(site) }
    }
}

impl<F: CoProcessFunction> TwoInputOperator<F::Left, F::Right, F::Out> for CoProcess<F> {
    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(task).map_err(failed)
    }

    fn process_left(&mut self, input: &mut Batch<F::Left>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let function = &mut self.function;
        self.desk.with(out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process_left(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn process_right(&mut self, input: &mut Batch<F::Right>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let function = &mut self.function;
        self.desk.with(out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process_right(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let function = &mut self.function;
        self.desk.finish(out, |ctx| function.finish(ctx).map_err(failed))
    }
}

/// A keyed function of two streams at work.
pub(crate) struct KeyedCoProcess<F: KeyedCoProcessFunction> {
    function: F,
    left: Arc<dyn KeyOf<F::Left, F::Key>>,
    right: Arc<dyn KeyOf<F::Right, F::Key>>,
    keys: Keys<F::Key>,
    states: KeyedStates<F::Key>,
    desk: Desk<F::Out>,
}

impl<F: KeyedCoProcessFunction> KeyedCoProcess<F> {
    pub fn new(
        function: F,
        left: Arc<dyn KeyOf<F::Left, F::Key>>,
        right: Arc<dyn KeyOf<F::Right, F::Key>>,
        site: &Site,
    ) -> Self {
        let (keys, states) = (Keys::default(), KeyedStates::default());
        Self { function, left, right, keys, states, desk: Desk::new(site) }
    }
}

impl<F: KeyedCoProcessFunction> TwoInputOperator<F::Left, F::Right, F::Out> for KeyedCoProcess<F> {
    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut KeyedOpen::new(&mut self.states, task)).map_err(failed)
    }

    fn process_left(&mut self, input: &mut Batch<F::Left>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, left, keys, states, desk, .. } = self;
        keys.take(&**left, input);
        desk.with_states(states, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                function.process_left(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn process_right(&mut self, input: &mut Batch<F::Right>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, right, keys, states, desk, .. } = self;
        keys.take(&**right, input);
        desk.with_states(states, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                ctx.set_timestamp(timestamps.next());
                ctx.set_key(hash, key);
                function.process_right(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let function = &mut self.function;
        self.desk.finish(out, |ctx| function.finish(ctx).map_err(failed))
    }
}
