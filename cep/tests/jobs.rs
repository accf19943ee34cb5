//! Patterns in whole jobs within the test's process.

use std::{collections::BTreeSet, time::Duration};

use flott::{
    Clock, Context, Data, Environment, Failure, FunctionResult, ManualClock, OpenContext, OutputTag, RestartStrategy,
    Stream, Timestamp, WatermarkStrategy,
    testing::{Harness, HarnessOptions, StateSize},
};
use flott_cep::{AfterMatchSkip, Match, Pattern, PatternError, PatternProcessFunction, Patterns};
use proptest::prelude::*;

/// Key, letter, time.
type Event = (u64, char, i64);

fn env(parallelism: u32) -> Environment {
    let env = Environment::local();
    env.set_parallelism(parallelism);
    env.set_restart_strategy(RestartStrategy::None);
    env
}

fn is(letter: char) -> impl Fn(&Event) -> bool + Send + Sync {
    move |event| event.1 == letter
}

/// An a, and the next b within 50 milliseconds, which is not after a c.
fn a_b() -> Pattern<Event> {
    let a = Pattern::begin("a").filter(is('a'));
    a.not_followed_by("c").filter(is('c')).followed_by("b").filter(is('b')).within(Duration::from_millis(50))
}

fn stamped(events: &Stream<Event>, delay: u64) -> Stream<Event> {
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(delay));
    events.assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(|event: &Event| event.2))
}

#[track_caller]
fn sorted<T: Data + Ord>(stream: &Stream<T>, env: &Environment) -> Vec<T> {
    let collected = stream.collect();
    let mut records = env.execute("test").unwrap().collected(&collected).unwrap();
    records.sort();
    records
}

/// Events of 13 keys, out of order by less than 40 milliseconds.
fn events(count: i64) -> Vec<Event> {
    (0..count)
        .map(|n| ((n % 13) as u64, ['a', 'b', 'c', 'x'][(n * 31 / 7 % 4) as usize], n / 3 * 10 + (n * 7919) % 39))
        .collect()
}

/// Beginnings and ends of the matches of `a_b`.
fn expected(events: &[Event]) -> Vec<(u64, i64, i64)> {
    let mut found = Vec::new();
    for key in 0..13 {
        let mut events: Vec<_> = events.iter().filter(|event| event.0 == key).collect();
        events.sort_by_key(|event| event.2);
        for (place, first) in events.iter().enumerate().filter(|(_, event)| event.1 == 'a') {
            let next = events[place + 1..].iter().find(|event| matches!(event.1, 'b' | 'c'));
            if let Some(next) = next.filter(|next| next.1 == 'b' && next.2 - first.2 < 50) {
                found.push((key, first.2, next.2));
            }
        }
    }
    found.sort_unstable();
    found
}

fn ends(found: &Match<Event>) -> (u64, i64, i64) {
    let (first, last) = (found.first("a").unwrap(), found.last("b").unwrap());
    assert_eq!((first.2, last.2), (found.start(), found.end()));
    (first.0, first.2, last.2)
}

