//! Aligned windows, by slices that they share.
//!
//! Each record is folded into one slice, whatever the number of windows that the slice is in, so a record costs one
//! look-up in the slice's table. A tumbling window is a slice: when the watermark passes its end, the table is given out
//! and dropped. In sliding and cumulating windows, what keys have in a slice joins what they had in those before it when
//! the first window that ends behind it is due (see [`history`]); a window's results then cost a merge for each key
//! that has anything in it, and none for keys and slices that have not.
//!
//! Nothing is kept but slices that a window still needs. Without an allowed lateness those are the windows that are still to
//! come, and records that are in none of these are late. With one they are also the windows that have fired and are not over
//! for good: their slices are kept beside the open ones, and a record that goes into one of them has its windows fire again.
//! By the clock, all records of a batch come at one time, and nothing is late.
//!
//! What is asked once for an operator is not asked for each record: a batch goes one way in event time and another by the
//! clock, and the loop over records in time knows of open slices alone.
//!
//! # Layout
//! - `shape`: from timestamps to slices, and from slices to windows
//! - `slice`: one slice
//! - `placing`: the slices that there are, and where a record goes among them
//! - `taking`: records on their way into slices
//! - `closed`: slices that have closed, by key
//! - `history`: the slices of one key in sliding windows
//! - `due`: what a watermark or the clock sets off
//! - `late`: late records, in windows that have fired
//! - `clearing`: windows that are over for good
//! - `giving`: what is given out for a window of a key
//! - `given`: how far windows by the clock have been given out
//! - `snapshot`: what is stored of all that
//! - `numbered`: slices that are stored as one table

mod clearing;
mod closed;
mod due;
mod given;
mod giving;
mod history;
mod late;
mod numbered;
mod placing;
mod shape;
mod slice;
mod snapshot;
mod taking;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use flott_runtime::{
    batch::{Batch, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::{BackendTable, Progress, Spot, StateSize, States},
    task::TaskInfo,
    time::TimeDomain,
};

use self::{
    clearing::Clearing,
    closed::Past,
    due::{Cause, Firing},
    given::Given,
    placing::Slices,
    shape::Bound,
    slice::Slice,
};
use super::{
    fold::Fold,
    late::Late,
    process::Desk,
    window::{Emit, unstamped},
};
use crate::{
    function::{KeyedOpen, failed},
    plan::{KeyOf, Keys, Site},
    window::{Window, WindowOpen, WindowScopes},
};

pub(crate) use shape::Shape;

/// What the operator does. A prototype lives in the plan.
pub(crate) struct SliceSpec<T, F, E> {
    pub shape: Shape,
    /// The kind of time that windows end in.
    pub domain: TimeDomain,
    /// How long after its end a window takes records; 0 where windows end in processing time.
    pub lateness_ms: i64,
    /// What is kept per key and slice.
    pub fold: F,
    /// What is given out for it.
    pub emit: E,
    /// Where late records go.
    pub late: Late<T>,
}

impl<T, F: Clone, E: Clone> Clone for SliceSpec<T, F, E> {
    fn clone(&self) -> Self {
        let Self { shape, domain, lateness_ms, fold, emit, late } = self;
        let (fold, emit, late) = (fold.clone(), emit.clone(), late.clone());
        Self { shape: *shape, domain: *domain, lateness_ms: *lateness_ms, fold, emit, late }
    }
}

/// Windows of one shape, folded by key.
pub(crate) struct SliceWindows<K, T, W, F, E>
where
    F: Fold<K, T>,
    E: Emit<K, W, F::Bare>,
{
    keys_of: Arc<dyn KeyOf<T, K>>,
    fold: F,
    emit: E,
    keys: Keys<K>,
    spots: Vec<Spot>,
    domain: TimeDomain,
    slices: Slices<K, F::Value>,
    clearing: Clearing<K>,
    /// Given out, but not to the snapshot that has them.
    leaving: Vec<Slice<K, F::Value>>,
    closed_leaving: Option<BackendTable<K, Past<F::Value>>>,
    /// Slices before this one have been given to that snapshot, where all are one table.
    stored: Bound,
    /// Under which name that snapshot has closed slices.
    stored_closed: String,
    firing: Option<Firing<K, F::Value>>,
    /// Processing time, if windows may be due by it.
    clock: Option<Timestamp>,
    /// Of windows by the clock.
    given: Given,
    late: Late<T>,
    /// Those of the user, if what is given out has any.
    states: States<K>,
    scopes: WindowScopes<K, W>,
    desk: Desk<E::Out>,
}

impl<K, T, W, F, E> SliceWindows<K, T, W, F, E>
where
    K: Key,
    T: Data,
    W: Window,
    F: Fold<K, T>,
    E: Emit<K, W, F::Bare>,
{
    pub fn new(spec: SliceSpec<T, F, E>, keys_of: Arc<dyn KeyOf<T, K>>, site: &Site) -> Self {
        let SliceSpec { shape, domain, lateness_ms, fold, emit, late } = spec;
        Self {
            keys_of,
            fold,
            emit,
            keys: Keys::default(),
            spots: Vec::new(),
            domain,
            slices: Slices::new(shape, lateness_ms, &site.task.backend),
            clearing: Clearing::new(shape),
            leaving: Vec::new(),
            closed_leaving: None,
            stored: Bound::MIN,
            stored_closed: String::new(),
            firing: None,
            clock: None,
            given: Given::default(),
            late,
            states: States::default(),
            // Windows that merge are not the same for all keys.
            scopes: WindowScopes::new(false),
            desk: Desk::new(site),
        }
    }

    /// Has the task woken when the next window by the clock is due: when its last millisecond is over, as more records may
    /// come within it.
    fn set_alarm(&self) {
        if self.domain == TimeDomain::Processing
            && let Some(end) = self.slices.next
        {
            self.desk.task.alarm.set(self.slices.shape.last(end).saturating_add(1));
        }
    }

    /// Slices that are open, and keys that have anything in closed ones.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        let (Slices { open, kept, closed, next, .. }, clearing) = (&self.slices, &self.clearing);
        let expected = usize::from(next.is_some()) + usize::from(clearing.next.is_some());
        open.len() + kept.len() + closed.len() + clearing.len() + expected
    }
}

