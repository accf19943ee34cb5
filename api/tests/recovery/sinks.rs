//! What sinks show at snapshots, at the end, and never.

use std::{collections::BTreeMap, fs, path::Path};

use flott::{
    FileSink, Stream,
    testing::{Harness, HarnessOptions, Snapshot},
};

/// Lines of the visible files, by name.
fn files(directory: &Path) -> BTreeMap<String, Vec<u64>> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let visible = entries.filter(|path| !name(path).starts_with('.'));
    let lines = |path: &Path| fs::read_to_string(path).unwrap().lines().map(|line| line.parse().unwrap()).collect();
    visible.map(|path| (name(&path), lines(&path))).collect()
}

/// All lines of all files, in order.
fn lines(directory: &Path) -> Vec<u64> {
    let mut lines: Vec<_> = files(directory).into_values().flatten().collect();
    lines.sort_unstable();
    lines
}

fn writing(directory: &Path, subtasks: u32, from: Option<&Snapshot>) -> Harness<u64, u64> {
    let options = HarnessOptions::new().parallelism(subtasks);
    let options = from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot));
    Harness::with(options, |numbers: Stream<u64>| {
        numbers.write_files(FileSink::text(directory));
        numbers
    })
}

#[test]
fn files_appear_with_each_snapshot_and_hold_each_record_once() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let mut harness = writing(out, 2, None);
    harness.push_all(0..4).unwrap();
    assert!(files(out).is_empty());
    let snapshot = harness.snapshot().unwrap();
    assert_eq!(lines(out), [0, 1, 2, 3]);
    // What an attempt has written that fails before its next checkpoint is never seen.
    harness.push_all(4..9).unwrap();
    drop(harness);
    let mut harness = writing(out, 3, Some(&snapshot));
    harness.push_all(4..6).unwrap();
    harness.snapshot().unwrap();
    assert_eq!(lines(out), [0, 1, 2, 3, 4, 5]);
    let seen = files(out).len();
    harness.snapshot().unwrap();
    assert_eq!(files(out).len(), seen, "there is nothing new to show");
    harness.push_all(6..9).unwrap();
    assert_eq!(lines(out), [0, 1, 2, 3, 4, 5]);
    harness.end().unwrap();
    assert_eq!(lines(out), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    let hidden = fs::read_dir(out)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with('.'));
    assert_eq!(hidden.count(), 0, "something is left of the attempts that failed");
}

#[test]
fn without_snapshots_files_have_plain_names() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = writing(directory.path(), 2, None);
    harness.push_all(0..4).unwrap();
    harness.end().unwrap();
    let expected = [("part-0", vec![0, 2]), ("part-1", vec![1, 3])];
    assert_eq!(files(directory.path()), expected.map(|(name, lines)| (name.to_owned(), lines)).into());
}

#[test]
fn what_snapshots_have_shown_outlives_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path();
    let mut harness = Harness::new(|numbers: Stream<u64>| {
        let numbers = numbers.try_map(|number| if number < 5 { Ok(number) } else { Err("too large") });
        numbers.write_files(FileSink::text(out));
        numbers
    });
    harness.push_all(0..3).unwrap();
    harness.snapshot().unwrap();
    harness.push_all(3..5).unwrap();
    harness.push(5).unwrap_err();
    assert_eq!(lines(out), [0, 1, 2]);
    assert_eq!(fs::read_dir(out).unwrap().count(), 1);
}