#[test]
fn events_are_looked_at_in_the_order_of_their_times() {
    let events = events(6_000);
    let expected = expected(&events);
    assert!(expected.len() > 100, "{}", expected.len());
    for parallelism in [1, 2, 4] {
        let env = env(parallelism);
        env.configure("pipeline.auto-watermark-interval", "0 ms");
        let late = OutputTag::new("late");
        let keyed = stamped(&env.from_collection(events.clone()), 40).key_by(|event| event.0);
        let found = keyed.pattern(&a_b()).unwrap().late_to(&late).select(|found| ends(&found));
        let late = found.side_output(&late).collect();
        let collected = found.collect();
        let result = env.execute("test").unwrap();
        let mut found = result.collected(&collected).unwrap();
        found.sort();
        assert_eq!(found, expected, "parallelism {parallelism}");
        assert_eq!(result.collected(&late).unwrap(), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn matches_do_not_depend_on_batches_nor_on_who_is_faster(
        (parallelism, inputs) in (1u32..5, 1u32..4),
        seed in any::<u64>(),
        cuts in prop::collection::vec(1usize..9, 1..4),
    ) {
        // Which of two events of a key comes first is not told by an equal time.
        let mut times = BTreeSet::new();
        let events: Vec<_> = events(400).into_iter().filter(|event| times.insert((event.0, event.2))).collect();
        let options = HarnessOptions::new().parallelism(parallelism).input_parallelism(inputs).interleaved(seed);
        let mut harness = Harness::with(options, |events: Stream<Event>| {
            events.key_by(|event| event.0).pattern(&a_b()).unwrap().select(|found| ends(&found))
        });
        let mut rest = &events[..];
        let mut cuts = cuts.iter().cycle();
        while let Some(cut) = cuts.next().filter(|_| !rest.is_empty()) {
            let (batch, later) = rest.split_at((*cut).min(rest.len()));
            harness.batch_at(batch.iter().map(|event| (*event, event.2))).unwrap();
            let latest = batch.iter().map(|event| event.2).max().unwrap_or_default();
            harness.watermark(latest - 40).unwrap();
            rest = later;
        }
        harness.end().unwrap();
        let mut found = harness.take();
        found.sort();
        prop_assert_eq!(found, expected(&events));
        prop_assert_eq!(harness.state_size(), StateSize::default());
    }
}

#[test]
fn late_events_go_to_a_side_output() {
    let env = env(1);
    // A watermark behind each event, with no delay.
    #[derive(Clone)]
    struct BehindEach;
    impl flott::WatermarkGenerator<Event> for BehindEach {
        fn on_record(&mut self, _: &Event, timestamp: Timestamp) -> Option<Timestamp> {
            Some(timestamp)
        }
    }
    let strategy = WatermarkStrategy::for_generator(BehindEach).with_timestamp_assigner(|event: &Event| event.2);
    let events = vec![(1, 'a', 10), (1, 'b', 5), (2, 'a', 11), (1, 'b', 11), (1, 'b', 12)];
    let keyed = env.from_collection(events).assign_timestamps_and_watermarks(strategy).key_by(|event| event.0);
    let late = OutputTag::new("late");
    let found = keyed.pattern(&a_b()).unwrap().late_to(&late).select(|found| ends(&found));
    let (found, late) = (found.collect(), found.side_output(&late).collect());
    let result = env.execute("test").unwrap();
    assert_eq!(result.collected(&found).unwrap(), [(1, 10, 12)]);
    assert_eq!(result.collected(&late).unwrap(), [(1, 'b', 5), (1, 'b', 11)]);
    assert_eq!(result.accumulator("numLateRecordsDropped"), None);
}

fn harness() -> Harness<Event, (u64, i64, i64)> {
    Harness::new(|events: Stream<Event>| {
        events.key_by(|event| event.0).pattern(&a_b()).unwrap().select(|found| ends(&found))
    })
}

#[test]
fn late_events_that_no_side_output_takes_are_counted() {
    let mut harness = harness();
    harness.push_at((1, 'a', 10), 10).unwrap();
    harness.watermark(10).unwrap();
    harness.push_at((1, 'b', 10), 10).unwrap();
    harness.push_at((1, 'b', 11), 11).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take(), [(1, 10, 11)]);
    assert_eq!(harness.counter("numLateRecordsDropped"), 1);
}

#[test]
fn before_the_first_watermark_no_event_is_late() {
    let mut harness = harness();
    harness.push_at((1, 'b', i64::MIN + 1), i64::MIN + 1).unwrap();
    harness.push_at((1, 'a', i64::MIN), i64::MIN).unwrap();
    harness.end().unwrap();
    assert_eq!(harness.take(), [(1, i64::MIN, i64::MIN + 1)]);
    assert_eq!(harness.counter("numLateRecordsDropped"), 0);
}

#[test]
fn a_key_without_anything_to_wait_for_has_no_state() {
    let mut harness = harness();
    for (key, letter, at) in events(2_000) {
        harness.push_at((key, letter, at), at).unwrap();
        harness.watermark(at - 40).unwrap();
    }
    assert!(harness.state_size().keys > 0);
    assert!(!harness.take().is_empty());
    // Past the last event, and the time that what it began has.
    harness.watermark(10_000_000).unwrap();
    assert_eq!(harness.state_size(), StateSize::default());
    harness.end().unwrap();
}

/// Keys with state, and timers.
fn kept(harness: &Harness<Event, (u64, i64, i64)>) -> (usize, usize) {
    let StateSize { keys, timers } = harness.state_size();
    (keys, timers)
}

#[test]
fn partial_matches_that_come_to_nothing_leave_no_timer() {
    let mut harness = harness();
    for at in (0..1_000).step_by(10) {
        harness.push_at((1, 'a', at), at).unwrap();
        harness.watermark(at).unwrap();
        assert_eq!(kept(&harness), (1, 1), "at {at}");
        harness.push_at((1, 'c', at + 1), at + 1).unwrap();
        harness.watermark(at + 1).unwrap();
        assert_eq!(kept(&harness), (0, 0), "at {at}");
    }
}

#[test]
fn events_that_wait_for_the_time_of_a_partial_match_keep_their_timer() {
    let mut harness = harness();
    harness.push_at((1, 'a', 0), 0).unwrap();
    harness.push_at((1, 'c', 1), 1).unwrap();
    harness.push_at((1, 'a', 50), 50).unwrap();
    harness.watermark(1).unwrap();
    assert_eq!(kept(&harness), (1, 1));
    harness.push_at((1, 'b', 60), 60).unwrap();
    harness.watermark(60).unwrap();
    assert_eq!(harness.take(), [(1, 50, 60)]);
    assert_eq!(kept(&harness), (0, 0));
}

#[test]
fn in_processing_time_they_leave_none_either() {
    let mut harness = Harness::new(|events: Stream<Event>| {
        events.key_by(|event| event.0).pattern(&a_b()).unwrap().processing_time().select(|found| ends(&found))
    });
    for at in (0..100).step_by(10) {
        harness.set_time(at).unwrap();
        harness.push((1, 'a', at)).unwrap();
        assert_eq!(kept(&harness), (1, 1));
        harness.push((1, 'c', at)).unwrap();
        assert_eq!(kept(&harness), (0, 0));
    }
}

#[test]
fn a_key_has_one_timer_for_its_partial_matches() {
    let pattern = Pattern::begin("a").filter(is('a'));
    let pattern = pattern.followed_by("c").filter(is('c')).within_since_previous(Duration::from_millis(500));
    let pattern = pattern.followed_by("b").filter(is('b')).within_since_previous(Duration::from_millis(50));
    let mut harness = Harness::new(move |events: Stream<Event>| {
        events.key_by(|event| event.0).pattern(&pattern).unwrap().select(|found| ends(&found))
    });
    for (letter, at) in [('a', 0), ('c', 10), ('b', 20), ('a', 30), ('a', 40), ('c', 50), ('b', 60)] {
        harness.push_at((1, letter, at), at).unwrap();
        harness.watermark(at).unwrap();
        let waits = usize::from(letter != 'b');
        assert_eq!(kept(&harness), (waits, waits), "at {at}");
    }
    assert_eq!(harness.take(), [(1, 0, 20), (1, 30, 60), (1, 40, 60)]);
}

const GIVEN_UP: OutputTag<(u64, i64, Option<Timestamp>)> = OutputTag::new("given up");

/// Tells when matches were complete, and partial ones were given up.
#[derive(Clone, Default)]
struct When {
    opened: bool,
}

impl PatternProcessFunction for When {
    type In = Event;
    type Out = (u64, i64, Option<Timestamp>);

    fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
        let task = ctx.task();
        self.opened = task.subtask() < task.parallelism;
        Ok(())
    }

    fn process_match(&mut self, mut found: Match<Event>, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        assert!(self.opened);
        let at = ctx.timestamp();
        for (key, _, time) in found.take("a") {
            ctx.emit((key, time, at));
        }
        ctx.add_to("matches", 1);
        Ok(())
    }

    fn process_timed_out(&mut self, partial: Match<Event>, ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        let at = ctx.timestamp();
        match partial.get("a") {
            [(key, _, time)] => ctx.emit_to(&GIVEN_UP, (*key, *time, at)),
            other => Err(format!("{other:?} is no partial match").into()),
        }
    }
}

