//! What a task drives.

use std::task::{Context, Poll};

use flott_core::checkpoint::Barrier;

use crate::{
    batch::Timestamp,
    error::TaskResult,
    event::Event,
    output::{Drained, Lull, Output},
    state::{Progress, StateSize},
    task::Prepared,
};

/// What a task drives: a chain, or an operator with two inputs and the chain behind it. The methods are those of
/// [`Output`].
pub(super) trait Tail {
    fn event(&mut self, event: Event) -> TaskResult;
    fn resume(&mut self) -> TaskResult<Drained>;
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult>;
    fn time(&mut self, now: Timestamp) -> TaskResult;
    fn quiet(&mut self, lull: Lull) -> TaskResult;
    fn drain(&mut self) -> TaskResult<Drained>;
    fn snapshot_more(&mut self) -> Progress;
    fn skip(&mut self);
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult>;
    fn prepared(&mut self, into: &mut Prepared) -> TaskResult;
    fn state_size(&self) -> StateSize;
    fn may_cut(&self) -> bool;

    /// Why there is no input. Asked right after there was none.
    fn lull(&self) -> Lull {
        Lull::Dry
    }

    /// Whether a barrier that may overtake is among the input. Costs next to nothing, and says nothing of what comes.
    fn is_urgent(&self) -> bool {
        false
    }

    /// The barrier that overtakes what is left of the input, when there is one that may be taken.
    fn poll_overtaking(&mut self, _cx: &mut Context<'_>) -> Poll<TaskResult<Barrier>> {
        Poll::Pending
    }

    /// The cut of `barrier` has begun: the input gives what is its own of it.
    fn overtake(&mut self, _barrier: Barrier) -> TaskResult {
        Ok(())
    }
}

impl<T> Tail for Box<dyn Output<T>> {
    fn event(&mut self, event: Event) -> TaskResult {
        (**self).event(event)
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        (**self).resume()
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        (**self).poll_due(cx)
    }

    fn time(&mut self, now: Timestamp) -> TaskResult {
        (**self).time(now)
    }

    fn quiet(&mut self, lull: Lull) -> TaskResult {
        (**self).quiet(lull)
    }

    fn drain(&mut self) -> TaskResult<Drained> {
        (**self).drain()
    }

    fn snapshot_more(&mut self) -> Progress {
        (**self).snapshot_more()
    }

    fn skip(&mut self) {
        (**self).skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        (**self).poll_settle(cx)
    }

    fn prepared(&mut self, into: &mut Prepared) -> TaskResult {
        (**self).prepared(into)
    }

    fn state_size(&self) -> StateSize {
        (**self).state_size()
    }

    fn may_cut(&self) -> bool {
        (**self).may_cut()
    }
}
