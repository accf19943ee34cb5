//! Triggers, lateness and timers.

use std::time::Duration;

use flott_runtime::{
    batch::Timestamp,
    time::{Clock, ManualClock, TimeDomain},
};

use super::{Bench, Firing, Record, folding};
use crate::{
    function::FunctionResult,
    operator::PaneFunction,
    window::{
        ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger,
        EventTimeSessionWindows, EventTimeTrigger, GlobalWindows, NeverTrigger, PurgingTrigger, TimeWindow, Trigger,
        TriggerContext, TriggerResult, TumblingEventTimeWindows, TumblingProcessingTimeWindows, Window, WindowAssigner,
    },
};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Ten milliseconds from 0.
pub(super) fn tens() -> TumblingEventTimeWindows {
    TumblingEventTimeWindows::of(ms(10))
}

pub(super) fn record(at: i64) -> Record {
    Record { key: 0, at, value: at }
}

/// Windows of one key, with what they have fired so far.
#[derive(Debug, PartialEq)]
pub(super) enum Did {
    Record(i64),
    Watermark(i64),
}
use Did::{Record as R, Watermark as W};

/// Drives windows with records whose value is their timestamp, and checks which values fire after each step.
#[track_caller]
fn check<A, Tr>(assigner: A, trigger: Tr, lateness: i64, steps: &[(Did, &[&[i64]])])
where
    A: WindowAssigner<(u8, i64)>,
    A::Window: super::Bounds,
    Tr: Trigger<(u8, i64), A::Window>,
{
    check_function(assigner, trigger, folding(), lateness, steps);
}

#[track_caller]
pub(super) fn check_function<A, Tr, P>(assigner: A, trigger: Tr, function: P, lateness: i64, steps: &[(Did, &[&[i64]])])
where
    A: WindowAssigner<(u8, i64)>,
    Tr: Trigger<(u8, i64), A::Window>,
    P: PaneFunction<u8, (u8, i64), A::Window, Out = super::Fired>,
{
    let mut bench = Bench::new(assigner, trigger, function, lateness, Clock::System);
    for (did, expected) in steps {
        let fired = match *did {
            R(at) => bench.records(&[record(at)]),
            W(at) => bench.watermark(at),
        };
        let fired: Vec<_> = fired.into_iter().map(|(firing, _)| firing.values).collect();
        assert_eq!(fired, *expected, "at {did:?}");
    }
}

#[test]
fn late_records_fire_again_until_the_window_is_over() {
    let mut bench = Bench::new(tens(), EventTimeTrigger, folding(), 5, Clock::System);
    bench.records(&[record(3)]);
    let values = |fired: Vec<super::Fired>| fired.into_iter().map(|(firing, _)| firing.values).collect::<Vec<_>>();
    assert_eq!(values(bench.watermark(9)), [[3]]);
    assert_eq!(values(bench.records(&[record(4), record(5)])), [vec![3, 4], vec![3, 4, 5]]);
    assert_eq!(bench.kept(), (1, 1, 1));
    assert_eq!(values(bench.watermark(13)), [[0i64; 0]; 0]);
    assert_eq!(values(bench.records(&[record(6)])), [[3, 4, 5, 6]]);
    assert_eq!(values(bench.watermark(14)), [[0i64; 0]; 0]);
    assert_eq!(bench.kept(), (0, 0, 0));
    assert_eq!(values(bench.records(&[record(7)])), [[0i64; 0]; 0]);
    assert_eq!(bench.late(), [record(7)]);
}

#[test]
fn a_purging_trigger_fires_for_what_is_new() {
    check(
        tens(),
        PurgingTrigger::of(EventTimeTrigger),
        5,
        &[(R(1), &[]), (R(2), &[]), (W(9), &[&[1, 2]]), (R(3), &[&[3]]), (R(4), &[&[4]]), (W(14), &[])],
    );
    check(
        tens(),
        PurgingTrigger::of(CountTrigger::of(2)),
        0,
        &[(R(1), &[]), (R(2), &[&[1, 2]]), (R(3), &[]), (R(4), &[&[3, 4]]), (R(5), &[]), (W(9), &[])],
    );
}

