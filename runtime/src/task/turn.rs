//! The turns of a task: waiting for input, waiting for credit, and what is due in between.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use flott_core::checkpoint::Barrier;

use super::TaskInfo;
use crate::{
    batch::Timestamp,
    error::TaskResult,
    event::Event,
    lanes::yield_turn,
    output::{Drained, Output},
    state::{Progress, StateSize},
    task::Prepared,
    time::{AlarmWait, Clock},
};

/// Batches after which a task lets others on its thread have a turn. A turn of the executor costs about a microsecond, as
/// much as a hundredth of the work on so many full batches, and others wait a tenth of a millisecond.
const BATCHES_PER_TURN: u32 = 16;

/// A turn ends after this time too, between two batches, so that slow user code keeps no network and no timer waiting for
/// longer than it must.
const TURN_TIME: Duration = Duration::from_millis(2);

/// Time that a task gives of its state in a row, between two batches. So long records wait for it.
const GIVE_TIME: Duration = Duration::from_millis(1);

/// Pause before a task without input looks again whether there is room for its state.
const ROOM_WAIT: Duration = Duration::from_millis(1);

/// What a task drives: a chain, or an operator with two inputs and the chain behind it. The methods are those of
/// [`Output`].
pub(super) trait Tail {
    fn event(&mut self, event: Event) -> TaskResult;
    fn resume(&mut self) -> TaskResult<Drained>;
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult>;
    fn time(&mut self, now: Timestamp) -> TaskResult;
    fn quiet(&mut self) -> TaskResult;
    fn drain(&mut self) -> TaskResult<Drained>;
    fn snapshot_more(&mut self) -> Progress;
    fn skip(&mut self);
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult>;
    fn prepared(&mut self, into: &mut Prepared) -> TaskResult;
    fn state_size(&self) -> StateSize;
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

    fn quiet(&mut self) -> TaskResult {
        (**self).quiet()
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
}

/// What a task does that had finished: time and input have ended, and all that its operators had to give was given.
pub(super) async fn pass(mut tail: impl Tail, info: Arc<TaskInfo>) -> TaskResult<Prepared> {
    let mut turn = Turn::new(info);
    tail.skip();
    turn.event(&mut tail, Event::Watermark(Timestamp::MAX)).await?;
    turn.end(&mut tail).await
}

enum Woken<R> {
    Input(R),
    Quiet,
    Alarm(Timestamp),
    Due,
    Giving,
}

/// Keeps time, and gives others a turn.
pub(super) struct Turn {
    info: Arc<TaskInfo>,
    since: Instant,
    batches: u32,
    /// When the turn began.
    began: Instant,
    alarm: AlarmWait,
    /// What operators remembered at the last barrier is being given.
    is_giving: bool,
}

impl Turn {
    pub fn new(info: Arc<TaskInfo>) -> Self {
        let now = Instant::now();
        Self { info, since: now, batches: 0, began: now, alarm: AlarmWait::default(), is_giving: false }
    }

    /// Whether the turn has lasted long enough. Where a test says what time it is, its seed alone says who is next.
    fn is_long(&self) -> bool {
        matches!(self.info.clock, Clock::System) && self.since - self.began > TURN_TIME
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.since, now)
    }

