//! A source of many splits, which are read at a rate by as many subtasks as there are.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use flott::{Batch, ReadStatus, Source, SplitReader, TaskInfo, TaskResult};
use tokio::time::{Sleep, sleep};

use crate::event::Event;

/// How many splits.
const SPLITS: u64 = 60;
/// Events of a batch.
const RUN: u64 = 20;

/// Events in splits.
pub struct Paced {
    pub records: u64,
    /// Events per second, all subtasks together.
    pub rate: Option<f64>,
    pub seed: u64,
}

impl Source for Paced {
    type Item = Event;
    type Split = (u64, u64);

    fn enumerate(&self, _: u32) -> TaskResult<Vec<(u64, u64)>> {
        let bound = |split: u64| self.records * split / SPLITS;
        Ok((0..SPLITS).map(|split| (bound(split), bound(split + 1))).collect())
    }

    fn open(&self, (next, end): (u64, u64), task: &TaskInfo) -> TaskResult<Box<dyn SplitReader<Event, (u64, u64)>>> {
        let pause = self.rate.map(|rate| Duration::from_secs_f64(RUN as f64 * f64::from(task.parallelism) / rate));
        Ok(Box::new(Reader { next, end, seed: self.seed, pause, sleep: None }))
    }
}

struct Reader {
    next: u64,
    end: u64,
    seed: u64,
    /// Before each batch.
    pause: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl SplitReader<Event, (u64, u64)> for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<Event>) -> Poll<TaskResult<ReadStatus>> {
        if let Some(pause) = self.pause {
            let pausing = self.sleep.get_or_insert_with(|| Box::pin(sleep(pause)));
            ready!(pausing.as_mut().poll(cx));
            self.sleep = None;
        }
        let to = self.end.min(self.next + RUN);
        batch.records.extend((self.next..to).map(|number| Event::new(number, 0, self.seed)));
        self.next = to;
        Poll::Ready(Ok(if to == self.end { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> (u64, u64) {
        (self.next, self.end)
    }
}
