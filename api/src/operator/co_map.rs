//! A function for each of two streams.

use std::mem;

use flott_runtime::{batch::Batch, error::TaskResult, output::Output, task::TwoInputOperator};

use crate::function::Collector;

/// One record for each record of either side.
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

/// Any number of records for each record of either side.
pub(crate) struct CoFlatMap<F, G, Out> {
    left: F,
    right: G,
    out: Batch<Out>,
}

impl<F, G, Out> CoFlatMap<F, G, Out> {
    pub fn new(left: F, right: G) -> Self {
        Self { left, right, out: Batch::default() }
    }
}

/// Gives each record to `function`.
fn flat_map<T, Out>(
    input: &mut Batch<T>,
    batch: &mut Batch<Out>,
    out: &mut dyn Output<Out>,
    mut function: impl FnMut(T, &mut Collector<'_, Out>),
) -> TaskResult {
    let mut collector = Collector::new(batch, out);
    let mut timestamps = input.timestamps.drain(..);
    for record in input.records.drain(..) {
        collector.set_timestamp(timestamps.next());
        function(record, &mut collector);
    }
    collector.finish()
}

impl<A, B, Out, F, G> TwoInputOperator<A, B, Out> for CoFlatMap<F, G, Out>
where
    Out: Send,
    F: FnMut(A, &mut Collector<'_, Out>) + Send,
    G: FnMut(B, &mut Collector<'_, Out>) + Send,
{
    fn process_left(&mut self, input: &mut Batch<A>, out: &mut dyn Output<Out>) -> TaskResult {
        flat_map(input, &mut self.out, out, &mut self.left)
    }

    fn process_right(&mut self, input: &mut Batch<B>, out: &mut dyn Output<Out>) -> TaskResult {
        flat_map(input, &mut self.out, out, &mut self.right)
    }
}
