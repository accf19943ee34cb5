//! Asynchronous calls in whole jobs.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use flott::{
    AsyncOptions, AsyncRetry, Clock, Context, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction,
    ManualClock, ProcessFunction, Timer, ValueState, WatermarkStrategy,
};
use tokio::{sync::Notify, task::yield_now};

use super::{PARALLELISMS, check, env, run, run_error, sorted};

const N: u64 = 3_000;

/// Comes back after a few turns, sooner or later than its neighbours.
async fn later(number: u64) {
    for _ in 0..number * 7919 % 13 {
        yield_now().await;
    }
}

/// Doubles numbers at leisure.
async fn doubled(number: u64) -> Result<u64, Infallible> {
    later(number).await;
    Ok(number * 2)
}

#[test]
fn every_record_has_its_results_wherever_the_calls_are_made() {
    let expected: Vec<u64> = (1..=N).map(|n| n * 2).collect();
    // In the middle of a chain, at its head, and one behind the other.
    check(|env| env.sequence(1, N).map_async(AsyncOptions::ordered(), doubled).map(|n| n), expected.clone());
    check(|env| env.sequence(1, N).rebalance().map_async(AsyncOptions::unordered(), doubled), expected.clone());
    check(
        |env| {
            let once = env.sequence(1, N).map_async(AsyncOptions::unordered().capacity(3), doubled);
            once.map_async(AsyncOptions::ordered().capacity(2), |n| async move { doubled(n / 2).await })
        },
        expected,
    );
    check(
        |env| {
            env.sequence(1, 200).flat_map_async(AsyncOptions::ordered(), |n| async move {
                later(n).await;
                Ok::<_, Infallible>(0..n)
            })
        },
        (1..=200).flat_map(|n| 0..n).collect(),
    );
}

#[test]
fn ordered_calls_keep_the_order() {
    let env = env(1);
    let doubled = env.sequence(1, N).map_async(AsyncOptions::ordered(), doubled).collect();
    let result = run(&env);
    assert_eq!(result.collected(&doubled).unwrap(), (1..=N).map(|n| n * 2).collect::<Vec<_>>());
}

/// Passes on a record and whether it is late.
#[derive(Clone)]
struct Late;

impl ProcessFunction for Late {
    type In = u64;
    type Out = (u64, bool);

    fn process(&mut self, record: u64, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        let late = ctx.timestamp().is_none_or(|timestamp| timestamp <= ctx.watermark());
        ctx.emit((record, late));
        Ok(())
    }
}

#[test]
fn watermarks_overtake_no_results() {
    for options in [AsyncOptions::<u64, u64, Infallible>::unordered, AsyncOptions::ordered] {
        check(
            |env| {
                env.configure("pipeline.auto-watermark-interval", "0 ms");
                let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|n| *n as i64);
                let numbers =
                    env.sequence(1, N).parallelism(1).assign_timestamps_and_watermarks(strategy).parallelism(1);
                numbers
                    .map_async(options(), |n| async move {
                        later(n).await;
                        Ok(n)
                    })
                    .process(Late)
            },
            (1..=N).map(|n| (n, false)).collect(),
        );
    }
}

