//! Operator lists: what subtasks remember apart from keys.

mod functions;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use flott::{
    Context, FunctionResult, ListOperatorState, OpenContext, OperatorScope, ProcessFunction, RestartStrategy, Stream,
    testing::{Harness, Harness2, HarnessOptions, StateSize},
};

use super::{PARALLELISMS, env, run, run_error};

const N: u64 = 1_000;

/// Holds numbers back, and counts them.
#[derive(Clone, Default)]
pub struct Held {
    numbers: ListOperatorState<u64>,
    /// How many each subtask has seen.
    seen: ListOperatorState<(u32, u64)>,
}

impl Held {
    fn open(ctx: &mut OpenContext<'_>) -> FunctionResult<Self> {
        let held = Self { numbers: ctx.operator_list("numbers")?, seen: ctx.operator_union_list("seen")? };
        // Lists can be read and written before the first record.
        assert!(held.numbers.get(ctx)?.is_empty());
        let subtask = ctx.task().subtask();
        held.seen.add(ctx, (subtask, 0))?;
        Ok(held)
    }

    fn hold(&self, number: u64, scope: &mut impl OperatorScope) -> FunctionResult {
        self.numbers.add(scope, number)?;
        let mut seen = self.seen.take(scope)?;
        seen.iter_mut().for_each(|(_, count)| *count += 1);
        self.seen.set(scope, seen)?;
        Ok(())
    }

    /// Lets go of them.
    fn release<Out>(&self, ctx: &mut Context<'_, Out>, emit: impl Fn(u64) -> Out) -> FunctionResult {
        let [(subtask, count)] = self.seen.take(ctx)?[..] else { return Err("one count a subtask".into()) };
        assert_eq!(subtask, ctx.task().subtask());
        let numbers = self.numbers.take(ctx)?;
        assert_eq!(numbers.len() as u64, count);
        ctx.add_to("held", count as i64);
        numbers.into_iter().for_each(|number| ctx.emit(emit(number)));
        Ok(())
    }
}

/// Lets go of all numbers when there are no more.
#[derive(Clone, Default)]
struct AtTheEnd(Held);

impl ProcessFunction for AtTheEnd {
    type In = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        self.0 = Held::open(ctx)?;
        Ok(())
    }

    fn process(&mut self, number: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.0.hold(number, ctx)
    }

    fn finish(&mut self, ctx: &mut Context<'_, u64>) -> FunctionResult {
        self.0.release(ctx, |number| number)
    }
}

#[test]
fn lists_belong_to_a_subtask_and_last_as_long_as_it() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let released = env.sequence(1, N).process(AtTheEnd::default()).collect();
        let result = run(&env);
        let mut released = result.collected(&released).unwrap();
        released.sort_unstable();
        assert_eq!(released, (1..=N).collect::<Vec<_>>());
        assert_eq!(result.counter("held"), N as i64);
    }
}

#[test]
fn lists_are_there_under_the_harness() {
    let mut harness = Harness::new(|numbers: Stream<u64>| numbers.process(AtTheEnd::default()));
    harness.push_all([3, 1]).unwrap();
    harness.batch([2, 4]).unwrap();
    assert!(harness.take().is_empty());
    // Keys alone are counted.
    assert_eq!(harness.state_size(), StateSize::default());
    harness.end().unwrap();
    assert_eq!(harness.take(), [3, 1, 2, 4]);
    assert_eq!(harness.counter("held"), 4);

    for seed in 0..20 {
        let options = HarnessOptions::new().parallelism(3).interleaved(seed);
        let mut harness =
            Harness::with(options, |numbers: Stream<u64>| numbers.rebalance().process(AtTheEnd::default()));
        harness.push_all(1..=100).unwrap();
        harness.end().unwrap();
        let mut released = harness.take();
        released.sort_unstable();
        assert_eq!(released, (1..=100).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// Checks that a function of two streams holds the numbers of both until they have ended.
#[track_caller]
pub fn check_both(build: impl Fn(Stream<u64>, Stream<u64>) -> Stream<u64>) {
    let mut harness = Harness2::new(build);
    harness.left().push_all_at([(1, 10), (2, 20)]).unwrap();
    harness.right().push_all_at([(5, 10), (6, 30)]).unwrap();
    harness.left().push_at(3, 30).unwrap();
    harness.watermark(25).unwrap();
    assert!(harness.take().is_empty());
    harness.end().unwrap();
    let mut released = harness.take();
    released.sort_unstable();
    assert_eq!(released, [1, 2, 3, 5, 6]);
    assert_eq!(harness.counter("held"), 5);
}

/// Does something wrong with its lists.
#[derive(Clone)]
struct Wrong {
    open: fn(&mut OpenContext<'_>) -> FunctionResult,
    unbound: ListOperatorState<u8>,
}

impl ProcessFunction for Wrong {
    type In = u64;
    type Out = u64;

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        (self.open)(ctx)
    }

    fn process(&mut self, _: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        Ok(self.unbound.add(ctx, 1)?)
    }
}

#[track_caller]
fn check_wrong(open: fn(&mut OpenContext<'_>) -> FunctionResult, expected: &str) {
    let env = env(1);
    let wrong = Wrong { open, unbound: ListOperatorState::default() };
    env.sequence(1, 2).process(wrong).name("wrong").discard();
    let error = run_error(&env);
    assert!(error.contains("in wrong") && error.contains(expected), "{error}");
}

#[test]
fn a_name_stands_for_one_state() {
    check_wrong(
        |ctx| {
            ctx.operator_list::<u8>("places")?;
            ctx.operator_list::<u8>("places")?;
            ctx.operator_union_list::<u8>("places").map(drop)
        },
        "operator state \"places\" is a split list of u8, and cannot be a union list of u8 too",
    );
    check_wrong(
        |ctx| {
            ctx.operator_union_list::<u8>("places")?;
            ctx.operator_union_list::<String>("places").map(drop)
        },
        "operator state \"places\" is a union list of u8, and cannot be a union list of alloc::string::String too",
    );
}

#[test]
fn a_handle_that_is_not_bound_is_told() {
    check_wrong(|_| Ok(()), "operator state handle is not bound: get it from the context in `open`");
    // Nor is one of a list of another type, though there is a list.
    check_wrong(|ctx| ctx.operator_list::<u16>("other").map(drop), "operator state handle is not bound");
}

#[test]
fn a_function_starts_again_with_new_lists() {
    // Not each attempt's: who reads the number next may be the other subtask, which runs on.
    static HAS_FAILED: AtomicBool = AtomicBool::new(false);

    #[derive(Clone, Default)]
    struct Once(AtTheEnd);

    impl ProcessFunction for Once {
        type In = u64;
        type Out = u64;

        fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
            self.0.open(ctx)
        }

        fn process(&mut self, number: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
            if number == N / 2 && !HAS_FAILED.swap(true, Relaxed) {
                return Err("on purpose".into());
            }
            self.0.process(number, ctx)
        }

        fn finish(&mut self, ctx: &mut Context<'_, u64>) -> FunctionResult {
            self.0.finish(ctx)
        }
    }

    let env = env(2);
    env.set_restart_strategy(RestartStrategy::FixedDelay { attempts: 1, delay_ms: 1 });
    env.sequence(1, N).process(Once::default()).discard();
    let result = run(&env);
    assert_eq!(result.restarts(), 1);
    assert_eq!(result.counter("held"), N as i64);
}
