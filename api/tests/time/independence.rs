//! What results must not depend on: how records are cut into batches, how many subtasks there are, and which of them is
//! faster.

mod calls;
mod joins;
mod rows;
mod windows;

use std::{collections::BTreeMap, fmt::Debug};

use flott::{
    Aggregate, Data, FunctionResult, KeyedCoProcessFunction, KeyedContext, KeyedOpen, KeyedProcessFunction, ListState,
    Stream, Timer,
    testing::{Emitted, Feed, Harness, Harness2, HarnessOptions},
};
use proptest::prelude::*;

/// How a pipeline is run.
#[derive(Debug, Clone)]
struct Way {
    parallelism: u32,
    inputs: u32,
    seed: u64,
    /// Lengths of batches, over and over.
    cuts: Vec<usize>,
}

impl Way {
    fn options(&self) -> HarnessOptions {
        HarnessOptions::new().parallelism(self.parallelism).input_parallelism(self.inputs).interleaved(self.seed)
    }

    fn one_input(self) -> Self {
        Self { inputs: 1, ..self }
    }

    /// Gives `records` to `feed`, in batches.
    fn give<T: Data, Out>(&self, mut feed: Feed<'_, T, Out>, records: &[T]) {
        let mut records = records;
        for cut in self.cuts.iter().cycle() {
            let (batch, rest) = records.split_at((*cut).min(records.len()));
            feed.batch(batch.to_vec()).unwrap();
            if rest.is_empty() {
                return;
            }
            records = rest;
        }
    }

    /// All results of a pipeline of one input.
    fn run<In: Data, Out: Data>(&self, records: &[In], build: impl FnOnce(Stream<In>) -> Stream<Out>) -> Vec<Out> {
        let mut harness = Harness::with(self.options(), build);
        self.give(harness.input(), records);
        harness.end().unwrap();
        harness.take()
    }

    /// All results of a pipeline of two inputs, which get something in turn.
    fn run2<A: Data, B: Data, Out: Data>(
        &self,
        (left, right): (&[A], &[B]),
        build: impl FnOnce(Stream<A>, Stream<B>) -> Stream<Out>,
    ) -> Vec<Out> {
        let mut harness = Harness2::with(self.options(), build);
        let mut lefts = left.chunks(7);
        let mut rights = right.chunks(5);
        loop {
            let (left, right) = (lefts.next(), rights.next());
            left.into_iter().for_each(|records| self.give(harness.left(), records));
            right.into_iter().for_each(|records| self.give(harness.right(), records));
            if left.is_none() && right.is_none() {
                break;
            }
        }
        harness.end().unwrap();
        harness.take()
    }
}

fn way() -> impl Strategy<Value = Way> {
    (1u32..5, 1u32..4, any::<u64>(), prop::collection::vec(1usize..9, 1..4))
        .prop_map(|(parallelism, inputs, seed, cuts)| Way { parallelism, inputs, seed, cuts })
}

fn pairs() -> impl Strategy<Value = Vec<(u8, i64)>> {
    prop::collection::vec((0u8..6, -50i64..50), 0..60)
}

/// What each key has, in order.
fn by_key<V>(records: impl IntoIterator<Item = (u8, V)>) -> BTreeMap<u8, Vec<V>> {
    let mut keys = BTreeMap::<_, Vec<_>>::new();
    records.into_iter().for_each(|(key, value)| keys.entry(key).or_default().push(value));
    keys
}

fn sorted<T: Ord>(records: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut records: Vec<_> = records.into_iter().collect();
    records.sort();
    records
}

/// Records with their timestamps, each of which must be beyond the watermark that it comes behind.
fn in_order_of_watermarks<T: Data + Debug>(all: Vec<Emitted<T>>) -> Result<Vec<(T, i64)>, TestCaseError> {
    let (mut watermark, mut records) = (i64::MIN, Vec::new());
    for emitted in all {
        match emitted {
            Emitted::Record(record, at) => {
                let at = at.ok_or_else(|| TestCaseError::fail(format!("{record:?} has no timestamp")))?;
                prop_assert!(at > watermark, "{:?} at {} is behind {}", record, at, watermark);
                records.push((record, at));
            }
            Emitted::Watermark(at) => {
                prop_assert!(at > watermark);
                watermark = at;
            }
            Emitted::Idle | Emitted::Active | Emitted::End => {}
        }
    }
    Ok(records)
}

