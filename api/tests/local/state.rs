//! State of every kind in whole jobs.

use std::{collections::BTreeMap, time::Duration};

use flott::{
    Aggregate, AggregatingState, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ListState, MapState,
    ReducingState, StateTtl, ValueState,
};

use crate::{check, env, run_error};

const N: u64 = 3_000;

/// The span of the numbers that go in.
#[derive(Clone)]
struct Span;

impl Aggregate for Span {
    type In = u64;
    type Accumulator = (u64, u64);
    type Out = u64;

    fn create(&self) -> (u64, u64) {
        (u64::MAX, 0)
    }

    fn add(&self, (least, most): &mut (u64, u64), value: u64) {
        *least = value.min(*least);
        *most = value.max(*most);
    }

    fn result(&self, (least, most): &(u64, u64)) -> u64 {
        most - least
    }

    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        *into = (into.0.min(other.0), into.1.max(other.1));
    }
}

/// Emits after each record what each kind of state has come to.
#[derive(Clone, Default)]
struct Everything {
    ttl: Option<StateTtl>,
    last: ValueState<u64>,
    all: ListState<u64>,
    seen: MapState<u64, u64>,
    sum: ReducingState<u64>,
    span: AggregatingState<Span>,
}

type Row = (u64, u64, Vec<u64>, Vec<(u64, u64)>, u64, u64);

impl KeyedProcessFunction for Everything {
    type Key = u64;
    type In = (u64, u64);
    type Out = Row;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        match self.ttl {
            Some(ttl) => {
                self.last = ctx.state("last").ttl(ttl).value()?;
                self.all = ctx.state("all").ttl(ttl).list()?;
                self.seen = ctx.state("seen").ttl(ttl).map()?;
                self.sum = ctx.state("sum").ttl(ttl).reducing(|sum, value| *sum += value)?;
                self.span = ctx.state("span").ttl(ttl).aggregating(Span)?;
            }
            None => {
                self.last = ctx.value("last")?;
                self.all = ctx.list("all")?;
                self.seen = ctx.map("seen")?;
                self.sum = ctx.reducing("sum", |sum, value| *sum += value)?;
                self.span = ctx.aggregating("span", Span)?;
            }
        }
        Ok(())
    }

    fn process(&mut self, (key, value): (u64, u64), ctx: &mut KeyedContext<'_, u64, Row>) -> FunctionResult {
        if !self.last.update(ctx, |last| *last = value)? {
            self.last.set(ctx, value)?;
        }
        self.all.add_all(ctx, [value, value + 1])?;
        *self.seen.get_or_insert_with(ctx, &(value % 5), || 0)? += 1;
        self.sum.add(ctx, value)?;
        self.span.add(ctx, value)?;

        let last = self.last.get(ctx)?.copied().unwrap_or_default();
        let all = self.all.get(ctx)?.iter().rev().take(3).copied().collect();
        let mut seen: Vec<_> = self.seen.entries(ctx)?.map(|(value, times)| (*value, *times)).collect();
        seen.sort_unstable();
        let sum = self.sum.get(ctx)?.copied().unwrap_or_default();
        let span = self.span.get(ctx)?.unwrap_or_default();
        ctx.emit((key, last, all, seen, sum, span));
        Ok(())
    }
}

#[test]
fn states_of_all_kinds_are_kept_per_key_and_a_long_life_changes_nothing() {
    let pairs: Vec<(u64, u64)> = (0..N).map(|n| (n % 7, n * n % 101)).collect();
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let row = |(key, value): &(u64, u64)| {
        let group = groups.entry(*key).or_default();
        group.push(*value);
        let all = [Some(value + 1), Some(*value), group.iter().rev().nth(1).map(|value| value + 1)];
        let mut seen = BTreeMap::<u64, u64>::new();
        group.iter().for_each(|value| *seen.entry(value % 5).or_default() += 1);
        let span = group.iter().max().unwrap() - group.iter().min().unwrap();
        let all = all.into_iter().flatten().collect();
        (*key, *value, all, seen.into_iter().collect(), group.iter().sum(), span)
    };
    let expected: Vec<Row> = pairs.iter().map(row).collect();
    for ttl in [None, Some(StateTtl::new(Duration::MAX).update_on_read())] {
        let function = Everything { ttl, ..Everything::default() };
        check(
            |env| env.from_collection(pairs.clone()).key_by(|pair| pair.0).process(function.clone()),
            expected.clone(),
        );
    }
}

/// Uses one name for two states.
#[derive(Clone, Default)]
struct Twice;

impl KeyedProcessFunction for Twice {
    type Key = u64;
    type In = (u64, u64);
    type Out = u64;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        ctx.value::<u64>("last")?;
        ctx.reducing::<u64>("last", |_, _| {})?;
        Ok(())
    }

    fn process(&mut self, _: (u64, u64), _: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        Ok(())
    }
}

#[test]
fn one_name_for_two_states_fails_the_job() {
    let env = env(1);
    env.from_collection(vec![(1u64, 1u64)]).key_by(|pair| pair.0).process(Twice).discard();
    let error = run_error(&env);
    assert!(error.contains("keyed state \"last\" is a value of u64, and cannot be a reduction of u64 too"), "{error}");
}
