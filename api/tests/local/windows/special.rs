//! Windows that count, triggers, lateness, and what users make themselves.

use flott::{
    Accumulator, ContinuousEventTimeTrigger, CountEvictor, CountTrigger, DeltaTrigger, Environment, EventTimeTrigger,
    FunctionResult, GlobalWindows, OutputTag, TimeDomain, TumblingEventTimeWindows, WatermarkGenerator,
    WatermarkStrategy, Window, WindowAssigner,
};

use super::{
    super::{check, env},
    Row, Values, expected, millis,
    model::Shape,
    rows, source,
};

#[test]
fn counted_windows_need_no_time() {
    let rows = rows(300);
    let values = |shape| expected(shape, &rows).into_iter().map(|firing| (firing.key, firing.values)).collect();
    let keyed = |env: &Environment| env.from_collection(rows.clone()).key_by(|row| row.0);
    check(|env| keyed(env).count_window(10).aggregate(Values), values(Shape::Count { size: 10 }));
    check(
        |env| keyed(env).count_window_sliding(10, 4).aggregate(Values),
        values(Shape::CountSliding { size: 10, slide: 4 }),
    );
    let numbers = |env: &Environment| env.sequence(1, 100).parallelism(1);
    check(|env| numbers(env).count_window_all(40).count(), vec![40, 40]);
    check(
        |env| numbers(env).count_window_all_sliding(3, 50).apply(|_, numbers, out| out.emit(numbers.to_vec())),
        vec![vec![48, 49, 50], vec![98, 99, 100]],
    );
}

#[test]
fn global_windows_give_results_by_their_trigger() {
    check(
        |env| {
            env.sequence(1, 10)
                .parallelism(1)
                .key_by(|_| ())
                .window(GlobalWindows::create())
                .trigger(DeltaTrigger::of(3.0, |last: &u64, next: &u64| *next as f64 - *last as f64))
                .evictor(CountEvictor::of(2))
                .apply(|_, _, numbers, out| out.emit(numbers.to_vec()))
        },
        vec![vec![4, 5], vec![8, 9]],
    );
}

/// Each row says which watermark comes behind it.
#[derive(Clone)]
struct Told;

impl WatermarkGenerator<(Row, i64)> for Told {
    fn on_record(&mut self, (_, watermark): &(Row, i64), _: i64) -> Option<i64> {
        Some(*watermark)
    }
}

const LATE: OutputTag<(Row, i64)> = OutputTag::new("late");

#[test]
fn late_rows_fire_again_or_go_to_the_side() {
    // Ten milliseconds, five of lateness.
    let rows: Vec<(Row, i64)> =
        vec![((0, 1, 1), 0), ((0, 2, 2), 9), ((0, 3, 3), 13), ((0, 4, 4), 14), ((0, 5, 5), 14), ((0, 17, 6), 14)];
    let build = |env: &Environment| {
        let strategy = WatermarkStrategy::for_generator(Told).with_timestamp_assigner(|(row, _): &(Row, i64)| row.1);
        env.from_collection(rows.clone())
            .assign_timestamps_and_watermarks(strategy)
            .key_by(|(row, _)| row.0)
            .window(TumblingEventTimeWindows::of(millis(10)))
            .allowed_lateness(millis(5))
    };
    let env = env(1);
    let counts = build(&env).side_output_late_data(&LATE).count();
    let late = counts.side_output(&LATE).collect();
    let counts = counts.collect();
    let result = env.execute("test").unwrap();
    let mut counts = result.collected(&counts).unwrap();
    counts.sort();
    assert_eq!(counts, [(0, 1), (0, 2), (0, 3), (0, 4)]);
    assert_eq!(result.collected(&late).unwrap(), [((0, 5, 5), 14)]);

    let env = super::super::env(1);
    build(&env).count().discard();
    let result = env.execute("test").unwrap();
    assert_eq!(result.accumulator("numLateRecordsDropped"), Some(&Accumulator::LongCounter(1)));
}

#[test]
fn a_trigger_gives_results_before_the_end() {
    let rows: Vec<Row> = (0..30).map(|n| (0, n, n)).collect();
    let early = |env: &Environment| {
        source(env, &rows)
            .key_by(|row| row.0)
            .window(TumblingEventTimeWindows::of(millis(30)))
            .trigger(ContinuousEventTimeTrigger::of(millis(10)))
            .count()
            .map(|(_, count)| count)
    };
    // No watermark comes before all rows have: one result for all multiples of the interval, and one for the end.
    check(early, vec![30, 30]);
    check(
        |env| {
            source(env, &rows)
                .parallelism(1)
                .key_by(|row| row.0)
                .window(TumblingEventTimeWindows::of(millis(30)))
                .trigger(CountTrigger::of(20))
                .count()
                .map(|(_, count)| count)
        },
        vec![20],
    );
}

/// Windows of odd and of even numbers, which are no spans of time.
#[test]
fn assigners_and_windows_can_be_the_users() {
    #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
    enum Parity {
        Even,
        Odd,
    }
    impl Window for Parity {
        fn max_timestamp(&self) -> i64 {
            if *self == Self::Even { 1_000_000 } else { i64::MAX }
        }
    }
    #[derive(Clone)]
    struct ByParity;
    impl WindowAssigner<Row> for ByParity {
        type Window = Parity;
        type Trigger = EventTimeTrigger;

        fn time_domain(&self) -> TimeDomain {
            TimeDomain::Event
        }

        fn default_trigger(&self) -> EventTimeTrigger {
            EventTimeTrigger::create()
        }

        fn assign(&mut self, row: &Row, _: i64, windows: &mut Vec<Parity>) -> FunctionResult {
            windows.push(if row.2 % 2 == 0 { Parity::Even } else { Parity::Odd });
            Ok(())
        }
    }
    let rows = rows(1_000);
    check(
        |env| {
            source(env, &rows).window_all(ByParity).aggregate_with(Values, |window, values, out| {
                out.emit((window.clone(), values.len()));
            })
        },
        vec![(Parity::Even, 500), (Parity::Odd, 500)],
    );
}
