//! The loops that drive a chain: from a source, from one input. (From two: `two_input`.)
//!
//! Each loop waits for input and, while it waits, sends what starved receivers wait for; feeds one batch through the
//! chain; and waits until everything held back for lack of credit is gone before it takes the next. See `turn`.

use std::{future::Future, pin::Pin, sync::Arc, task::Context};

use flott_core::{codec, failure::Failure};

use super::{Prepared, TaskHead, TaskInfo, TaskWiring, turn::Turn, wiring::Splits};
use crate::{
    batch::{BATCH_RECORDS, Batch, Data, Timestamp},
    channel::gate::{GateItem, InputGate},
    error::{TaskResult, enter_operator},
    event::Event,
    output::{OperatorName, Output, named},
    source::{ReadStatus, Source},
};

pub(super) type Run = Pin<Box<dyn Future<Output = TaskResult<Prepared>> + Send>>;

/// A chain that begins with a source.
pub struct SourceHead<S: Source> {
    source: Arc<S>,
    name: OperatorName,
    out: Box<dyn Output<S::Item>>,
    splits: Splits,
    info: Arc<TaskInfo>,
}

impl<S: Source> SourceHead<S> {
    /// Reads splits of `source` into `out`.
    #[expect(clippy::new_ret_no_self, reason = "a head is only ever used as a task")]
    pub fn new(
        source: Arc<S>,
        name: OperatorName,
        out: Box<dyn Output<S::Item>>,
        wiring: &mut TaskWiring,
    ) -> TaskResult<Box<dyn TaskHead>> {
        let splits = wiring.splits(name.id)?;
        Ok(Box::new(Self { source, name, out, splits, info: wiring.info().clone() }))
    }

    async fn drive(mut self) -> TaskResult<Prepared> {
        let mut turn = Turn::new(self.info.clone());
        let mut batch = Batch::with_capacity(BATCH_RECORDS);
        loop {
            self.splits.request();
            let split = turn.wait(&mut self.out, |cx| self.splits.poll_answer(cx).map(Ok)).await?;
            let Some(split) = split else { break };
            let split = codec::decode(&split).map_err(|error| {
                named(Box::new(Failure::internal("a split cannot be read").because(error)), &self.name)
            })?;
            enter_operator(&self.name.name);
            let mut reader = self.source.open(split, &self.info).map_err(|failure| named(failure, &self.name))?;
            loop {
                let read = |cx: &mut Context<'_>| {
                    enter_operator(&self.name.name);
                    reader.poll_read(cx, &mut batch).map_err(|failure| named(failure, &self.name))
                };
                let status = turn.wait(&mut self.out, read).await?;
                self.info.figures.records_read(batch.len());
                self.out.collect(&mut batch)?;
                turn.settle(&mut self.out).await?;
                if status == ReadStatus::Ended {
                    break;
                }
            }
        }
        // Time ends with the input: every window is complete.
        turn.event(&mut self.out, Event::Watermark(Timestamp::MAX)).await?;
        turn.end(&mut self.out).await
    }
}

impl<S: Source> TaskHead for SourceHead<S> {
    fn run(self: Box<Self>) -> Run {
        Box::pin(self.drive())
    }
}

/// A chain with one input.
pub struct OneInputHead<T> {
    gate: InputGate<T>,
    out: Box<dyn Output<T>>,
    info: Arc<TaskInfo>,
}

impl<T: Data> OneInputHead<T> {
    /// Feeds `gate` into `out`.
    #[expect(clippy::new_ret_no_self, reason = "a head is only ever used as a task")]
    pub fn new(gate: InputGate<T>, out: Box<dyn Output<T>>, wiring: &mut TaskWiring) -> Box<dyn TaskHead> {
        Box::new(Self { gate, out, info: wiring.info().clone() })
    }

    async fn drive(mut self) -> TaskResult<Prepared> {
        let mut turn = Turn::new(self.info.clone());
        loop {
            match turn.wait(&mut self.out, |cx| self.gate.poll_next(cx)).await? {
                GateItem::Batch(mut batch) => {
                    self.out.collect(&mut batch)?;
                    self.gate.recycle(batch);
                    turn.settle(&mut self.out).await?;
                }
                GateItem::Event(Event::End) => return turn.end(&mut self.out).await,
                GateItem::Event(event) => turn.event(&mut self.out, event).await?,
            }
        }
    }
}

impl<T: Data> TaskHead for OneInputHead<T> {
    fn run(self: Box<Self>) -> Run {
        Box::pin(self.drive())
    }
}
