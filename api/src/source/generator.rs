//! Records that a function makes.

use std::task::{Context, Poll, ready};

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data},
    error::TaskResult,
    source::{ReadStatus, Source, SplitReader},
    task::TaskInfo,
};

use super::{cut, pace::Pace, sequence::SPLITS_PER_READER};

/// Makes `count` records from their numbers, 0 to `count - 1`; as fast as it can, or at a rate.
///
/// The function must make the same record of the same number each time, as it does so again after a restart.
#[derive(Debug, Clone)]
pub struct GeneratorSource<F> {
    count: u64,
    rate: Option<f64>,
    function: F,
}

impl<F> GeneratorSource<F> {
    /// `count` records by `function`.
    pub fn new(count: u64, function: F) -> Self {
        Self { count, rate: None, function }
    }

    /// Makes at most this many records per second, all subtasks together. A rate that is not a positive number is none.
    #[must_use]
    pub fn rate(mut self, records_per_second: f64) -> Self {
        self.rate = (records_per_second.is_finite() && records_per_second > 0.0).then_some(records_per_second);
        self
    }

    pub(crate) fn detail(&self) -> String {
        match self.rate {
            None => format!("{} records", self.count),
            Some(rate) => format!("{} records, {rate} per second", self.count),
        }
    }
}

impl<T: Data, F: FnMut(u64) -> T + Clone + Send + Sync + 'static> Source for GeneratorSource<F> {
    type Item = T;
    type Split = (u64, u64);

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<(u64, u64)>> {
        // With a rate each reader has its share of it, so it must get one split and not several.
        let per_reader = if self.rate.is_some() { 1 } else { SPLITS_PER_READER };
        Ok(cut(self.count, u64::from(parallelism) * per_reader))
    }

    fn open(&self, (next, end): (u64, u64), task: &TaskInfo) -> TaskResult<Box<dyn SplitReader<T>>> {
        let readers = u64::from(task.parallelism).min(self.count).max(1);
        let pace = self.rate.map(|rate| Pace::new(rate / readers as f64));
        Ok(Box::new(Reader { next, end, pace, function: self.function.clone() }))
    }
}

struct Reader<F> {
    next: u64,
    end: u64,
    pace: Option<Pace>,
    function: F,
}

impl<T, F: FnMut(u64) -> T + Send> SplitReader<T> for Reader<F> {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>> {
        let mut count = (self.end - self.next).min(BATCH_RECORDS as u64);
        if let Some(pace) = &mut self.pace
            && count > 0
        {
            count = ready!(pace.poll_due(cx, count));
        }
        let to = self.next + count;
        batch.records.extend((self.next..to).map(&mut self.function));
        self.next = to;
        Poll::Ready(Ok(if to >= self.end { ReadStatus::Ended } else { ReadStatus::More }))
    }
}
