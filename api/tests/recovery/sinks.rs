//! What sinks show at snapshots, at the end, and never.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use flott::{
    FileSink, PartitionPath, Stream,
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

/// Files below `directory` by their paths, hidden ones only by that they are there.
fn below(directory: &Path) -> BTreeMap<String, Vec<u64>> {
    let (mut found, mut levels) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(level) = levels.pop() {
        for path in fs::read_dir(level).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
            if name.starts_with('.') {
                found.insert(name, Vec::new());
            } else if path.is_dir() {
                levels.push(path);
            } else {
                found.insert(
                    name,
                    fs::read_to_string(&path).unwrap().lines().map(|line| line.parse().unwrap()).collect(),
                );
            }
        }
    }
    found
}

fn partitioned(directory: &Path, subtasks: u32, from: Option<&Snapshot>) -> Harness<u64, u64> {
    let options = HarnessOptions::new().parallelism(subtasks);
    let options = from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot));
    Harness::with(options, |numbers: Stream<u64>| {
        let sink = FileSink::text(directory)
            .partitioned_by(|number: &u64, path: &mut PartitionPath| _ = path.key("rest", number % 3))
            .partitions_open(2)
            .roll_at_bytes(8)
            .roll_after(Duration::from_millis(50));
        numbers.write_files(sink);
        numbers
    })
}

#[test]
fn partitions_and_rolled_files_hold_each_record_once_whenever_tasks_are_cut_off() {
    const RECORDS: u64 = 40;
    for cut in 0..RECORDS {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path();
        let mut harness = partitioned(out, 2, None);
        let mut last = None;
        for number in 0..cut {
            harness.push(number).unwrap();
            if number % 5 == 4 {
                harness.advance(Duration::from_millis(30)).unwrap();
            }
            if number % 7 == 6 {
                last = Some((harness.snapshot().unwrap(), number + 1));
            }
        }
        drop(harness);
        let from = last.as_ref().map_or(0, |(_, next)| *next);
        let mut seen: Vec<_> = below(out).into_values().flatten().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..from).collect::<Vec<_>>(), "cut off at {cut}");

        let mut harness = partitioned(out, 3, last.as_ref().map(|(snapshot, _)| snapshot));
        harness.push_all(from..RECORDS).unwrap();
        harness.end().unwrap();
        let files = below(out);
        for (name, numbers) in &files {
            assert!(!numbers.is_empty(), "{name} is empty, or left");
            assert!(numbers.iter().all(|number| name.starts_with(&format!("rest={}/part-", number % 3))), "{name}");
        }
        let mut seen: Vec<_> = files.into_values().flatten().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..RECORDS).collect::<Vec<_>>(), "cut off at {cut}");
    }
}

#[test]
fn time_that_passes_completes_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::new(|numbers: Stream<u64>| {
        numbers.write_files(FileSink::text(directory.path()).roll_when_idle(Duration::from_secs(5)));
        numbers
    });
    for number in 0..4 {
        harness.push(number).unwrap();
        harness.advance(Duration::from_secs(if number == 1 { 6 } else { 4 })).unwrap();
    }
    harness.snapshot().unwrap();
    assert_eq!(
        below(directory.path()).into_values().filter(|numbers| !numbers.is_empty()).collect::<Vec<_>>(),
        [[0, 1], [2, 3]]
    );
}
