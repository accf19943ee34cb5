//! A source of which the test says when each split gives what.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use flott::{Batch, ReadStatus, Source, SplitReader, TaskInfo, TaskResult};

#[derive(Default)]
struct Split {
    steps: VecDeque<Option<Vec<i64>>>,
    waker: Option<Waker>,
    subtask: Option<u32>,
}

/// The source, and the test's hand on it. Records are times.
#[derive(Clone)]
pub struct Script(Arc<[Mutex<Split>]>);

impl Script {
    /// With so many splits, which are all read at once.
    pub fn new(splits: usize) -> Self {
        Self((0..splits).map(|_| Mutex::default()).collect())
    }

    fn split(&self, split: usize) -> MutexGuard<'_, Split> {
        self.0[split].lock().unwrap()
    }

    /// A split gives records, or ends.
    pub fn give(&self, split: usize, records: impl Into<Option<Vec<i64>>>) {
        let mut script = self.split(split);
        script.steps.push_back(records.into());
        let waker = script.waker.take();
        drop(script);
        waker.into_iter().for_each(Waker::wake);
    }

    /// All splits end.
    pub fn end(&self) {
        (0..self.0.len()).for_each(|split| self.give(split, None));
    }

    /// Who reads each split.
    pub fn readers(&self) -> Vec<Option<u32>> {
        (0..self.0.len()).map(|split| self.split(split).subtask).collect()
    }
}

impl Source for Script {
    type Item = i64;
    type Split = usize;

    fn enumerate(&self, _: u32) -> TaskResult<Vec<usize>> {
        Ok((0..self.0.len()).collect())
    }

    fn concurrent_splits(&self) -> usize {
        usize::MAX
    }

    fn open(&self, split: usize, task: &TaskInfo) -> TaskResult<Box<dyn SplitReader<i64, usize>>> {
        self.split(split).subtask = Some(task.subtask());
        Ok(Box::new(Reader { script: self.clone(), split }))
    }
}

struct Reader {
    script: Script,
    split: usize,
}

impl SplitReader<i64, usize> for Reader {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<i64>) -> Poll<TaskResult<ReadStatus>> {
        let mut split = self.script.split(self.split);
        match split.steps.pop_front() {
            Some(Some(records)) => {
                batch.records.extend(records);
                Poll::Ready(Ok(ReadStatus::More))
            }
            Some(None) => Poll::Ready(Ok(ReadStatus::Ended)),
            None => {
                split.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn remaining(&self) -> usize {
        self.split
    }
}