/// Counts the calls that are under way.
#[derive(Clone, Default)]
struct UnderWay {
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

struct Guard(Arc<AtomicUsize>);

impl UnderWay {
    fn enter(&self) -> Guard {
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        Guard(self.now.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn no_more_calls_are_under_way_than_there_is_capacity_for() {
    for capacity in [1, 2, 50] {
        let env = env(1);
        let under_way = UnderWay::default();
        let calls = under_way.clone();
        let options = AsyncOptions::unordered().capacity(capacity);
        let numbers = env.sequence(1, N).map_async(options, move |n| {
            let guard = calls.enter();
            async move {
                let _guard = guard;
                doubled(n).await
            }
        });
        assert_eq!(sorted(&numbers, &env), (1..=N).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!((under_way.now.load(SeqCst), under_way.most.load(SeqCst)), (0, capacity));
    }
}

#[test]
fn an_error_fails_the_task() {
    let env = env(1);
    env.sequence(1, N)
        .map_async(AsyncOptions::ordered(), |n| async move {
            later(n).await;
            if n == 1_000 { Err("no answer") } else { Ok(n) }
        })
        .name("asks")
        .discard();
    let error = run_error(&env);
    assert!(error.contains(" in asks on ") && error.contains(": user function failed: no answer"), "{error}");
}

#[test]
fn a_panic_names_the_operator_and_leaves_nothing_running() {
    let env = env(2);
    let under_way = UnderWay::default();
    let calls = under_way.clone();
    env.sequence(1, N)
        .map_async(AsyncOptions::unordered(), move |n| {
            let guard = calls.enter();
            async move {
                let _guard = guard;
                later(n).await;
                match n % 1_000 {
                    0 => panic!("cannot ask for {n}"),
                    1 => pending().await,
                    _ => Ok::<_, Infallible>(n),
                }
            }
        })
        .name("asks")
        .map(|n| n)
        .discard();
    let error = run_error(&env);
    assert!(error.contains(" in asks on ") && error.contains(": the program panicked: cannot ask for"), "{error}");
    assert!(error.contains("tests/local/calls.rs"), "{error}");
    assert!(under_way.most.load(SeqCst) > 0);
    assert_eq!(under_way.now.load(SeqCst), 0);
}

#[test]
fn a_call_that_takes_too_long_fails_the_task_or_has_the_result_that_is_for_that() {
    for mends in [false, true] {
        let env = env(1);
        let clock = ManualClock::at(0);
        env.set_clock(Clock::Manual(clock.clone()));
        let asked = Arc::new(Notify::new());
        let mut options = AsyncOptions::<u64, u64, Infallible>::ordered().timeout(Duration::from_secs(30));
        if mends {
            options = options.on_timeout(|n| Ok(n + 100));
        }
        let numbers = env
            .sequence(1, 9)
            .map_async(options, move |n| {
                let (clock, asked) = (clock.clone(), asked.clone());
                async move {
                    match n {
                        5 => {
                            asked.notify_one();
                            pending().await
                        }
                        7 => {
                            asked.notified().await;
                            clock.advance(Duration::from_secs(30));
                        }
                        _ => {}
                    }
                    Ok(n)
                }
            })
            .name("asks");
        if mends {
            let numbers = sorted(&numbers, &env);
            // Time passed for all that had not come back yet.
            assert!(numbers.contains(&105) && numbers.len() == 9, "{numbers:?}");
        } else {
            numbers.discard();
            let error = run_error(&env);
            assert!(error.contains(" in asks on ") && error.contains("call has not come back within 30s"), "{error}");
        }
    }
}

/// Runs calls of the numbers 1 to 9, each of which fails `fails` times; how often they were called, and how it ended.
fn tried(fails: usize, retry: AsyncRetry) -> (usize, Result<Vec<u64>, String>) {
    let env = env(1);
    let clock = ManualClock::at(0);
    env.set_clock(Clock::Manual(clock.clone()));
    let tried: Arc<[AtomicUsize; 10]> = Arc::default();
    let calls = tried.clone();
    let options = AsyncOptions::ordered()
        .retry(retry)
        .retry_if(|error: &String| error.starts_with("busy"))
        .retry_if_result(|number: &u64| *number == 0);
    let numbers = env.sequence(0, 9).map_async(options, move |n| {
        let (calls, clock) = (calls.clone(), clock.clone());
        async move {
            if n == 0 {
                // Time passes while the others are called.
                while calls[1..].iter().any(|calls| calls.load(SeqCst) <= fails) {
                    clock.advance(Duration::from_secs(1));
                    yield_now().await;
                }
                return Ok(10);
            }
            match calls[n as usize].fetch_add(1, SeqCst) {
                before if before == fails => Ok(n),
                before if before % 2 == 0 => Err(format!("busy with {n}")),
                _ => Ok(0),
            }
        }
    });
    let collected = numbers.collect();
    let outcome = match env.execute("test") {
        Ok(result) => Ok(result.collected(&collected).unwrap()),
        Err(error) => Err(error.to_string()),
    };
    (tried.iter().map(|calls| calls.load(SeqCst)).sum(), outcome)
}

#[test]
fn calls_that_fail_or_have_a_bad_result_are_made_again() {
    for retry in [
        AsyncRetry::fixed_delay(3, Duration::from_secs(1)),
        AsyncRetry::exponential(3, Duration::from_secs(1), Duration::from_secs(8), 2.0),
    ] {
        let (calls, outcome) = tried(3, retry);
        assert_eq!((calls, outcome), (9 * 4, Ok(vec![10, 1, 2, 3, 4, 5, 6, 7, 8, 9])));
    }
}

#[test]
fn the_last_error_counts_when_there_is_no_retry_left() {
    let (_, outcome) = tried(7, AsyncRetry::fixed_delay(2, Duration::from_secs(1)));
    let error = outcome.unwrap_err();
    assert!(error.contains("busy with") && error.contains("it was called 3 times"), "{error}");
}

/// Counts records per key and gives the count at the end of time.
#[derive(Clone, Default)]
struct Total(ValueState<u64>);

impl KeyedProcessFunction for Total {
    type Key = u64;
    type In = u64;
    type Out = (u64, u64);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.0 = ctx.value("total")?;
        Ok(())
    }

    fn process(&mut self, _: u64, ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        *self.0.get_or_insert_with(ctx, || 0)? += 1;
        ctx.register_event_time_timer(i64::MAX)?;
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        let total = self.0.take(ctx)?.unwrap_or_default();
        let key = *ctx.key()?;
        ctx.emit((key, total));
        Ok(())
    }
}

#[test]
fn the_end_of_the_input_waits_for_all_calls() {
    check(
        |env| {
            let numbers = env.sequence(1, N).map_async(AsyncOptions::unordered().capacity(1_000), doubled);
            numbers.key_by(|n| n % 10).process(Total::default())
        },
        (0..5).map(|key| (key * 2, N / 5)).collect(),
    );
}

#[test]
fn several_readers_see_all_results_and_so_does_a_side_with_calls_of_its_own() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let once = env.sequence(1, N).map_async(AsyncOptions::unordered().capacity(7), doubled);
        let twice = once.map_async(AsyncOptions::ordered().capacity(3), |n| async move { doubled(n / 2).await });
        let both = once.union([&twice]);
        assert_eq!(sorted(&both, &env), (1..=N).flat_map(|n| [n * 2; 2]).collect::<Vec<_>>());
    }
}

#[test]
fn options_that_make_no_sense_are_told_when_the_job_is_planned() {
    let env = env(1);
    env.sequence(1, 2).map_async(AsyncOptions::ordered().capacity(0), doubled).discard();
    assert_eq!(run_error(&env), "asynchronous calls of \"Async Map\": the capacity must be at least 1");
}
