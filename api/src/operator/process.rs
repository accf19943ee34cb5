//! Process functions.

use std::sync::Arc;

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Batch, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Operator, Output},
    state::{KeyedStates, OperatorLists, OperatorStates},
    task::TaskInfo,
};
use parking_lot::MutexGuard;

use crate::{
    function::{Collector, Context, Counters, KeyedContext, OpenContext, ProcessFunction, Times, failed},
    plan::{SharedSides, SidePorts, Site},
};

/// What all process operators have beside their function.
pub(super) struct Desk<Out> {
    pub task: Arc<TaskInfo>,
    sides: Option<SharedSides>,
    counters: Counters,
    out: Batch<Out>,
    /// The last one that came.
    pub watermark: Timestamp,
}

impl<Out> Desk<Out> {
    pub fn new(site: &Site) -> Self {
        Self {
            task: site.task.clone(),
            sides: site.sides.clone(),
            counters: Counters::default(),
            out: Batch::default(),
            watermark: Timestamp::MIN,
        }
    }

    /// Notes a watermark, and passes the event on.
    pub fn pass(&mut self, event: Event, out: &mut dyn Output<Out>) -> TaskResult {
        if let Event::Watermark(watermark) = event {
            self.watermark = watermark;
        }
        out.event(event)
    }

    /// Lets `work` have a context, and passes on what it leaves there.
    pub fn with(
        &mut self,
        lists: &mut OperatorLists,
        out: &mut dyn Output<Out>,
        work: impl FnOnce(Context<'_, Out>) -> TaskResult,
    ) -> TaskResult {
        let Self { task, sides, counters, out: batch, watermark } = self;
        let mut guard: Option<MutexGuard<'_, SidePorts>> = sides.as_ref().map(|sides| sides.lock());
        let times = Times { watermark: *watermark, processing: task.clock.now() };
        work(Context::new(Collector::new(batch, out), guard.as_deref_mut(), lists, counters, task, times))
    }

    /// As [`with`](Self::with), with keyed states in the context.
    pub fn with_keyed<K: Key>(
        &mut self,
        keyed: &mut KeyedStates<K>,
        lists: &mut OperatorLists,
        out: &mut dyn Output<Out>,
        work: impl FnOnce(KeyedContext<'_, K, Out>) -> TaskResult,
    ) -> TaskResult {
        let Self { task, sides, counters, out: batch, watermark } = self;
        let mut guard: Option<MutexGuard<'_, SidePorts>> = sides.as_ref().map(|sides| sides.lock());
        let times = Times { watermark: *watermark, processing: task.clock.now() };
        if keyed.expires() {
            keyed.set_now(times.processing)?;
        }
        let ctx = Context::new(Collector::new(batch, out), guard.as_deref_mut(), lists, counters, task, times);
        work(KeyedContext::new(ctx, keyed))
    }

    /// The end of the input: `work`, then the counters.
    pub fn finish(
        &mut self,
        lists: &mut OperatorLists,
        out: &mut dyn Output<Out>,
        work: impl FnOnce(&mut Context<'_, Out>) -> Result<(), Box<Failure>>,
    ) -> TaskResult {
        self.with(lists, out, |mut ctx| {
            ctx.set_timestamp(None);
            work(&mut ctx)?;
            ctx.flush()
        })?;
        self.counters.report(&self.task)
    }
}

/// A process function at work.
pub(crate) struct Process<F: ProcessFunction> {
    function: F,
    states: OperatorStates,
    desk: Desk<F::Out>,
}

impl<F: ProcessFunction> Process<F> {
    pub fn new(function: F, site: &Site) -> Self {
        Self { function, states: OperatorStates::default(), desk: Desk::new(site) }
    }
}

impl<F: ProcessFunction> Operator<F::In, F::Out> for Process<F> {
    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut OpenContext::new(&mut self.states, task)).map_err(failed)
    }

    fn process(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.with(&mut states.lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                function.process(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<F::Out>) -> TaskResult {
        self.desk.pass(event, out)
    }

    fn finish(&mut self, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.finish(&mut states.lists, out, |ctx| function.finish(ctx).map_err(failed))
    }
}
