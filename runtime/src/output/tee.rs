//! Several outputs in place of one.

use std::task::{Context, Poll};

use bytes::Bytes;
use flott_core::id::OperatorId;

use super::{Drained, Lull, Output};
use crate::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    state::{Progress, StateSize},
};

/// Gives every record and event to several outputs.
pub struct Tee<T> {
    outputs: Vec<Box<dyn Output<T>>>,
    copy: Batch<T>,
}

impl<T: Clone + Send> Tee<T> {
    /// One output stays itself; several become a tee; none discards.
    pub fn of(mut outputs: Vec<Box<dyn Output<T>>>) -> Box<dyn Output<T>>
    where
        T: 'static,
    {
        match outputs.len() {
            1 => outputs.remove(0),
            _ => Box::new(Self { outputs, copy: Batch::default() }),
        }
    }
}

impl<T: Clone + Send> Output<T> for Tee<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let Some((last, others)) = self.outputs.split_last_mut() else {
            batch.clear();
            return Ok(());
        };
        for output in others {
            self.copy.records.extend_from_slice(&batch.records);
            self.copy.timestamps.extend_from_slice(&batch.timestamps);
            output.collect(&mut self.copy)?;
            self.copy.clear();
        }
        last.collect(batch)
    }

    fn event(&mut self, event: Event) -> TaskResult {
        self.outputs.iter_mut().try_for_each(|output| output.event(event))
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        self.outputs.iter_mut().try_fold(Drained::All, |drained, output| Ok(drained.and(output.resume()?)))
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut due = Poll::Pending;
        for output in &mut self.outputs {
            if output.poll_due(cx)?.is_ready() {
                due = Poll::Ready(Ok(()));
            }
        }
        due
    }

    fn may_cut(&self) -> bool {
        self.outputs.iter().all(|output| output.may_cut())
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        self.outputs.iter_mut().try_for_each(|output| output.time(now))
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        self.outputs.iter_mut().try_for_each(|output| output.quiet(lull))
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        self.outputs.iter_mut().try_fold(Drained::All, |drained, output| Ok(drained.and(output.drain()?)))
    }

    fn snapshot_more(&mut self) -> Progress {
        let mut progress = self.outputs.iter_mut().map(|output| output.snapshot_more());
        progress.find(|progress| *progress != Progress::Done).unwrap_or(Progress::Done)
    }

    fn skip(&mut self) {
        self.outputs.iter_mut().for_each(|output| output.skip());
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let mut settled = true;
        for output in &mut self.outputs {
            match output.poll_settle(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending => settled = false,
            }
        }
        if settled { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn prepared(&mut self, into: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        self.outputs.iter_mut().try_for_each(|output| output.prepared(into))
    }

    fn state_size(&self) -> StateSize {
        self.outputs.iter().map(|output| output.state_size()).sum()
    }
}
