//! The turns of a task: waiting for input, and what is due in between.
//!
//! # Layout
//! - `waits`: waiting for credit, and for what operators wait for

mod waits;

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use flott_core::{checkpoint::Barrier, failure::Failure};
use tokio::{
    runtime::Handle,
    time::{Sleep, sleep},
};

use super::{TaskInfo, tail::Tail};
use crate::{
    batch::Timestamp,
    error::TaskResult,
    event::Event,
    lanes::yield_turn,
    output::Drained,
    state::Progress,
    task::Prepared,
    time::{AlarmWait, Clock},
};

/// A turn ends after this time too, between two batches, so that slow user code keeps no network and no timer waiting for
/// longer than it must.
const TURN_TIME: Duration = Duration::from_millis(2);

/// Time that a task gives of its state in a row, between two batches. So long records wait for it.
const GIVE_TIME: Duration = Duration::from_millis(1);

/// Steps that are done without credit so that a barrier that overtakes need not wait for it. Each gives about a batch, which is
/// held back in memory, and is part of the snapshot.
const STEPS_AHEAD: usize = 64;

/// Pause before a task without input looks again whether more of its state can be given, and there is room for it.
const ROOM_WAIT: Duration = Duration::from_millis(1);

/// How long no state may be given while the next barrier waits for it, and all records behind that. A store that only is
/// slow makes room now and then: within this time a part of a file is written, or has failed (`flott_snapshot::directory`).
const STALLED: Duration = Duration::from_secs(60);

/// What a task does that had finished: time and input have ended, and all that its operators had to give was given.
pub(super) async fn pass(mut tail: impl Tail, info: Arc<TaskInfo>) -> TaskResult<Prepared> {
    let mut turn = Turn::new(info);
    tail.skip();
    turn.event(&mut tail, Event::Watermark(Timestamp::MAX)).await?;
    turn.end(&mut tail).await
}

/// What is left to give of the cut that was begun last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Giving {
    Nothing,
    /// What operators remembered at the barrier.
    State,
    /// Records that it has overtaken, which are given as they come.
    Streams,
}

