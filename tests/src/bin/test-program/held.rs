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
    /// How many records a split gives at a time until then.
    pub pace: Option<u64>,
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
        let middle = from + (to - from) / 2;
        Ok(Box::new(Reader { next: from, middle, end: to, hold: self.hold.clone(), pace: self.pace, pauses: false }))
    }
}

struct Reader {
    next: u64,
    middle: u64,
    end: u64,
    hold: Option<PathBuf>,
    pace: Option<u64>,
    /// Whether it has been waited since the last records.
    pauses: bool,
}

impl SplitReader<u64, (u64, u64)> for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
        if let Some(hold) = &self.hold
            && (self.next == self.middle || self.pace.is_some())
        {
            if hold.exists() {
                self.hold = None;
            } else if self.next == self.middle || !std::mem::replace(&mut self.pauses, true) {
                look_again(cx);
                return Poll::Pending;
            }
        }
        self.pauses = false;
        let (bound, most) = match (&self.hold, self.pace) {
            (Some(_), Some(pace)) => (self.middle, pace),
            (Some(_), None) => (self.middle, BATCH_RECORDS as u64),
            (None, _) => (self.end, BATCH_RECORDS as u64),
        };
        let to = bound.min(self.next + most);
        batch.records.extend(self.next..to);
        self.next = to;
        Poll::Ready(Ok(if to == self.end && self.hold.is_none() { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> (u64, u64) {
        (self.next, self.end)
    }
}
