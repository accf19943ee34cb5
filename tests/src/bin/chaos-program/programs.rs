//! What is computed.

use std::{str::FromStr, time::Duration};

use flott::{
    Aggregate, Environment, EventTimeSessionWindows, FileSink, FunctionResult, KeyedContext, KeyedOpen,
    KeyedProcessFunction, MapState, SlidingEventTimeWindows, Stream, TimeDelta, Timer, TumblingEventTimeWindows,
    ValueState,
};

use crate::{
    arguments::Arguments,
    event::{Event, in_order},
    paced::Paced,
};

/// Which results.
#[derive(Debug, Clone, Copy)]
pub enum Program {
    /// Tumbling and sliding windows over two sources.
    Windows,
    /// An interval join and a window join of two sources.
    Joins,
    /// Sessions, and timers that give what came since the last.
    Sessions,
    /// Running counts over splits that anybody reads, and totals at the end.
    Splits,
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "windows" => Self::Windows,
            "joins" => Self::Joins,
            "sessions" => Self::Sessions,
            "splits" => Self::Splits,
            other => return Err(format!("there is no program {other:?}")),
        })
    }
}

impl Program {
    /// As it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Joins => "joins",
            Self::Sessions => "sessions",
            Self::Splits => "splits",
        }
    }

    /// Adds it to the plan.
    pub fn build(self, env: &Environment, arguments: &Arguments) {
        match self {
            Self::Windows => windows(env, arguments),
            Self::Joins => joins(env, arguments),
            Self::Sessions => sessions(env, arguments),
            Self::Splits => splits(env, arguments),
        }
    }
}

fn write(lines: &Stream<String>, arguments: &Arguments, name: &str) {
    lines.write_files(FileSink::text(arguments.output.join(name))).uid(format!("write-{name}"));
}

fn windows(env: &Environment, arguments: &Arguments) {
    let events = in_order(env, arguments, 1, "first").union([&in_order(env, arguments, 2, "second")]);
    let keyed = events.key_by(|event| event.key);
    let tumbling = keyed
        .window(TumblingEventTimeWindows::of(Duration::from_millis(250)))
        .aggregate_with(Tally, |key, window, tally, out| out.emit(format!("{key} {} {tally}", window.start)))
        .uid("tumbling-windows");
    write(&tumbling, arguments, "tumbling");
    // All their events are kept, and the windows overlap.
    let sliding = keyed
        .window(SlidingEventTimeWindows::of(Duration::from_millis(600), Duration::from_millis(200)))
        .apply(|key, window, events, out| {
            let tally = events.iter().fold((0, 0), |(count, sum), event| (count + 1, sum + event.amount));
            out.emit(format!("{key} {} {} {}", window.start, tally.0, tally.1));
        })
        .uid("sliding-windows");
    write(&sliding, arguments, "sliding");
}

fn joins(env: &Environment, arguments: &Arguments) {
    let left = in_order(env, arguments, 1, "left");
    let right = in_order(env, arguments, 2, "right");
    let near = left
        .key_by(|event| event.key)
        .interval_join(&right.key_by(|event| event.key))
        .between(TimeDelta::from_millis(-30), TimeDelta::from_millis(50))
        .map(|left, right| format!("{} {}", left.number, right.number))
        .uid("interval-join");
    write(&near, arguments, "near");
    let together = left
        .join(&right)
        .where_key(|event| event.key)
        .equal_to(|event| event.key)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(60)))
        .apply(|left, right| format!("{} {} {}", left.key, left.number, right.number))
        .uid("window-join");
    write(&together, arguments, "together");
}

fn sessions(env: &Environment, arguments: &Arguments) {
    let events = in_order(env, arguments, 1, "events");
    let sessions = events
        .key_by(|event| event.key)
        .window(EventTimeSessionWindows::with_gap(Duration::from_millis(45)))
        .aggregate_with(Tally, |key, window, tally, out| {
            out.emit(format!("{key} {} {} {tally}", window.start, window.end));
        })
        .uid("session-windows");
    write(&sessions, arguments, "sessions");
    let ticks = events.key_by(|event| event.key).process(Ticks::default()).uid("tick-timers");
    write(&ticks, arguments, "ticks");
}

fn splits(env: &Environment, arguments: &Arguments) {
    let source = Paced { records: arguments.records, rate: arguments.rate(), seed: arguments.seed };
    let events = env.from_source(source, "splits").uid("splits");
    let counts = events.rebalance().key_by(|event| event.key).process(Counts::default()).uid("running-counts");
    write(&counts, arguments, "counts");
    let numbers = events.map(|event| event.number.to_string()).uid("numbers");
    write(&numbers, arguments, "numbers");
}

/// How many events, what their amounts come to, and the least and the greatest.
#[derive(Clone)]
struct Tally;

impl Aggregate for Tally {
    type In = Event;
    type Accumulator = (u64, u64, u64, u64);
    type Out = String;

    fn create(&self) -> Self::Accumulator {
        (0, 0, u64::MAX, 0)
    }

    fn add(&self, (count, sum, least, greatest): &mut Self::Accumulator, event: Event) {
        *count += 1;
        *sum += event.amount;
        *least = event.amount.min(*least);
        *greatest = event.amount.max(*greatest);
    }

    fn result(&self, (count, sum, least, greatest): &Self::Accumulator) -> String {
        format!("{count} {sum} {least} {greatest}")
    }

    fn merge(&self, into: &mut Self::Accumulator, other: Self::Accumulator) {
        *into = (into.0 + other.0, into.1 + other.1, into.2.min(other.2), into.3.max(other.3));
    }
}

/// Each tick of [`TICK_MS`] of event time in which a key has something, and what it has: kept by tick in a map, given by a timer.
#[derive(Clone, Default)]
struct Ticks {
    sums: MapState<i64, u64>,
}

const TICK_MS: i64 = 130;

impl KeyedProcessFunction for Ticks {
    type Key = u64;
    type In = Event;
    type Out = String;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.sums = ctx.map("sums")?;
        Ok(())
    }

    fn process(&mut self, event: Event, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        let end = event.at - event.at.rem_euclid(TICK_MS) + TICK_MS;
        let sum = self.sums.get(ctx, &end)?.copied().unwrap_or_default();
        self.sums.insert(ctx, &end, sum + event.amount)?;
        ctx.register_event_time_timer(end)?;
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        let sum = self.sums.remove(ctx, &timer.at)?.ok_or("a timer without a sum")?;
        let line = format!("{} {} {sum}", ctx.key()?, timer.at);
        ctx.emit(line);
        Ok(())
    }
}

/// The numbers from 1 to how often a key comes, and at the end of time how often that was and what its amounts come to.
#[derive(Clone, Default)]
struct Counts {
    seen: ValueState<(u64, u64)>,
}

impl KeyedProcessFunction for Counts {
    type Key = u64;
    type In = Event;
    type Out = String;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.seen = ctx.value("seen")?;
        Ok(())
    }

    fn process(&mut self, event: Event, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        let seen = self.seen.get_or_insert_with(ctx, || (0, 0))?;
        (seen.0, seen.1) = (seen.0 + 1, seen.1 + event.amount);
        let line = format!("{} {}", event.key, seen.0);
        ctx.emit(line);
        // Of the end of the input: nothing says before that time has come so far.
        ctx.register_event_time_timer(i64::MAX)?;
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, u64, String>) -> FunctionResult {
        let (count, sum) = self.seen.take(ctx)?.ok_or("a timer without a count")?;
        let line = format!("{} has {count} of {sum}", ctx.key()?);
        ctx.emit(line);
        Ok(())
    }
}