impl<K, T, W, F, E> Operator<T, E::Out> for SliceWindows<K, T, W, F, E>
where
    K: Key,
    T: Data,
    W: Window,
    F: Fold<K, T>,
    E: Emit<K, W, F::Bare>,
{
    fn restore(&mut self, from: &Restored) -> TaskResult {
        if E::STATEFUL {
            self.states.restore_from(from)?;
        }
        self.desk.restore(from)?;
        self.put_back(from)
    }

    fn open(&mut self, task: &Arc<TaskInfo>) -> TaskResult {
        let Self { slices, emit, states, scopes, .. } = self;
        if !slices.shape.is_tumbling() {
            slices.closed.table.prepare()?;
        }
        emit.open(&mut WindowOpen::new(KeyedOpen::new(states, task), scopes)).map_err(failed)?;
        self.set_alarm();
        Ok(())
    }

    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<E::Out>) -> TaskResult {
        if self.domain == TimeDomain::Processing {
            self.keys.take(&*self.keys_of, input);
            self.take_by_clock(input)?;
            self.set_alarm();
            return Ok(());
        }
        if !input.has_timestamps() {
            return Err(unstamped());
        }
        self.keys.take(&*self.keys_of, input);
        self.take(input, out)
    }

    fn event(&mut self, event: Event, out: &mut dyn Output<E::Out>) -> TaskResult {
        if let Event::Watermark(watermark) = event {
            if !self.desk.advance(watermark) {
                return Ok(());
            }
            if self.domain == TimeDomain::Event && self.is_due(watermark) {
                self.firing = Some(Firing::new(Cause::Watermark, watermark));
                return Ok(());
            }
        }
        out.event(event)
    }

    fn resume(&mut self, out: &mut dyn Output<E::Out>) -> TaskResult<Drained> {
        if self.firing.is_none() {
            self.firing = self.clock.take().map(|now| Firing::new(Cause::Clock, now.saturating_sub(1)));
        }
        let Some(firing) = self.firing.take() else { return Ok(Drained::All) };
        self.firing = self.step(firing, out)?;
        Ok(Drained::Some)
    }

    fn time(&mut self, now: Timestamp, _: &mut dyn Output<E::Out>) -> TaskResult {
        if self.domain == TimeDomain::Processing {
            self.clock = Some(now);
        }
        Ok(())
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        debug_assert!(self.firing.is_none(), "what is due is done before a barrier");
        if E::STATEFUL {
            into.states(&mut self.states)?;
        }
        self.begin_storing(into)?;
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        let states = if E::STATEFUL { into.more(&mut self.states.keyed)? } else { Progress::Done };
        if states == Progress::Done { self.store_more(into) } else { Ok(states) }
    }

    fn drain(&mut self, out: &mut dyn Output<E::Out>) -> TaskResult<Drained> {
        if self.domain == TimeDomain::Processing && self.firing.is_none() && self.slices.next.is_some() {
            self.firing = Some(Firing::new(Cause::End, Timestamp::MAX));
        }
        self.resume(out)
    }

    fn state_size(&self) -> StateSize {
        let leaving = self.leaving.iter().map(|slice| slice.table.len()).sum::<usize>();
        StateSize { keys: self.slices.len() + self.clearing.len() + leaving, timers: 0 } + self.states.keyed.size()
    }
}
