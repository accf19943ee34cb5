//! A task that is held up: by receivers that give no credit, or by what its operators wait for. What else is to be seen to meanwhile
//! is: state that a snapshot waits for, and barriers that overtake.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Instant,
};

use flott_core::checkpoint::Barrier;

use super::Turn;
use crate::{error::TaskResult, lanes::yield_turn, task::tail::Tail};

/// Batches after which a task lets others on its thread have a turn. A turn of the executor costs about a microsecond, as
/// much as a hundredth of the work on so many full batches, and others wait a tenth of a millisecond.
const BATCHES_PER_TURN: u32 = 16;

impl Turn {
    /// Waits until what operators wait for has left them something to do.
    pub(super) async fn due(&mut self, tail: &mut impl Tail) -> TaskResult {
        self.wait_for_due(tail, |_, _| Poll::Pending).await.map(drop)
    }

    /// As [`due`](Self::due), or until a barrier comes that overtakes.
    pub(super) async fn due_or_barrier<T: Tail>(&mut self, tail: &mut T) -> TaskResult<Option<Barrier>> {
        self.wait_for_due(tail, T::poll_overtaking).await
    }

    async fn wait_for_due<T: Tail>(
        &mut self,
        tail: &mut T,
        mut barrier: impl FnMut(&mut T, &mut Context<'_>) -> Poll<TaskResult<Barrier>>,
    ) -> TaskResult<Option<Barrier>> {
        let busy = self.lap();
        self.info.figures.busy(busy);
        loop {
            let woken = poll_fn(|cx| {
                let due = tail.poll_due(cx)?;
                // Receivers need not wait as well.
                let _ = tail.poll_settle(cx)?;
                self.blocked(tail, cx, due, &mut barrier)
            })
            .await?;
            if let Blocked::Giving = woken {
                self.give_or_pause(tail);
                yield_turn().await;
                continue;
            }
            let time = self.lap();
            self.info.figures.backpressured(time);
            return Ok(woken.barrier());
        }
    }

    /// What a task that is held up sees to besides.
    fn blocked<T: Tail>(
        &mut self,
        tail: &mut T,
        cx: &mut Context<'_>,
        freed: Poll<()>,
        barrier: &mut impl FnMut(&mut T, &mut Context<'_>) -> Poll<TaskResult<Barrier>>,
    ) -> Poll<TaskResult<Blocked>> {
        if freed.is_ready() {
            return Poll::Ready(Ok(Blocked::Freed));
        }
        if let Poll::Ready(barrier) = barrier(tail, cx) {
            return Poll::Ready(barrier.map(Blocked::Barrier));
        }
        self.poll_giving(cx).map(|()| Ok(Blocked::Giving))
    }

    pub(super) async fn credit(&mut self, tail: &mut impl Tail) -> TaskResult {
        self.wait_for_credit(tail, |_, _| Poll::Pending).await.map(drop)
    }

    /// Waits until nothing is held back, or until a barrier comes that overtakes it.
    pub(super) async fn credit_or_barrier<T: Tail>(&mut self, tail: &mut T) -> TaskResult<Option<Barrier>> {
        self.wait_for_credit(tail, T::poll_overtaking).await
    }

    async fn wait_for_credit<T: Tail>(
        &mut self,
        tail: &mut T,
        mut barrier: impl FnMut(&mut T, &mut Context<'_>) -> Poll<TaskResult<Barrier>>,
    ) -> TaskResult<Option<Barrier>> {
        let busy = self.lap();
        self.info.figures.busy(busy);
        let mut waited = false;
        let woken = loop {
            let woken = poll_fn(|cx| {
                // What has come due is seen to by `resume`, which follows.
                let _ = tail.poll_due(cx)?;
                let poll = tail.poll_settle(cx)?;
                waited |= poll.is_pending();
                self.blocked(tail, cx, poll, &mut barrier)
            })
            .await?;
            if let Blocked::Giving = woken {
                self.give_or_pause(tail);
                yield_turn().await;
                continue;
            }
            break woken;
        };
        if waited {
            let time = self.lap();
            self.info.figures.backpressured(time);
        }
        self.batches += 1;
        if waited {
            self.began = self.since;
        } else if self.batches >= BATCHES_PER_TURN || self.is_long() {
            self.batches = 0;
            yield_turn().await;
            self.began = Instant::now();
        }
        Ok(woken.barrier())
    }
}

/// What has ended the wait of a task that is held up.
enum Blocked {
    /// What it has waited for.
    Freed,
    Barrier(Barrier),
    /// Some of the last cut can be given.
    Giving,
}

impl Blocked {
    fn barrier(self) -> Option<Barrier> {
        match self {
            Self::Barrier(barrier) => Some(barrier),
            Self::Freed | Self::Giving => None,
        }
    }
}
