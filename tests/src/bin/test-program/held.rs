//! A source that a test can stop: each split gives its first half, then waits for a file to appear, then the rest. So a
//! test says when a job may end, and need not guess how long one takes.

use std::{
    path::PathBuf,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use flott::{BATCH_RECORDS, Batch, ReadStatus, Source, SplitReader, TaskInfo, TaskResult};

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Wakes the reader in a while, to look for a file again.
pub fn look_again(cx: &Context<'_>) {
    let waker = cx.waker().clone();
    thread::spawn(move || {
        thread::sleep(LOOK_INTERVAL);
        waker.wake();
    });
}

/// Numbers from 0, held half-way.
pub struct Held {
    pub records: u64,
    /// How many splits; one for each reader without it.
    pub splits: Option<u64>,
    pub hold: Option<PathBuf>,
}

impl Source for Held {
    type Item = u64;
    type Split = (u64, u64);

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<(u64, u64)>> {
        let parts = self.splits.unwrap_or_else(|| u64::from(parallelism));
        let bound = |part: u64| self.records * part / parts;
        Ok((0..parts).map(|part| (bound(part), bound(part + 1))).collect())
    }

    fn open(&self, (from, to): (u64, u64), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<u64, (u64, u64)>>> {
        Ok(Box::new(Reader { next: from, middle: from + (to - from) / 2, end: to, hold: self.hold.clone() }))
    }
}

struct Reader {
    next: u64,
    middle: u64,
    end: u64,
    hold: Option<PathBuf>,
}

impl SplitReader<u64, (u64, u64)> for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
        if self.next == self.middle
            && let Some(hold) = &self.hold
        {
            if !hold.exists() {
                look_again(cx);
                return Poll::Pending;
            }
            self.hold = None;
        }
        let bound = if self.hold.is_some() { self.middle } else { self.end };
        let to = bound.min(self.next + BATCH_RECORDS as u64);
        batch.records.extend(self.next..to);
        self.next = to;
        Poll::Ready(Ok(if to == self.end && self.hold.is_none() { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> (u64, u64) {
        (self.next, self.end)
    }
}
