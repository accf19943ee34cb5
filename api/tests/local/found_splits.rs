//! Splits that readers find while the job runs.

use std::task::{Context, Poll};

use flott::{Batch, ReadStatus, Source, SplitReader, TaskInfo, TaskResult};

use crate::{PARALLELISMS, env, sorted};

/// Tens of numbers: the first two are listed, the others are found one after the other.
struct Growing;

/// Tens that are found.
const FOUND: u64 = 5;

#[derive(Clone, serde::Serialize, serde::Deserialize)]
enum Split {
    Ten { first: u64, next: u64 },
    Lookout { next: u64 },
}

impl Source for Growing {
    type Item = u64;
    type Split = Split;

    fn enumerate(&self, _: u32) -> TaskResult<Vec<Split>> {
        Ok(vec![Split::Ten { first: 0, next: 0 }, Split::Ten { first: 10, next: 10 }, Split::Lookout { next: 2 }])
    }

    fn concurrent_splits(&self) -> usize {
        usize::MAX
    }

    fn open(&self, split: Split, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<u64, Split>>> {
        Ok(match split {
            Split::Ten { first, next } => Box::new(Ten { first, next }),
            Split::Lookout { next } => Box::new(Lookout { next, found: Vec::new() }),
        })
    }
}

struct Ten {
    first: u64,
    next: u64,
}

impl SplitReader<u64, Split> for Ten {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
        batch.records.push(self.next);
        self.next += 1;
        Poll::Ready(Ok(if self.next == self.first + 10 { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> Split {
        Split::Ten { first: self.first, next: self.next }
    }
}

struct Lookout {
    next: u64,
    found: Vec<Split>,
}

impl SplitReader<u64, Split> for Lookout {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
        if self.next == 2 + FOUND {
            return Poll::Ready(Ok(ReadStatus::Ended));
        }
        self.found.push(Split::Ten { first: self.next * 10, next: self.next * 10 });
        self.next += 1;
        Poll::Ready(Ok(ReadStatus::More))
    }

    fn gives_records(&self) -> bool {
        false
    }

    fn take_found(&mut self) -> Vec<Split> {
        std::mem::take(&mut self.found)
    }

    fn remaining(&self) -> Split {
        Split::Lookout { next: self.next }
    }
}

#[test]
fn what_is_found_is_read_once() {
    for parallelism in PARALLELISMS {
        let env = env(parallelism);
        let numbers = env.from_source(Growing, "growing");
        assert_eq!(sorted(&numbers, &env), (0..(2 + FOUND) * 10).collect::<Vec<_>>());
    }
}
