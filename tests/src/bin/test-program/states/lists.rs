//! Operator lists: one that is split among subtasks, and one that all of them get.

use flott::{Context, FunctionResult, ListOperatorState, OpenContext, ProcessFunction, Stream};

pub fn lines(numbers: &Stream<u64>) -> Stream<String> {
    numbers.rebalance().process(Lists::default()).uid("lists")
}

/// Keeps numbers to the end.
#[derive(Clone, Default)]
struct Lists {
    split: ListOperatorState<u64>,
    union: ListOperatorState<u64>,
    /// How many of the second all subtasks have.
    common: usize,
}

impl ProcessFunction for Lists {
    type In = u64;
    type Out = String;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.split = ctx.operator_list("split")?;
        self.union = ctx.operator_union_list("union")?;
        self.common = self.union.get(ctx)?.len();
        Ok(())
    }

    fn process(&mut self, number: u64, ctx: &mut Context<'_, String>) -> FunctionResult {
        self.split.add(ctx, number)?;
        self.union.add(ctx, number)?;
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, String>) -> FunctionResult {
        let (subtask, of) = (u64::from(ctx.task().subtask()), u64::from(ctx.task().parallelism));
        let split = self.split.take(ctx)?;
        let mut common = self.union.take(ctx)?;
        let own = common.split_off(self.common);
        split.into_iter().for_each(|number| ctx.emit(format!("split {number}")));
        // Of what all have, each tells its share.
        common.retain(|number| number % of == subtask);
        common.into_iter().chain(own).for_each(|number| ctx.emit(format!("union {number}")));
        Ok(())
    }
}
