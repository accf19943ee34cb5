//! Sinks that send their records elsewhere, and wait for it.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use flott::{
    Batch, Failure, JobId, Share, Sink, SinkTask, SinkWriter, Stream, TaskResult,
    testing::{Harness, HarnessOptions, Snapshot},
};

/// What has come to pass.
#[derive(Debug, Default)]
struct Seen {
    /// Records that have arrived, and are committed.
    committed: Vec<u64>,
    /// What each writer was told that begins from a snapshot.
    told: Vec<Vec<u64>>,
}

#[derive(Clone, Default)]
struct Slow {
    seen: Arc<Mutex<Seen>>,
    fails: bool,
}

struct Writer {
    seen: Arc<Mutex<Seen>>,
    fails: bool,
    subtask: u64,
    /// How often it is still to be asked before all is there.
    waits: u32,
    on_the_way: Vec<u64>,
    arrived: Vec<u64>,
}

impl Sink for Slow {
    type Item = u64;

    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<u64>>> {
        let (seen, fails, subtask) = (self.seen.clone(), self.fails, task.task.subtask().into());
        Ok(Box::new(Writer { seen, fails, subtask, waits: 0, on_the_way: Vec::new(), arrived: Vec::new() }))
    }

    fn share(&self) -> Share {
        Share::All
    }

    fn commit(&self, _: JobId, prepared: &[Bytes]) -> TaskResult {
        let records = prepared.iter().flat_map(|bytes| bytes.iter().map(|byte| u64::from(*byte)));
        self.seen.lock().unwrap().committed.extend(records);
        Ok(())
    }
}

impl SinkWriter<u64> for Writer {
    fn write(&mut self, batch: &mut Batch<u64>) -> TaskResult {
        assert_eq!(self.waits, 0, "it has said that it takes nothing");
        self.on_the_way.append(&mut batch.records);
        self.waits = 3;
        Ok(())
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        if self.fails && !self.on_the_way.is_empty() {
            return Poll::Ready(Err(Box::new(Failure::environment("its receiver is gone"))));
        }
        if self.waits > 0 {
            self.waits -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn flush(&mut self) -> TaskResult {
        self.arrived.append(&mut self.on_the_way);
        self.waits = 5;
        Ok(())
    }

    fn snapshot(&mut self) -> TaskResult<Vec<Bytes>> {
        assert_eq!(self.waits, 0, "a barrier waits until all has arrived");
        Ok(vec![vec![self.subtask as u8].into()])
    }

    fn restore(&mut self, elements: Vec<Bytes>) -> TaskResult {
        let told = elements.iter().map(|element| u64::from(element[0])).collect();
        self.seen.lock().unwrap().told.push(told);
        Ok(())
    }

    fn finish(&mut self) -> TaskResult {
        assert_eq!(self.waits, 0, "so does the end");
        Ok(())
    }

    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        assert!(self.on_the_way.is_empty() && self.waits == 0);
        let arrived: Vec<u8> = self.arrived.drain(..).map(|record| record as u8).collect();
        Ok((!arrived.is_empty()).then(|| arrived.into()))
    }
}

fn writing(sink: &Slow, subtasks: u32, from: Option<&Snapshot>) -> Harness<u64, u64> {
    let options = HarnessOptions::new().parallelism(subtasks);
    let options = from.into_iter().fold(options, |options, snapshot| options.from_snapshot(snapshot));
    Harness::with(options, |numbers: Stream<u64>| {
        numbers.sink(sink.clone());
        numbers
    })
}

fn committed(sink: &Slow) -> Vec<u64> {
    let mut committed = sink.seen.lock().unwrap().committed.clone();
    committed.sort_unstable();
    committed
}

#[test]
fn barriers_and_the_end_wait_until_all_has_arrived() {
    let sink = Slow::default();
    let mut harness = writing(&sink, 2, None);
    harness.push_all(0..7).unwrap();
    harness.snapshot().unwrap();
    assert_eq!(committed(&sink), [0, 1, 2, 3, 4, 5, 6]);
    harness.push_all(7..10).unwrap();
    harness.end().unwrap();
    assert_eq!(committed(&sink), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn writers_are_told_all_that_any_of_them_has_remembered() {
    let sink = Slow::default();
    let mut harness = writing(&sink, 3, None);
    harness.push_all(0..3).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let sink = Slow::default();
    writing(&sink, 2, Some(&snapshot)).end().unwrap();
    assert_eq!(sink.seen.lock().unwrap().told, [[0, 1, 2], [0, 1, 2]]);
}

#[test]
fn a_writer_whose_receiver_is_gone_fails_its_task() {
    let sink = Slow { fails: true, ..Slow::default() };
    let mut harness = writing(&sink, 1, None);
    let failure = harness.push(1).and_then(|()| harness.snapshot().map(drop)).unwrap_err();
    assert!(failure.message.contains("its receiver is gone"), "{failure}");
}
