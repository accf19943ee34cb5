//! Numbers in order.

use std::task::{Context, Poll};

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch},
    error::TaskResult,
    source::{ReadStatus, Source, SplitReader},
    task::TaskInfo,
};

use super::cut;

/// Splits per reader: enough for a fast reader to take over from a slow one.
pub(super) const SPLITS_PER_READER: u64 = 4;

/// The numbers from `from` to `to`, both included.
pub(crate) struct SequenceSource {
    pub from: u64,
    pub to: u64,
}

impl Source for SequenceSource {
    type Item = u64;
    /// First and last number.
    type Split = (u64, u64);

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<(u64, u64)>> {
        if self.from > self.to {
            return Ok(Vec::new());
        }
        let last = self.to - self.from;
        // One less than there are, as all of them may not fit a number: the last one joins the last split.
        let mut splits: Vec<_> = cut(last, u64::from(parallelism) * SPLITS_PER_READER)
            .into_iter()
            .map(|(from, to)| (self.from + from, self.from + to - 1))
            .collect();
        match splits.last_mut() {
            Some(split) => split.1 = self.to,
            None => splits.push((self.from, self.to)),
        }
        Ok(splits)
    }

    fn open(&self, (next, last): (u64, u64), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<u64, (u64, u64)>>> {
        Ok(Box::new(Reader { next, last }))
    }
}

struct Reader {
    next: u64,
    last: u64,
}

impl SplitReader<u64, (u64, u64)> for Reader {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
        let to = self.last.min(self.next.saturating_add(BATCH_RECORDS as u64 - 1));
        batch.records.extend(self.next..=to);
        if to >= self.last {
            return Poll::Ready(Ok(ReadStatus::Ended));
        }
        self.next = to + 1;
        Poll::Ready(Ok(ReadStatus::More))
    }

    fn remaining(&self) -> (u64, u64) {
        (self.next, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: u64, to: u64, parallelism: u32, expected: &[(u64, u64)]) {
        assert_eq!(SequenceSource { from, to }.enumerate(parallelism).unwrap(), expected);
    }

    #[test]
    fn both_ends_are_included() {
        check(1, 8, 1, &[(1, 1), (2, 3), (4, 5), (6, 8)]);
        check(5, 5, 3, &[(5, 5)]);
        check(6, 5, 3, &[]);
        check(
            0,
            u64::MAX,
            1,
            &[
                (0, u64::MAX / 4 - 1),
                (u64::MAX / 4, u64::MAX / 2 - 1),
                (u64::MAX / 2, u64::MAX / 4 * 3 + 1),
                (u64::MAX / 4 * 3 + 2, u64::MAX),
            ],
        );
    }
}
