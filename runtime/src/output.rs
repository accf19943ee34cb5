//! The face of everything that takes records: the next operator of a chain, the writers at its end, a test's list.
//!
//! # Layout
//! - `chained`: operators one after the other
//! - `tee`: several outputs in place of one

mod chained;
mod tee;

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use flott_core::failure::Failure;

pub use chained::Chained;
pub use tee::Tee;

use crate::{
    batch::{Batch, Timestamp},
    error::TaskResult,
    event::Event,
    snapshot::{Restored, StateSink},
    state::{Progress, StateSize},
    task::TaskInfo,
};

/// Takes batches and events, in order.
///
/// `collect` and `event` never block. What cannot be sent for lack of credit is held back inside, and
/// [`poll_settle`](Self::poll_settle) says when it is gone; the task feeds nothing in until then, so at most the output
/// of one input batch is held back.
///
/// What a watermark sets off may be much more than a batch. It is not all done within [`event`](Self::event), but in
/// steps by [`resume`](Self::resume), which the task calls, and settles after, until nothing is left; only then does it
/// feed in the next batch or event. All methods but `prepared` may leave work in this way, as they may set off a watermark
/// somewhere behind. An operator may give several batches and events at once nevertheless: what the one behind it has no
/// time for yet is held back there, in order.
pub trait Output<T>: Send {
    /// Takes all records out of `batch` and leaves it empty; it keeps or swaps the allocation.
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult;

    /// Takes an event.
    fn event(&mut self, event: Event) -> TaskResult;

    /// Does some of the work that is left, about a batch of results. `Some` if anything was done: it is called again
    /// until it says `All`, which means that there was nothing to do. If it says `Waiting`, nothing is fed in, and nobody
    /// told of time, before [`poll_due`](Self::poll_due) is ready and it is called again.
    fn resume(&mut self) -> TaskResult<Drained> {
        Ok(Drained::All)
    }

    /// Looks after what goes on beside the records, such as calls that wait for an answer. Ready when that has left
    /// work for [`resume`](Self::resume); if not, the waker is called when it may have. The task asks after each batch
    /// and whenever it waits, for whatever reason.
    fn poll_due(&mut self, _cx: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Pending
    }

    /// Whether a barrier that overtakes may come now, though something is left to do or held back for lack of credit: all that is
    /// left is part of a snapshot. Once it was given, until this is so again, the barrier has not come through.
    fn may_cut(&self) -> bool {
        true
    }

    /// The task's alarm has rung: processing time is `now`. Who still waits for a later time sets the alarm again.
    fn time(&mut self, _now: Timestamp) -> TaskResult {
        Ok(())
    }

    /// The task has no input at hand: what was kept back to spare work in a busy task is due. Called once before each wait,
    /// right after its input was asked.
    fn quiet(&mut self, _lull: Lull) -> TaskResult {
        Ok(())
    }

    /// The input has ended: gives some of what is kept until then, about a batch. Called, and settled after, until
    /// nothing is left here and behind this; then comes [`Event::End`]. So results at the end are under back pressure.
    /// If it says `Waiting`, it is called again when [`poll_due`](Self::poll_due) is ready.
    fn drain(&mut self) -> TaskResult<Drained> {
        Ok(Drained::All)
    }

    /// Gives some more of what operators remembered at the last barrier, from here to the end of the chain.
    fn snapshot_more(&mut self) -> Progress {
        Progress::Done
    }

    /// All that operators from here to the end of the chain had to give was given before: they take no event any more, and
    /// the end only passes by.
    fn skip(&mut self) {}

    /// Sends what a starved receiver waits for and retries what was held back. Ready when nothing is held back; the
    /// waker is also called when a receiver becomes starved while a partial batch is kept for it.
    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult>;

    /// Called once after the end: collects what sinks of the chain have prepared for the commit.
    fn prepared(&mut self, into: &mut Vec<(flott_core::id::OperatorId, Bytes)>) -> TaskResult;

    /// What the operators from here to the end of the chain remember. Asked once before each wait.
    fn state_size(&self) -> StateSize {
        StateSize::default()
    }
}

/// Why a task has no input at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lull {
    /// There is none.
    Dry,
    /// There may be some that is not to be taken for now: behind a barrier that has come by other channels only, or ahead of
    /// an alignment group. So nobody is idle.
    Held,
}

/// Whether a step was the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Drained {
    /// Nothing is left.
    All,
    /// Nothing can be done now, but there is something that must be waited for before more is taken.
    Waiting,
    /// More may be left.
    Some,
}

impl Drained {
    /// What two say together: nothing is left if neither has anything left.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

/// One operator of a chain. Instances belong to one subtask and are used by one thread at a time.
pub trait Operator<In, Out>: Send {
    /// Called before [`open`](Self::open) where the task starts from a snapshot, with what this operator had in it. What is
    /// not asked for by the end of `open` is refused, unless the user allows that it is left behind.
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

    /// Takes all records out of `input`, gives results to `out` in batches of about
    /// [`BATCH_RECORDS`](crate::batch::BATCH_RECORDS).
    fn process(&mut self, input: &mut Batch<In>, out: &mut dyn Output<Out>) -> TaskResult;

