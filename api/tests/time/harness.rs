//! What the harness itself promises.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use flott::{
    Aggregate, AsyncOptions, CoProcessFunction, Context, ExecutionMode, FunctionResult, KeyedContext, KeyedOpen,
    KeyedProcessFunction, OpenContext, OutputTag, ProcessFunction, Stream, Timer, ValueState,
    testing::{Emitted, Harness, Harness2, HarnessOptions, StateSize},
};

use tokio::sync::oneshot;

const ODD: OutputTag<String> = OutputTag::new("odd");

/// Passes on even numbers, and odd ones as text at the side.
#[derive(Clone)]
struct Parity;

impl ProcessFunction for Parity {
    type In = u64;
    type Out = u64;

    fn process(&mut self, number: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        ctx.add_to("seen", 1);
        if number.is_multiple_of(2) {
            ctx.emit(number)
        } else {
            ctx.emit_to(&ODD, number.to_string())?
        }
        Ok(())
    }
}

#[test]
fn results_are_there_when_a_record_was_pushed() {
    let mut harness =
        Harness::new(|numbers: Stream<u64>| numbers.map(|n| n + 1).filter(|n| n % 2 == 0).map(|n| n * 10));
    harness.push(1).unwrap();
    assert_eq!(harness.take(), [20]);
    harness.push_all([2, 3, 5]).unwrap();
    assert_eq!(harness.take(), [40, 60]);
    assert!(harness.take().is_empty());
    harness.batch(0..10_000).unwrap();
    assert_eq!(harness.take().len(), 5_000);
    harness.end().unwrap();
    assert_eq!(harness.take_events(), [Emitted::Watermark(i64::MAX), Emitted::End]);
}

#[test]
fn events_are_in_order_with_records() {
    use Emitted::{Active, End, Idle, Record, Watermark};
    let mut harness = Harness::new(|numbers: Stream<u64>| numbers.key_by(|n| n % 2).sum(|n| *n));
    harness.push_at(4, 40).unwrap();
    harness.watermark(50).unwrap();
    harness.watermark(45).unwrap();
    harness.idle().unwrap();
    harness.push_at(6, 60).unwrap();
    harness.end().unwrap();
    assert_eq!(
        harness.take_events(),
        [Record((0, 4), Some(40)), Watermark(50), Idle, Active, Record((0, 10), Some(60)), Watermark(i64::MAX), End]
    );
}

#[test]
fn side_outputs_and_counters() {
    let mut harness = Harness::with(HarnessOptions::new().side(&ODD), |numbers: Stream<u64>| {
        numbers.process(Parity).map(|n| n / 2).process(Parity)
    });
    harness.push_all([1, 2, 4]).unwrap();
    assert_eq!(harness.take(), [2]);
    assert_eq!(harness.side(&ODD), ["1", "1"]);
    harness.push_at(3, 7).unwrap();
    assert_eq!(harness.side_timestamped(&ODD), [("3".to_owned(), Some(7))]);
    // Seen at any time.
    assert_eq!(harness.counter("seen"), 6);
    harness.end().unwrap();
    assert_eq!(harness.counter("seen"), 6);
}

#[test]
#[should_panic(expected = "side output \"odd\" is not noted")]
fn a_side_output_must_be_asked_for() {
    Harness::new(|numbers: Stream<u64>| numbers.process(Parity)).side(&ODD);
}

/// Counts the records of a key, and forgets them a second after the first.
#[derive(Clone, Default)]
struct Forgetting(ValueState<u64>);

impl KeyedProcessFunction for Forgetting {
    type Key = u64;
    type In = u64;
    type Out = (u64, u64);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.0 = ctx.value("count")?;
        Ok(())
    }

    fn process(&mut self, _: u64, ctx: &mut KeyedContext<'_, u64, (u64, u64)>) -> FunctionResult {
        let count = self.0.get_or_insert_with(ctx, || 0)?;
        *count += 1;
        if *count == 1 {
            let at = ctx.processing_time() + 1_000;
            ctx.register_processing_time_timer(at)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, u64, (u64, u64)>) -> FunctionResult {
        let (key, count) = (*ctx.key()?, self.0.take(ctx)?.unwrap_or_default());
        ctx.emit((key, count));
        Ok(())
    }
}

