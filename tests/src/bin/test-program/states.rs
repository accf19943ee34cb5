//! Every kind of state at once, for snapshots that are kept (`tests/fixtures`).
//!
//! A source with one subtask gives numbers in the order of time, and each branch of the job keeps state of another kind of them. What
//! a branch gives follows from the numbers alone, but for `fading`, which tells whether the clock has passed. Each line begins with the
//! name of its branch. Snapshots that are kept are of this very job: what there is to add goes into another.
//!
//! # Layout
//! - `keyed`: states and timers of functions, and running folds
//! - `joins`: of two streams
//! - `lists`: operator lists
//! - `rules`: broadcast state
//! - `windows`: whatever windows keep

mod joins;
mod keyed;
mod lists;
mod rules;
mod windows;

use std::time::Duration;

use flott::{Environment, FileSink, Stream, WatermarkStrategy};
use flott_cep::{Pattern, Patterns};

use crate::{arguments::Arguments, gate::held_back, held::Held};

/// How many keys there are.
const KEYS: u64 = 7;
/// Event time from one number to the next, in milliseconds.
const STEP_MS: i64 = 10;

/// The key of a number.
fn key(number: &u64) -> u64 {
    number % KEYS
}

/// The event time of a number.
fn at(number: u64) -> i64 {
    number as i64 * STEP_MS
}

/// Adds the job to the plan.
pub fn build(env: &Environment, arguments: &Arguments) -> Result<(), String> {
    let output = arguments.output.as_ref().ok_or("output=DIR is missing")?;
    let hold = arguments.hold.clone().ok_or("hold=FILE is missing")?;
    let source = Held { records: arguments.records, splits: Some(1), hold: Some(hold.clone()), pace: arguments.pace };
    let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|number: &u64| at(*number));
    let numbers = env.from_source_with_watermarks(source, strategy, "numbers").parallelism(1).uid("numbers");
    let mut lines = keyed::lines(&numbers, arguments);
    lines.extend(windows::lines(&numbers));
    lines.extend(joins::lines(&numbers));
    lines.extend([lists::lines(&numbers), rules::lines(&numbers), patterns(&numbers)?]);
    let calls = numbers.filter(|number| number % 8 == 0).map(|number| format!("called {number}"));
    let written = held_back(&calls, hold).uid("calls").union(&lines);
    written.write_files(FileSink::text(output)).uid("lines");
    Ok(())
}

/// Patterns that are under way for a while: of each five numbers of a key the first, some in the middle, and the last.
fn patterns(numbers: &Stream<u64>) -> Result<Stream<String>, String> {
    let place = |number: &u64| number / KEYS % 5;
    let pattern = Pattern::begin("first")
        .filter(move |number: &u64| place(number) == 0)
        .followed_by("middle")
        .filter(move |number| (1..4).contains(&place(number)))
        .one_or_more()
        .followed_by("last")
        .filter(move |number| place(number) == 4)
        .within(Duration::from_secs(1));
    let found = numbers.key_by(key).pattern(&pattern).map_err(|error| error.to_string())?;
    let line = |found: flott_cep::Match<u64>| {
        let numbers: Vec<_> = found.iter().flat_map(|(_, numbers)| numbers).map(u64::to_string).collect();
        format!("pattern {}", numbers.join(" "))
    };
    Ok(found.select(line).uid("patterns"))
}
