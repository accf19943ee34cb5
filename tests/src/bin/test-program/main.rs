//! A program for end-to-end tests: counts records per key, waits when it is told to, and misbehaves in every way that
//! a program of a user might.
//!
//! # Layout
//! - `arguments`: what it is told, as `NAME [key=value…]`
//! - `gate`: an operator that takes a few records, and no more until a file appears
//! - `held`: a source that stops half-way until a file appears
//! - `trouble`: what goes wrong at a record
//! - `odd_plan`: what goes wrong before `execute`
//! - `running`: counts by a function with state
//! - `race`: a fast source that is held back beside a slow one
//! - `states`: every kind of state at once

use std::{path::Path, process::ExitCode, time::Duration};

use flott::{Environment, ExecutionMode, FileSink, PartitionPath, Stream, TumblingEventTimeWindows, WatermarkStrategy};

mod arguments;
mod gate;
mod held;
mod odd_plan;
mod race;
mod running;
mod states;
mod trouble;

use arguments::Arguments;
use held::Held;
use running::Running;

fn main() -> ExitCode {
    let arguments = match Arguments::of_process() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(64);
        }
    };
    let outcome = match arguments.plan {
        None => run(&arguments),
        Some(odd) => odd_plan::run(odd, &arguments).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Lines `key number`: for each key the numbers from 1 to how often it comes, in streaming mode; or how often it comes in each
/// window.
fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let env = Environment::new();
    match &arguments.race {
        Some(directory) => race::build(&env, directory),
        None if arguments.every_state => states::build(&env, arguments)?,
        None => build(&env, arguments, "counts"),
    }
    env.execute(&arguments.name)?;
    Ok(())
}

fn build(env: &Environment, arguments: &Arguments, name: &str) {
    if arguments.batch {
        env.set_mode(ExecutionMode::Batch);
    }
    let source = Held {
        records: arguments.records,
        splits: arguments.splits,
        hold: arguments.hold.clone(),
        pace: arguments.pace,
    };
    let (at, trouble, once, when) = (arguments.at, arguments.trouble, arguments.once.clone(), arguments.when.clone());
    let keys = arguments.keys;
    let numbers = if arguments.timed {
        let strategy = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|at: &u64| *at as i64);
        env.from_source_with_watermarks(source, strategy, "numbers")
    } else {
        env.from_source(source, "numbers")
    };
    if arguments.plain {
        let lines = numbers.map(|number| number.to_string());
        match &arguments.output {
            Some(directory) => lines.write_text(directory),
            None => lines.discard(),
        };
        return;
    }
    if let Some(size) = arguments.windows {
        return windows(&numbers, arguments, size);
    }
    let numbers = if arguments.rearranged { numbers.rebalance().filter(|_| true) } else { numbers };
    let keyed = numbers
        .map(move |number: u64| {
            if let Some(trouble) = trouble
                && when.as_deref().map_or(number == at, trouble::is_now)
                && once.as_deref().is_none_or(trouble::is_first)
            {
                trouble::happens(trouble);
            }
            number % keys
        })
        .key_by(|key| *key);
    let counts = if arguments.by_function { keyed.process(Running::default()) } else { keyed.count() };
    let counts = match &arguments.uid {
        Some(uid) => counts.uid(uid.clone()),
        None => counts,
    };
    let lines = counts.name(name).map(|(key, count)| format!("{key} {count}"));
    let lines = match &arguments.gate {
        Some(gate) => gate::held_back(&lines, gate.clone()),
        None => lines,
    };
    match &arguments.output {
        Some(directory) if arguments.partitioned => lines.write_files(partitioned(directory)),
        Some(directory) => lines.write_text(directory),
        None => lines.discard(),
    };
}

/// Lines `key count` by the last digit of the key, in many files.
fn partitioned(directory: &Path) -> FileSink<String> {
    FileSink::text(directory)
        .partitioned_by(|line: &String, path: &mut PartitionPath| {
            let key = line.split(' ').next().unwrap_or_default();
            path.key("digit", &key[key.len().saturating_sub(1)..]);
        })
        .roll_at_bytes(4 << 10)
        .roll_after(Duration::from_millis(200))
}

/// Numbers are their own timestamps, and time does not pass a window before the input ends, however they are dealt to readers; unless
/// some are to be late.
fn windows(numbers: &Stream<u64>, arguments: &Arguments, size: u64) {
    let (keys, late) = (arguments.keys, arguments.late);
    let behind = Duration::from_millis(if late { 0 } else { arguments.records });
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(behind)
        .with_timestamp_assigner(move |at: &u64| if late && at.is_multiple_of(10) { 0 } else { *at as i64 });
    let lines = numbers
        .assign_timestamps_and_watermarks(strategy)
        .map(move |number| number % keys)
        .key_by(|key| *key)
        .window(TumblingEventTimeWindows::of(Duration::from_millis(size)))
        .sum(|_| 1u64)
        .map(|(key, count)| format!("{key} {count}"));
    match &arguments.output {
        Some(directory) => lines.write_text(directory),
        None => lines.discard(),
    };
}
