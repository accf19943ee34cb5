//! Patterns that are looked for across restarts.

use std::time::Duration;

use flott::{
    Failure, OutputTag, Stream,
    testing::{Harness, HarnessOptions, Snapshot},
};
use flott_cep::{Match, Pattern, Patterns};
use proptest::prelude::*;

/// Key, letter.
type Event = (u8, char);

/// Key, times of the beginning and of the end, the letters of all events, and whether time was up.
type Found = (u8, i64, i64, String, bool);

const LATE: OutputTag<Event> = OutputTag::new("late");
const TIMED_OUT: OutputTag<Found> = OutputTag::new("timed-out");

fn is(letter: char) -> impl Fn(&Event) -> bool + Send + Sync {
    move |event| event.1 == letter
}

/// An a, any number of bs, and a c that is not after a d, in 30 milliseconds.
fn pattern() -> Pattern<Event> {
    let bs = Pattern::begin("a").filter(is('a')).followed_by("b").filter(is('b')).one_or_more();
    bs.not_followed_by("d").filter(is('d')).followed_by("c").filter(is('c')).within(Duration::from_millis(30))
}

fn found(found: &Match<Event>, timed_out: bool) -> Found {
    let names = ["a", "b", "c"];
    let letters = names.iter().flat_map(|name| found.get(name)).map(|event| event.1).collect();
    (found.first("a").map_or(0, |event| event.0), found.start(), found.end(), letters, timed_out)
}

fn search(events: Stream<Event>, by_clock: bool) -> Stream<Found> {
    let search = events.key_by(|event| event.0).pattern(&pattern()).unwrap().late_to(&LATE);
    let search = if by_clock { search.processing_time() } else { search };
    search.select_or_timed_out(|all| found(&all, false), &TIMED_OUT, |part| found(&part, true))
}

#[derive(Debug, Clone)]
enum Step {
    Event(Event, i64),
    Watermark(i64),
    Clock(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let letter = prop_oneof![Just('a'), Just('b'), Just('b'), Just('c'), Just('d')];
    let step = prop_oneof![
        6 => ((0u8..3, letter), -4i64..12).prop_map(|(event, ahead)| Step::Event(event, ahead)),
        2 => (1i64..10).prop_map(Step::Watermark),
        1 => (1u64..12).prop_map(Step::Clock),
    ];
    prop::collection::vec(step, 1..50).prop_map(|mut steps| {
        let mut now = 100;
        for step in &mut steps {
            match step {
                Step::Event(_, at) => *at += now,
                Step::Watermark(on) => {
                    now += *on;
                    *on = now;
                }
                Step::Clock(_) => {}
            }
        }
        steps
    })
}

/// What is found and what is late, and how much is left for keys in the end.
fn run(steps: &[Step], cuts: &[(usize, u32)], by_clock: bool) -> Result<(Vec<Found>, Vec<Event>, usize), Failure> {
    let harness = |subtasks, from: Option<&Snapshot>| {
        let options = HarnessOptions::new().parallelism(subtasks).input_parallelism(1).side(&LATE).side(&TIMED_OUT);
        let options = from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot));
        Harness::with(options, |events| search(events, by_clock))
    };
    let (mut all, mut late) = (Vec::new(), Vec::new());
    let mut running = harness(1, None);
    for (place, step) in steps.iter().enumerate() {
        for (_, subtasks) in cuts.iter().filter(|(before, _)| *before == place) {
            let snapshot = running.snapshot()?;
            all.extend(running.take().into_iter().chain(running.side(&TIMED_OUT)));
            late.extend(running.side(&LATE));
            running = harness(*subtasks, Some(&snapshot));
        }
        match step {
            Step::Event(event, at) => running.push_at(*event, *at)?,
            Step::Watermark(at) => running.watermark(*at)?,
            Step::Clock(ms) => running.advance(Duration::from_millis(*ms))?,
        }
    }
    running.watermark(1_000_000)?;
    running.advance(Duration::from_secs(1))?;
    let left = running.snapshot()?.keyed_entries();
    running.end()?;
    all.extend(running.take().into_iter().chain(running.side(&TIMED_OUT)));
    late.extend(running.side(&LATE));
    all.sort();
    late.sort();
    Ok((all, late, left))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn matches_come_through_restarts(
        steps in steps(),
        cuts in prop::collection::vec((0usize..50, 1u32..4), 1..4),
        by_clock: bool,
    ) {
        let failed = |failure: Failure| TestCaseError::fail(failure.to_string());
        let whole = run(&steps, &[], by_clock).map_err(failed)?;
        let cut = run(&steps, &cuts, by_clock).map_err(failed)?;
        prop_assert_eq!(&cut, &whole);
        prop_assert_eq!(cut.2, 0, "something is left in the snapshot");
    }
}