#[test]
fn what_is_remembered_can_be_seen() {
    let mut harness = Harness::with(HarnessOptions::new().start_at(5_000), |numbers: Stream<u64>| {
        numbers.key_by(|n| *n).process(Forgetting::default())
    });
    assert_eq!(harness.state_size(), StateSize::default());
    harness.push_all([1, 1, 2]).unwrap();
    assert_eq!(harness.state_size(), StateSize { keys: 2, timers: 2 });
    harness.advance(Duration::from_millis(500)).unwrap();
    harness.push(3).unwrap();
    harness.set_time(6_000).unwrap();
    let mut results = harness.take();
    results.sort_unstable();
    assert_eq!(results, [(1, 2), (2, 1)]);
    assert_eq!(harness.state_size(), StateSize { keys: 1, timers: 1 });
    harness.end().unwrap();
    assert_eq!(harness.take(), [(3, 1)]);
    assert_eq!(harness.state_size(), StateSize::default());
    assert_eq!(harness.now(), 6_000);
}

#[derive(Clone)]
struct Fails(&'static str);

impl ProcessFunction for Fails {
    type In = u64;
    type Out = u64;

    fn open(&mut self, _: &mut OpenContext<'_>) -> FunctionResult {
        if self.0 == "open" { Err("shut".into()) } else { Ok(()) }
    }

    fn process(&mut self, number: u64, ctx: &mut Context<'_, u64>) -> FunctionResult {
        match self.0 {
            "process" => Err("refused".into()),
            "panic" => panic!("dropped {number}"),
            _ => {
                ctx.emit(number);
                Ok(())
            }
        }
    }

    fn finish(&mut self, _: &mut Context<'_, u64>) -> FunctionResult {
        if self.0 == "finish" { Err("unfinished".into()) } else { Ok(()) }
    }
}

#[track_caller]
fn check_failure(when: &'static str, message: &str) {
    let mut harness = Harness::new(|numbers: Stream<u64>| {
        numbers.map(|n| n).process(Fails(when)).name("breaks").key_by(|n| *n).count()
    });
    let outcome = harness.push(1).and_then(|()| harness.end());
    let failure = outcome.unwrap_err();
    assert!(failure.message.contains(message), "{failure}");
    assert_eq!(failure.location.operator.as_deref(), Some("breaks"));
    assert_eq!(failure.location.subtask, Some((0, 1)));
    // It is said again by whatever is tried.
    assert_eq!(harness.push(2).unwrap_err(), failure);
    assert_eq!(harness.advance(Duration::from_secs(1)).unwrap_err(), failure);
    assert_eq!(harness.end().unwrap_err(), failure);
}

#[test]
fn failures_and_panics_name_their_operator() {
    check_failure("open", "shut");
    check_failure("process", "refused");
    check_failure("panic", "the program panicked: dropped 1");
    check_failure("finish", "unfinished");
}

#[test]
fn what_is_wrong_with_a_plan_is_told() {
    let mut harness = Harness::new(|numbers: Stream<u64>| numbers.map(|n| n).uid("a").map(|n| n).uid("a"));
    assert!(harness.push(1).unwrap_err().message.contains("uids must be unique"));
    let mut harness =
        Harness::with(HarnessOptions::new().configure("no.such.key", "1"), |numbers: Stream<u64>| numbers);
    assert!(harness.push(1).unwrap_err().message.contains("no.such.key"));
}

#[test]
fn an_ended_input_takes_nothing() {
    let mut harness = Harness::new(|numbers: Stream<u64>| numbers);
    harness.push(1).unwrap();
    harness.end().unwrap();
    assert!(harness.push(2).unwrap_err().message.contains("has ended"));
    harness.end().unwrap();
    assert_eq!(harness.take(), [1]);
}

#[derive(Clone)]
struct Sum;

impl Aggregate for Sum {
    type In = u64;
    type Accumulator = u64;
    type Out = u64;
    fn create(&self) -> u64 {
        0
    }
    fn add(&self, sum: &mut u64, value: u64) {
        *sum += value;
    }
    fn result(&self, sum: &u64) -> u64 {
        *sum
    }
    fn merge(&self, into: &mut u64, other: u64) {
        *into += other;
    }
}

#[test]
fn batch_mode_gives_results_at_the_end() {
    let options = HarnessOptions::new().mode(ExecutionMode::Batch);
    let mut harness = Harness::with(options, |numbers: Stream<u64>| numbers.key_by(|n| n % 3).aggregate(Sum));
    harness.batch(0..9_000).unwrap();
    assert!(harness.take().is_empty());
    assert_eq!(harness.state_size().keys, 3);
    harness.end().unwrap();
    let mut results = harness.take();
    results.sort_unstable();
    let expected = |rest: u64| (rest, (0..9_000).filter(|n| n % 3 == rest).sum());
    assert_eq!(results, [expected(0), expected(1), expected(2)]);
}

#[test]
fn unions_and_connects_of_derived_streams() {
    let mut harness = Harness::new(|numbers: Stream<u64>| {
        let (even, odd) = (numbers.filter(|n| n % 2 == 0), numbers.filter(|n| n % 2 == 1).map(|n| n.to_string()));
        let texts = even.connect(&odd).map(|n| format!("even {n}"), |text| format!("odd {text}"));
        texts.union([&numbers.map(|n| format!("all {n}"))])
    });
    harness.push_all([1, 2]).unwrap();
    let mut results = harness.take();
    results.sort();
    assert_eq!(results, ["all 1", "all 2", "even 2", "odd 1"]);
    harness.watermark(7).unwrap();
    assert_eq!(harness.take_events(), [Emitted::Watermark(7)]);
    harness.end().unwrap();
}

/// Says what came from where.
#[derive(Clone)]
struct Sides;

impl CoProcessFunction for Sides {
    type Left = u64;
    type Right = String;
    type Out = String;

    fn process_left(&mut self, number: u64, ctx: &mut Context<'_, String>) -> FunctionResult {
        ctx.emit(format!("left {number} at {}", ctx.watermark()));
        Ok(())
    }

    fn process_right(&mut self, text: String, ctx: &mut Context<'_, String>) -> FunctionResult {
        ctx.emit(format!("right {text} at {}", ctx.watermark()));
        Ok(())
    }
}

#[test]
fn two_inputs_are_merged_as_by_gates() {
    let mut harness =
        Harness2::new(|numbers: Stream<u64>, words: Stream<String>| numbers.connect(&words).process(Sides));
    harness.left().watermark(10).unwrap();
    assert!(harness.take_events().is_empty());
    harness.right().watermark(5).unwrap();
    harness.left().push(1).unwrap();
    harness.right().idle().unwrap();
    harness.left().push(2).unwrap();
    harness.right().push("a".into()).unwrap();
    harness.left().end().unwrap();
    harness.right().watermark(20).unwrap();
    harness.right().push("b".into()).unwrap();
    assert_eq!(harness.take(), ["left 1 at 5", "left 2 at 10", "right a at 10", "right b at 20"]);
    harness.end().unwrap();
    assert_eq!(harness.take_events(), [Emitted::Watermark(i64::MAX), Emitted::End]);
}

#[test]
fn several_subtasks_give_all_results() {
    for seed in 0..50 {
        let options = HarnessOptions::new().parallelism(3).interleaved(seed).side(&ODD);
        let mut harness = Harness::with(options, |numbers: Stream<u64>| {
            numbers.rebalance().process(Parity).key_by(|n| n % 10).count().key_by(|count| count.0).max(|count| count.1)
        });
        harness.push_all(0..100).unwrap();
        harness.end().unwrap();
        let results = harness.take();
        assert_eq!(results.len(), 50);
        for key in [0, 2, 4, 6, 8] {
            assert_eq!(results.iter().filter(|(known, _)| *known == key).map(|(_, most)| *most).max(), Some(10));
        }
        assert_eq!(harness.side(&ODD).len(), 50);
        assert_eq!(harness.counter("seen"), 100);
    }
}

#[test]
fn an_interleaving_is_the_same_for_the_same_seed() {
    let run = |seed| {
        let options = HarnessOptions::new().parallelism(3).interleaved(seed);
        let mut harness =
            Harness::with(options, |numbers: Stream<u64>| numbers.rebalance().map(|n| n).key_by(|n| n % 4).count());
        harness.push_all(0..60).unwrap();
        harness.end().unwrap();
        harness.take()
    };
    assert_eq!(run(1), run(1));
    assert!((2..20).any(|seed| run(seed) != run(1)));
}

#[tokio::test]
async fn it_works_within_an_executor() {
    let mut harness = Harness::new(|numbers: Stream<u64>| numbers.key_by(|n| n % 7).count());
    harness.batch(0..100_000).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take().len(), 100_000);
}

