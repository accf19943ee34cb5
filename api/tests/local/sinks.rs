use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flott::FileSink;

use super::{PARALLELISMS, env, run, run_error};

/// Files by name, hidden ones too.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let content =
                if entry.path().is_dir() { "a directory".into() } else { fs::read_to_string(entry.path()).unwrap() };
            (name, content)
        })
        .collect()
}

fn lines(directory: &Path) -> Vec<String> {
    let files = files(directory);
    assert!(files.keys().all(|name| name.starts_with("part-")), "{:?}", files.keys());
    let mut lines: Vec<String> = files.values().flat_map(|content| content.lines()).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn files_appear_when_the_job_has_succeeded() {
    for parallelism in PARALLELISMS {
        let directory = tempfile::tempdir().unwrap();
        let (text, json) = (directory.path().join("a/text"), directory.path().join("json"));
        let env = env(parallelism);
        let numbers = env.sequence(1, 3_000);
        numbers.write_text(&text);
        numbers.map(|n| (n, format!("\"{n}\""))).write_json_lines(&json);
        run(&env);
        let mut expected: Vec<String> = (1..=3_000).map(|n| n.to_string()).collect();
        expected.sort();
        assert_eq!(lines(&text), expected);
        assert!(lines(&json).contains(&"[7,\"\\\"7\\\"\"]".to_owned()));
        assert_eq!(lines(&json).len(), 3_000);
    }
}

#[test]
fn an_empty_result_leaves_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let env = env(2);
    env.sequence(1, 10).filter(|_| false).write_text(directory.path());
    run(&env);
    assert_eq!(files(directory.path()), BTreeMap::new());
}

#[test]
fn a_failed_job_leaves_nothing() {
    for parallelism in PARALLELISMS {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("out");
        let env = env(parallelism);
        let numbers = env.sequence(1, 100_000);
        numbers.write_text(&output);
        numbers.try_map(|n| if n == 99_999 { Err("too many") } else { Ok(n) }).discard();
        let error = run_error(&env);
        assert!(error.contains("too many"), "{error}");
        assert!(!output.exists(), "{:?}", files(&output));
    }
}

#[test]
fn a_directory_with_files_is_refused_or_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("part-9"), "old").unwrap();
    fs::write(directory.path().join(".hidden"), "kept").unwrap();
    let job = env(2);
    job.sequence(1, 10).write_text(directory.path());
    let error = run_error(&job);
    assert!(error.contains("already holds files (part-9)"), "{error}");
    assert_eq!(files(directory.path()).len(), 2);

    let job = env(1);
    job.sequence(1, 2).write_files(FileSink::text(directory.path()).overwrite());
    run(&job);
    let expected = [(".hidden", "kept"), ("part-0", "1\n2\n")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(files(directory.path()), expected.into());
}

#[test]
fn unwritable_output_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let job = env(2);
    job.sequence(1, 10).write_text(file.join("below"));
    let error = run_error(&job);
    assert!(error.contains("cannot create") && error.contains("file/below"), "{error}");

    let locked = directory.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    let job = env(1);
    job.sequence(1, 10).write_text(locked.join("out"));
    // Whoever may write anywhere is not stopped by permissions.
    if fs::write(locked.join("probe"), "").is_err() {
        assert!(run_error(&job).contains("Permission denied"));
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn functions_are_called_with_each_record() {
    let sum = Arc::new(AtomicU64::new(0));
    let env = env(4);
    let total = sum.clone();
    env.sequence(1, 1_000).for_each(move |n| {
        total.fetch_add(n, Ordering::Relaxed);
    });
    run(&env);
    assert_eq!(sum.load(Ordering::Relaxed), 500_500);
}

#[test]
fn collected_records_are_bounded_and_typed() {
    let job = env(1);
    let _ = job.sequence(1, 40).map(|_| "x".repeat(1 << 20)).collect();
    let error = run_error(&job);
    assert!(error.contains("more than 16 MiB"), "{error}");

    let (one, two) = (env(1), env(1));
    let of_one = one.sequence(1, 2).collect();
    two.sequence(1, 2).discard();
    let error = run(&two).collected(&of_one).unwrap_err().to_string();
    assert!(error.contains("another environment"), "{error}");
}
