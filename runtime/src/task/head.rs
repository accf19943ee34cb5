//! The loop that drives a chain from one input. (From a source: `source_head`; from two inputs: `two_input`.)
//!
//! Each such loop waits for input and, while it waits, sends what starved receivers wait for; feeds one batch through the
//! chain; and waits until everything held back for lack of credit is gone before it takes the next. See `turn`.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use flott_core::checkpoint::Barrier;

use super::{
    Prepared, Run, TaskHead, TaskInfo, TaskWiring,
    tail::Tail,
    turn::{Turn, pass},
};
use crate::{
    batch::{Data, Timestamp},
    channel::gate::{GateItem, InputGate},
    error::TaskResult,
    event::Event,
    output::{Drained, Lull, Output},
    state::{Progress, StateSize},
};

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
            match turn.wait(&mut self, |head, cx| head.gate.poll_next(cx)).await? {
                GateItem::Batch(mut batch) => {
                    self.out.collect(&mut batch)?;
                    self.gate.recycle(batch);
                    turn.settle_between(&mut self).await?;
                }
                GateItem::Event(Event::End) => return turn.end(&mut self).await,
                GateItem::Event(event) => turn.event(&mut self, event).await?,
            }
        }
    }
}

impl<T: Data> Tail for OneInputHead<T> {
    fn event(&mut self, event: Event) -> TaskResult {
        self.out.event(event)
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        self.out.resume()
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.out.poll_due(cx)
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        self.out.time(now)
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        self.out.quiet(lull)
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        self.out.drain()
    }

    fn snapshot_more(&mut self) -> Progress {
        self.out.snapshot_more()
    }

    fn skip(&mut self) {
        self.out.skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.out.poll_settle(cx)
    }

    fn prepared(&mut self, into: &mut Prepared) -> TaskResult {
        self.out.prepared(into)
    }

    fn state_size(&self) -> StateSize {
        self.out.state_size()
    }

    fn may_cut(&self) -> bool {
        self.out.may_cut()
    }

    fn lull(&self) -> Lull {
        if self.gate.is_empty() { Lull::Dry } else { Lull::Held }
    }

    fn is_urgent(&self) -> bool {
        self.gate.is_urgent()
    }

    fn poll_overtaking(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult<Barrier>> {
        let barrier = ready!(self.gate.poll_announced(cx))?;
        if self.gate.may_overtake(barrier) { Poll::Ready(Ok(barrier)) } else { Poll::Pending }
    }

    fn overtake(&mut self, barrier: Barrier) -> TaskResult {
        self.gate.overtake(barrier)
    }
}

impl<T: Data> TaskHead for OneInputHead<T> {
    fn run(self: Box<Self>) -> Run {
        Box::pin(self.drive())
    }

    fn pass(self: Box<Self>) -> Run {
        Box::pin(pass(self.out, self.info))
    }
}

#[cfg(test)]
mod tests;
