//! Running counts by a function with a state of its own.

use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ValueState};

/// Gives for each record its key and how often that has come.
#[derive(Clone, Default)]
pub struct Running {
    seen: ValueState<u64>,
}

impl KeyedProcessFunction for Running {
    type Key = u64;
    type In = u64;
    type Out = (u64, u64);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.seen = ctx.value("seen")?;
        Ok(())
    }

    fn process(&mut self, key: u64, ctx: &mut KeyedContext<'_, u64, (u64, u64)>) -> FunctionResult {
        let seen = self.seen.get_or_insert_with(ctx, || 0)?;
        *seen += 1;
        let count = *seen;
        ctx.emit((key, count));
        Ok(())
    }
}
