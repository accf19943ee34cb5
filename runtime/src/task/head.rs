//! The loops that drive a chain: from a source, from one input, from two.
//!
//! Each loop waits for input and, while it waits, sends what starved receivers wait for; feeds one batch through the
//! chain; and waits until everything held back for lack of credit is gone before it takes the next.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use flott_core::{codec, failure::Failure};

use super::{Prepared, TaskHead, TaskInfo, TaskWiring, wiring::Splits};
use crate::{
    batch::{BATCH_RECORDS, Batch, Data},
    channel::gate::{GateItem, InputGate},
    error::{TaskResult, enter_operator},
    event::Event,
    output::{Drained, OperatorName, Output, named},
    source::{ReadStatus, Source},
};

/// Batches after which a task lets others on its thread have a turn. A turn of the executor costs about a microsecond, as
/// much as a hundredth of the work on so many full batches, and others wait a tenth of a millisecond.
const BATCHES_PER_TURN: u32 = 16;

type Run = Pin<Box<dyn Future<Output = TaskResult<Prepared>> + Send>>;

/// Keeps time, and gives others a turn.
struct Turn {
    info: Arc<TaskInfo>,
    since: Instant,
    batches: u32,
}

impl Turn {
    fn new(info: Arc<TaskInfo>) -> Self {
        Self { info, since: Instant::now(), batches: 0 }
    }

    fn lap(&mut self) -> std::time::Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.since, now)
    }

    /// Waits for what `poll` gives. While there is nothing, what lies in partial batches of `output` goes to whoever waits
    /// for it.
    async fn wait<T, R>(
        &mut self,
        output: &mut dyn Output<T>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<TaskResult<R>>,
    ) -> TaskResult<R> {
        let mut waited = false;
        let result = poll_fn(|cx| {
            if let Poll::Ready(result) = poll(cx) {
                return Poll::Ready(result);
            }
            if !std::mem::replace(&mut waited, true) {
                let busy = self.lap();
                self.info.figures.busy(busy);
            }
            match output.poll_settle(cx) {
                Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            }
        })
        .await;
        if waited {
            let idle = self.lap();
            self.info.figures.idle(idle);
        }
        result
    }

    /// Waits until `output` holds nothing back, then gives others a turn now and then.
    async fn settle<T>(&mut self, output: &mut dyn Output<T>) -> TaskResult {
        let busy = self.lap();
        self.info.figures.busy(busy);
        let mut waited = false;
        poll_fn(|cx| {
            let poll = output.poll_settle(cx);
            waited |= poll.is_pending();
            poll
        })
        .await?;
        if waited {
            let time = self.lap();
            self.info.figures.backpressured(time);
        }
        self.batches += 1;
        if self.batches >= BATCHES_PER_TURN {
            self.batches = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

async fn end<T>(turn: &mut Turn, output: &mut dyn Output<T>) -> TaskResult<Prepared> {
    while output.drain()? == Drained::Some {
        turn.settle(output).await?;
    }
    turn.settle(output).await?;
    output.event(Event::End)?;
    turn.settle(output).await?;
    let mut prepared = Prepared::new();
    output.prepared(&mut prepared)?;
    Ok(prepared)
}

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
            let split = turn.wait(&mut *self.out, |cx| self.splits.poll_answer(cx).map(Ok)).await?;
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
                let status = turn.wait(&mut *self.out, read).await?;
                self.info.figures.records_read(batch.len());
                self.out.collect(&mut batch)?;
                turn.settle(&mut *self.out).await?;
                if status == ReadStatus::Ended {
                    break;
                }
            }
        }
        end(&mut turn, &mut *self.out).await
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
            let item = turn.wait(&mut *self.out, |cx| self.gate.poll_next(cx)).await?;
            match item {
                GateItem::Batch(mut batch) => {
                    self.out.collect(&mut batch)?;
                    self.gate.recycle(batch);
                }
                GateItem::Event(Event::End) => return end(&mut turn, &mut *self.out).await,
                GateItem::Event(event) => self.out.event(event)?,
            }
            turn.settle(&mut *self.out).await?;
        }
    }
}

impl<T: Data> TaskHead for OneInputHead<T> {
    fn run(self: Box<Self>) -> Run {
        Box::pin(self.drive())
    }
}

/// An operator with two inputs of different types. See [`Operator`](crate::output::Operator) for the common ground.
pub trait TwoInputOperator<A, B, Out>: Send {
    /// Called once before the first record.
    fn open(&mut self, _task: &Arc<TaskInfo>) -> TaskResult {
        Ok(())
    }