#[test]
fn a_count_trigger_keeps_what_it_has_fired_for() {
    let steps: &[(Did, &[&[i64]])] = &[
        (R(1), &[]),
        (R(2), &[&[1, 2]]),
        (R(3), &[]),
        (R(4), &[&[1, 2, 3, 4]]),
        (W(9), &[]),
        (R(11), &[]),
        (R(12), &[&[11, 12]]),
    ];
    check(tens(), CountTrigger::of(2), 0, steps);
}

#[test]
fn counts_of_sessions_that_merge_are_added() {
    let steps: &[(Did, &[&[i64]])] = &[(R(0), &[]), (R(20), &[]), (R(10), &[&[0, 10, 20]]), (R(15), &[]), (W(30), &[])];
    check(EventTimeSessionWindows::with_gap(ms(10)), CountTrigger::of(3), 0, steps);
}

#[test]
fn a_continuous_trigger_fires_at_multiples_of_its_interval_and_at_the_end() {
    let trigger = ContinuousEventTimeTrigger::of(ms(4));
    let steps: &[(Did, &[&[i64]])] = &[
        (R(1), &[]),
        (W(3), &[]),
        (W(4), &[&[1]]),
        (R(5), &[]),
        (R(6), &[]),
        (W(20), &[&[1, 5, 6], &[1, 5, 6]]),
        // Far behind: it catches up.
        (R(31), &[]),
        (W(35), &[&[31]]),
        (W(i64::MAX), &[&[31], &[31]]),
    ];
    check(tens(), trigger, 0, steps);
    let late: &[(Did, &[&[i64]])] = &[(R(1), &[]), (W(9), &[&[1], &[1]]), (R(2), &[&[1, 2]]), (W(40), &[])];
    check(tens(), trigger, 5, late);
}

#[test]
fn a_continuous_trigger_fires_once_for_all_that_a_watermark_passes() {
    const FAR: i64 = i64::MAX - 5;
    let steps: &[(Did, &[&[i64]])] = &[
        (R(1), &[]),
        (W(999), &[]),
        (W(1_000), &[&[1]]),
        (W(1_999), &[]),
        (W(2_000), &[&[1]]),
        // 3, 4 and 5 seconds; the next is 6.
        (W(5_999), &[&[1]]),
        (W(6_000), &[&[1]]),
        (R(FAR), &[]),
        (W(FAR - 1_000), &[&[1, FAR]]),
        (W(FAR), &[&[1, FAR]]),
        (W(i64::MAX), &[&[1, FAR]]),
    ];
    check(GlobalWindows::create(), ContinuousEventTimeTrigger::of(ms(1_000)), 0, steps);
    // From the first timestamp to the last.
    let steps: &[(Did, &[&[i64]])] = &[
        (R(i64::MIN), &[]),
        (W(10), &[&[i64::MIN]]),
        (W(11), &[&[i64::MIN]]),
        (W(i64::MAX), &[&[i64::MIN], &[i64::MIN]]),
    ];
    check(GlobalWindows::create(), ContinuousEventTimeTrigger::of(ms(1)), 0, steps);
}

#[test]
fn a_continuous_trigger_by_the_clock_fires_once_for_all_that_it_is_past() {
    let clock = ManualClock::at(3);
    let trigger = ContinuousProcessingTimeTrigger::of(ms(4));
    let mut bench = Bench::new(GlobalWindows::create(), trigger, folding(), 0, Clock::Manual(clock.clone()));
    let mut at = |now: i64, records: &[Record]| {
        clock.set(now);
        bench.records(records).len()
    };
    assert_eq!([at(3, &[record(1)]), at(4, &[]), at(5, &[]), at(8, &[]), at(9, &[])], [0, 0, 1, 0, 1]);
    assert_eq!([at(1 << 60, &[]), at((1 << 60) + 1, &[]), at((1 << 60) + 5, &[])], [1, 1, 1]);
}

