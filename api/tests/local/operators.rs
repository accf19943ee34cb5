use std::collections::BTreeMap;

use flott::{
    Aggregate, CoProcessFunction, Collector, Context, Environment, FunctionResult, KeyedCoProcessFunction,
    KeyedContext, KeyedOpen, KeyedProcessFunction, ListState, MapState, OpenContext, OutputTag, ProcessFunction, Text,
    ValueState,
};
use proptest::prelude::*;

use super::{PARALLELISMS, batch, check, env, run, sorted};

const N: u64 = 5_000;

#[test]
fn stateless_functions() {
    check(|env| env.sequence(1, N).map(|n| n * 2), (1..=N).map(|n| n * 2).collect());
    check(|env| env.sequence(1, N).filter(|n| n % 3 == 0), (1..=N).filter(|n| n % 3 == 0).collect());
    check(
        |env| env.sequence(1, 50).flat_map(|n, out: &mut Collector<'_, u64>| out.emit_all(0..n * 10)),
        (1..=50u64).flat_map(|n| 0..n * 10).collect(),
    );
    check(|env| env.sequence(1, 100).flat_map_iter(|n| vec![n; 3]), (1..=100).flat_map(|n| [n; 3]).collect());
    check(
        |env| {
            env.sequence(1, N).try_map(u32::try_from).try_filter(|n| Ok::<_, std::fmt::Error>(n % 2 == 0)).try_flat_map(
                |n, out: &mut Collector<'_, u32>| {
                    out.emit(n);
                    Ok::<_, std::fmt::Error>(())
                },
            )
        },
        (1..=N as u32).filter(|n| n % 2 == 0).collect(),
    );
}

#[test]
fn chains_can_be_cut_anywhere() {
    check(
        |env| {
            env.sequence(1, N).map(|n| n + 1).start_new_chain().filter(|n| n % 2 == 0).disable_chaining().map(|n| n + 1)
        },
        (1..=N).map(|n| n + 1).filter(|n| n % 2 == 0).map(|n| n + 1).collect(),
    );
}

#[test]
fn several_readers_of_a_stream_see_all_of_it() {
    check(
        |env| {
            let numbers = env.sequence(1, N);
            let doubled = numbers.map(|n| n * 2);
            numbers.union([&doubled, &numbers])
        },
        (1..=N).flat_map(|n| [n, n, n * 2]).collect(),
    );
}

#[test]
fn partitionings_lose_and_repeat_nothing() {
    let all: Vec<u64> = (1..=N).collect();
    check(|env| env.sequence(1, N).rebalance().map(|n| n), all.clone());
    check(|env| env.sequence(1, N).shuffle().map(|n| n), all.clone());
    check(|env| env.sequence(1, N).global().map(|n| n), all.clone());
    check(|env| env.sequence(1, N).forward().map(|n| n), all.clone());
    check(|env| env.sequence(1, N).rescale().map(|n| n), all.clone());
    check(|env| env.sequence(1, N).parallelism(3).rescale().map(|n| n).parallelism(2), all.clone());
    check(|env| env.sequence(1, N).parallelism(2).rescale().map(|n| n).parallelism(3), all.clone());
    check(
        |env| env.sequence(1, N).partition_custom(|n, subtasks| (*n % u64::from(subtasks)) as u32).map(|n| n),
        all.clone(),
    );
    check(|env| env.sequence(1, N).parallelism(1).map(|n| n).parallelism(3), all);
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let everywhere = sorted(&env.sequence(1, 100).parallelism(1).broadcast().map(|n| n), &env);
        assert_eq!(everywhere, (1..=100).flat_map(|n| vec![n; parallelism as usize]).collect::<Vec<u64>>());
    }
}

/// Tags records with the subtask that they came to.
#[derive(Clone, Default)]
struct Where(u32);

impl ProcessFunction for Where {
    type In = u64;
    type Out = (u64, u32);

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.0 = ctx.task().subtask();
        Ok(())
    }

    fn process(&mut self, record: u64, ctx: &mut Context<'_, (u64, u32)>) -> FunctionResult {
        ctx.emit((record, self.0));
        Ok(())
    }
}

#[test]
fn records_get_where_the_partitioning_says() {
    let env = env(4);
    let numbers = env.sequence(0, 99);
    let global = numbers.global().process(Where::default()).collect();
    let custom =
        numbers.partition_custom(|n, subtasks| (*n % u64::from(subtasks)) as u32).process(Where::default()).collect();
    let rebalanced = numbers.parallelism(1).rebalance().process(Where::default()).collect();
    let result = run(&env);
    assert!(result.collected(&global).unwrap().iter().all(|(_, subtask)| *subtask == 0));
    assert!(result.collected(&custom).unwrap().iter().all(|(n, subtask)| *n % 4 == u64::from(*subtask)));
    let mut counts = [0; 4];
    result.collected(&rebalanced).unwrap().iter().for_each(|(_, subtask)| counts[*subtask as usize] += 1);
    assert_eq!(counts, [25; 4]);
}

