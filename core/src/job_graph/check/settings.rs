//! The parts of a graph beside its vertices and edges: name, program, restart strategy, configuration.

use super::{GraphError, limits};
use crate::job_graph::{JobGraph, Program, RestartPolicy, RestartStrategy};

pub(super) fn check(graph: &JobGraph) -> Result<(), GraphError> {
    limits::filled(format_args!("name"), &graph.name, limits::NAME_BYTES_MAX)?;
    check_program(&graph.program)?;
    if let RestartPolicy::Own(strategy) = &graph.restart {
        check_restart(strategy)?;
    }
    limits::count(format_args!("configuration"), graph.configuration.len(), limits::CONFIGURATION_ENTRIES_MAX)?;
    for (key, value) in &graph.configuration {
        limits::filled(format_args!("configuration key {}", limits::shown(key)), key, limits::NAME_BYTES_MAX)?;
        limits::length(format_args!("configuration[{key:?}]"), value, limits::TEXT_BYTES_MAX)?;
    }
    Ok(())
}

fn check_program(program: &Program) -> Result<(), GraphError> {
    limits::within(format_args!("program.size"), program.size, 0..=limits::PROGRAM_BYTES_MAX)?;
    limits::filled(format_args!("program.target"), &program.target, limits::NAME_BYTES_MAX)?;
    let file_name = format_args!("program.file_name");
    limits::filled(file_name, &program.file_name, limits::NAME_BYTES_MAX)?;
    // The name ends up in listings and in paths below a directory of ours.
    if program.file_name.contains(['/', '\0']) || matches!(program.file_name.as_str(), "." | "..") {
        let problem = format_args!("{} is not a file name without a directory", limits::shown(&program.file_name));
        return Err(GraphError::new(file_name, problem));
    }
    if let Some(entry) = &program.entry {
        limits::filled(format_args!("program.entry"), entry, limits::NAME_BYTES_MAX)?;
        no_nul(format_args!("program.entry"), entry)?;
    }
    let arguments = format_args!("program.arguments");
    limits::count(arguments, program.arguments.len(), limits::ARGUMENTS_MAX)?;
    let mut bytes = 0;
    for (a, argument) in program.arguments.iter().enumerate() {
        limits::length(format_args!("program.arguments[{a}]"), argument, limits::ARGUMENT_BYTES_MAX)?;
        no_nul(format_args!("program.arguments[{a}]"), argument)?;
        bytes += argument.len();
    }
    if bytes > limits::ARGUMENTS_BYTES_MAX {
        let problem = format_args!("{bytes} bytes together, expected at most {}", limits::ARGUMENTS_BYTES_MAX);
        return Err(GraphError::new(arguments, problem));
    }
    Ok(())
}

/// What is handed to a new process cannot hold a zero byte.
fn no_nul(field: std::fmt::Arguments<'_>, text: &str) -> Result<(), GraphError> {
    if text.contains('\0') {
        return Err(GraphError::new(field, "must not hold a zero byte"));
    }
    Ok(())
}

fn check_restart(strategy: &RestartStrategy) -> Result<(), GraphError> {
    let duration = |field: &str, ms: u64, least: u64| {
        limits::within(format_args!("restart.own.{field}"), ms, least..=limits::DURATION_MS_MAX)
    };
    match *strategy {
        RestartStrategy::None => Ok(()),
        RestartStrategy::FixedDelay { attempts: _, delay_ms } => duration("delay-ms", delay_ms, 0),
        RestartStrategy::FailureRate { failures_per_interval_max, interval_ms, delay_ms } => {
            let field = format_args!("restart.own.failures-per-interval-max");
            limits::within(field, failures_per_interval_max, 1..=u32::MAX)?;
            duration("interval-ms", interval_ms, 1)?;
            duration("delay-ms", delay_ms, 0)
        }
        RestartStrategy::ExponentialDelay {
            initial_backoff_ms,
            max_backoff_ms,
            multiplier,
            reset_threshold_ms,
            jitter,
            attempts_max,
        } => {
            duration("max-backoff-ms", max_backoff_ms, 1)?;
            limits::within(format_args!("restart.own.initial-backoff-ms"), initial_backoff_ms, 1..=max_backoff_ms)?;
            duration("reset-threshold-ms", reset_threshold_ms, 1)?;
            if !(multiplier.is_finite() && multiplier >= 1.0) {
                let problem = format_args!("{multiplier} is not a finite number of at least 1");
                return Err(GraphError::new(format_args!("restart.own.multiplier"), problem));
            }
            limits::within(format_args!("restart.own.jitter"), jitter, 0.0..=1.0)?;
            if attempts_max == Some(0) {
                let problem = "0 is not at least 1; leave it out for no limit";
                return Err(GraphError::new(format_args!("restart.own.attempts-max"), problem));
            }
            Ok(())
        }
    }
}