#[test]
fn sinks_of_a_pipeline_show_their_results_at_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("output");
    let build = |numbers: Stream<u64>| {
        numbers.write_text(&output);
        numbers.map(|n| 10 / n)
    };
    let mut harness = Harness::new(build);
    harness.push_all([1, 2]).unwrap();
    harness.push(0).unwrap_err();
    assert!(!output.exists());
    let mut harness = Harness::new(build);
    harness.push_all([1, 2]).unwrap();
    let visible =
        || std::fs::read_dir(&output).map_or(0, |files| files.flatten().filter(|file| file.path().is_file()).count());
    assert_eq!(visible(), 0);
    harness.end().unwrap();
    assert_eq!(visible(), 1);
}

#[test]
fn calls_are_answered_by_the_test_or_time_out() {
    let (asked, questions) = std::sync::mpsc::channel();
    let asked = Arc::new(Mutex::new(asked));
    let options = || AsyncOptions::ordered().timeout(Duration::from_millis(100));
    let mut harness = Harness::new(|numbers: Stream<u64>| {
        numbers.map_async(options(), move |number| {
            let (answer, answered) = oneshot::channel::<u64>();
            asked.lock().unwrap().send((number, answer)).unwrap();
            answered
        })
    });
    harness.push_all([1, 2]).unwrap();
    let (first, second) = (questions.try_recv().unwrap(), questions.try_recv().unwrap());
    assert_eq!((first.0, second.0), (1, 2));
    second.1.send(20).unwrap();
    harness.settle().unwrap();
    assert!(harness.take().is_empty());
    assert!(harness.end().unwrap_err().message.contains("the answer to a call"));
    first.1.send(10).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take(), [10, 20]);

    let mut harness = Harness::new(|numbers: Stream<u64>| numbers.map_async(options(), |_| std::future::pending()));
    harness.push(1).unwrap();
    let failure = harness.advance(Duration::from_secs(1)).unwrap_err();
    assert_eq!((failure.location.operator.as_deref(), harness.now()), (Some("Async Map"), 100), "{failure}");
}

/// Sets a timer for now, again and again.
#[derive(Clone)]
struct Restless;

impl KeyedProcessFunction for Restless {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn process(&mut self, _: u64, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        let now = ctx.processing_time();
        ctx.register_processing_time_timer(now)?;
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, u64, u64>) -> FunctionResult {
        let now = ctx.processing_time();
        ctx.register_processing_time_timer(now)?;
        Ok(())
    }
}

#[test]
fn a_pipeline_that_never_rests_is_told() {
    let mut harness = Harness::new(|numbers: Stream<u64>| numbers.key_by(|n| *n).process(Restless));
    let failure = harness.push(1).unwrap_err();
    assert!(failure.message.contains("without end"), "{failure}");
}