fn running(pairs: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut sums = BTreeMap::new();
    let step = |(key, value): &(u64, u64)| {
        let sum = sums.entry(*key).or_insert(0);
        *sum += value;
        (*key, *sum)
    };
    pairs.iter().map(step).collect()
}

fn pairs(count: u64, keys: u64) -> Vec<(u64, u64)> {
    (0..count).map(|n| (n * 7919 % keys, n)).collect()
}

#[test]
fn streaming_gives_running_results() {
    let pairs = pairs(N, 37);
    let expected = running(&pairs);
    let source = |env: &Environment| env.from_collection(pairs.clone());
    check(|env| source(env).key_by(|pair| pair.0).reduce(|sum, pair| sum.1 += pair.1), expected.clone());
    check(|env| source(env).key_by(|pair| pair.0).sum(|pair| pair.1), expected);
    let counts = pairs.iter().map(|(key, _)| (*key, 1)).collect::<Vec<_>>();
    check(|env| source(env).key_by(|pair| pair.0).count(), running(&counts));
}

#[test]
fn keys_are_the_same_whether_they_are_made_or_lie_in_the_record() {
    let named = |(key, value): &(u64, u64)| (Text::from(format!("a key of its own: {}", key % 2 * key)), *value);
    let pairs = pairs(N, 700);
    let expected: Vec<(Text, u64)> = {
        let mut sums = BTreeMap::new();
        let mut step = |(key, value): (Text, u64)| {
            let sum = sums.entry(key.clone()).or_insert(0);
            *sum += value;
            (key, *sum)
        };
        pairs.iter().map(|pair| step(named(pair))).collect()
    };
    let source = |env: &Environment| env.from_collection(pairs.iter().map(named).collect::<Vec<_>>());
    check(|env| source(env).key_by(|(key, _)| key.clone()).sum(|pair| pair.1), expected.clone());
    check(|env| source(env).key_by_ref(|(key, _)| key).sum(|pair| pair.1), expected.clone());
    check(|env| source(env).key_by_ref(|(key, _)| key).reduce(|sum, pair| sum.1 += pair.1), expected.clone());
    check(|env| source(env).key_by_ref(|(key, _)| key).process(TextSum::default()), expected.clone());
    let totals: BTreeMap<Text, u64> = expected.into_iter().collect();
    for parallelism in PARALLELISMS {
        let env = batch(parallelism);
        let sums = source(&env).key_by_ref(|(key, _)| key).sum(|pair| pair.1);
        assert_eq!(sorted(&sums, &env), totals.clone().into_iter().collect::<Vec<_>>());
    }
}

/// A running sum, by hand.
#[derive(Clone, Default)]
struct TextSum(ValueState<u64>);

impl KeyedProcessFunction for TextSum {
    type Key = Text;
    type In = (Text, u64);
    type Out = (Text, u64);

    fn open(&mut self, open: &mut KeyedOpen<'_, Text>) -> FunctionResult {
        self.0 = open.value("sum")?;
        Ok(())
    }

    fn process(&mut self, (key, value): (Text, u64), ctx: &mut KeyedContext<'_, Text, (Text, u64)>) -> FunctionResult {
        let sum = self.0.get_or_insert_with(ctx, || 0)?;
        *sum += value;
        let sum = *sum;
        ctx.emit((key, sum));
        Ok(())
    }
}

#[derive(Clone)]
struct Span;

impl Aggregate for Span {
    type In = (u64, u64);
    type Accumulator = (u64, u64);
    type Out = u64;

    fn create(&self) -> (u64, u64) {
        (u64::MAX, 0)
    }

    fn add(&self, (low, high): &mut (u64, u64), (_, value): (u64, u64)) {
        *low = value.min(*low);
        *high = value.max(*high);
    }

    fn result(&self, (low, high): &(u64, u64)) -> u64 {
        high - low
    }

    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        into.0 = other.0.min(into.0);
        into.1 = other.1.max(into.1);
    }
}

