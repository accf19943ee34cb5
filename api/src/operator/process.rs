//! Process functions.

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Operator, Output},
    snapshot::{Restored, StateSink},
    state::{KeyedStates, OperatorLists, OperatorStates},
    task::{TaskInfo, counters::OperatorCounters},
};
use parking_lot::MutexGuard;

use crate::{
    function::{Collector, Context, FunctionResult, KeyedContext, OpenContext, ProcessFunction, Times, failed},
    plan::{SharedSides, SidePorts, Site},
};

/// What all process operators have beside their function.
pub(super) struct Desk<Out> {
    pub task: Arc<TaskInfo>,
    sides: Option<SharedSides>,
    counters: OperatorCounters,
    out: Batch<Out>,
    /// The last one that came.
    pub watermark: Timestamp,
}

impl<Out> Desk<Out> {
    pub fn new(site: &Site) -> Self {
        Self {
            task: site.task.clone(),
            sides: site.sides.clone(),
            counters: OperatorCounters::default(),
            out: Batch::default(),
            watermark: Timestamp::MIN,
        }
    }

    /// Begins with what there was in a snapshot.
    pub fn restore(&mut self, from: &Restored) -> TaskResult {
        self.watermark = from.watermark(self.task.snapshots.groups().held)?;
        Ok(())
    }

    /// What it remembers.
    pub fn snapshot(&self, into: &mut StateSink<'_>) -> TaskResult {
        into.watermark(self.watermark)
    }

    /// Notes a watermark. False if it says nothing new, as after a restart, and is not to be passed on.
    pub fn advance(&mut self, watermark: Timestamp) -> bool {
        let further = watermark > self.watermark;
        self.watermark = self.watermark.max(watermark);
        further
    }

    /// Notes a watermark, and passes the event on.
    pub fn pass(&mut self, event: Event, out: &mut dyn Output<Out>) -> TaskResult {
        match event {
            Event::Watermark(watermark) if !self.advance(watermark) => Ok(()),
            _ => out.event(event),
        }
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

    /// Calls `process` for each record.
    #[inline]
    pub fn each<T>(
        &mut self,
        lists: &mut OperatorLists,
        input: &mut Batch<T>,
        out: &mut dyn Output<Out>,
        mut process: impl FnMut(T, &mut Context<'_, Out>) -> FunctionResult,
    ) -> TaskResult {
        self.with(lists, out, |mut ctx| {
            let mut timestamps = input.timestamps.drain(..);
            for record in input.records.drain(..) {
                ctx.set_timestamp(timestamps.next());
                process(record, &mut ctx).map_err(failed)?;
            }
            ctx.flush()
        })
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

    /// What a function does of its own accord, at no record.
    pub fn apart(
        &mut self,
        lists: &mut OperatorLists,
        out: &mut dyn Output<Out>,
        work: impl FnOnce(&mut Context<'_, Out>) -> FunctionResult,
    ) -> TaskResult {
        self.with(lists, out, |mut ctx| {
            ctx.set_timestamp(None);
            work(&mut ctx).map_err(failed)?;
            ctx.flush()
        })
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
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from);
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        self.function.open(&mut OpenContext::new(&mut self.states, task)).map_err(failed)
    }

    fn process(&mut self, input: &mut Batch<F::In>, out: &mut dyn Output<F::Out>) -> TaskResult {
        let Self { function, states, desk } = self;
        desk.each(&mut states.lists, input, out, |record, ctx| function.process(record, ctx))
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