    /// Takes all records out of a batch of the first input.
    fn process_left(&mut self, input: &mut Batch<A>, out: &mut dyn Output<Out>) -> TaskResult;

    /// Takes all records out of a batch of the second input.
    fn process_right(&mut self, input: &mut Batch<B>, out: &mut dyn Output<Out>) -> TaskResult;

    /// What both inputs say together; not called for [`Event::End`].
    fn event(&mut self, event: Event, out: &mut dyn Output<Out>) -> TaskResult {
        out.event(event)
    }

    /// Both inputs have ended.
    fn finish(&mut self, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }
}

/// A chain whose first operator has two inputs.
pub struct TwoInputHead<A, B, Op, Out> {
    left: InputGate<A>,
    right: InputGate<B>,
    name: OperatorName,
    operator: Op,
    next: Box<dyn Output<Out>>,
    info: Arc<TaskInfo>,
}

impl<A, B, Op, Out> TwoInputHead<A, B, Op, Out>
where
    A: Data,
    B: Data,
    Out: 'static,
    Op: TwoInputOperator<A, B, Out> + 'static,
{
    /// Opens `operator` and feeds both gates into it.
    #[expect(clippy::new_ret_no_self, reason = "a head is only ever used as a task")]
    pub fn new(
        left: InputGate<A>,
        right: InputGate<B>,
        name: OperatorName,
        mut operator: Op,
        next: Box<dyn Output<Out>>,
        wiring: &mut TaskWiring,
    ) -> TaskResult<Box<dyn TaskHead>> {
        enter_operator(&name.name);
        operator.open(wiring.info()).map_err(|failure| named(failure, &name))?;
        Ok(Box::new(Self { left, right, name, operator, next, info: wiring.info().clone() }))
    }

    async fn drive(mut self) -> TaskResult<Prepared> {
        let mut turn = Turn::new(self.info.clone());
        let mut merge = crate::channel::merge::EventMerge::new(2);
        let mut said = Vec::new();
        let mut left_first = true;
        loop {
            let next = |cx: &mut Context<'_>| {
                // The sides take turns, so that a busy one does not starve the other.
                left_first = !left_first;
                for side in [left_first, !left_first] {
                    let ended = if side { merge.channel_ended(0) } else { merge.channel_ended(1) };
                    if ended {
                        continue;
                    }
                    let poll = if side {
                        self.left.poll_next(cx).map_ok(Side::Left)
                    } else {
                        self.right.poll_next(cx).map_ok(Side::Right)
                    };
                    if poll.is_ready() {
                        return poll;
                    }
                }
                Poll::Pending
            };
            let item = turn.wait(&mut *self.next, next).await?;
            enter_operator(&self.name.name);
            let worked = match item {
                Side::Left(GateItem::Batch(mut batch)) => {
                    let worked = self.operator.process_left(&mut batch, &mut *self.next);
                    self.left.recycle(batch);
                    worked
                }
                Side::Right(GateItem::Batch(mut batch)) => {
                    let worked = self.operator.process_right(&mut batch, &mut *self.next);
                    self.right.recycle(batch);
                    worked
                }
                Side::Left(GateItem::Event(event)) => {
                    merge.take(0, event, |event| said.push(event));
                    Ok(())
                }
                Side::Right(GateItem::Event(event)) => {
                    merge.take(1, event, |event| said.push(event));
                    Ok(())
                }
            };
            worked.map_err(|failure| named(failure, &self.name))?;
            for event in said.drain(..) {
                if event != Event::End {
                    self.operator.event(event, &mut *self.next).map_err(|failure| named(failure, &self.name))?;
                }
            }
            if merge.ended() {
                self.operator.finish(&mut *self.next).map_err(|failure| named(failure, &self.name))?;
                return end(&mut turn, &mut *self.next).await;
            }
            turn.settle(&mut *self.next).await?;
        }
    }
}

enum Side<A, B> {
    Left(GateItem<A>),
    Right(GateItem<B>),
}

impl<A, B, Op, Out> TaskHead for TwoInputHead<A, B, Op, Out>
where
    A: Data,
    B: Data,
    Out: 'static,
    Op: TwoInputOperator<A, B, Out> + 'static,
{
    fn run(self: Box<Self>) -> Run {
        Box::pin(self.drive())
    }
}