#[test]
fn a_continuous_trigger_goes_on_when_sessions_merge() {
    let windows = EventTimeSessionWindows::with_gap(ms(10));
    let steps: &[(Did, &[&[i64]])] = &[
        (R(2), &[]),
        (R(25), &[]),
        (R(12), &[]),
        (W(7), &[&[2, 12]]),
        (R(20), &[]),
        // Multiples of 7, each by itself, and the end of the session.
        (W(14), &[&[2, 12, 20, 25]]),
        (W(21), &[&[2, 12, 20, 25]]),
        (W(34), &[&[2, 12, 20, 25], &[2, 12, 20, 25]]),
    ];
    check(windows, ContinuousEventTimeTrigger::of(ms(7)), 0, steps);
}

#[test]
fn a_purging_trigger_forgets_what_sessions_have_given() {
    let windows = EventTimeSessionWindows::with_gap(ms(10));
    let steps: &[(Did, &[&[i64]])] = &[
        (R(0), &[]),
        (R(8), &[]),
        (W(17), &[&[0, 8]]),
        // Late, but the session takes it, and grows beyond the watermark: what it has given is not given again.
        (R(16), &[]),
        (W(25), &[&[16]]),
        // Behind the watermark, and within its time.
        (R(12), &[&[12]]),
        (R(13), &[&[13]]),
        (W(29), &[]),
        // It is over with the lateness, 5 after its end, so this is too late for any.
        (W(30), &[]),
        (R(14), &[]),
        // A late record bridges what is still open, which gives all that it has not given before.
        (R(33), &[]),
        (R(24), &[]),
        (W(42), &[&[24, 33]]),
        (W(60), &[]),
    ];
    check(windows, PurgingTrigger::of(EventTimeTrigger), 5, steps);
}

#[test]
fn a_session_that_was_emptied_takes_what_it_merges_with() {
    let windows = EventTimeSessionWindows::with_gap(ms(10));
    let steps: &[(Did, &[&[i64]])] =
        &[(R(1), &[]), (W(5), &[&[1]]), (R(21), &[]), (R(11), &[]), (W(12), &[&[11, 21]]), (W(40), &[])];
    check(windows, PurgingTrigger::of(ContinuousEventTimeTrigger::of(ms(5))), 0, steps);
}

#[test]
fn a_continuous_trigger_by_the_clock_fires_until_its_window_ends() {
    let clock = ManualClock::at(3);
    let windows = TumblingProcessingTimeWindows::of(ms(10));
    let trigger = ContinuousProcessingTimeTrigger::of(ms(4));
    let mut bench = Bench::new(windows, trigger, folding(), 0, Clock::Manual(clock.clone()));
    let mut at = |now: i64, records: &[Record]| {
        clock.set(now);
        let fired: Vec<_> = bench.records(records).into_iter().map(|(firing, _)| firing.values).collect();
        (fired, bench.kept().2)
    };
    assert_eq!(at(3, &[record(1)]), (vec![], 1));
    assert_eq!(at(4, &[]), (vec![], 1));
    assert_eq!(at(5, &[]), (vec![vec![1]], 1));
    assert_eq!(at(6, &[record(2)]), (vec![], 1));
    assert_eq!(at(20, &[]), (vec![vec![1, 2], vec![1, 2]], 0));
}

#[test]
fn a_delta_trigger_fires_for_records_that_differ() {
    let trigger = DeltaTrigger::of(5.0, |last: &(u8, i64), next: &(u8, i64)| (next.1 - last.1) as f64);
    check(
        GlobalWindows::create(),
        trigger,
        0,
        &[(R(10), &[]), (R(15), &[]), (R(16), &[&[10, 15, 16]]), (R(21), &[]), (R(22), &[&[10, 15, 16, 21, 22]])],
    );
}

#[test]
fn without_a_trigger_a_global_window_says_nothing_until_time_ends() {
    check(GlobalWindows::create(), NeverTrigger, 0, &[(R(1), &[]), (W(i64::MAX), &[])]);
    check(GlobalWindows::create(), EventTimeTrigger, 0, &[(R(1), &[]), (W(5), &[]), (W(i64::MAX), &[&[1]])]);
}

/// Sets a timer for twice the time of each record, and takes back that of the record before.
#[derive(Clone)]
struct Twice;

impl<W: Window> Trigger<(u8, i64), W> for Twice {
    type State = i64;