#[test]
fn results_have_the_time_at_which_they_were_certain() {
    let env = env(2);
    let events = vec![(1, 'a', 10), (2, 'a', 20), (3, 'a', 25), (1, 'b', 40), (3, 'c', 50), (2, 'b', 70), (4, 'a', 80)];
    let keyed = stamped(&env.from_collection(events), 0).key_by(|event| event.0);
    let found = keyed.pattern(&a_b()).unwrap().process(When::default());
    let given_up = found.side_output(&GIVEN_UP).collect();
    let found = found.collect();
    let result = env.execute("test").unwrap();
    assert_eq!(result.collected(&found).unwrap(), [(1, 10, Some(40))]);
    let mut given_up = result.collected(&given_up).unwrap();
    given_up.sort();
    assert_eq!(given_up, [(2, 20, Some(70)), (4, 80, Some(130))]);
    assert_eq!(result.counter("matches"), 1);
}

#[test]
fn what_must_not_follow_is_certain_when_time_has_passed() {
    let env = env(2);
    let events = vec![(1, 'a', 10), (2, 'a', 20), (2, 'c', 30), (1, 'c', 60), (1, 'a', 100)];
    let keyed = stamped(&env.from_collection(events), 0).key_by(|event| event.0);
    let alone = Pattern::begin("a").filter(is('a')).not_followed_by("c").filter(is('c'));
    let found = keyed.pattern(&alone.within(Duration::from_millis(50))).unwrap().process(When::default());
    assert_eq!(sorted(&found, &env), [(1, 10, Some(60)), (1, 100, Some(150))]);
}

