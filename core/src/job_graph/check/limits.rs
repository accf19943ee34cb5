//! How large and how many the things in a job graph may be.
//!
//! The numbers are far above what people write and far below what would hurt a JobManager.

use std::{fmt, ops::RangeInclusive};

use super::GraphError;

/// Subtasks of one vertex, and key groups; both numbers are at least 1.
pub const PARALLELISM: RangeInclusive<u32> = 1..=32_768;
/// Subtasks of all vertices together.
pub const SUBTASKS_MAX: u64 = 1_000_000;
/// Vertices of a graph.
pub const VERTICES_MAX: usize = 100_000;
/// Operators of all vertices together.
pub const OPERATORS_MAX: usize = 200_000;
/// Edges of a graph, and inputs of all operators together.
pub const EDGES_MAX: usize = 1_000_000;
/// Lines that the fingerprint is taken of.
pub const FINGERPRINT_LINES_MAX: usize = OPERATORS_MAX + EDGES_MAX;
/// Bytes of a name that a person gives: job, uid, slot sharing group, side output, file, entry.
pub const NAME_BYTES_MAX: usize = 1 << 10;
/// Bytes of a text that is put together: operator and vertex names, descriptions, configuration values.
pub const TEXT_BYTES_MAX: usize = 1 << 16;
/// Arguments of the program.
pub const ARGUMENTS_MAX: usize = 4096;
/// Bytes of one argument; the operating system takes no more.
pub const ARGUMENT_BYTES_MAX: usize = (1 << 17) - 1;
/// Bytes of all arguments together; operating systems take about twice as much, environment included.
pub const ARGUMENTS_BYTES_MAX: usize = 1 << 20;
/// Bytes of the program.
pub const PROGRAM_BYTES_MAX: u64 = 4 << 30;
/// Configuration entries of a job.
pub const CONFIGURATION_ENTRIES_MAX: usize = 1000;
/// Memory that one subtask may ask for, in bytes.
pub const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// Any delay or interval, in milliseconds: a hundred years.
pub const DURATION_MS_MAX: u64 = 100 * 365 * 24 * 3600 * 1000;

/// The beginning of `text` in quotes, for messages.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

pub(super) fn length(field: fmt::Arguments<'_>, text: &str, bytes_max: usize) -> Result<(), GraphError> {
    if text.len() > bytes_max {
        return Err(GraphError::new(field, format_args!("{} bytes, expected at most {bytes_max}", text.len())));
    }
    Ok(())
}

pub(super) fn filled(field: fmt::Arguments<'_>, text: &str, bytes_max: usize) -> Result<(), GraphError> {
    if text.is_empty() {
        return Err(GraphError::new(field, "must not be empty"));
    }
    length(field, text, bytes_max)
}

pub(super) fn count(field: fmt::Arguments<'_>, count: usize, max: usize) -> Result<(), GraphError> {
    if count > max {
        return Err(GraphError::new(field, format_args!("{count} entries, expected at most {max}")));
    }
    Ok(())
}

pub(super) fn within<T>(field: fmt::Arguments<'_>, number: T, range: RangeInclusive<T>) -> Result<(), GraphError>
where
    T: PartialOrd + fmt::Display,
{
    if !range.contains(&number) {
        let problem = format_args!("{number} is not between {} and {}", range.start(), range.end());
        return Err(GraphError::new(field, problem));
    }
    Ok(())
}