    fn on_element(
        &mut self,
        element: &(u8, i64),
        _: Timestamp,
        _: &W,
        ctx: &mut TriggerContext<'_, i64>,
    ) -> FunctionResult<TriggerResult> {
        let before = std::mem::replace(ctx.state(), element.1 * 2);
        ctx.delete_event_time_timer(before);
        ctx.register_event_time_timer(element.1 * 2);
        Ok(TriggerResult::Continue)
    }

    fn on_event_time(&mut self, time: i64, _: &W, ctx: &mut TriggerContext<'_, i64>) -> FunctionResult<TriggerResult> {
        assert_eq!(time, *ctx.state());
        Ok(TriggerResult::Fire)
    }
}

#[test]
fn a_trigger_can_move_its_timers_to_and_fro() {
    let steps: &[(Did, &[&[i64]])] = &[
        (R(30), &[]),
        (R(10), &[]),
        (W(19), &[]),
        (W(20), &[&[10, 30]]),
        (R(40), &[]),
        (R(25), &[]),
        (W(49), &[]),
        (W(50), &[&[10, 25, 30, 40]]),
        (W(200), &[]),
    ];
    check(GlobalWindows::create(), Twice, 0, steps);
}

/// Two triggers as one, each with its own part of the state.
#[derive(Clone)]
struct Both(CountTrigger, EventTimeTrigger);

impl Trigger<(u8, i64), TimeWindow> for Both {
    type State = (u64, ());

    fn on_element(
        &mut self,
        element: &(u8, i64),
        timestamp: i64,
        window: &TimeWindow,
        ctx: &mut TriggerContext<'_, (u64, ())>,
    ) -> FunctionResult<TriggerResult> {
        let end = self.1.on_element(element, timestamp, window, &mut ctx.part(|state| &mut state.1))?;
        let count = self.0.on_element(element, timestamp, window, &mut ctx.part(|state| &mut state.0))?;
        Ok(if end.fires() { end } else { count })
    }

    fn on_event_time(
        &mut self,
        time: i64,
        window: &TimeWindow,
        ctx: &mut TriggerContext<'_, (u64, ())>,
    ) -> FunctionResult<TriggerResult> {
        let ctx = &mut ctx.part(|state| &mut state.1);
        Trigger::<(u8, i64), TimeWindow>::on_event_time(&mut self.1, time, window, ctx)
    }
}

#[test]
fn triggers_can_be_made_of_others() {
    let steps: &[(Did, &[&[i64]])] = &[(R(1), &[]), (R(2), &[&[1, 2]]), (R(3), &[]), (W(9), &[&[1, 2, 3]])];
    check(tens(), Both(CountTrigger::of(2), EventTimeTrigger), 0, steps);
}

#[test]
fn timers_that_are_set_for_ever_are_an_error_at_the_end() {
    /// Sets a timer for each millisecond up to one.
    #[derive(Clone)]
    struct Again(i64);
    impl<T, W: Window> Trigger<T, W> for Again {
        type State = ();

        fn on_element(
            &mut self,
            _: &T,
            _: i64,
            _: &W,
            ctx: &mut TriggerContext<'_, ()>,
        ) -> FunctionResult<TriggerResult> {
            ctx.register_event_time_timer(0);
            Ok(TriggerResult::Continue)
        }

        fn on_event_time(
            &mut self,
            time: i64,
            _: &W,
            ctx: &mut TriggerContext<'_, ()>,
        ) -> FunctionResult<TriggerResult> {
            if time < self.0 {
                ctx.register_event_time_timer(time + 1);
            }
            Ok(TriggerResult::Continue)
        }
    }
    let mut bench = Bench::new(GlobalWindows::create(), Again(i64::MAX), folding(), 0, Clock::System);
    bench.records(&[record(1)]);
    let failure = bench.driver.end().unwrap_err();
    assert!(failure.to_string().contains("Again sets further timers without end"), "{failure}");
    // As many where there are records so late.
    let last = 1_001_000;
    let mut bench = Bench::new(GlobalWindows::create(), Again(last), folding(), 0, Clock::System);
    bench.records(&[record(last)]);
    bench.driver.end().unwrap();
}

