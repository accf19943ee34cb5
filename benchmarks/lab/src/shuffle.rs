//! Records on their way between subtasks, and little else.

use flott::{Environment, FunctionResult, KeyedContext, KeyedProcessFunction};

use crate::mix::keyed;

/// Generator, key by the first number, a filter that all records pass, discard.
pub fn plan(env: &Environment, records: u64, keys: u64) {
    env.generate(records, move |number| keyed(number, keys))
        .key_by(|(key, _)| *key)
        .process(Receive)
        .name("receive")
        .discard();
}

/// Passes on every record.
#[derive(Debug, Clone)]
struct Receive;

impl KeyedProcessFunction for Receive {
    type Key = u64;
    type In = (u64, u64);
    type Out = (u64, u64);

    fn process(&mut self, record: Self::In, ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        // All values are below 2^16; only the compiler must not know.
        if record.1 <= u64::from(u32::MAX) {
            ctx.emit(record);
        }
        Ok(())
    }
}
