use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use flott::{Batch, Failure, FileSink, ReadStatus, RestartStrategy, Source, SplitReader, TaskInfo, TaskResult};

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

/// Two splits of a record each. The first is given when the second is read as well, by the other subtask then. The second waits
/// until a checkpoint is complete in which the subtask of the first had ended, and its end is noted; then it fails once.
struct OneEndsFirst {
    output: PathBuf,
    second_is_read: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
}

impl Source for OneEndsFirst {
    type Item = u64;
    type Split = (u64, bool);

    fn enumerate(&self, _: u32) -> TaskResult<Vec<(u64, bool)>> {
        Ok(vec![(0, false), (1, false)])
    }

    fn open(&self, (number, given): (u64, bool), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<u64, (u64, bool)>>> {
        if number == 1 {
            self.second_is_read.store(true, Ordering::SeqCst);
        }
        let (output, failed) = (self.output.clone(), self.failed.clone());
        Ok(Box::new(OneRecord { number, given, output, second_is_read: self.second_is_read.clone(), failed }))
    }
}

struct OneRecord {
    number: u64,
    given: bool,
    output: PathBuf,
    second_is_read: Arc<AtomicBool>,
    failed: Arc<AtomicBool>,
}

impl SplitReader<u64, (u64, bool)> for OneRecord {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
        let has_failed = self.failed.load(Ordering::SeqCst);
        let may_go_on = match (self.number, self.given) {
            (0, _) => self.second_is_read.load(Ordering::SeqCst),
            (_, false) => true,
            (_, true) => has_failed || an_end_is_noted(&self.output),
        };
        if !may_go_on {
            std::thread::yield_now();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !std::mem::replace(&mut self.given, true) {
            batch.records.push(self.number);
            return Poll::Ready(Ok(if self.number == 0 { ReadStatus::Ended } else { ReadStatus::More }));
        }
        if self.number == 1 && !has_failed {
            self.failed.store(true, Ordering::SeqCst);
            return Poll::Ready(Err(Box::new(Failure::user("once"))));
        }
        Poll::Ready(Ok(ReadStatus::Ended))
    }

    fn remaining(&self) -> (u64, bool) {
        (self.number, self.given)
    }
}

/// Whether the sink has committed that a subtask has ended.
fn an_end_is_noted(output: &Path) -> bool {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let is =
        |entry: &fs::DirEntry, prefix: &str| entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
    let mut hidden = entries(output).filter(|entry| is(entry, ".flott-"));
    hidden.any(|hidden| entries(&hidden.path()).any(|entry| is(&entry, "ended-")))
}

#[test]
fn a_subtask_that_ended_before_a_restart_leaves_nothing_hidden() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("out");
    let env = env(2);
    env.set_restart_strategy(RestartStrategy::FixedDelay { attempts: 1, delay_ms: 0 });
    env.configure("execution.checkpointing.interval", "10 ms");
    env.configure("execution.checkpointing.dir", directory.path().join("checkpoints").to_str().unwrap());
    let failed = Arc::new(AtomicBool::new(false));
    let source = OneEndsFirst { output: output.clone(), second_is_read: Arc::default(), failed: failed.clone() };
    let numbers = env.from_source(source, "numbers");
    numbers.write_text(&output);
    // All subtasks are in one region by this, and start again together.
    numbers.rebalance().discard();
    run(&env);
    assert!(failed.load(Ordering::SeqCst), "nothing was started again");
    assert_eq!(lines(&output), ["0", "1"]);
}
