//! Streams beside one that all subtasks see.

use std::{collections::BTreeMap, time::Duration};

use flott::{
    BroadcastOpen, BroadcastProcessFunction, BroadcastState, BroadcastStates, Context, Environment, FunctionResult,
    KeyedBroadcastContext, KeyedBroadcastOpen, KeyedBroadcastProcessFunction, KeyedContext, ReducingState, Timer,
    ValueState, WatermarkStrategy,
};

use super::{
    PARALLELISMS, env, run_error,
    script::{Cue, script},
    sorted,
};

/// Waits for so many cues before the first step.
fn after<T>(cues: usize, mut steps: Vec<Vec<T>>) -> Vec<Vec<T>> {
    for _ in 1..cues {
        steps.insert(0, Vec::new());
    }
    steps
}

/// Says what the rules make of each number; a rule is a divisor and its name. No name takes a rule back.
#[derive(Clone)]
struct Rules {
    rules: BroadcastState<u64, String>,
    numbers: Cue,
}

impl BroadcastProcessFunction for Rules {
    type In = u64;
    type Broadcast = (u64, String);
    type Out = (u64, String);

    fn open(&mut self, ctx: &mut BroadcastOpen<'_>) -> FunctionResult {
        assert_eq!(ctx.task().job_name, "test");
        self.rules = ctx.broadcast_state("rules")?;
        Ok(())
    }

    fn process(&mut self, number: u64, states: &BroadcastStates, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        // Rules are looked at while results are given out.
        for (divisor, name) in self.rules.entries(states)? {
            if number.is_multiple_of(*divisor) {
                ctx.emit((number, name.clone()));
            }
        }
        if number == 1_000 {
            self.numbers.give(1);
        }
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        (divisor, name): (u64, String),
        states: &mut BroadcastStates,
        ctx: &mut Context<'_, Self::Out>,
    ) -> FunctionResult {
        if name.is_empty() {
            self.rules.remove(states, &divisor)?;
        } else {
            self.rules.insert(states, &divisor, name)?;
        }
        ctx.add_to("rules", 1);
        self.numbers.give(1);
        Ok(())
    }

    fn finish(&mut self, states: &BroadcastStates, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        ctx.emit((0, format!("{} rules", self.rules.len(states)?)));
        Ok(())
    }
}

#[test]
fn all_subtasks_know_what_was_broadcast() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let rules = [(3, "fizz"), (5, "buzz"), (7, "bang"), (7, "")].map(|(number, name)| (number, name.to_owned()));
        let told = rules.len() * parallelism as usize;
        let (numbers, cue) = script(&env, after(told, vec![(1..=1_000u64).collect()]));
        let function = Rules { rules: BroadcastState::default(), numbers: cue };
        let named = numbers.rebalance().connect_broadcast(&env.from_collection(rules)).process(function);
        let mut expected = vec![(0, "2 rules".to_owned()); parallelism as usize];
        expected.extend((1..=1_000).filter(|n| n % 3 == 0).map(|n| (n, "fizz".to_owned())));
        expected.extend((1..=1_000).filter(|n| n % 5 == 0).map(|n| (n, "buzz".to_owned())));
        expected.sort();
        assert_eq!(sorted(&named, &env), expected);
    }
}

/// Sums per key. A broadcast number adds itself to the sums there are, and has them given out; 0 forgets them.
#[derive(Clone)]
struct Sums {
    sum: ReducingState<u64>,
    told: BroadcastState<u8, Vec<u64>>,
    numbers: Cue,
    told_next: Cue,
}

impl KeyedBroadcastProcessFunction for Sums {
    type Key = u64;
    type In = (u64, u64);
    type Broadcast = u64;
    /// Key, sum, how many numbers were told until then.
    type Out = (u64, u64, usize);

    fn open(&mut self, ctx: &mut KeyedBroadcastOpen<'_, u64>) -> FunctionResult {
        self.sum = ctx.reducing("sum", |sum, more| *sum += more)?;
        self.told = ctx.broadcast_state("told")?;
        Ok(())
    }

    fn process(
        &mut self,
        (_, number): (u64, u64),
        _: &BroadcastStates,
        ctx: &mut KeyedContext<'_, u64, Self::Out>,
    ) -> FunctionResult {
        self.sum.add(ctx, number)?;
        self.told_next.give(1);
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        number: u64,
        states: &mut BroadcastStates,
        ctx: &mut KeyedBroadcastContext<'_, u64, Self::Out>,
    ) -> FunctionResult {
        self.told.get_or_insert_with(states, &0, Vec::new)?.push(number);
        let told = self.told.get(states, &0)?.map_or(0, Vec::len);
        let sum = &self.sum;
        ctx.apply_to_keyed_state(sum, |ctx| {
            if number == 0 {
                return Ok(sum.clear(ctx)?);
            }
            sum.add(ctx, number)?;
            let total = (*ctx.key()?, sum.get(ctx)?.copied().unwrap_or_default(), told);
            ctx.emit(total);
            Ok(())
        })?;
        self.numbers.give(1);
        Ok(())
    }
}