/// The mean, as sum and count.
#[derive(Clone)]
struct Mean;

impl Aggregate for Mean {
    type In = (u8, i64);
    type Accumulator = (i64, u64);
    type Out = (i64, u64);
    fn create(&self) -> (i64, u64) {
        (0, 0)
    }
    fn add(&self, mean: &mut (i64, u64), (_, value): (u8, i64)) {
        *mean = (mean.0 + value, mean.1 + 1);
    }
    fn result(&self, mean: &(i64, u64)) -> (i64, u64) {
        *mean
    }
    fn merge(&self, into: &mut (i64, u64), other: (i64, u64)) {
        *into = (into.0 + other.0, into.1 + other.1);
    }
}

/// Says what a key has had so far.
#[derive(Clone, Default)]
struct History(ListState<i64>);

impl KeyedProcessFunction for History {
    type Key = u8;
    type In = (u8, i64);
    type Out = (u8, Vec<i64>);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u8>) -> FunctionResult {
        self.0 = ctx.list("history")?;
        Ok(())
    }

    fn process(&mut self, (key, value): (u8, i64), ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        self.0.add(ctx, value)?;
        let history = self.0.get(ctx)?.to_vec();
        ctx.emit((key, history));
        Ok(())
    }
}

/// Pairs of all that both sides have of a key.
#[derive(Clone, Default)]
struct Join {
    left: ListState<i64>,
    right: ListState<String>,
}

impl KeyedCoProcessFunction for Join {
    type Key = u8;
    type Left = (u8, i64);
    type Right = (u8, String);
    type Out = (u8, i64, String);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u8>) -> FunctionResult {
        self.left = ctx.list("left")?;
        self.right = ctx.list("right")?;
        Ok(())
    }

    fn process_left(&mut self, (key, value): (u8, i64), ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        self.left.add(ctx, value)?;
        for text in self.right.get(ctx)?.to_vec() {
            ctx.emit((key, value, text));
        }
        Ok(())
    }

    fn process_right(
        &mut self,
        (key, text): (u8, String),
        ctx: &mut KeyedContext<'_, u8, Self::Out>,
    ) -> FunctionResult {
        for value in self.left.get(ctx)?.to_vec() {
            ctx.emit((key, value, text.clone()));
        }
        self.right.add(ctx, text).map_err(Into::into)
    }
}

/// Gives a key's sum when the watermark has passed the last of its timers, and begins anew.
#[derive(Clone, Default)]
struct SumUntilTimer(ListState<i64>);

