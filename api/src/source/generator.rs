//! Records that a function makes.

use std::task::{Context, Poll, ready};

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data},
    error::TaskResult,
    source::{ReadStatus, Source, SplitReader},
    task::TaskInfo,
};

use super::{cut, rate_limiter::RateLimiter, sequence::SPLITS_PER_READER};

/// Makes `count` records from their numbers, 0 to `count - 1`; as fast as it can, or at a rate.
///
/// The function must make the same record of the same number each time, as it does so again after a restart.
#[derive(Debug, Clone)]
pub struct GeneratorSource<F> {
    count: u64,
    rate: Option<f64>,
    interleaved: bool,
    function: F,
}

/// Numbers in a row that an interleaved reader makes: a batch.
const RUN: u64 = BATCH_RECORDS as u64;

impl<F> GeneratorSource<F> {
    /// `count` records by `function`.
    pub fn new(count: u64, function: F) -> Self {
        Self { count, rate: None, interleaved: false, function }
    }

    /// Makes at most this many records per second, all subtasks together. A rate that is not a positive number is none.
    #[must_use]
    pub fn rate(mut self, records_per_second: f64) -> Self {
        self.rate = (records_per_second.is_finite() && records_per_second > 0.0).then_some(records_per_second);
        self
    }

    /// Has the subtasks take turns, a batch each, so that all of them go through the numbers together: for records whose
    /// event time grows with their numbers. Without it each subtask has runs of many numbers.
    #[must_use]
    pub fn interleaved(mut self) -> Self {
        self.interleaved = true;
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
    /// The first number, the one behind the last, and how many are left out after each run.
    type Split = (u64, u64, u64);

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<Self::Split>> {
        if self.interleaved {
            let readers = u64::from(parallelism).min(self.count.div_ceil(RUN));
            let split = |reader: u64| (reader * RUN, self.count, (readers - 1) * RUN);
            return Ok((0..readers).map(split).collect());
        }
        // With a rate each reader has its share of it, so it must get one split and not several.
        let per_reader = if self.rate.is_some() { 1 } else { SPLITS_PER_READER };
        Ok(cut(self.count, u64::from(parallelism) * per_reader).into_iter().map(|(from, to)| (from, to, 0)).collect())
    }

    fn open(
        &self,
        (next, end, skip): Self::Split,
        task: &TaskInfo,
    ) -> TaskResult<Box<dyn SplitReader<T, Self::Split>>> {
        let runs = if self.interleaved { self.count.div_ceil(RUN) } else { self.count };
        let readers = u64::from(task.parallelism).min(runs).max(1);
        let limiter = self.rate.map(|rate| RateLimiter::new(rate / readers as f64));
        // Runs that are left out lie between others of as many numbers, so one tells from where it stands how much is left.
        let left = if skip > 0 { RUN - next % RUN } else { RUN };
        Ok(Box::new(Reader { next, end, skip, left, limiter, function: self.function.clone() }))
    }
}

struct Reader<F> {
    next: u64,
    end: u64,
    skip: u64,
    /// Numbers of the run that are still to come.
    left: u64,
    limiter: Option<RateLimiter>,
    function: F,
}

impl<T, F: FnMut(u64) -> T + Send> SplitReader<T, (u64, u64, u64)> for Reader<F> {
    fn poll_read(&mut self, cx: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>> {
        let mut count = (self.end - self.next).min(self.left);
        if let Some(limiter) = &mut self.limiter
            && count > 0
        {
            count = ready!(limiter.poll_due(cx, count));
        }
        let to = self.next + count;
        batch.records.extend((self.next..to).map(&mut self.function));
        self.next = to;
        self.left -= count;
        if self.left == 0 {
            self.left = RUN;
            self.next = self.next.saturating_add(self.skip).min(self.end);
        }
        Poll::Ready(Ok(if self.next >= self.end { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> (u64, u64, u64) {
        (self.next, self.end, self.skip)
    }
}