    /// Waits for what `poll` gives, which may look into `tail` for it. While there is nothing, what lies in partial batches of
    /// `tail` goes to whoever waits for it, and what processing time brings, or what operators have waited for, is done.
    pub async fn wait<T: Tail, R>(
        &mut self,
        tail: &mut T,
        mut poll: impl FnMut(&mut T, &mut Context<'_>) -> Poll<TaskResult<R>>,
    ) -> TaskResult<R> {
        let mut quiet = false;
        let mut waited = false;
        loop {
            let woken = poll_fn(|cx| {
                if let Poll::Ready(result) = poll(tail, cx) {
                    return Poll::Ready(result.map(Woken::Input));
                }
                if !quiet {
                    return Poll::Ready(Ok(Woken::Quiet));
                }
                if let Poll::Ready(now) = self.alarm.poll(&self.info.alarm, &self.info.clock, cx) {
                    return Poll::Ready(Ok(Woken::Alarm(now)));
                }
                if let Poll::Ready(due) = tail.poll_due(cx) {
                    return Poll::Ready(due.map(|()| Woken::Due));
                }
                if self.is_giving {
                    return Poll::Ready(Ok(Woken::Giving));
                }
                if !std::mem::replace(&mut waited, true) {
                    let now = Instant::now();
                    self.info.figures.busy(now - std::mem::replace(&mut self.since, now));
                    self.info.figures.state(tail.state_size());
                }
                match tail.poll_settle(cx) {
                    Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
                    Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
                }
            })
            .await;
            if std::mem::take(&mut waited) {
                let idle = self.lap();
                self.began = self.since;
                self.info.figures.idle(idle);
            }
            match woken? {
                Woken::Input(input) => return Ok(input),
                Woken::Quiet => {
                    tail.quiet()?;
                    quiet = true;
                }
                Woken::Alarm(now) => {
                    tail.time(now)?;
                    quiet = false;
                }
                Woken::Due => quiet = false,
                Woken::Giving => {
                    self.give_or_wait(tail).await;
                    yield_turn().await;
                }
            }
            self.credit(tail).await?;
            self.resume(tail).await?;
        }
    }

    /// After a batch or an event: waits until `tail` holds nothing back, does all that was set off and what processing
    /// time brings, and gives others a turn now and then.
    pub async fn settle(&mut self, tail: &mut impl Tail) -> TaskResult {
        self.credit(tail).await?;
        self.resume(tail).await?;
        if self.is_giving {
            self.give(tail);
        }
        if let Some(now) = self.info.alarm.ring(&self.info.clock) {
            tail.time(now)?;
            self.credit(tail).await?;
            self.resume(tail).await?;
        }
        Ok(())
    }

    /// Does the work that is left, in steps, under back pressure, until `tail` takes more.
    async fn resume(&mut self, tail: &mut impl Tail) -> TaskResult {
        loop {
            match tail.resume()? {
                Drained::All => return Ok(()),
                Drained::Some => {}
                Drained::Waiting => self.due(tail).await?,
            }
            self.credit(tail).await?;
        }
    }

    /// Gives `event` of the task's input to `tail`, and sees to all that it sets off.
    pub async fn event(&mut self, tail: &mut impl Tail, event: Event) -> TaskResult {
        match event {
            Event::Barrier(barrier) => return self.barrier(tail, barrier).await,
            Event::Watermark(watermark) => self.info.figures.watermark(watermark),
            Event::Idle | Event::Active | Event::End => {}
        }
        tail.event(event)?;
        self.settle(tail).await
    }

    /// A barrier has come, with all inputs: cuts the state of all that is in `tail`, passes the barrier on, and has the cut
    /// stored.
    async fn barrier(&mut self, tail: &mut impl Tail, barrier: Barrier) -> TaskResult {
        self.begin_cut(tail, barrier).await;
        self.cut(tail, barrier).await
    }

    /// Begins the cut of `barrier`. What is left of the one before is given first.
    pub async fn begin_cut(&mut self, tail: &mut impl Tail, barrier: Barrier) {
        self.give_all(tail).await;
        self.info.snapshots.begin(self.info.attempt, barrier);
    }

    async fn give_all(&mut self, tail: &mut impl Tail) {
        while self.is_giving {
            self.give_or_wait(tail).await;
            yield_turn().await;
        }
    }

    /// Gives some more; waits for a moment where whoever stores it is behind.
    async fn give_or_wait(&mut self, tail: &mut impl Tail) {
        if self.info.snapshots.has_room(self.info.attempt) {
            self.give(tail);
        } else {
            tokio::time::sleep(ROOM_WAIT).await;
        }
    }

    /// As [`barrier`](Self::barrier), for a cut that has begun.
    pub async fn cut(&mut self, tail: &mut impl Tail, barrier: Barrier) -> TaskResult {
        tail.event(Event::Barrier(barrier))?;
        self.settle(tail).await?;
        self.info.snapshots.passed();
        self.is_giving = true;
        self.give(tail);
        Ok(())
    }

    /// Gives some more of a cut that was begun, for as long as others can wait for it.
    fn give(&mut self, tail: &mut impl Tail) {
        let (began, snapshots, attempt) = (Instant::now(), &self.info.snapshots, self.info.attempt);
        while self.is_giving && snapshots.has_room(attempt) {
            if tail.snapshot_more() == Progress::Done {
                snapshots.finish(attempt);
                self.is_giving = false;
            }
            if began.elapsed() > GIVE_TIME {
                return;
            }
        }
    }

    /// The input has ended: what is kept for the end, the end itself, and what sinks have prepared.
    pub async fn end(&mut self, tail: &mut impl Tail) -> TaskResult<Prepared> {
        // What it remembered at a barrier is gone with what it gives now, unless that is given first.
        self.give_all(tail).await;
        loop {
            match tail.drain()? {
                Drained::All => break,
                Drained::Some => {}
                Drained::Waiting => self.due(tail).await?,
            }
            self.credit(tail).await?;
            self.resume(tail).await?;
        }
        self.credit(tail).await?;
        tail.event(Event::End)?;
        self.credit(tail).await?;
        let mut prepared = Prepared::new();
        tail.prepared(&mut prepared)?;
        self.info.figures.state(tail.state_size());
        Ok(prepared)
    }

    /// Waits until what operators wait for has left them something to do.
    async fn due(&mut self, tail: &mut impl Tail) -> TaskResult {
        let busy = self.lap();
        self.info.figures.busy(busy);
        poll_fn(|cx| {
            let due = tail.poll_due(cx)?;
            // Receivers need not wait as well.
            let _ = tail.poll_settle(cx)?;
            due.map(TaskResult::Ok)
        })
        .await?;
        let time = self.lap();
        self.info.figures.backpressured(time);
        Ok(())
    }

    async fn credit(&mut self, tail: &mut impl Tail) -> TaskResult {
        let busy = self.lap();
        self.info.figures.busy(busy);
        let mut waited = false;
        poll_fn(|cx| {
            // What has come due is seen to by `resume`, which follows.
            let _ = tail.poll_due(cx)?;
            let poll = tail.poll_settle(cx);
            waited |= poll.is_pending();
            poll
        })
        .await?;
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
        Ok(())
    }
}

#[cfg(test)]
mod giving_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod work_tests;
