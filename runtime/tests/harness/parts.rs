//! Sources and sinks to wire tasks with.

#![allow(dead_code, reason = "shared by tests, of which none uses all")]

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::id::OperatorId;
use flott_runtime::{
    batch::{Batch, Data},
    error::TaskResult,
    event::Event,
    output::{Operator, OperatorName, Output},
    source::{ReadStatus, Source, SplitReader},
    task::TaskInfo,
};

use crate::cluster::operator_id;

/// A name for the operator of a vertex.
pub fn operator(vertex: u8, name: &str) -> OperatorName {
    OperatorName { id: operator_id(vertex), name: name.into() }
}

/// Makes records out of their numbers. A split is the first and the number after the last, and how long batches are.
pub struct Numbered<F>(pub F);

struct Reader<F> {
    next: u64,
    end: u64,
    batch: u64,
    make: F,
}

impl<T: Data, F: Fn(u64) -> T + Clone + Send + Sync + 'static> Source for Numbered<F> {
    type Item = T;
    type Split = (u64, u64, u64);

    fn enumerate(&self, _: u32) -> TaskResult<Vec<Self::Split>> {
        Ok(Vec::new())
    }

    fn open(&self, (next, end, batch): Self::Split, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<T, Self::Split>>> {
        Ok(Box::new(Reader { next, end, batch, make: self.0.clone() }))
    }
}

impl<T, F: Fn(u64) -> T + Send> SplitReader<T, (u64, u64, u64)> for Reader<F> {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<T>) -> Poll<TaskResult<ReadStatus>> {
        let to = self.end.min(self.next.saturating_add(self.batch));
        batch.records.extend((self.next..to).map(&self.make));
        self.next = to;
        Poll::Ready(Ok(if to == self.end { ReadStatus::Ended } else { ReadStatus::More }))
    }

    fn remaining(&self) -> (u64, u64, u64) {
        (self.next, self.end, self.batch)
    }
}

/// A source that never gives anything.
pub struct Silent;

impl Source for Silent {
    type Item = u64;
    type Split = ();

    fn enumerate(&self, _: u32) -> TaskResult<Vec<()>> {
        Ok(Vec::new())
    }

    fn open(&self, (): (), _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<u64, ()>>> {
        Ok(Box::new(Silent))
    }
}

impl SplitReader<u64, ()> for Silent {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut Batch<u64>) -> Poll<TaskResult<ReadStatus>> {
        Poll::Pending
    }

    fn remaining(&self) {}
}

/// What all subtasks of a sink got, with the subtask.
pub type Gathered<T> = Arc<Mutex<Vec<(u32, T)>>>;

/// Keeps everything.
pub struct Gather<T> {
    pub subtask: u32,
    pub all: Gathered<T>,
}

impl<T: Data> Output<T> for Gather<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        assert!(batch.timestamps.is_empty() || batch.timestamps.len() == batch.records.len());
        let subtask = self.subtask;
        self.all.lock().unwrap().extend(batch.records.drain(..).map(|record| (subtask, record)));
        batch.clear();
        Ok(())
    }

    fn event(&mut self, _: Event) -> TaskResult {
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, into: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        into.push((operator_id(2), Bytes::from_static(b"done")));
        Ok(())
    }
}

/// An operator by functions: what happens when it opens, and for each batch.
pub struct By<O, F> {
    pub open: O,
    pub process: F,
}

impl<T, O, F> Operator<T, T> for By<O, F>
where
    O: FnMut() -> TaskResult + Send,
    F: FnMut(&mut Batch<T>) -> TaskResult + Send,
{
    fn open(&mut self, _: &Arc<TaskInfo>) -> TaskResult {
        (self.open)()
    }

    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<T>) -> TaskResult {
        (self.process)(input)?;
        out.collect(input)
    }
}