enum Woken<R> {
    Input(R),
    Overtaking(Barrier),
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
    giving: Giving,
    /// Before more is given.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Turn {
    pub fn new(info: Arc<TaskInfo>) -> Self {
        let now = Instant::now();
        Self {
            info,
            since: now,
            batches: 0,
            began: now,
            alarm: AlarmWait::default(),
            giving: Giving::Nothing,
            pause: None,
        }
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
                if tail.is_urgent()
                    && let Poll::Ready(barrier) = poll_overtaking(tail, cx)
                {
                    return Poll::Ready(barrier.map(Woken::Overtaking));
                }
                if let Poll::Ready(result) = poll(tail, cx) {
                    return Poll::Ready(result.map(Woken::Input));
                }
                if !quiet {
                    return Poll::Ready(Ok(Woken::Quiet));
                }
                if let Poll::Ready(barrier) = poll_overtaking(tail, cx) {
                    return Poll::Ready(barrier.map(Woken::Overtaking));
                }
                if let Poll::Ready(now) = self.alarm.poll(&self.info.alarm, &self.info.clock, cx) {
                    return Poll::Ready(Ok(Woken::Alarm(now)));
                }
                if let Poll::Ready(due) = tail.poll_due(cx) {
                    return Poll::Ready(due.map(|()| Woken::Due));
                }
                if self.poll_giving(cx).is_ready() {
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
                Woken::Overtaking(barrier) => {
                    self.overtake(tail, barrier).await?;
                    quiet = false;
                }
                Woken::Quiet => {
                    let lull = tail.lull();
                    tail.quiet(lull)?;
                    quiet = true;
                }
                Woken::Alarm(now) => {
                    tail.time(now)?;
                    quiet = false;
                }
                Woken::Due => quiet = false,
                Woken::Giving => {
                    self.give_or_pause(tail);
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
        self.after(tail).await
    }

    /// As [`settle`](Self::settle), where nothing of the input is at hand that is not in `tail`: barriers that overtake are taken
    /// meanwhile.
    pub async fn settle_between(&mut self, tail: &mut impl Tail) -> TaskResult {
        loop {
            while let Some(barrier) = self.credit_or_barrier(tail).await? {
                if self.work_ahead(tail)? {
                    self.overtake(tail, barrier).await?;
                } else {
                    self.credit(tail).await?;
                    break;
                }
            }
            match tail.resume()? {
                Drained::All => break,
                Drained::Some => {}
                Drained::Waiting => match self.due_or_barrier(tail).await? {
                    None => {}
                    Some(barrier) if tail.may_cut() => self.overtake(tail, barrier).await?,
                    Some(_) => self.due(tail).await?,
                },
            }
        }
        self.after(tail).await
    }

    /// Does what is left to do without waiting for credit, if it is not much: whether nothing is left but what a snapshot has.
    fn work_ahead(&self, tail: &mut impl Tail) -> TaskResult<bool> {
        for _ in 0..STEPS_AHEAD {
            match tail.resume()? {
                Drained::All => return Ok(true),
                Drained::Waiting => return Ok(tail.may_cut()),
                Drained::Some => {}
            }
        }
        Ok(false)
    }

    /// What is due when nothing is left of a batch or an event.
    async fn after(&mut self, tail: &mut impl Tail) -> TaskResult {
        let pauses = self.pause.as_ref().is_some_and(|pause| pause.deadline() > tokio::time::Instant::now());
        if self.has_to_give() && !pauses {
            self.give_or_pause(tail);
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

    /// Whether something of the last cut can be given without waiting for input.
    fn has_to_give(&self) -> bool {
        match self.giving {
            Giving::Nothing => false,
            Giving::State => true,
            Giving::Streams => self.info.snapshots.has_all_streams(),
        }
    }

    /// Ready when some more may be given: not while nothing can be.
    fn poll_giving(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_to_give() {
            return Poll::Pending;
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// Gives `event` of the task's input to `tail`, and sees to all that it sets off.
    pub async fn event(&mut self, tail: &mut impl Tail, event: Event) -> TaskResult {
        match event {
            Event::Barrier(barrier) => return self.barrier(tail, barrier).await,
            Event::Watermark(watermark) => self.info.figures.watermark(watermark),
            Event::Idle | Event::Active | Event::End => {}
        }
        tail.event(event)?;
        self.settle_between(tail).await
    }

    /// A barrier has come, with all inputs: cuts the state of all that is in `tail`, passes the barrier on, and has the cut
    /// stored.
    async fn barrier(&mut self, tail: &mut impl Tail, barrier: Barrier) -> TaskResult {
        if barrier.may_overtake() {
            return self.overtake(tail, barrier).await;
        }
        self.begin_cut(tail, barrier).await?;
        self.cut(tail, barrier).await
    }

    /// A barrier has come that may overtake what is left of the input, or what `tail` holds back for lack of credit: neither is
    /// waited for.
    pub async fn overtake(&mut self, tail: &mut impl Tail, barrier: Barrier) -> TaskResult {
        self.begin_cut(tail, barrier).await?;
        tail.overtake(barrier)?;
        tail.event(Event::Barrier(barrier))?;
        // All others have nothing left; what it sets off, such as a transaction that is made ready, must be done.
        while !tail.may_cut() {
            if tail.resume()? == Drained::Waiting {
                self.due(tail).await?;
            }
        }
        self.passed(tail);
        Ok(())
    }

    fn passed(&mut self, tail: &mut impl Tail) {
        self.info.snapshots.passed();
        self.giving = Giving::State;
        self.give(tail);
    }

    /// Begins the cut of `barrier`. What is left of the state at the one before is given first, unless nothing becomes of that:
    /// so a store that hangs is waited for until the job gives the checkpoint up, or until it has taken nothing for too long. Streams that were overtaken by
    /// that are not waited for: it was given up, or this one would have come behind it.
    pub async fn begin_cut(&mut self, tail: &mut impl Tail, barrier: Barrier) -> TaskResult {
        let mut since = tokio::time::Instant::now();
        while self.giving == Giving::State {
            if self.give_or_wait(tail).await {
                since = tokio::time::Instant::now();
            } else if since.elapsed() > STALLED {
                self.info.snapshots.give_up(self.info.attempt, &stalled(barrier));
            }
            yield_turn().await;
        }
        if self.has_to_give() {
            self.give(tail);
        }
        self.giving = Giving::Nothing;
        self.info.snapshots.begin(self.info.attempt, barrier);
        Ok(())
    }

    /// Gives all that is left of the last cut. No input comes any more.
    async fn give_all(&mut self, tail: &mut impl Tail) -> TaskResult {
        while self.giving == Giving::State {
            self.give_or_wait(tail).await;
            yield_turn().await;
        }
        if self.giving == Giving::Streams {
            // Barriers that are held back leave, or overtake.
            self.credit(tail).await?;
            self.give(tail);
        }
        if self.giving == Giving::Streams {
            let snapshots = &self.info.snapshots;
            snapshots.fail(Box::new(Failure::internal(
                "the input has ended, but not all records that a barrier has overtaken are known",
            )));
            snapshots.finish(self.info.attempt);
            self.giving = Giving::Nothing;
        }
        Ok(())
    }

    /// Gives some more, if that can be; else it is tried again after a moment, as whoever stores it is behind, or the disk that it
    /// comes from.
    fn give_or_pause(&mut self, tail: &mut impl Tail) -> bool {
        let given = self.give(tail);
        if !given {
            self.pause = moment();
        }
        given
    }

    /// As [`give_or_pause`](Self::give_or_pause), where all waits for it.
    async fn give_or_wait(&mut self, tail: &mut impl Tail) -> bool {
        let given = self.give(tail);
        if !given && let Some(moment) = moment() {
            moment.await;
        }
        given
    }

    /// As [`barrier`](Self::barrier), for a cut that has begun.
    pub async fn cut(&mut self, tail: &mut impl Tail, barrier: Barrier) -> TaskResult {
        tail.event(Event::Barrier(barrier))?;
        self.settle(tail).await?;
        self.passed(tail);
        Ok(())
    }

    /// Gives some more of a cut that was begun, for as long as others can wait for it. Whether there was something to be given and room
    /// for it.
    fn give(&mut self, tail: &mut impl Tail) -> bool {
        let mut given = false;
        let (began, snapshots, attempt) = (Instant::now(), &self.info.snapshots, self.info.attempt);
        snapshots.heed_abort(attempt);
        while self.giving == Giving::State && snapshots.has_room(attempt) {
            match tail.snapshot_more() {
                Progress::More => {}
                Progress::Waiting => break,
                Progress::Done => self.giving = Giving::Streams,
            }
            given = true;
            if began.elapsed() > GIVE_TIME {
                break;
            }
        }
        if self.giving == Giving::Streams && snapshots.has_all_streams() {
            snapshots.finish(attempt);
            self.giving = Giving::Nothing;
            given = true;
        }
        given
    }

    /// The input has ended: what is kept for the end, the end itself, and what sinks have prepared.
    pub async fn end(&mut self, tail: &mut impl Tail) -> TaskResult<Prepared> {
        // What it remembered at a barrier is gone with what it gives now, unless that is given first.
        self.give_all(tail).await?;
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
}

/// A pause before more is given. Where nobody keeps time, as tasks are driven by hand, it is spent here: nothing else goes on then.
fn moment() -> Option<Pin<Box<Sleep>>> {
    if Handle::try_current().is_ok() {
        return Some(Box::pin(sleep(ROOM_WAIT)));
    }
    std::thread::sleep(ROOM_WAIT);
    None
}

/// Why nothing becomes of the cut that `barrier` waits for.
fn stalled(barrier: Barrier) -> Failure {
    let (checkpoint, wait) = (barrier.checkpoint, STALLED.as_secs());
    Failure::environment(format!(
        "no state was given for {wait} s while the barrier of {checkpoint} waited for it: the store has taken none, or the disk \
         that it comes from is behind"
    ))
}

/// A barrier that overtakes, when one is there and `tail` can be cut.
fn poll_overtaking<T: Tail>(tail: &mut T, cx: &mut Context<'_>) -> Poll<TaskResult<Barrier>> {
    if tail.may_cut() { tail.poll_overtaking(cx) } else { Poll::Pending }
}

#[cfg(test)]
mod giving_tests;
#[cfg(test)]
mod idle_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod work_tests;
