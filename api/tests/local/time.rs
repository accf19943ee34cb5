//! Timestamps, watermarks and timers.

use std::{collections::BTreeSet, time::Duration};

use flott::{
    Clock, Environment, FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ListState, ManualClock,
    TimeDomain, Timer, TumblingEventTimeWindows, WatermarkGenerator, WatermarkStrategy,
};

use super::{PARALLELISMS, batch, check, env, run_error, sorted};

/// Sets a timer for each record, at its own time and a second later; a timer gives its time and what came before it.
#[derive(Clone, Default)]
struct Alarms {
    domain: Option<TimeDomain>,
    seen: ListState<i64>,
}

impl KeyedProcessFunction for Alarms {
    type Key = u64;
    type In = (u64, i64);
    /// Key, timer, records until then, watermark.
    type Out = (u64, i64, usize, bool);

    fn open(&mut self, ctx: &mut KeyedOpen<'_, u64>) -> FunctionResult {
        self.seen = ctx.list("seen")?;
        Ok(())
    }

    fn process(&mut self, (_, at): (u64, i64), ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        self.seen.add(ctx, at)?;
        if self.domain == Some(TimeDomain::Processing) {
            ctx.register_processing_time_timer(at)?;
            return Ok(());
        }
        assert!(ctx.watermark() < at, "late by the watermark {}", ctx.watermark());
        let first = ctx.register_event_time_timer(at)?;
        assert!(!ctx.register_event_time_timer(at)?);
        if first && at % 10 == 3 {
            assert!(ctx.delete_event_time_timer(at)?);
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, u64, Self::Out>) -> FunctionResult {
        let key = *ctx.key()?;
        let before = self.seen.get(ctx)?.iter().filter(|at| **at <= timer.at).count();
        let passed = timer.domain == TimeDomain::Processing || ctx.watermark() >= timer.at;
        ctx.emit((key, timer.at, before, passed));
        Ok(())
    }
}

/// Times of `count` records of 7 keys, out of order by up to 40.
fn records(count: u64) -> Vec<(u64, i64)> {
    (0..count as i64).map(|n| ((n % 7) as u64, n / 2 * 5 + (n * 7919) % 40)).collect()
}

fn expected(records: &[(u64, i64)]) -> Vec<(u64, i64, usize, bool)> {
    let timers: BTreeSet<(u64, i64)> = records.iter().copied().collect();
    timers
        .into_iter()
        .filter(|(_, at)| at % 10 != 3)
        .map(|(key, at)| (key, at, records.iter().filter(|record| record.0 == key && record.1 <= at).count(), true))
        .collect()
}

#[test]
fn event_time_timers_fire_once_when_all_before_them_has_come() {
    let records = records(5_000);
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(40));
    let strategy = strategy.with_timestamp_assigner(|record: &(u64, i64)| record.1);
    check(
        |env| {
            env.configure("pipeline.auto-watermark-interval", "0 ms");
            env.from_collection(records.clone())
                .assign_timestamps_and_watermarks(strategy.clone())
                .key_by(|(key, _)| *key)
                .process(Alarms::default())
        },
        expected(&records),
    );
}

#[test]
fn a_generator_of_the_users_can_give_a_watermark_behind_each_record() {
    #[derive(Clone, Default)]
    struct BehindEach(i64);
    impl WatermarkGenerator<(u64, i64)> for BehindEach {
        fn on_record(&mut self, _: &(u64, i64), timestamp: i64) -> Option<i64> {
            self.0 = self.0.max(timestamp);
            Some(self.0 - 41)
        }
    }
    let records = records(500);
    let strategy = WatermarkStrategy::for_generator(BehindEach::default());
    let strategy = strategy.with_timestamp_assigner(|record: &(u64, i64)| record.1);
    check(
        |env| {
            env.from_collection(records.clone())
                .assign_timestamps_and_watermarks(strategy.clone())
                .key_by(|(key, _)| *key)
                .process(Alarms::default())
        },
        expected(&records),
    );
}

#[test]
fn timers_of_a_manual_clock_wait_for_it_and_those_left_fire_at_the_end() {
    let clock = ManualClock::at(0);
    let env = env(1);
    env.set_clock(Clock::Manual(clock.clone()));
    let moved = clock.clone();
    let alarms = env
        .from_collection(vec![(1u64, 10i64), (2, 20), (1, 1_000)])
        .key_by(|(key, _)| *key)
        .process(Alarms { domain: Some(TimeDomain::Processing), ..Alarms::default() })
        .map(move |alarm| {
            // The clock stands at 0 when the input ends.
            (alarm, moved.now())
        });
    let alarms = sorted(&alarms, &env);
    assert_eq!(alarms, [((1, 10, 1, true), 0), ((1, 1_000, 2, true), 0), ((2, 20, 1, true), 0)]);
}

#[test]
fn records_without_timestamps_need_an_assigner() {
    let env = env(1);
    env.from_collection(vec![1u64])
        .assign_timestamps_and_watermarks(WatermarkStrategy::for_monotonous_timestamps())
        .discard();
    let error = run_error(&env);
    assert!(error.contains("timestamp assigner"), "{error}");
}

/// Counts per second of records that come in falling order, with watermarks that say they rise.
fn falling(env: &Environment, at_source: bool) -> Vec<(u64, u64)> {
    let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|n: &u64| *n as i64);
    let numbers = env.generate(100_000, |n| 99_999 - n);
    let numbers = if at_source {
        numbers.source_watermarks(strategy)
    } else {
        numbers.assign_timestamps_and_watermarks(strategy)
    };
    let counts = numbers.key_by(|_| 0u64).window(TumblingEventTimeWindows::of(Duration::from_secs(1))).count();
    sorted(&counts, env)
}

#[test]
fn nothing_is_late_in_batch_mode() {
    for at_source in [false, true] {
        for parallelism in PARALLELISMS {
            let counts = falling(&batch(parallelism), at_source);
            assert_eq!(counts, vec![(0, 1_000); 100]);
        }
        let streaming = falling(&env(1), at_source);
        assert!(
            streaming.iter().map(|(_, count)| count).sum::<u64>() < 100_000,
            "what is behind the watermark is late"
        );
    }
}
