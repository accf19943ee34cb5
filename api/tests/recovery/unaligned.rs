//! Barriers that overtake: what is under way where a snapshot cuts the streams is part of it.
//!
//! A seed decides what is under way, and where: in gates, and in writers for lack of credit.

use std::time::Duration;

use flott::{
    Data, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, Stream, TumblingEventTimeWindows, ValueState,
    testing::{Harness, HarnessOptions, Snapshot},
};
use proptest::{prelude::*, test_runner::TestCaseError};
use std::fmt::Debug;

use crate::script::{CASES, LATE, Record, Script, punctual};

/// With one subtask of the input, records of a key have an order.
fn options(seed: u64) -> impl Fn(u32, Option<&Snapshot>) -> HarnessOptions {
    move |parallelism, from| {
        let options = HarnessOptions::new().parallelism(parallelism).input_parallelism(1).side(&LATE);
        let options = options.unaligned().interleaved(seed);
        from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot))
    }
}

#[track_caller]
fn check<Out: Data + Ord + Debug>(
    script: &Script,
    seed: u64,
    build: impl Fn(Stream<Record>) -> Stream<Out>,
) -> Result<(), TestCaseError> {
    let outcome = script.check_with(options(seed), build)?;
    prop_assert_eq!(outcome.late, []);
    Ok(())
}

/// Gives each record with the one of its key before it, many times.
#[derive(Clone, Default)]
struct Following(ValueState<i64>);

impl KeyedProcessFunction for Following {
    type Key = u8;
    type In = Record;
    type Out = Record;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u8>) -> FunctionResult {
        self.0 = ctx.value("last")?;
        Ok(())
    }

    fn process(&mut self, (key, number): Record, ctx: &mut KeyedContext<'_, u8, Record>) -> FunctionResult {
        let last = self.0.get(ctx)?.copied().unwrap_or(-1);
        self.0.set(ctx, number)?;
        for copy in 0..40 {
            ctx.emit((key, last * 1_000_000 + number * 1_000 + copy));
        }
        Ok(())
    }
}

/// Gives what it gets.
#[derive(Clone, Default)]
struct Same;

impl KeyedProcessFunction for Same {
    type Key = u8;
    type In = Record;
    type Out = Record;

    fn process(&mut self, record: Record, ctx: &mut KeyedContext<'_, u8, Record>) -> FunctionResult {
        ctx.emit(record);
        Ok(())
    }
}

fn sums(records: &Stream<Record>) -> Stream<(u8, i64)> {
    let windows = records.key_by(|record| record.0).window(TumblingEventTimeWindows::of(Duration::from_millis(10)));
    windows.side_output_late_data(&LATE).sum(|record| record.1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4 * CASES))]

    #[test]
    fn records_of_a_key_stay_in_order(script in punctual(), seed: u64) {
        check(&script, seed, |records| records.key_by(|record| record.0).process(Following::default()))?;
    }

    #[test]
    fn windows_are_whole_behind_several_exchanges(script in punctual(), seed: u64) {
        check(&script, seed, |records| {
            let five = |(key, number): Record| (0..5).map(move |copy| (key, number * 10 + copy)).collect::<Vec<_>>();
            let spread = records.rebalance().map(five).flat_map(|five, out| five.into_iter().for_each(|one| out.emit(one)));
            sums(&spread)
        })?;
    }

    #[test]
    fn the_users_rule_says_who_takes_what_was_under_way(script in punctual(), seed: u64) {
        check(&script, seed, |records| {
            let mut turn = 0;
            let spread = records.partition_custom(move |record, subtasks| {
                turn += 1;
                (u32::from(record.0) + turn) % subtasks
            });
            sums(&spread.map(|(key, number)| (key, number + 1)))
        })?;
    }

    #[test]
    fn streams_that_cannot_be_overtaken_are_waited_for(script in punctual(), seed: u64) {
        check(&script, seed, |records| {
            let all = records.broadcast().map(|record| record);
            let one = records.global().map(|record| record);
            let near = records.rescale().map(|record| record);
            // How many subtasks get what is broadcast is not the same behind each cut.
            let near = near.union([&one]);
            sums(&near).union([&all.filter(|_| false)])
        })?;
    }
}

#[test]
fn what_was_under_way_comes_once_though_it_is_cut_again_and_again() {
    let build =
        |records: Stream<Record>| records.key_by(|record| record.0).process(Same).rebalance().map(|record| record);
    for seed in 0..50 {
        let mut harness = Harness::with(options(seed)(3, None), build);
        harness.batch_at((0..100).map(|number| ((number as u8, number), number))).unwrap();
        harness.watermark(50).unwrap();
        let mut results = Vec::new();
        for subtasks in [1, 3, 2, 2, 1] {
            let snapshot = harness.snapshot().unwrap();
            harness.go_back();
            results.extend(harness.take());
            harness = Harness::with(options(seed)(subtasks, Some(&snapshot)), build);
        }
        harness.end().unwrap();
        results.extend(harness.take());
        results.sort_unstable_by_key(|record| record.1);
        assert_eq!(results, (0..100).map(|number| (number as u8, number)).collect::<Vec<_>>(), "with seed {seed}");
    }
}

#[test]
fn a_watermark_under_way_fires_windows_after_a_restart() {
    let mut fired_behind = 0;
    for seed in 0..50 {
        let mut harness = Harness::with(options(seed)(2, None), |records| sums(&records));
        harness.push_all_at([((1, 1), 1), ((2, 2), 2), ((1, 3), 12)]).unwrap();
        harness.watermark(10).unwrap();
        let snapshot = harness.snapshot().unwrap();
        harness.go_back();
        let mut results = harness.take();
        let mut harness = Harness::with(options(seed)(2, Some(&snapshot)), |records| sums(&records));
        harness.settle().unwrap();
        fired_behind += harness.now() as usize + results.len();
        results.extend(harness.take());
        results.sort_unstable();
        assert_eq!(results, [(1, 1), (2, 2)], "with seed {seed}");
    }
    assert!(fired_behind < 100, "the watermark was never under way");
}

#[test]
fn records_under_way_are_not_forgotten_by_a_program_without_their_edge() {
    let mut harness = (0..50)
        .map(|seed| {
            let mut harness = Harness::with(options(seed)(2, None), |records: Stream<Record>| {
                records.rebalance().map(|record| record).uid("next")
            });
            harness.batch_at((0..100).map(|number| ((number as u8, number), number))).unwrap();
            harness.snapshot().unwrap()
        })
        .map(|snapshot| {
            Harness::with(options(0)(2, Some(&snapshot)), |records: Stream<Record>| {
                records.key_by(|record| record.0).process(Same).uid("next")
            })
        });
    let refused = harness.find_map(|mut harness: Harness<Record, Record>| harness.settle().err());
    let failure = refused.expect("something was under way");
    assert!(failure.message.contains("records under way on the REBALANCE edge"), "{failure}");
}
