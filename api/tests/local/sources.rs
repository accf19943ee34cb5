use std::{
    fs,
    io::Write,
    net::TcpListener,
    sync::mpsc::channel,
    task::{self, Poll},
    thread,
    time::Duration,
};

use flott::{
    Batch, Context, FunctionResult, GeneratorSource, ProcessFunction, ReadStatus, Source, SplitReader, TaskInfo,
    TaskResult, WatermarkStrategy,
};

use super::{check, env, run_error, sorted, splits::Script};

#[test]
fn numbers_and_collections() {
    check(|env| env.sequence(3, 3), vec![3]);
    check(|env| env.sequence(4, 3), vec![]);
    check(|env| env.sequence(u64::MAX - 9, u64::MAX), (u64::MAX - 9..=u64::MAX).collect());
    check(|env| env.from_collection(Vec::<u8>::new()), vec![]);
    check(|env| env.from_collection(vec!["a".to_owned(), "b".to_owned()]).parallelism(3), vec!["a".into(), "b".into()]);
    check(|env| env.generate(3_000, |n| n * n), (0..3_000).map(|n| n * n).collect());
    check(|env| env.generate(0, |n| n), vec![]);
    check(|env| env.generator(GeneratorSource::new(500, |n| n).rate(100_000.0)), (0..500).collect());
}

#[test]
fn a_collection_keeps_its_order_in_one_subtask() {
    let env = env(1);
    let numbers = env.from_collection((0..5_000u32).rev().collect::<Vec<_>>()).collect();
    let result = env.execute("test").unwrap();
    assert_eq!(result.collected(&numbers).unwrap(), (0..5_000).rev().collect::<Vec<u32>>());
}

#[test]
fn text_of_files_and_directories() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("below")).unwrap();
    fs::write(directory.path().join("one"), "a\r\nb\n\nc").unwrap();
    fs::write(directory.path().join("below/two"), "d\n").unwrap();
    fs::write(directory.path().join("below/_hidden"), "no\n").unwrap();
    fs::write(directory.path().join("empty"), "").unwrap();
    let expected = ["", "a", "b", "c", "d"].map(str::to_owned).to_vec();
    check(|env| env.read_text([directory.path()]), expected);
    let file = directory.path().join("one");
    check(
        |env| env.read_text([file.clone(), file.clone()]),
        ["", "", "a", "a", "b", "b", "c", "c"].map(str::to_owned).to_vec(),
    );
}

#[test]
fn a_large_file_is_read_in_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    let lines: Vec<String> = (0..200_000).map(|n| format!("line number {n}")).collect();
    fs::write(&path, lines.join("\n")).unwrap();
    let env = env(2);
    let totals = env.read_text([path]).key_by(|line| line.len()).count().collect();
    let result = env.execute("test").unwrap();
    assert_eq!(result.collected(&totals).unwrap().len(), lines.len());
}

#[test]
fn missing_input_is_named() {
    let env = env(2);
    env.read_text(["/nothing/here"]).name("lines").discard();
    let error = run_error(&env);
    assert!(error.contains("Source: lines") && error.contains("/nothing/here: No such file or directory"), "{error}");
}

#[test]
fn lines_come_from_a_socket_until_it_closes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        for piece in ["one\ntw", "o\r\n", "\nthree"] {
            socket.write_all(piece.as_bytes()).unwrap();
        }
    });
    let env = env(2);
    assert_eq!(sorted(&env.socket("127.0.0.1", port), &env), ["", "one", "three", "two"]);
    server.join().unwrap();
}

#[test]
fn a_refused_connection_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let env = env(2);
    env.socket("127.0.0.1", port).discard();
    let error = run_error(&env);
    assert!(error.contains(&format!("cannot connect to 127.0.0.1:{port}: Connection refused")), "{error}");
}

/// Counts down from each of its splits.
struct Countdown(Vec<u32>);

struct Counter(u32);

impl Source for Countdown {
    type Item = u32;
    type Split = u32;

    fn enumerate(&self, _: u32) -> TaskResult<Vec<u32>> {
        Ok(self.0.clone())
    }

    fn open(&self, split: u32, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<u32, u32>>> {
        Ok(Box::new(Counter(split)))
    }
}

impl SplitReader<u32, u32> for Counter {
    fn poll_read(&mut self, cx: &mut task::Context<'_>, batch: &mut Batch<u32>) -> Poll<TaskResult<ReadStatus>> {
        batch.push(self.0);
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(if self.0 == 0 { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> u32 {
        self.0
    }
}

#[test]
fn sources_can_be_written_by_users() {
    let expected: Vec<u32> = (1..=40).flat_map(|n| 1..=n).collect();
    check(|env| env.from_source(Countdown((1..=40).collect()), "countdown"), expected);
}

#[test]
fn interleaved_generators_make_each_number_once() {
    for count in [0, 1, 1_024, 1_025, 10_000] {
        check(|env| env.generator(GeneratorSource::new(count, |number| number).interleaved()), (0..count).collect());
    }
}

#[test]
fn splits_that_do_not_end_are_all_read_and_dealt_evenly() {
    let (script, (sender, seen)) = (Script::new(7), channel());
    let env = env(3);
    env.from_source(script.clone(), "script")
        .map(move |split: i64| {
            sender.send(split).unwrap();
            split
        })
        .discard();
    (0..7).for_each(|split| script.give(split, vec![split as i64]));
    let job = thread::spawn(move || env.execute("test").map(drop).unwrap());
    let mut splits: Vec<_> = (0..7).map(|_| seen.recv_timeout(Duration::from_secs(120)).unwrap()).collect();
    splits.sort_unstable();
    assert_eq!(splits, (0..7).collect::<Vec<i64>>());
    let readers: Vec<_> = script.readers().into_iter().flatten().collect();
    let counts = [0, 1, 2].map(|subtask| readers.iter().filter(|reader| **reader == subtask).count());
    assert_eq!(counts, [3, 2, 2]);
    script.end();
    job.join().unwrap();
}

#[test]
fn built_in_sources_have_watermarks_per_split() {
    let strategy = WatermarkStrategy::for_monotonous_timestamps();
    check(
        |env| {
            env.generate(5_000, |n| n)
                .source_watermarks(strategy.clone().with_timestamp_assigner(|n: &u64| *n as i64))
                .process(Stamped)
        },
        (0..5_000).map(|n| (n, n as i64)).collect(),
    );
}

/// Records with their timestamps.
#[derive(Clone)]
struct Stamped;

impl ProcessFunction for Stamped {
    type In = u64;
    type Out = (u64, i64);

    fn process(&mut self, record: u64, ctx: &mut Context<'_, (u64, i64)>) -> FunctionResult {
        let at = ctx.timestamp().ok_or("a record without a timestamp")?;
        ctx.emit((record, at));
        Ok(())
    }
}
