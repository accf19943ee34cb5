//! An operator with two inputs, and the task that begins with one.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use flott_core::checkpoint::Barrier;

use super::{
    Prepared, Run, TaskHead, TaskInfo, TaskWiring,
    tail::Tail,
    turn::{Turn, pass},
};
use crate::{
    batch::{Batch, Data, Timestamp},
    channel::{
        align::Meeting,
        gate::{GateItem, InputGate},
    },
    error::{TaskResult, enter_operator, within_operator},
    event::Event,
    output::{Drained, Lull, OperatorName, Output, named},
    snapshot::{Restored, StateSink},
    state::{Progress, StateSize},
};

/// An operator with two inputs of different types. See [`Operator`](crate::output::Operator) for the common ground.
pub trait TwoInputOperator<A, B, Out>: Send {
    /// As [`Operator::restore`](crate::output::Operator::restore).
    ///
    /// # Errors
    /// When it cannot be read.
    fn restore(&mut self, _from: &Restored) -> TaskResult {
        Ok(())
    }

    /// Called once before the first record.
    fn open(&mut self, _task: &Arc<TaskInfo>) -> TaskResult {
        Ok(())
    }

    /// Takes all records out of a batch of the first input.
    fn process_left(&mut self, input: &mut Batch<A>, out: &mut dyn Output<Out>) -> TaskResult;

    /// Takes all records out of a batch of the second input.
    fn process_right(&mut self, input: &mut Batch<B>, out: &mut dyn Output<Out>) -> TaskResult;

    /// What both inputs say together; not called for [`Event::End`]. As
    /// [`Operator::event`](crate::output::Operator::event).
    fn event(&mut self, event: Event, out: &mut dyn Output<Out>) -> TaskResult {
        out.event(event)
    }

    /// As [`Operator::resume`](crate::output::Operator::resume); never `Waiting`.
    fn resume(&mut self, _out: &mut dyn Output<Out>) -> TaskResult<Drained> {
        Ok(Drained::All)
    }