/// Fires with two records, or some time after the first.
#[derive(Clone)]
struct TwoOrLater(TimeDomain);

impl<W: Window> Trigger<(u8, i64), W> for TwoOrLater {
    type State = Option<i64>;

    fn on_element(
        &mut self,
        _: &(u8, i64),
        timestamp: i64,
        _: &W,
        ctx: &mut TriggerContext<'_, Option<i64>>,
    ) -> FunctionResult<TriggerResult> {
        let set = ctx.state().take();
        let at = set.unwrap_or(timestamp + 1_000_000);
        match (self.0, set) {
            (TimeDomain::Event, None) => ctx.register_event_time_timer(at),
            (TimeDomain::Event, Some(_)) => ctx.delete_event_time_timer(at),
            (TimeDomain::Processing, None) => ctx.register_processing_time_timer(at),
            (TimeDomain::Processing, Some(_)) => ctx.delete_processing_time_timer(at),
        };
        if set.is_none() {
            *ctx.state() = Some(at);
        }
        Ok(if set.is_some() { TriggerResult::FireAndPurge } else { TriggerResult::Continue })
    }

    fn is_initial(&self, set: &Option<i64>) -> bool {
        set.is_none()
    }
}

#[test]
fn a_window_that_has_fired_before_its_time_leaves_no_timer() {
    for domain in TimeDomain::ALL {
        let clock = Clock::Manual(ManualClock::at(0));
        let mut bench = Bench::new(GlobalWindows::create(), TwoOrLater(domain), folding(), 0, clock.clone());
        for at in 0..10 {
            assert_eq!(bench.records(&[record(2 * at)]), []);
            assert_eq!(bench.kept(), (1, 1, 1));
            assert_eq!(bench.records(&[record(2 * at + 1)]).len(), 1);
            assert_eq!(bench.kept(), (0, 0, 0));
        }
        // One that is over leaves none by the clock.
        let mut bench = Bench::new(tens(), TwoOrLater(domain), folding(), 0, clock);
        bench.records(&[record(3)]);
        bench.watermark(9);
        assert_eq!(bench.kept(), (0, 0, 0));
    }
}

#[test]
fn late_records_without_a_side_output_are_counted() {
    let mut bench = Bench::new(tens(), EventTimeTrigger, folding(), 0, Clock::System);
    bench.driver.operator.core.drop_late();
    bench.watermark(20);
    bench.records(&[record(5), record(6), record(25)]);
    let counters = bench.driver.task().figures.counters();
    assert_eq!(counters.read().get("numLateRecordsDropped"), 2, "before the end");
    bench.driver.end().unwrap();
    assert_eq!(bench.driver.task().figures.counters().read().get("numLateRecordsDropped"), 2);
}

#[test]
fn sessions_set_few_timers_however_many_records_they_have() {
    let mut bench =
        Bench::new(EventTimeSessionWindows::with_gap(ms(100)), EventTimeTrigger, folding(), 0, Clock::System);
    for at in 0..50 {
        bench.records(&[record(at)]);
        assert_eq!(bench.kept(), (1, 1, 1));
    }
    // The session of a record far behind is bridged by the next: as the other has grown, its timer is left to come for nothing.
    bench.records(&[record(-150), record(-75)]);
    assert_eq!(bench.kept(), (1, 1, 2));
    assert_eq!(bench.watermark(147), []);
    assert_eq!(bench.kept(), (1, 1, 1));
    assert_eq!(bench.watermark(148).len(), 1);
    assert_eq!(bench.kept(), (0, 0, 0));
    // One that has not takes its timer along.
    bench.records(&[record(500), record(650)]);
    assert_eq!(bench.kept(), (1, 2, 2));
    bench.records(&[record(575)]);
    assert_eq!(bench.kept(), (1, 1, 1));
}

#[test]
fn a_firing_is_of_its_window() {
    let mut bench = Bench::new(tens(), EventTimeTrigger, folding(), 0, Clock::System);
    bench.records(&[record(12)]);
    let expected = (Firing { key: 0, start: 10, end: 20, values: vec![12] }, 19);
    assert_eq!(bench.watermark(i64::MAX), [expected]);
}
