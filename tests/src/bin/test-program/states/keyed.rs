//! States and timers of functions, and running folds.

use std::time::Duration;

use flott::{
    Aggregate, AggregatingState, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ListState, MapState,
    ReducingState, StateTtl, Stream, TimeDomain, Timer, ValueState,
};

use super::{at, key};
use crate::arguments::Arguments;

/// Longer than anybody keeps a snapshot.
const LASTING: Duration = Duration::from_secs(200 * 365 * 24 * 3600);
/// How long timers in event time wait, in milliseconds.
const DELAY_MS: i64 = 700;
/// How long timers by the clock wait: until a snapshot has been taken for certain, or the input has ended.
const CLOCK_DELAY_MS: i64 = 3_600_000;

pub fn lines(numbers: &Stream<u64>, arguments: &Arguments) -> Vec<Stream<String>> {
    let keyed = numbers.key_by(key);
    let fading = Fading {
        before: arguments.records / 2,
        ttl: Duration::from_millis(arguments.fading_ms),
        known: ValueState::default(),
    };
    let sums = keyed.sum(|number| *number).uid("sums").map(|(key, sum)| format!("sum {key} {sum}"));
    let greatest = keyed.reduce(|greatest, number| *greatest = number.max(*greatest)).uid("greatest");
    let spans = keyed.aggregate(Span).uid("spans").map(|(key, span)| format!("span {key} {span}"));
    vec![
        keyed.process(Kinds::default()).uid("kinds"),
        keyed.process(fading).uid("fading"),
        keyed.process(Timers::default()).uid("timers"),
        sums,
        greatest.map(|number| format!("greatest {number}")),
        spans,
    ]
}

/// From the least number to the greatest.
#[derive(Clone)]
struct Span;

impl Aggregate for Span {
    type In = u64;
    type Accumulator = (u64, u64);
    type Out = u64;

    fn create(&self) -> (u64, u64) {
        (u64::MAX, 0)
    }

    fn add(&self, span: &mut (u64, u64), number: u64) {
        *span = (span.0.min(number), span.1.max(number));
    }

    fn result(&self, span: &(u64, u64)) -> u64 {
        span.1 - span.0
    }

    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        *into = (into.0.min(other.0), into.1.max(other.1));
    }
}

/// A state of each kind, with a time to live and without, all of which each line tells.
#[derive(Clone, Default)]
struct Kinds {
    value: ValueState<u64>,
    list: ListState<u64>,
    map: MapState<u64, u64>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<Span>,
    lasting: ValueState<u64>,
    lasting_list: ListState<u64>,
    lasting_map: MapState<u64, u64>,
}

impl KeyedProcessFunction for Kinds {
    type Key = u64;
    type In = u64;
    type Out = String;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        let lasting = StateTtl::new(LASTING);
        self.value = ctx.value("value")?;
        self.list = ctx.list("list")?;
        self.map = ctx.map("map")?;
        self.reducing = ctx.reducing("reducing", |sum, number| *sum += number)?;
        self.aggregating = ctx.aggregating("aggregating", Span)?;
        self.lasting = ctx.state("lasting").ttl(lasting).value()?;
        self.lasting_list = ctx.state("lasting-list").ttl(lasting).list()?;
        self.lasting_map = ctx.state("lasting-map").ttl(lasting).map()?;
        Ok(())
    }

    fn process(&mut self, number: u64, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        let last = self.value.get(ctx)?.copied().unwrap_or_default();
        let lasting = self.lasting.get(ctx)?.copied().unwrap_or_default();
        self.value.set(ctx, number)?;
        self.lasting.set(ctx, number)?;
        self.list.add(ctx, number)?;
        self.lasting_list.add(ctx, number)?;
        *self.map.get_or_insert_with(ctx, &(number % 3), || 0)? += number;
        *self.lasting_map.get_or_insert_with(ctx, &(number % 3), || 0)? += number;
        self.reducing.add(ctx, number)?;
        self.aggregating.add(ctx, number)?;
        let sum = |list: &[u64]| list.iter().sum::<u64>();
        let lists = (sum(self.list.get(ctx)?), sum(self.lasting_list.get(ctx)?));
        let map = in_order(self.map.entries(ctx)?);
        let lasting_map = in_order(self.lasting_map.entries(ctx)?);
        let folds = (self.reducing.get(ctx)?.copied(), self.aggregating.get(ctx)?);
        let line = format!("kinds {number} {last} {lasting} {lists:?} {map:?} {lasting_map:?} {folds:?}");
        ctx.emit(line);
        Ok(())
    }
}

fn in_order<'a>(entries: impl Iterator<Item = (&'a u64, &'a u64)>) -> Vec<(u64, u64)> {
    let mut entries: Vec<_> = entries.map(|(entry, value)| (*entry, *value)).collect();
    entries.sort_unstable();
    entries
}

/// What the first half of the numbers leaves for a while: each of the second half tells whether it is there.
#[derive(Clone)]
struct Fading {
    /// The first number of the second half.
    before: u64,
    ttl: Duration,
    known: ValueState<u64>,
}

impl KeyedProcessFunction for Fading {
    type Key = u64;
    type In = u64;
    type Out = String;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.known = ctx.state("known").ttl(StateTtl::new(self.ttl)).value()?;
        Ok(())
    }

    fn process(&mut self, number: u64, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        if number < self.before {
            self.known.set(ctx, number)?;
        } else {
            let line = format!("fading {number} {:?}", self.known.get(ctx)?);
            ctx.emit(line);
        }
        Ok(())
    }
}

/// Gives each number a while later by event time, and the first of each key a while later by the clock.
#[derive(Clone, Default)]
struct Timers {
    waiting: MapState<i64, u64>,
    first: ValueState<u64>,
}

impl KeyedProcessFunction for Timers {
    type Key = u64;
    type In = u64;
    type Out = String;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.waiting = ctx.map("waiting")?;
        self.first = ctx.value("first")?;
        Ok(())
    }

    fn process(&mut self, number: u64, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        self.waiting.insert(ctx, &at(number), number)?;
        ctx.register_event_time_timer(at(number) + DELAY_MS)?;
        if self.first.get(ctx)?.is_none() {
            self.first.set(ctx, number)?;
            let now = ctx.processing_time();
            ctx.register_processing_time_timer(now + CLOCK_DELAY_MS)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        let line = match timer.domain {
            TimeDomain::Event => {
                let number = self.waiting.remove(ctx, &(timer.at - DELAY_MS))?.ok_or("a timer without a number")?;
                format!("timer {number} at {}", timer.at)
            }
            TimeDomain::Processing => {
                let first = self.first.get(ctx)?.ok_or("a timer without a first number")?;
                format!("clock {first}")
            }
        };
        ctx.emit(line);
        Ok(())
    }
}
