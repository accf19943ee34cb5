//! Records that the program holds.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data},
    error::TaskResult,
    source::{ReadStatus, Source, SplitReader},
    task::TaskInfo,
};

use super::cut;

/// The elements of a vector. They are not sent anywhere: every process of the job has planned them.
pub(crate) struct CollectionSource<T>(pub Arc<Vec<T>>);

impl<T: Data + Sync> Source for CollectionSource<T> {
    type Item = T;
    type Split = (u64, u64);

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<(u64, u64)>> {
        Ok(cut(self.0.len() as u64, u64::from(parallelism)))
    }

    fn open(&self, (from, to): (u64, u64), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<T, (u64, u64)>>> {
        let length = self.0.len();
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(length);
        Ok(Box::new(Reader { elements: self.0.clone(), next: place(from), end: place(to) }))
    }
}

struct Reader<T> {
    elements: Arc<Vec<T>>,
    next: usize,
    end: usize,
}

impl<T: Data + Sync> SplitReader<T, (u64, u64)> for Reader<T> {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>> {
        let to = self.end.min(self.next + BATCH_RECORDS);
        batch.records.extend_from_slice(self.elements.get(self.next..to).unwrap_or_default());
        self.next = to;
        Poll::Ready(Ok(if to >= self.end { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> (u64, u64) {
        (self.next as u64, self.end as u64)
    }
}