    /// Takes an event; passes it on unless it has a reason not to. Not called for [`Event::End`], nor for
    /// [`Event::Barrier`], which passes by [`barrier`](Self::barrier). What is much work is left to
    /// [`resume`](Self::resume), which then passes the event on.
    fn event(&mut self, event: Event, out: &mut dyn Output<Out>) -> TaskResult {
        out.event(event)
    }

    /// Does some of the work that is left, and gives about a batch, or the event that it held up. `Some` if anything was
    /// done or given; `All` if there was nothing to do. What it gave has been taken, and all work that this set off behind
    /// it has been done, when it is called again; neither `process` nor `event` is called before it says `All`. Whatever
    /// it gives in one step must be bounded: what comes behind a watermark waits in memory for all that this sets off.
    ///
    /// `Waiting` if it can take no more before something has happened outside; it is called again when
    /// [`poll_due`](Self::poll_due) is ready.
    fn resume(&mut self, _out: &mut dyn Output<Out>) -> TaskResult<Drained> {
        Ok(Drained::All)
    }

    /// Looks after what goes on beside the records: drives the futures of calls, say. Ready if, and only if, `resume`
    /// has something to do because of it; if not, the waker is called when it may have. It is asked after each batch and
    /// whenever the task waits, also for credit, so that nothing starves while the task does; it gives nothing itself.
    fn poll_due(&mut self, _cx: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Pending
    }

    /// Whether all that it has left to do is part of its [`snapshot`](Self::snapshot), so that a barrier need not wait for it: that
    /// comes by [`barrier`](Self::barrier) also while [`resume`](Self::resume) says `Waiting`.
    fn keeps_work(&self) -> bool {
        false
    }

    /// Processing time is `now`; who waits for a later time sets the task's alarm again.
    fn time(&mut self, _now: Timestamp, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// The task has no input at hand; see [`Output::quiet`].
    fn quiet(&mut self, _lull: Lull, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// A barrier has come, and all work that was set off before it is done. What must be with others before the operator can
    /// tell what it has prepared is sent off: [`resume`](Self::resume) says `Waiting` until it has arrived, and only
    /// then the barrier is seen to.
    ///
    /// # Errors
    /// When results are lost by it: the task fails.
    fn flush(&mut self) -> TaskResult {
        Ok(())
    }

    /// A barrier has come, all work that was set off before it is done, and all is with others that is to be. Gives what must take effect before the barrier
    /// and is not part of the state, such as what is kept back to spare work. The barrier itself is passed on by the chain,
    /// when it has asked for the [`snapshot`](Self::snapshot).
    ///
    /// # Errors
    /// When results are lost by it: the task fails.
    fn barrier(&mut self, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// Gives what it remembers, as it is at this moment.
    ///
    /// # Errors
    /// When that cannot be encoded: the snapshot is of no use, but the task goes on.
    fn snapshot(&mut self, _into: &mut StateSink<'_>) -> TaskResult {
        Ok(())
    }

    /// Gives some more of what it remembered at the last barrier, while it goes on with records in between: what
    /// [`snapshot`](Self::snapshot) has begun. Called until it is `Done`; if it says `Waiting`, after a moment.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    fn snapshot_more(&mut self, _into: &mut StateSink<'_>) -> TaskResult<Progress> {
        Ok(Progress::Done)
    }

    /// The input has ended: gives some of what is kept for the end, about a batch, and says whether more is left. Only
    /// operators that keep much need this; what it gives has been taken when it is called again. After `Waiting` it is
    /// when `poll_due` is ready, and `resume` is called first.
    fn drain(&mut self, _out: &mut dyn Output<Out>) -> TaskResult<Drained> {
        Ok(Drained::All)
    }

    /// The input has ended, and all is drained: gives the last of what is left. The end itself is passed on by the
    /// chain.
    fn finish(&mut self, _out: &mut dyn Output<Out>) -> TaskResult {
        Ok(())
    }

    /// The subtask had ended in the snapshot that it starts from: nothing comes any more, and only
    /// [`prepare_commit`](Self::prepare_commit) is called, once.
    fn skip(&mut self) {}

    /// At a barrier, and after `finish` of the whole chain: what a commit will make visible of the records since the last time.
    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        Ok(None)
    }

    /// What it remembers by key, in numbers; asked once before each wait, so it must not cost more than a few additions.
    fn state_size(&self) -> StateSize {
        StateSize::default()
    }
}

/// Operators with one name and identity in the graph.
#[derive(Debug, Clone)]
pub struct OperatorName {
    /// Identity.
    pub id: flott_core::id::OperatorId,
    /// Name, for failures.
    pub name: Arc<str>,
}

/// Adds the operator's name unless one nearer to the fault is there already.
pub fn named(mut failure: Box<Failure>, name: &OperatorName) -> Box<Failure> {
    failure.location.operator.get_or_insert_with(|| name.name.to_string());
    failure
}

/// Settles two outputs of different types: a main output and what stands beside it.
pub fn poll_settle_both<A, B>(
    first: &mut dyn Output<A>,
    second: &mut dyn Output<B>,
    cx: &mut Context<'_>,
) -> Poll<TaskResult> {
    let one = first.poll_settle(cx)?;
    let two = second.poll_settle(cx)?;
    ready!(one);
    ready!(two);
    Poll::Ready(Ok(()))
}
