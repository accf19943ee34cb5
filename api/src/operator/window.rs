//! Windows of keyed streams, of any kind.
//!
//! All that is kept of a key's windows lies in one table, under the key: so it is cut by key group like any keyed state.
//! Timers are set lazily. A window says when it next needs to be looked at, which a trigger may change with each record;
//! the queue of timers learns of it only when the time becomes an earlier one. A timer that comes too early, as it does
//! for a session that has grown since, is set again for the right time.
//!
//! # Layout
//! - `function`: what is kept of records, and what is given out
//! - `whole`: windows that keep all their records
//! - `pair`: windows of two streams
//! - `panes`: the windows of one key
//! - `core`: the windows of all keys, and what a record does to them
//! - `visit`: what a timer does to them
//! - `rules`: the rules of one window
//! - `firing`: timers coming due, a batch of them at a time

mod core;
mod firing;
mod function;
mod pair;
mod panes;
mod rules;
#[cfg(test)]
mod tests;
mod visit;
mod whole;

use std::{mem, sync::Arc};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Batch, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::{Progress, StateSize, States},
    task::TaskInfo,
    time::TimeDomain,
};

pub(crate) use self::{
    function::{Bare, Closure, Emit, Folding, PaneFunction, Processing, WithKey},
    pair::{CoGrouping, Joining, Pair, Pairing},
    rules::WindowSpec,
    whole::{Evicting, Gathering, Whole},
};

use self::{core::Core, firing::Pending};
use super::process::Desk;
use crate::{
    function::{KeyedOpen, failed},
    plan::{KeyOf, Keys, Site},
    window::{Trigger, WindowAssigner, WindowContext, WindowOpen},
};

/// Windows at work.
pub(crate) struct Windows<K, T, A, Tr, P>
where
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    keys_of: Arc<dyn KeyOf<T, K>>,
    keys: Keys<K>,
    core: Core<K, T, A, Tr, P>,
    /// Those of the user.
    states: States<K>,
    desk: Desk<P::Out>,
    pending: Pending<K, A::Window>,
}

impl<K, T, A, Tr, P> Windows<K, T, A, Tr, P>
where
    K: Key,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    pub fn new(spec: WindowSpec<T, A, Tr, P>, keys_of: Arc<dyn KeyOf<T, K>>, site: &Site) -> Self {
        Self {
            keys_of,
            keys: Keys::default(),
            core: Core::new(spec, &site.task.backend),
            states: States::default(),
            desk: Desk::new(site),
            pending: Pending::default(),
        }
    }

    /// Has the task woken when the next timer in processing time is due: when its millisecond is over, as more records may
    /// come within it.
    fn set_alarm(&self) {
        if let Some(at) = self.core.timers.processing.next() {
            self.desk.task.alarm.set(at.saturating_add(1));
        }
    }

    /// Keys, windows and timers that there are.
    #[cfg(test)]
    pub fn kept(&mut self) -> (usize, usize, usize) {
        self.core.kept()
    }
}

impl<K, T, A, Tr, P> Operator<T, P::Out> for Windows<K, T, A, Tr, P>
where
    K: Key,
    T: flott_runtime::batch::Data,
    A: WindowAssigner<T>,
    Tr: Trigger<T, A::Window>,
    P: PaneFunction<K, T, A::Window>,
{
    fn restore(&mut self, from: &Restored) -> TaskResult {
        self.states.restore_from(from)?;
        self.core.restore(from)?;
        self.desk.restore(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        let Self { core, states, .. } = self;
        core.open(|function, scopes| {
            let mut ctx = WindowOpen::new(KeyedOpen::new(states, task), scopes);
            function.open(&mut ctx).map_err(failed)
        })?;
        self.core.table.prepare()?;
        self.set_alarm();
        Ok(())
    }

    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<P::Out>) -> TaskResult {
        if self.core.domain == TimeDomain::Event && !input.has_timestamps() && !input.is_empty() {
            return Err(unstamped());
        }
        let Self { keys_of, keys, core, states, desk, .. } = self;
        keys.take(&**keys_of, input);
        core.warm(&keys.hashes);
        states.keyed.timers().hear(&input.timestamps);
        desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
            let mut ctx = WindowContext::new(ctx);
            let mut timestamps = input.timestamps.drain(..);
            for (record, (hash, key)) in input.records.drain(..).zip(keys.drain()) {
                core.record(hash, &key, record, timestamps.next(), &mut ctx)?;
            }
            ctx.flush()
        })?;
        self.set_alarm();
        Ok(())
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<P::Out>) -> TaskResult {
        if let Event::Watermark(watermark) = event {
            if !self.desk.advance(watermark) {
                return Ok(());
            }
            if self.core.timers.event.next().is_some_and(|at| at <= watermark) {
                self.pending.watermark = Some(watermark);
                return Ok(());
            }
        }
        out.event(event)
    }

    fn resume(&mut self, out: &mut dyn Output<P::Out>) -> TaskResult<Drained> {
        let Self { core, states, desk, pending, .. } = self;
        if let Some(watermark) = pending.watermark {
            let fired = firing::fire(states, desk, out, |ctx| core.event_timer(watermark, ctx))?;
            if fired == Drained::All {
                pending.watermark = None;
                out.event(Event::Watermark(watermark))?;
            }
            self.set_alarm();
            return Ok(Drained::Some);
        }
        let Some(now) = pending.clock else { return Ok(Drained::All) };
        let past = now.saturating_sub(1);
        let fired = firing::fire(states, desk, out, |ctx| core.processing_timer(past, ctx))?;
        if fired == Drained::All {
            pending.clock = None;
            self.set_alarm();
        }
        Ok(fired)
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<P::Out>) -> TaskResult {
        self.pending.clock = Some(now);
        Ok(())
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        into.states(&mut self.states)?;
        self.core.snapshot(into)?;
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        match into.more(&mut self.states.keyed)? {
            left @ (Progress::More | Progress::Waiting) => Ok(left),
            Progress::Done => self.core.snapshot_more(into),
        }
    }

    fn drain(&mut self, out: &mut dyn Output<P::Out>) -> TaskResult<Drained> {
        let Self { core, states, desk, pending, .. } = self;
        let last = pending.last.get_or_insert_with(|| mem::take(&mut core.timers.processing));
        firing::fire(states, desk, out, |ctx| core.last_timer(last, ctx))
    }

    fn state_size(&self) -> StateSize {
        self.core.size() + self.states.keyed.size()
    }
}

/// Records have no timestamps.
#[cold]
pub(super) fn unstamped() -> Box<Failure> {
    let message = "records have no timestamps, which windows in event time go by: \
                   give them some with `assign_timestamps_and_watermarks`";
    Box::new(Failure::user(message).fatal())
}
