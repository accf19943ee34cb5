//! Keys that come, live for a while and are never seen again, under all that holds state per key until time takes it away.
//!
//! What is measured is memory: it depends on how many keys live at once, not on how many there have been.

use std::time::Duration;

use clap::ValueEnum;
use flott::{
    Environment, EventTimeSessionWindows, FunctionResult, GeneratorSource, KeyedContext, KeyedOpen,
    KeyedProcessFunction, SlidingEventTimeWindows, Stream, TimeDelta, Timer, TumblingEventTimeWindows, ValueState,
    WatermarkStrategy,
};

use crate::mix::mix;

/// Key, value, milliseconds of event time.
type Record = (u64, u64, i64);

/// Records in a millisecond of event time.
const PER_MS: u64 = 1_000;

/// What holds state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Sums in windows of a second
    Tumbling,
    /// Sums in windows of ten seconds that slide by one
    Sliding,
    /// Sums in sessions that end after half a second
    Session,
    /// All records of windows of a second, listed
    Listed,
    /// A value that a timer clears when the key has been silent for half a second
    Process,
    /// Two halves of the records, joined with what came within 50 ms
    IntervalJoin,
    /// Two halves of the records, joined in windows of 100 ms
    WindowJoin,
}

/// What comes, and what holds it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Records.
    pub records: u64,
    /// Keys that live at the same time; not 0.
    pub keys: u64,
    /// Records of a key, on average; not 0. A key lives for `keys` times as many.
    pub per_key: u64,
    /// What holds state.
    pub shape: Shape,
}

/// A record of one of `sides` streams. The numbers of the keys move on with the records.
fn record(number: u64, keys: u64, per_key: u64, side: u64, sides: u64) -> Record {
    let number = number * sides + side;
    (number / per_key + mix(number) % keys, number & 0xFFFF, (number / PER_MS) as i64)
}

fn side(env: &Environment, options: Options, side: u64, sides: u64) -> Stream<Record> {
    let Options { records, keys, per_key, .. } = options;
    let generator = move |number| record(number, keys, per_key, side, sides);
    let watermarks = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|(_, _, at): &Record| *at);
    env.generator(GeneratorSource::new(records / sides, generator).interleaved())
        .assign_timestamps_and_watermarks(watermarks)
}

/// Generator, what holds state, discard.
pub fn plan(env: &Environment, options: Options) {
    let key = |record: &Record| record.0;
    let all = || side(env, options, 0, 1).key_by(key);
    let halves = || (side(env, options, 0, 2), side(env, options, 1, 2));
    let second = Duration::from_secs(1);
    let add = |sum: &mut Record, record: Record| sum.1 = sum.1.wrapping_add(record.1);
    match options.shape {
        Shape::Tumbling => all().window(TumblingEventTimeWindows::of(second)).reduce(add).discard(),
        Shape::Sliding => all().window(SlidingEventTimeWindows::of(10 * second, second)).reduce(add).discard(),
        Shape::Session => all().window(EventTimeSessionWindows::with_gap(second / 2)).reduce(add).discard(),
        Shape::Listed => {
            let listed = all().window(TumblingEventTimeWindows::of(second));
            listed.apply(|_, _, records, out| out.emit(records.len() as u64)).discard()
        }
        Shape::Process => all().process(Silence::default()).discard(),
        Shape::IntervalJoin => {
            let (left, right) = halves();
            let joined = left.key_by(key).interval_join(&right.key_by(key));
            joined.between(TimeDelta::from_millis(-50), TimeDelta::from_millis(50)).map(|l, r| l.1 ^ r.1).discard()
        }
        Shape::WindowJoin => {
            let (left, right) = halves();
            let joined = left.join(&right).where_key(key).equal_to(key);
            joined.window(TumblingEventTimeWindows::of(second / 10)).apply(|l, r| l.1 ^ r.1).discard()
        }
    };
}

/// A sum per key, given out when the key has been silent for half a second.
#[derive(Clone, Default)]
struct Silence {
    sum: ValueState<(u64, i64)>,
}

const SILENCE_MS: i64 = 500;

impl KeyedProcessFunction for Silence {
    type Key = u64;
    type In = Record;
    type Out = (u64, u64);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.sum = ctx.value("sum")?;
        Ok(())
    }

    fn process(&mut self, (_, value, at): Record, ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        let ends = at + SILENCE_MS;
        // The timer that is set looks again.
        let lives = self.sum.update(ctx, |(sum, end)| (*sum, *end) = (sum.wrapping_add(value), ends))?;
        if !lives {
            self.sum.set(ctx, (value, ends))?;
            ctx.register_event_time_timer(ends)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        if let Some((sum, end)) = self.sum.get(ctx)?.copied() {
            if end > timer.at {
                ctx.register_event_time_timer(end)?;
            } else {
                let key = *ctx.key()?;
                self.sum.clear(ctx)?;
                ctx.emit((key, sum));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn keys_come_and_go() {
        let mut lives: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for number in 0..100_000 {
            let (key, _, _) = record(number, 100, 10, 0, 1);
            lives.entry(key).or_insert((number, number)).1 = number;
        }
        assert!(lives.len() > 10_000);
        assert!(lives.values().all(|(first, last)| last - first <= 100 * 10));
    }

    #[test]
    fn all_shapes_run() {
        for shape in Shape::value_variants() {
            let env = Environment::local();
            plan(&env, Options { records: 5_000, keys: 50, per_key: 10, shape: *shape });
            env.execute("churn").unwrap();
        }
    }
}
