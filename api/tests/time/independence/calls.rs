//! Asynchronous calls, whichever comes back first.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Debug,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use flott::{
    AsyncOptions, AsyncRetry, Context, Data, FunctionResult, ProcessFunction, Stream,
    testing::{Harness, HarnessOptions},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;

use super::{Way, in_order_of_watermarks, sorted, way};

/// A number as its subtask has called for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Asked {
    subtask: u32,
    /// Its place among those of the subtask.
    place: u32,
    number: u64,
    /// The watermark that it came behind.
    behind: i64,
}

/// In front of the calls: says how numbers come to them.
#[derive(Clone, Default)]
struct Ask(u32);

impl ProcessFunction for Ask {
    type In = u64;
    type Out = Asked;

    fn process(&mut self, number: u64, ctx: &mut Context<'_, Asked>) -> FunctionResult {
        let (subtask, place, behind) = (ctx.task().subtask(), self.0, ctx.watermark());
        self.0 += 1;
        ctx.emit(Asked { subtask, place, number, behind });
        Ok(())
    }
}

/// Behind them, in the same chain: the watermark is the one in front of them.
#[derive(Clone)]
struct Answered;

impl ProcessFunction for Answered {
    type In = (Asked, u64);
    type Out = (Asked, u64);

    fn process(&mut self, answer: Self::In, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        if answer.0.behind != ctx.watermark() {
            return Err(format!("{answer:?} comes behind the watermark {}", ctx.watermark()).into());
        }
        ctx.emit(answer);
        Ok(())
    }
}

/// How calls are made.
#[derive(Debug, Clone)]
struct Calls {
    way: Way,
    count: u64,
    ordered: bool,
    capacity: usize,
}

fn calls() -> impl Strategy<Value = Calls> {
    let way = (way(), any::<bool>())
        .prop_map(|(way, whole)| if whole { Way { parallelism: 1, ..way.one_input() } } else { way });
    (way, 0u64..100, any::<bool>(), 1usize..20).prop_map(|(way, count, ordered, capacity)| Calls {
        way,
        count,
        ordered,
        capacity,
    })
}

impl Calls {
    fn options<T, R, E>(&self) -> AsyncOptions<T, R, E> {
        if self.ordered { AsyncOptions::ordered() } else { AsyncOptions::unordered() }
    }

    /// All results of numbers that come in batches, each with its number for a timestamp and with the watermark behind it;
    /// `wait` lets time pass.
    fn run<Out: Data + Debug>(
        &self,
        options: HarnessOptions,
        wait: Duration,
        build: impl FnOnce(Stream<Asked>) -> Stream<Out>,
    ) -> Result<Vec<(Out, i64)>, TestCaseError> {
        let mut harness = Harness::with(options, |numbers: Stream<u64>| build(numbers.process(Ask::default())));
        let (mut next, mut cuts) = (0, self.way.cuts.iter().cycle());
        while next < self.count {
            let end = self.count.min(next + cuts.next().map_or(1, |cut| *cut as u64));
            harness.batch_at((next..end).map(|number| (number, number as i64))).unwrap();
            harness.watermark(end as i64 - 1).unwrap();
            harness.advance(wait).unwrap();
            next = end;
        }
        harness.advance(Duration::from_secs(1)).unwrap();
        harness.end().unwrap();
        in_order_of_watermarks(harness.take_events())
    }
}

/// Checks that each subtask has given its results in the order of its records.
fn check_order<'a>(results: impl Iterator<Item = (&'a Asked, u64)>) -> Result<(), TestCaseError> {
    let mut last = BTreeMap::new();
    for (asked, result) in results {
        let place = (asked.place, result);
        if let Some(before) = last.insert(asked.subtask, place) {
            prop_assert!(before < place, "{:?} comes behind {:?}", asked, before);
        }
    }
    Ok(())
}

/// When calls come back at all, and how often they fail before.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    fails: usize,
    hangs: bool,
}

fn outcome(number: u64) -> Outcome {
    Outcome { fails: (number * 7919 % 4) as usize, hangs: number % 11 == 3 }
}

const RETRIES: u32 = 3;
const TIMEOUT_MS: u64 = 25;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn results_stay_between_their_watermarks_and_in_order_where_that_is_asked_for(calls in calls()) {
        let results = calls.run(calls.way.options(), Duration::ZERO, |numbers| {
            let called = numbers.flat_map_async(calls.options().capacity(calls.capacity), |asked: Asked| async move {
                // Some turns of the task later, sooner or later than its neighbours.
                for _ in 0..asked.number * 7919 % 13 {
                    yield_now().await;
                }
                Ok::<_, Infallible>((0..asked.number % 3).map(move |copy| (asked.clone(), copy)))
            });
            called.process(Answered)
        })?;
        if calls.ordered {
            check_order(results.iter().map(|((asked, copy), _)| (asked, *copy)))?;
        }
        let results = results.into_iter().map(|((asked, copy), at)| (asked.number, copy, at));
        let expected = (0..calls.count).flat_map(|number| (0..number % 3).map(move |copy| (number, copy, number as i64)));
        prop_assert_eq!(sorted(results), sorted(expected));
    }

    #[test]
    fn each_call_is_made_as_often_as_it_fails_and_as_long_as_there_is_time(
        calls in calls(), delay in prop::sample::select(vec![5u64, 10]), wait in 0u64..40,
    ) {
        let made: Arc<Vec<AtomicUsize>> = Arc::new((0..calls.count).map(|_| AtomicUsize::new(0)).collect());
        let counted = made.clone();
        // While some wait by the clock, others must have room.
        let options = calls.options().capacity(calls.count as usize + 1);
        let options = options.timeout(Duration::from_millis(TIMEOUT_MS)).on_timeout(|asked| Ok((asked, 1)));
        let options = options.retry(AsyncRetry::fixed_delay(RETRIES, Duration::from_millis(delay)));
        let options = options.retry_if_result(|answer: &(Asked, u64)| answer.1 > 1);
        let results = calls.run(calls.way.options(), Duration::from_millis(wait), |numbers| {
            let called = numbers.map_async(options, move |asked: Asked| {
                let before = counted[asked.number as usize].fetch_add(1, SeqCst);
                async move {
                    let Outcome { fails, hangs } = outcome(asked.number);
                    match before {
                        _ if before < fails && before.is_multiple_of(2) => Err(format!("busy with {asked:?}")),
                        _ if before < fails => Ok((asked, 2)),
                        _ if hangs => pending().await,
                        _ => Ok((asked, 0)),
                    }
                }
            });
            called.process(Answered)
        })?;
        if calls.ordered {
            check_order(results.iter().map(|((asked, _), _)| (asked, 0)))?;
        }
        // The last one that there is time for; whoever fails for the last time is not called again.
        let last = usize::min(RETRIES as usize, ((TIMEOUT_MS - 1) / delay) as usize);
        let (mut expected, mut expected_made) = (Vec::new(), Vec::new());
        for number in 0..calls.count {
            let Outcome { fails, hangs } = outcome(number);
            expected.push((number, u64::from(hangs || fails > last), number as i64));
            expected_made.push(fails.min(last) + 1);
        }
        prop_assert_eq!(sorted(results.into_iter().map(|((asked, answer), at)| (asked.number, answer, at))), expected);
        prop_assert_eq!(made.iter().map(|made| made.load(SeqCst)).collect::<Vec<_>>(), expected_made);
    }
}