impl KeyedProcessFunction for SumUntilTimer {
    type Key = u8;
    type In = (u8, i64);
    /// Key, time of the timer, values until then.
    type Out = (u8, i64, Vec<i64>);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u8>) -> FunctionResult {
        self.0 = ctx.list("values")?;
        Ok(())
    }

    fn process(&mut self, (_, value): (u8, i64), ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        let at = ctx.timestamp().ok_or("no timestamp")?;
        assert!(at > ctx.watermark(), "{at} is late by the watermark {}", ctx.watermark());
        self.0.add(ctx, value)?;
        ctx.register_event_time_timer(at)?;
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u8, Self::Out>) -> FunctionResult {
        let key = *ctx.key()?;
        let (mut due, later): (Vec<_>, Vec<_>) = self.0.take(ctx)?.into_iter().partition(|value| *value <= timer.at);
        self.0.set(ctx, later)?;
        due.sort_unstable();
        ctx.emit((key, timer.at, due));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn running_results_of_a_key_are_in_the_order_of_its_records(records in pairs(), way in way()) {
        let way = way.one_input();
        let mut sums = BTreeMap::<u8, (i64, u64)>::new();
        let means: Vec<_> = records.iter().map(|(key, value)| {
            let mean = sums.entry(*key).or_default();
            *mean = (mean.0 + value, mean.1 + 1);
            (*key, *mean)
        }).collect();
        let results = way.run(&records, |pairs| pairs.key_by(|pair| pair.0).aggregate(Mean));
        prop_assert_eq!(by_key(results), by_key(means.clone()));
        let results = way.run(&records, |pairs| pairs.key_by(|pair| pair.0).reduce(|sum, pair| sum.1 += pair.1));
        prop_assert_eq!(by_key(results), by_key(means.into_iter().map(|(key, mean)| (key, mean.0))));
    }

    #[test]
    fn a_key_has_one_state_wherever_its_records_come_from(records in pairs(), way in way()) {
        let results = way.run(&records, |pairs| {
            pairs.rebalance().map(|pair| pair).key_by(|pair| pair.0).process(History::default())
        });
        // The longest history of each key has all its records, and each other one is a beginning of it.
        let histories = by_key(results);
        for (key, values) in by_key(records) {
            let histories = &histories[&key];
            prop_assert_eq!(histories.len(), values.len());
            let all = histories.last().unwrap();
            prop_assert_eq!(sorted(all.clone()), sorted(values));
            prop_assert!(histories.iter().zip(1..).all(|(history, length)| all[..length] == history[..]));
        }
    }

    #[test]
    fn unions_and_connects_of_derived_streams_lose_and_repeat_nothing(records in pairs(), way in way()) {
        let results = way.run(&records, |pairs| {
            let negative = pairs.filter(|pair| pair.1 < 0).rebalance().map(|pair| format!("-{pair:?}"));
            let doubled = pairs.shuffle().flat_map_iter(|pair| [pair, pair]).key_by(|pair| pair.0).reduce(|sum, _| sum.1 = 0);
            let both = negative.connect(&doubled).map(|text| text, |(key, _)| format!("2 {key}"));
            both.union([&pairs.map(|pair| format!("{pair:?}")), &negative])
        });
        let expected = records.iter().flat_map(|pair| {
            let text = format!("2 {}", pair.0);
            let negative = (pair.1 < 0).then(|| format!("-{pair:?}"));
            [Some(text.clone()), Some(text), Some(format!("{pair:?}")), negative.clone(), negative].into_iter().flatten()
        });
        prop_assert_eq!(sorted(results), sorted(expected));
    }

    #[test]
    fn a_join_finds_each_pair_once_whichever_side_is_first(left in pairs(), right in pairs(), way in way()) {
        let right: Vec<_> = right.into_iter().map(|(key, value)| (key, value.to_string())).collect();
        let results = way.run2((&left, &right), |left, right| left.connect(&right).key_by(|pair| pair.0, |pair| pair.0).process(Join::default()));
        let expected = left.iter().flat_map(|(key, value)| {
            right.iter().filter(move |(other, _)| other == key).map(move |(_, text)| (*key, *value, text.clone()))
        });
        prop_assert_eq!(sorted(results), sorted(expected));
    }

    #[test]
    fn timers_fire_once_when_all_inputs_have_passed_them_and_before_the_watermark(
        records in prop::collection::vec((0u8..6, 0i64..100), 0..60),
        way in way(),
        lag in 0i64..30,
    ) {
        let mut harness = Harness::with(way.options(), |pairs: Stream<(u8, i64)>| {
            pairs.key_by(|pair| pair.0).process(SumUntilTimer::default())
        });
        // Out of order by less than `lag`.
        let mut records = records;
        records.sort_by_key(|(key, at)| at + i64::from(*key) * 31 % (lag + 1));
        let mut max = 0;
        for batch in records.chunks(way.cuts[0]) {
            harness.batch_at(batch.iter().map(|pair| (*pair, pair.1))).unwrap();
            max = batch.iter().map(|pair| pair.1).fold(max, i64::max);
            harness.watermark(max - lag - 1).unwrap();
        }
        harness.end().unwrap();
        prop_assert_eq!(harness.state_size(), Default::default());
        let results = in_order_of_watermarks(harness.take_events())?.into_iter().map(|(record, _)| record);
        let mut expected = BTreeMap::<_, Vec<_>>::new();
        records.iter().for_each(|(key, at)| expected.entry((*key, *at)).or_default().push(*at));
        let expected = expected.into_iter().map(|((key, at), values)| (key, at, values));
        prop_assert_eq!(sorted(results), sorted(expected));
    }
}