#[test]
fn batch_gives_one_result_per_key() {
    let pairs = pairs(N, 37);
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    pairs.iter().for_each(|(key, value)| groups.entry(*key).or_default().push(*value));
    for parallelism in PARALLELISMS {
        let env = batch(parallelism);
        let keyed = env.from_collection(pairs.clone()).parallelism(parallelism).key_by(|pair| pair.0);
        let sums = keyed.reduce(|sum, pair| sum.1 += pair.1).collect();
        let spans = keyed.aggregate(Span).collect();
        let (smallest, largest) = (keyed.min(|pair| pair.1).collect(), keyed.max(|pair| pair.1).collect());
        let result = run(&env);
        let sorted = |collected| {
            let mut records = result.collected(collected).unwrap();
            records.sort();
            records
        };
        let expect =
            |of: &dyn Fn(&[u64]) -> u64| groups.iter().map(|(key, group)| (*key, of(group))).collect::<Vec<_>>();
        assert_eq!(sorted(&sums), expect(&|group| group.iter().sum()));
        assert_eq!(sorted(&spans), expect(&|group| group[group.len() - 1] - group[0]));
        assert_eq!(sorted(&smallest), expect(&|group| group[0]));
        assert_eq!(sorted(&largest), expect(&|group| group[group.len() - 1]));
    }
}

#[test]
fn batch_with_more_keys_than_the_local_table_holds() {
    const KEYS: u64 = 300_000;
    for parallelism in [1, 2] {
        let env = batch(parallelism);
        let counts =
            env.sequence(0, 2 * KEYS - 1).key_by(|n| n % KEYS).count().filter(|(_, count)| *count != 2).collect();
        let total = env.sequence(0, KEYS - 1).key_by(|n| *n).count().map(|_| 0u8).key_by(|_| 0u8).count().collect();
        let result = run(&env);
        assert_eq!(result.collected(&counts).unwrap(), []);
        assert_eq!(result.collected(&total).unwrap(), [(0, KEYS)]);
    }
}

const ODD: OutputTag<String> = OutputTag::new("odd");
const BIG: OutputTag<u64> = OutputTag::new("big");

#[derive(Clone)]
struct Split;

impl ProcessFunction for Split {
    type In = u64;
    type Out = u64;

    fn process(&mut self, record: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        ctx.add_to("seen", 1);
        if record % 2 == 1 {
            ctx.emit_to(&ODD, record.to_string())?;
        }
        if record > 4_000 {
            ctx.emit_to(&BIG, record)?;
        }
        ctx.emit(record);
        Ok(())
    }

    fn finish(&mut self, ctx: &mut Context<'_, u64>) -> FunctionResult {
        ctx.add_to("ended", 1);
        Ok(())
    }
}

#[test]
fn side_outputs_stand_beside_the_main_one() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let split = env.sequence(1, N).process(Split);
        let (main, odd) = (split.collect(), split.side_output(&ODD).collect());
        let big = split.side_output(&BIG).key_by(|n| n % 2).count().collect();
        let result = run(&env);
        assert_eq!(result.collected(&main).unwrap().len() as u64, N);
        let mut odd: Vec<u64> = result.collected(&odd).unwrap().iter().map(|n| n.parse().unwrap()).collect();
        odd.sort();
        assert_eq!(odd, (1..=N).step_by(2).collect::<Vec<_>>());
        assert_eq!(result.collected(&big).unwrap().len(), 1_000);
        assert_eq!(result.counter("seen"), N as i64);
        assert_eq!(result.counter("ended"), i64::from(parallelism));
        assert_eq!(result.accumulators().count(), 2);
    }
}

/// Emits, per key, how many distinct values there were, how many values, and their sum; at each record.
#[derive(Clone, Default)]
struct Distinct {
    sum: ValueState<u64>,
    seen: MapState<u64, u64>,
    all: ListState<u64>,
}

impl KeyedProcessFunction for Distinct {
    type Key = u64;
    type In = (u64, u64);
    type Out = (u64, u64, u64, u64);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.sum = ctx.value("sum")?;
        self.seen = ctx.map("seen")?;
        self.all = ctx.list("all")?;
        Ok(())
    }

    fn process(&mut self, (_, value): (u64, u64), ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        let sum = self.sum.get(ctx)?.copied().unwrap_or_default() + value;
        self.sum.set(ctx, sum)?;
        *self.seen.get_or_insert_with(ctx, &value, || 0)? += 1;
        self.all.add(ctx, value)?;
        let distinct = self.seen.len(ctx)? as u64;
        let count = self.all.get(ctx)?.len() as u64;
        let key = *ctx.key()?;
        ctx.emit((key, distinct, count, sum));
        Ok(())
    }
}

#[test]
fn process_functions_keep_state_per_key() {
    let pairs: Vec<(u64, u64)> = (0..N).map(|n| (n % 11, n % 23)).collect();
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let expected = pairs
        .iter()
        .map(|(key, value)| {
            let group = groups.entry(*key).or_default();
            group.push(*value);
            let distinct = group.iter().collect::<std::collections::BTreeSet<_>>().len() as u64;
            (*key, distinct, group.len() as u64, group.iter().sum())
        })
        .collect();
    check(|env| env.from_collection(pairs.clone()).key_by(|pair| pair.0).process(Distinct::default()), expected);
}