#[test]
fn a_stream_without_keys_is_one_row_of_events() {
    let events = events(3_000);
    for parallelism in [1, 3] {
        let env = env(parallelism);
        let stream = stamped(&env.from_collection(events.clone()), 40);
        // Events of equal time come in the order of their keys.
        let pattern = Pattern::begin("a").filter(is('a')).next("b").filter(is('b'));
        let pattern = pattern.after_match(AfterMatchSkip::PastLastEvent);
        let found = stream.pattern(&pattern).unwrap().order_by(|a, b| a.cmp(b)).flat_select(|found| {
            let (first, last) = (found.first("a").unwrap().to_owned(), found.last("b").unwrap().to_owned());
            [(first.2, first.0), (last.2, last.0)]
        });
        let mut ordered = events.clone();
        ordered.sort_by_key(|(key, letter, time)| (*time, *key, *letter));
        let pairs = ordered.windows(2).filter(|pair| pair[0].1 == 'a' && pair[1].1 == 'b');
        let mut expected: Vec<_> = pairs.flat_map(|pair| [(pair[0].2, pair[0].0), (pair[1].2, pair[1].0)]).collect();
        expected.sort_unstable();
        assert!(expected.len() > 100);
        assert_eq!(sorted(&found, &env), expected);
    }
}

#[test]
fn in_processing_time_events_are_looked_at_as_they_come() {
    let env = env(1);
    env.set_clock(Clock::Manual(ManualClock::at(1_000)));
    let events = vec![(1, 'a', 9), (1, 'b', 1), (2, 'a', 0), (1, 'a', 0), (1, 'c', 0)];
    let keyed = env.from_collection(events).key_by(|event| event.0);
    let unanswered = OutputTag::new("unanswered");
    let found = keyed.pattern(&a_b()).unwrap().processing_time().select_or_timed_out(
        |found| (found.first("a").copied(), found.start(), found.end()),
        &unanswered,
        |partial| partial.first("a").map(|event| event.0),
    );
    let (found, unanswered) = (found.collect(), found.side_output(&unanswered).collect());
    let result = env.execute("test").unwrap();
    assert_eq!(result.collected(&found).unwrap(), [(Some((1, 'a', 9)), 1_000, 1_000)]);
    // The clock stands still, but the input ends.
    assert_eq!(result.collected(&unanswered).unwrap(), [Some(2)]);
}

#[test]
fn event_time_needs_timestamps() {
    let failure = harness().push((1, 'a', 0)).unwrap_err();
    assert_eq!(failure.location.operator.as_deref(), Some("Pattern"));
    assert!(failure.message.contains("`assign_timestamps_and_watermarks`"), "{failure}");
    assert_eq!(failure.retry, Failure::user("one that a restart cannot mend").fatal().retry);
}

#[test]
fn a_pattern_that_was_changed_is_told_and_not_tried_again() {
    let builds = |events: Stream<Event>, strict: bool| {
        let a = Pattern::begin("a").filter(is('a'));
        let pattern = if strict { a.next("b") } else { a.followed_by("b") }.filter(is('b'));
        events.key_by(|event| event.0).pattern(&pattern).unwrap().select(|found| ends(&found))
    };
    let mut before = Harness::new(|events| builds(events, false));
    before.push_at((1, 'a', 10), 10).unwrap();
    before.watermark(10).unwrap();
    let options = HarnessOptions::new().from_snapshot(&before.snapshot().unwrap());
    let mut after = Harness::with(options, |events| builds(events, true));
    after.push_at((1, 'b', 20), 20).unwrap();
    let failure = after.watermark(20).unwrap_err();
    assert!(failure.message.contains("was it changed?"), "{failure}");
    assert_eq!(failure.retry, Failure::user("one that a restart cannot mend").fatal().retry);
}

#[test]
fn a_pattern_that_makes_no_sense_is_told_at_once() {
    let env = env(1);
    let pattern = Pattern::begin("a").next("a");
    let error = env.from_collection(events(1)).pattern(&pattern).err();
    assert_eq!(error, Some(PatternError::DuplicateName("a".into())));
}
