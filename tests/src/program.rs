//! The program of the tests' own (`src/bin/test-program`): what its results must be.

use std::{fs, path::Path, process::Command};

use flott_core::id::Digest;

use crate::{
    binaries::{binary, text},
    book::{Counts, check_final, check_running, lines_in, word_and_count},
};

/// Its path.
#[track_caller]
pub fn test_program() -> String {
    binary("test-program")
}

/// An executable without what debuggers want, in `directory`, for ways that are slow: half the bytes, or less. As it is where
/// `strip` is not found.
#[track_caller]
pub fn slim(program: &str, directory: &Path) -> String {
    let name = Path::new(program).file_name().expect("an executable has a name");
    let slim = text(&directory.join(name));
    let stripped = Command::new("strip").args(["-o", &slim, program]).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(program, &slim).expect("the directory can be written to");
    }
    slim
}

/// A `job.graph` document around any graph, whose checksum is right.
pub fn sealed(graph: &str) -> Vec<u8> {
    let checksum = Digest::of(graph.as_bytes());
    format!(r#"{{"format":"flott.job-graph","version":1,"engine":"x","checksum":"{checksum}","graph":{graph}}}"#).into()
}

/// How often each key comes.
pub fn counts(records: u64, keys: u64) -> Counts {
    let mut counts = Counts::new();
    for number in 0..records {
        *counts.entry((number % keys).to_string()).or_default() += 1;
    }
    counts
}

/// Wants the output of a streaming job to be complete, and each result to be there once.
#[track_caller]
pub fn check_output(directory: &str, records: u64, keys: u64) {
    check_running(&lines_in(directory), &counts(records, keys));
}

/// The same, where keys have moved from subtask to subtask, so that files are in no order.
#[track_caller]
pub fn check_output_in_any_order(directory: &str, records: u64, keys: u64) {
    let mut lines = lines_in(directory);
    lines.sort_by_cached_key(|line| word_and_count(line));
    check_running(&lines, &counts(records, keys));
}

/// The same, where lines are in directories by the last digit of their keys; and that nothing else is left.
#[track_caller]
pub fn check_partitioned_output(directory: &str, records: u64, keys: u64) {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{directory}: {error}"))
        .map(|entry| entry.expect("a directory can be listed").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, (0..keys.min(10)).map(|digit| format!("digit={digit}")).collect::<Vec<_>>());
    let mut lines = Vec::new();
    for name in names {
        let of_digit = lines_in(&format!("{directory}/{name}"));
        let is_here = |line: &String| line.split(' ').next().is_some_and(|key| key.ends_with(&name[6..]));
        assert!(of_digit.iter().all(is_here), "{name} holds {:?}", of_digit.iter().find(|line| !is_here(line)));
        lines.extend(of_digit);
    }
    check_running(&lines, &counts(records, keys));
}

/// The same for batch mode.
#[track_caller]
pub fn check_batch_output(directory: &str, records: u64, keys: u64) {
    check_final(&lines_in(directory), &counts(records, keys));
}