#[test]
fn a_broadcast_record_can_go_through_the_state_of_all_keys() {
    const KEYS: u64 = 100;
    let first: Vec<(u64, u64)> = (0..1_000).map(|n| (n % KEYS, n)).collect();
    let second: Vec<(u64, u64)> = (0..10).map(|n| (n, n)).collect();
    let mut sums: BTreeMap<u64, u64> = BTreeMap::new();
    first.iter().for_each(|(key, number)| *sums.entry(*key).or_default() += number);
    let mut expected: Vec<_> = sums.iter().map(|(key, sum)| (*key, sum + 7, 1)).collect();
    expected.extend(sums.iter().map(|(key, sum)| (*key, sum + 7 + 9, 2)));
    // The third forgets them all.
    expected.extend(second.iter().map(|(key, number)| (*key, number + 1, 4)));
    expected.sort();
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let subtasks = parallelism as usize;
        let steps = [vec![first.clone()], after(3 * subtasks, vec![second.clone()])].concat();
        let (numbers, numbers_cue) = script(&env, steps);
        let steps = [after(first.len(), vec![vec![7, 9, 0]]), after(second.len(), vec![vec![1]])].concat();
        let (told, told_cue) = script(&env, steps);
        let function = Sums {
            sum: ReducingState::default(),
            told: BroadcastState::default(),
            numbers: numbers_cue.clone(),
            told_next: told_cue.clone(),
        };
        let totals = numbers.key_by(|row| row.0).connect_broadcast(&told).process(function);
        // Numbers, then what is told, then numbers, then what is told; the ends come after.
        numbers_cue.give(1);
        let after_all = (numbers_cue, told_cue);
        let totals = totals.map(move |total| {
            if total.2 == 4 {
                after_all.0.give(1);
                after_all.1.give(1);
            }
            total
        });
        assert_eq!(sorted(&totals, &env), expected);
    }
}

/// Has each number wait for the time that the last broadcast delay says, and gives it out with that of then.
#[derive(Clone)]
struct Delays {
    waiting: ValueState<u64>,
    delay: BroadcastState<u8, i64>,
    numbers: Cue,
}

impl KeyedBroadcastProcessFunction for Delays {
    type Key = u64;
    type In = u64;
    type Broadcast = i64;
    type Out = (u64, i64, i64);

    fn open(&mut self, ctx: &mut KeyedBroadcastOpen<'_, u64>) -> FunctionResult {
        self.waiting = ctx.value("waiting")?;
        self.delay = ctx.broadcast_state("delay")?;
        Ok(())
    }

    fn process(
        &mut self,
        number: u64,
        states: &BroadcastStates,
        ctx: &mut KeyedContext<'_, u64, Self::Out>,
    ) -> FunctionResult {
        let at = ctx.timestamp().ok_or("no timestamp")?;
        let delay = self.delay.get(states, &0)?.copied().unwrap_or_default();
        self.waiting.set(ctx, number)?;
        ctx.register_event_time_timer(at + delay)?;
        if number == 99 {
            self.numbers.give(1);
        }
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        delay: i64,
        states: &mut BroadcastStates,
        _: &mut KeyedBroadcastContext<'_, u64, Self::Out>,
    ) -> FunctionResult {
        self.delay.insert(states, &0, delay)?;
        self.numbers.give(1);
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        states: &BroadcastStates,
        ctx: &mut KeyedContext<'_, u64, Self::Out>,
    ) -> FunctionResult {
        let number = self.waiting.take(ctx)?.ok_or("nothing waits")?;
        let delay = self.delay.get(states, &0)?.copied().unwrap_or_default();
        ctx.emit((number, timer.at, delay));
        Ok(())
    }
}

fn delayed(env: &Environment, parallelism: u32, delays: Vec<i64>) -> Vec<(u64, i64, i64)> {
    let subtasks = parallelism as usize;
    let (numbers, cue) = script(env, after(delays.len() * subtasks, vec![(0..100u64).collect()]));
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(10));
    let numbers = numbers.assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|n: &u64| *n as i64));
    let function = Delays { waiting: ValueState::default(), delay: BroadcastState::default(), numbers: cue };
    sorted(&numbers.key_by(|n| *n).connect_broadcast(&env.from_collection(delays)).process(function), env)
}

#[test]
fn timers_see_what_was_broadcast() {
    for parallelism in PARALLELISMS {
        let delayed = delayed(&env(parallelism), parallelism, vec![5, 20]);
        assert_eq!(delayed, (0..100).map(|n| (n, n as i64 + 20, 20)).collect::<Vec<_>>());
    }
}

#[test]
fn broadcast_state_has_one_type() {
    #[derive(Clone)]
    struct Twice;

    impl BroadcastProcessFunction for Twice {
        type In = u64;
        type Broadcast = u64;
        type Out = u64;

        fn open(&mut self, ctx: &mut BroadcastOpen<'_>) -> FunctionResult {
            ctx.broadcast_state::<u8, u8>("state")?;
            ctx.broadcast_state::<u8, u16>("state").map(drop)
        }

        fn process(&mut self, _: u64, _: &BroadcastStates, _: &mut Context<'_, u64>) -> FunctionResult {
            Ok(())
        }

        fn process_broadcast(&mut self, _: u64, _: &mut BroadcastStates, _: &mut Context<'_, u64>) -> FunctionResult {
            Ok(())
        }
    }

    let env = env(1);
    env.sequence(1, 2).connect_broadcast(&env.sequence(1, 2)).process(Twice).discard();
    let error = run_error(&env);
    assert!(error.contains("operator state \"state\" is"), "{error}");
}