#[derive(Clone)]
struct Sum;

impl CoProcessFunction for Sum {
    type Left = u64;
    type Right = String;
    type Out = u64;

    fn process_left(&mut self, record: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        ctx.emit(record);
        Ok(())
    }

    fn process_right(&mut self, record: String, ctx: &mut Context<'_, u64>) -> FunctionResult {
        ctx.emit(record.parse()?);
        ctx.emit_to(&ODD, record)?;
        Ok(())
    }
}

#[test]
fn two_streams_meet_in_one_operator() {
    let expected: Vec<u64> = (1..=N).flat_map(|n| [n, n + N]).collect();
    let strings = |env: &Environment| env.sequence(N + 1, 2 * N).map(|n| n.to_string());
    check(|env| env.sequence(1, N).connect(&strings(env)).map(|n| n, |text| text.parse().unwrap()), expected.clone());
    check(|env| env.sequence(1, N).connect(&strings(env)).process(Sum), expected);
    check(
        |env| env.sequence(1, N).connect(&strings(env).rebalance()).process(Sum).side_output(&ODD),
        (N + 1..=2 * N).map(|n| n.to_string()).collect(),
    );
}

/// An inner join.
#[derive(Clone, Default)]
struct Join {
    left: ListState<u64>,
    right: ListState<String>,
}

impl KeyedCoProcessFunction for Join {
    type Key = u64;
    type Left = (u64, u64);
    type Right = (u64, String);
    type Out = (u64, u64, String);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.left = ctx.list("left")?;
        self.right = ctx.list("right")?;
        Ok(())
    }

    fn process_left(&mut self, (key, value): (u64, u64), ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        self.left.add(ctx, value)?;
        for text in self.right.get(ctx)?.to_vec() {
            ctx.emit((key, value, text));
        }
        Ok(())
    }

    fn process_right(
        &mut self,
        (key, text): (u64, String),
        ctx: &mut KeyedContext<'_, u64, Self::Out>,
    ) -> FunctionResult {
        for value in self.left.get(ctx)?.to_vec() {
            ctx.emit((key, value, text.clone()));
        }
        self.right.add(ctx, text).map_err(Into::into)
    }
}

#[test]
fn keyed_streams_share_the_state_of_their_keys() {
    let left: Vec<(u64, u64)> = (0..500).map(|n| (n % 50, n)).collect();
    let right: Vec<(u64, String)> = (0..200).map(|n| (n % 70, format!("r{n}"))).collect();
    let matches = |(key, value): &(u64, u64)| {
        let (key, value) = (*key, *value);
        right.iter().filter(move |(other, _)| *other == key).map(move |(_, text)| (key, value, text.clone()))
    };
    let expected = left.iter().flat_map(matches).collect();
    check(
        |env| {
            let left = env.from_collection(left.clone()).key_by(|pair| pair.0);
            left.connect(&env.from_collection(right.clone()).key_by(|pair| pair.0)).process(Join::default())
        },
        expected,
    );
}

#[test]
fn large_records_pass() {
    check(
        |env| {
            env.sequence(1, 40)
                .map(|n| "x".repeat(n as usize * 1_000))
                .key_by(String::len)
                .count()
                .map(|pair| pair.0 as u64)
        },
        (1..=40).map(|n| n * 1_000).collect(),
    );
}

#[test]
fn a_long_chain_and_a_wide_plan() {
    let env = env(2);
    let mut stream = env.sequence(1, 100);
    for _ in 0..200 {
        stream = stream.map(|n| n + 1);
    }
    let branches: Vec<_> = (0..50).map(|n| stream.filter(move |record| record % 50 == n)).collect();
    let joined = branches[0].union(&branches[1..]);
    assert_eq!(sorted(&joined, &env), (201..=300).collect::<Vec<u64>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn results_do_not_depend_on_parallelism(
        pairs in prop::collection::vec((0u64..20, 0u64..100), 0..300),
        source in 1u32..5,
        operator in 1u32..5,
        is_batch in any::<bool>(),
    ) {
        let run_with = |source: u32, operator: u32| {
            let env = if is_batch { batch(1) } else { env(1) };
            let stream = env.from_collection(pairs.clone()).parallelism(source);
            let totals = stream.filter(|pair| pair.1 % 3 != 0).parallelism(operator)
                .key_by(|pair| pair.0).sum(|pair| pair.1).parallelism(operator);
            // Running results depend on the order between subtasks; the largest of each key does not.
            sorted(&totals, &env).into_iter().fold(BTreeMap::new(), |mut largest, (key, sum)| {
                largest.entry(key).and_modify(|known: &mut u64| *known = sum.max(*known)).or_insert(sum);
                largest
            })
        };
        prop_assert_eq!(run_with(source, operator), run_with(1, 1));
    }
}