    /// As [`Operator::time`](crate::output::Operator::time).
    fn time(&mut self, _now: Timestamp, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// As [`Operator::quiet`](crate::output::Operator::quiet).
    fn quiet(&mut self, _lull: Lull, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// As [`Operator::barrier`](crate::output::Operator::barrier), when both inputs have come to it.
    ///
    /// # Errors
    /// When results are lost by it.
    fn barrier(&mut self, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// As [`Operator::snapshot`](crate::output::Operator::snapshot).
    ///
    /// # Errors
    /// When the state cannot be encoded.
    fn snapshot(&mut self, _into: &mut StateSink<'_>) -> TaskResult {
        Ok(())
    }

    /// As [`Operator::snapshot_more`](crate::output::Operator::snapshot_more).
    ///
    /// # Errors
    /// When the state cannot be encoded.
    fn snapshot_more(&mut self, _into: &mut StateSink<'_>) -> TaskResult<Progress> {
        Ok(Progress::Done)
    }

    /// As [`Operator::drain`](crate::output::Operator::drain), when both inputs have ended; never `Waiting`.
    fn drain(&mut self, _out: &mut dyn Output<Out>) -> TaskResult<Drained> {
        Ok(Drained::All)
    }

    /// Both inputs have ended, and all is drained.
    fn finish(&mut self, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// As [`Operator::state_size`](crate::output::Operator::state_size).
    fn state_size(&self) -> StateSize {
        StateSize::default()
    }
}

/// An operator with two inputs, and what comes after it.
struct TwoInputTail<Op, A, B, Out> {
    name: OperatorName,
    operator: Op,
    next: Box<dyn Output<Out>>,
    finished: bool,
    inputs: std::marker::PhantomData<fn(A, B)>,
    info: Arc<TaskInfo>,
}

impl<Op, A, B, Out> TwoInputTail<Op, A, B, Out>
where
    Op: TwoInputOperator<A, B, Out>,
{
    /// Has the operator do something.
    fn work<R>(&mut self, work: impl FnOnce(&mut Op, &mut dyn Output<Out>) -> TaskResult<R>) -> TaskResult<R> {
        let Self { name, operator, next, .. } = self;
        within_operator(&name.name, || work(operator, &mut **next)).map_err(|failure| named(failure, name))
    }

    fn drain_operator(&mut self) -> TaskResult {
        let drained = self.work(|operator, next| operator.drain(next))?;
        if drained == Drained::All {
            self.finished = true;
            self.work(|operator, next| operator.finish(next))?;
        }
        Ok(())
    }
}

impl<Op, A, B, Out> Tail for TwoInputTail<Op, A, B, Out>
where
    Op: TwoInputOperator<A, B, Out>,
{
    fn event(&mut self, event: Event) -> TaskResult {
        if self.finished {
            return self.next.event(event);
        }
        match event {
            Event::End => self.next.event(event),
            Event::Barrier(_) => {
                self.work(|operator, next| operator.barrier(next))?;
                let Self { name, operator, info, .. } = self;
                let give = |into: &mut StateSink<'_>| operator.snapshot(into).map_err(|failure| named(failure, name));
                info.snapshots.give(info.attempt, name.id, give);
                self.next.event(event)
            }
            Event::Watermark(_) | Event::Idle | Event::Active => {
                self.work(|operator, next| operator.event(event, next))
            }
        }
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        let behind = self.next.resume()?;
        if behind != Drained::All {
            return Ok(behind);
        }
        self.work(|operator, next| operator.resume(next))
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.next.poll_due(cx)
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        self.work(|operator, next| operator.time(now, next))?;
        self.next.time(now)
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        self.work(|operator, next| operator.quiet(lull, next))?;
        self.next.quiet(lull)
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        if self.finished {
            return self.next.drain();
        }
        self.drain_operator()?;
        // What its end has set off behind it is done before that is drained in its turn.
        Ok(Drained::Some)
    }

    fn snapshot_more(&mut self) -> Progress {
        let Self { name, operator, info, .. } = self;
        enter_operator(&name.name);
        let give = |into: &mut StateSink<'_>| operator.snapshot_more(into).map_err(|failure| named(failure, name));
        match info.snapshots.give(info.attempt, name.id, give) {
            Some(left @ (Progress::More | Progress::Waiting)) => left,
            Some(Progress::Done) | None => self.next.snapshot_more(),
        }
    }

    fn skip(&mut self) {
        self.finished = true;
        self.next.skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.next.poll_settle(cx)
    }

    fn prepared(&mut self, into: &mut Prepared) -> TaskResult {
        self.next.prepared(into)
    }

    fn state_size(&self) -> StateSize {
        self.operator.state_size() + self.next.state_size()
    }

    fn may_cut(&self) -> bool {
        self.next.may_cut()
    }
}

/// A chain whose first operator has two inputs.
pub struct TwoInputHead<A, B, Op, Out> {
    left: InputGate<A>,
    right: InputGate<B>,
    tail: TwoInputTail<Op, A, B, Out>,
    meeting: Meeting,
    left_first: bool,
    info: Arc<TaskInfo>,
}

enum Side<A, B> {
    Left(GateItem<A>),
    Right(GateItem<B>),
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
        operator: Op,
        next: Box<dyn Output<Out>>,
        wiring: &mut TaskWiring,
    ) -> TaskResult<Box<dyn TaskHead>> {
        let info = wiring.info().clone();
        let inputs = std::marker::PhantomData;
        let restored = info.snapshots.take_restored(name.id);
        let mut tail = TwoInputTail { name, operator, next, finished: false, inputs, info: info.clone() };
        tail.work(|operator, _| {
            operator.restore(&restored)?;
            operator.open(&info)?;
            info.snapshots.check_restored(&restored)
        })?;
        let meeting = Meeting::new(2, &info);
        Ok(Box::new(Self { left, right, tail, meeting, left_first: true, info }))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<Side<A, B>>> {
        // The sides take turns, so that a busy one does not starve the other.
        self.left_first = !self.left_first;
        for side in [self.left_first, !self.left_first] {
            let input = usize::from(!side);
            if self.meeting.has_ended(input) || self.meeting.is_blocked(input) {
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
    }

    async fn drive(mut self) -> TaskResult<Prepared> {
        let mut turn = Turn::new(self.info.clone());
        let mut said = Vec::new();
        loop {
            match turn.wait(&mut self, Self::poll_next).await? {
                Side::Left(GateItem::Batch(mut batch)) => {
                    self.tail.work(|operator, next| operator.process_left(&mut batch, next))?;
                    self.left.recycle(batch);
                }
                Side::Right(GateItem::Batch(mut batch)) => {
                    self.tail.work(|operator, next| operator.process_right(&mut batch, next))?;
                    self.right.recycle(batch);
                }
                Side::Left(GateItem::Event(event)) => {
                    self.meeting.take(0, event, &self.info, |event| said.push(event));
                }
                Side::Right(GateItem::Event(event)) => {
                    self.meeting.take(1, event, &self.info, |event| said.push(event));
                }
            }
            for event in said.drain(..) {
                if event == Event::End {
                    return turn.end(&mut self).await;
                }
                turn.event(&mut self, event).await?;
            }
            turn.settle_between(&mut self).await?;
        }
    }
}

impl<A, B, Op, Out> Tail for TwoInputHead<A, B, Op, Out>
where
    A: Data,
    B: Data,
    Op: TwoInputOperator<A, B, Out>,
{
    fn event(&mut self, event: Event) -> TaskResult {
        self.tail.event(event)
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        self.tail.resume()
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.tail.poll_due(cx)
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        self.tail.time(now)
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        self.tail.quiet(lull)
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        self.tail.drain()
    }

    fn snapshot_more(&mut self) -> Progress {
        self.tail.snapshot_more()
    }

    fn skip(&mut self) {
        self.tail.skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.tail.poll_settle(cx)
    }

    fn prepared(&mut self, into: &mut Prepared) -> TaskResult {
        self.tail.prepared(into)
    }

    fn state_size(&self) -> StateSize {
        self.tail.state_size()
    }

    fn may_cut(&self) -> bool {
        self.tail.may_cut()
    }

    fn lull(&self) -> Lull {
        if self.left.is_empty() && self.right.is_empty() { Lull::Dry } else { Lull::Held }
    }

    fn is_urgent(&self) -> bool {
        self.left.is_urgent() || self.right.is_urgent()
    }

    fn poll_overtaking(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<Barrier>> {
        let (left, right) = (self.left.poll_announced(cx)?, self.right.poll_announced(cx)?);
        let barrier = match (left, right) {
            (Poll::Ready(left), Poll::Ready(right)) if left.checkpoint < right.checkpoint => right,
            (Poll::Ready(barrier), _) | (Poll::Pending, Poll::Ready(barrier)) => barrier,
            (Poll::Pending, Poll::Pending) => return Poll::Pending,
        };
        let may = self.meeting.may_overtake(barrier, |_| true)
            && self.left.may_overtake(barrier)
            && self.right.may_overtake(barrier);
        if may { Poll::Ready(Ok(barrier)) } else { Poll::Pending }
    }

    fn overtake(&mut self, barrier: Barrier) -> TaskResult {
        self.meeting.overtake(barrier);
        self.left.overtake(barrier)?;
        self.right.overtake(barrier)
    }
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

    fn pass(self: Box<Self>) -> Run {
        Box::pin(pass(self.tail, self.info))
    }
}
