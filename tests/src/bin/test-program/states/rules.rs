//! Broadcast state: rules that numbers are looked up in a while later, when all subtasks have them for certain.

use flott::{
    BroadcastState, BroadcastStates, FunctionResult, KeyedBroadcastContext, KeyedBroadcastOpen,
    KeyedBroadcastProcessFunction, KeyedContext, MapState, Stream, Timer,
};

use super::{at, key};

/// Each number that this divides is a rule, for itself and those after it.
const EVERY: u64 = 20;
/// How long a number waits, in milliseconds of event time.
const DELAY_MS: i64 = 400;

pub fn lines(numbers: &Stream<u64>) -> Stream<String> {
    let rules = numbers.filter(|number| number % EVERY == 0);
    numbers.key_by(key).connect_broadcast(&rules).process(Rules::default()).uid("rules")
}

#[derive(Clone, Default)]
struct Rules {
    rules: BroadcastState<u64, u64>,
    waiting: MapState<i64, u64>,
}

impl KeyedBroadcastProcessFunction for Rules {
    type Key = u64;
    type In = u64;
    type Broadcast = u64;
    type Out = String;

    fn open(&mut self, ctx: &mut KeyedBroadcastOpen<'_, u64>) -> FunctionResult {
        self.rules = ctx.broadcast_state("rules")?;
        self.waiting = ctx.map("waiting")?;
        Ok(())
    }

    fn process(&mut self, number: u64, _: &BroadcastStates, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        self.waiting.insert(ctx, &at(number), number)?;
        ctx.register_event_time_timer(at(number) + DELAY_MS)?;
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        number: u64,
        states: &mut BroadcastStates,
        _: &mut KeyedBroadcastContext<'_, u64, String>,
    ) -> FunctionResult {
        Ok(self.rules.insert(states, &number, number * 3)?)
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        states: &BroadcastStates,
        ctx: &mut KeyedContext<'_, u64, String>,
    ) -> FunctionResult {
        let number = self.waiting.remove(ctx, &(timer.at - DELAY_MS))?.ok_or("a timer without a number")?;
        let rule = self.rules.get(states, &(number - number % EVERY))?;
        ctx.emit(format!("rule {number} {rule:?}"));
        Ok(())
    }
}
