//! Operators one after the other.

use std::{
    collections::VecDeque,
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::{failure::Failure, id::OperatorId};

use super::{Drained, Lull, Operator, OperatorName, Output, named};
use crate::{
    batch::{Batch, Timestamp},
    error::{TaskResult, enter_operator, within_operator},
    event::Event,
    snapshot::StateSink,
    state::{Progress, StateSize},
    task::TaskInfo,
};

/// An operator with what comes after it: itself an output.
pub struct Chained<In, Op, Out> {
    name: OperatorName,
    operator: Op,
    next: Box<dyn Output<Out>>,
    finished: bool,
    /// What is behind takes nothing for now.
    held_up: bool,
    /// The operator knows of the barrier that is next.
    flushed: bool,
    /// Something was given to the operator, and it has not said since that all is done.
    at_work: bool,
    /// What came while it was at work, in order. The operator before it may give more than one thing at once.
    held: VecDeque<Held<In>>,
    task: Arc<TaskInfo>,
}

/// What waits for an operator to be done with what came before.
enum Held<T> {
    Batch(Batch<T>),
    Event(Event),
}

impl<In, Op, Out> Chained<In, Op, Out>
where
    In: Send,
    Op: Operator<In, Out>,
{
    /// Puts `operator` before `next` and opens it.
    pub fn open(
        name: OperatorName,
        mut operator: Op,
        next: Box<dyn Output<Out>>,
        task: &Arc<TaskInfo>,
    ) -> TaskResult<Self> {
        enter_operator(&name.name);
        let restored = task.snapshots.take_restored(name.id);
        let mut open = || {
            operator.restore(&restored)?;
            operator.open(task)?;
            task.snapshots.check_restored(&restored)
        };
        open().map_err(|failure| named(failure, &name))?;
        let task = Arc::clone(task);
        Ok(Self {
            name,
            operator,
            next,
            finished: false,
            held_up: false,
            flushed: false,
            at_work: false,
            held: VecDeque::new(),
            task,
        })
    }

    /// Has the operator take `batches` before anything else.
    #[must_use]
    pub fn beginning_with(mut self, batches: Vec<Batch<In>>) -> Self {
        self.at_work |= !batches.is_empty();
        self.held.extend(batches.into_iter().map(Held::Batch));
        self
    }

    /// Has the operator do something.
    fn work<R>(&mut self, work: impl FnOnce(&mut Op, &mut dyn Output<Out>) -> TaskResult<R>) -> TaskResult<R> {
        let Self { name, operator, next, .. } = self;
        within_operator(&name.name, || work(operator, &mut **next)).map_err(|failure| named(failure, name))
    }

    /// Whether the operator takes something more. Most have nothing left after a batch, and say so when they are asked.
    fn takes_more(&mut self) -> TaskResult<bool> {
        Ok(!self.at_work || (self.held.is_empty() && self.step()? == Drained::All))
    }

    fn process(&mut self, batch: &mut Batch<In>) -> TaskResult {
        self.at_work = true;
        self.work(|operator, next| operator.process(batch, next))?;
        debug_assert!(batch.is_empty(), "{} left records behind", self.name.name);
        Ok(())
    }

    fn pass(&mut self, event: Event) -> TaskResult {
        self.at_work = true;
        if let Event::Barrier(_) = event {
            if !mem::replace(&mut self.flushed, true) {
                self.work(|operator, _| operator.flush())?;
                if self.step()? != Drained::All {
                    self.held.push_front(Held::Event(event));
                    return Ok(());
                }
            }
            self.flushed = false;
            self.cut()?;
            return self.next.event(event);
        }
        self.work(|operator, next| operator.event(event, next))
    }

    /// A barrier is here: what comes before it is given, and what is remembered.
    fn cut(&mut self) -> TaskResult {
        self.work(|operator, next| operator.barrier(next))?;
        let Self { name, operator, task, .. } = self;
        enter_operator(&name.name);
        let give = |into: &mut StateSink<'_>| operator.snapshot(into).map_err(|failure| named(failure, name));
        task.snapshots.give(task.attempt, name.id, give);
        if let Some(data) = operator.prepare_commit().map_err(|failure| named(failure, name))? {
            task.snapshots.prepared(name.id, data);
        }
        Ok(())
    }

    /// Some of the work that is left behind the operator or, if there is none, in it.
    fn step(&mut self) -> TaskResult<Drained> {
        // What is behind first: it takes nothing more before it is done.
        let behind = self.next.resume()?;
        self.held_up = behind == Drained::Waiting;
        if behind != Drained::All {
            return Ok(behind);
        }
        let own = self.work(|operator, next| operator.resume(next))?;
        self.at_work = own != Drained::All;
        Ok(own)
    }

    /// All that a task does at the end, where there is no back pressure to wait for.
    fn drain_all(&mut self) -> TaskResult {
        loop {
            let resumed = self.resume()?;
            let drained = if resumed == Drained::All { self.drain()? } else { resumed };
            match drained {
                Drained::All => return Ok(()),
                Drained::Some => {}
                Drained::Waiting => {
                    let failure = Box::new(Failure::internal("the end came before all was drained"));
                    return Err(named(failure, &self.name));
                }
            }
        }
    }

    /// One step of the operator's own end; its `finish` is the last.
    fn drain_operator(&mut self) -> TaskResult<Drained> {
        let drained = self.work(|operator, next| operator.drain(next))?;
        if drained == Drained::All {
            self.finished = true;
            self.work(|operator, next| operator.finish(next))?;
        }
        Ok(drained)
    }
}

impl<In, Out, Op> Output<In> for Chained<In, Op, Out>
where
    In: Send,
    Op: Operator<In, Out>,
{
    fn collect(&mut self, batch: &mut Batch<In>) -> TaskResult {
        if batch.is_empty() {
            return Ok(());
        }
        if self.takes_more()? {
            return self.process(batch);
        }
        self.held.push_back(Held::Batch(mem::take(batch)));
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        if event == Event::End {
            // Whoever ends a chain drains it first; without back pressure to wait for, it can be done here as well.
            if !self.finished {
                self.drain_all()?;
            }
            return self.next.event(event);
        }
        if self.finished {
            return self.next.event(event);
        }
        if self.takes_more()? {
            return self.pass(event);
        }
        if let Event::Barrier(barrier) = event
            && barrier.may_overtake()
            && self.may_cut()
        {
            // What it has left to do is part of the snapshot.
            self.cut()?;
            return self.next.event(event);
        }
        self.held.push_back(Held::Event(event));
        Ok(())
    }

    fn may_cut(&self) -> bool {
        self.held.is_empty() && (!self.at_work || self.operator.keeps_work()) && self.next.may_cut()
    }

    fn resume(&mut self) -> TaskResult<Drained> {
        let stepped = self.step()?;
        if stepped != Drained::All {
            return Ok(stepped);
        }
        match self.held.pop_front() {
            None => return Ok(Drained::All),
            Some(Held::Batch(mut batch)) => self.process(&mut batch)?,
            Some(Held::Event(event)) => self.pass(event)?,
        }
        Ok(Drained::Some)
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        let behind = self.next.poll_due(cx)?;
        enter_operator(&self.name.name);
        let own = self.operator.poll_due(cx).map_err(|failure| named(failure, &self.name))?;
        // What this has to give cannot be taken yet if what is behind waits: then only that counts.
        if behind.is_ready() || self.held_up { behind.map(Ok) } else { own.map(Ok) }
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
        if !self.held.is_empty() {
            let failure = Failure::internal("its input was to end before it had taken all of it");
            return Err(named(Box::new(failure), &self.name));
        }
        let drained = self.drain_operator()?;
        // What its end has set off behind it is done before that is drained in its turn.
        Ok(if drained == Drained::Waiting { drained } else { Drained::Some })
    }

    fn snapshot_more(&mut self) -> Progress {
        let Self { name, operator, task, .. } = self;
        enter_operator(&name.name);
        let give = |into: &mut StateSink<'_>| operator.snapshot_more(into).map_err(|failure| named(failure, name));
        match task.snapshots.give(task.attempt, name.id, give) {
            Some(left @ (Progress::More | Progress::Waiting)) => left,
            Some(Progress::Done) | None => self.next.snapshot_more(),
        }
    }

    fn skip(&mut self) {
        self.finished = true;
        self.operator.skip();
        self.next.skip();
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<TaskResult> {
        self.next.poll_settle(cx)
    }

    fn prepared(&mut self, into: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        enter_operator(&self.name.name);
        if let Some(data) = self.operator.prepare_commit().map_err(|failure| named(failure, &self.name))? {
            into.push((self.name.id, data));
        }
        self.next.prepared(into)
    }

    fn state_size(&self) -> StateSize {
        self.operator.state_size() + self.next.state_size()
    }
}
