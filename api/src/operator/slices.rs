//! Aligned windows in event time, by slices that they share.
//!
//! Each record is folded into one slice, whatever the number of windows that the slice is in, so a record costs one
//! look-up in the slice's table. A tumbling window is a slice: when the watermark passes its end, the table is given out
//! and dropped. In sliding and cumulating windows, what keys have in a slice joins what they had in those before it when
//! the first window that ends behind it is due (see [`history`]); a window's results then cost a merge for each key
//! that has anything in it, and none for keys and slices that have not.
//!
//! Nothing is kept but slices that a window still needs. Records none of whose windows is still to come are late.
//!
//! # Layout
//! - `shape`: from timestamps to slices, and from slices to windows
//! - `history`: the slices of one key in sliding windows
//! - `closed`: slices that have closed, by key
//! - `snapshot`: what is stored of all that

mod closed;
mod history;
mod shape;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{marker::PhantomData, sync::Arc};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Operator, Output},
    snapshot::{Restored, StateSink},
    state::{FoldTable, HeapTable, KeyHash, Progress, Spot, StateSize, States},
};

use self::{
    closed::{Closed, Past},
    shape::{Bound, SliceNo},
};
use super::{
    fold::Fold,
    folding::TOGETHER,
    process::Desk,
    window::{Emit, LATE_RECORDS_DROPPED, unstamped},
};
use crate::{
    function::{OutputTag, failed},
    plan::{KeyOf, Keys, Site},
    window::{Window, WindowContext},
};

pub(crate) use shape::Shape;

/// What the operator does. A prototype lives in the plan.
pub(crate) struct SliceSpec<T, F, E> {
    pub shape: Shape,
    /// What is kept per key and slice.
    pub fold: F,
    /// What is given out for it. Its states are not used: windows are not known before they are due.
    pub emit: E,
    /// Where late records go.
    pub late: Option<OutputTag<T>>,
}

impl<T, F: Clone, E: Clone> Clone for SliceSpec<T, F, E> {
    fn clone(&self) -> Self {
        let Self { shape, fold, emit, late } = self;
        Self { shape: *shape, fold: fold.clone(), emit: emit.clone(), late: late.clone() }
    }
}

struct Slice<K, V> {
    number: SliceNo,
    begin: Timestamp,
    /// Its last millisecond.
    last: Timestamp,
    table: FoldTable<K, V>,
}

/// Where a record goes.
enum Place {
    /// Into an open slice.
    Open(usize),
    /// Into a slice that has closed, but is in windows still to come.
    Closed(SliceNo),
    /// Into none: all its windows have gone, or it lies between ones that have.
    Late,
    /// Into none: it lies between windows still to come.
    Between,
}

/// What a slice has that is given out.
enum Contents<K, V> {
    /// Taken out one after the other.
    Taken(Box<dyn Iterator<Item = (K, V)> + Send>),
    /// Looked at, from `place` on, since a snapshot has not been given all of it.
    Seen { slice: Slice<K, V>, place: usize },
}

/// The work that a watermark has set off.
enum Stage<K, V> {
    /// Whatever is due next.
    Next,
    /// What the slice has joins what those before it had, for the window with this end.
    Close { slice: SliceNo, contents: Contents<K, V>, end: Bound },
    /// Results of the window with this end, of the keys from `place` on.
    Walk { end: Bound, place: usize },
    /// Results of the slice that is the window with this end.
    Tumble { end: Bound, contents: Contents<K, V> },
}

/// Windows of one shape, folded by key.
pub(crate) struct SliceWindows<K, T, W, F, E>
where
    F: Fold<K, T>,
    E: Emit<K, W, F::Bare>,
{
    shape: Shape,
    keys_of: Arc<dyn KeyOf<T, K>>,
    fold: F,
    emit: E,
    keys: Keys<K>,
    spots: Vec<Spot>,
    /// In order of their numbers.
    open: Vec<Slice<K, F::Value>>,
    /// The one that was last used; most records are in the same.
    recent: usize,
    closed: Closed<K, F::Value>,
    /// Given out, but not to the snapshot that has them.
    leaving: Vec<Slice<K, F::Value>>,
    closed_leaving: Option<HeapTable<K, Past<F::Value>>>,
    /// Under which name that snapshot has closed slices.
    stored_closed: String,
    /// The end of the next window that has anything in it.
    next: Option<Bound>,
    /// Slices before this one have closed.
    fired: Bound,
    firing: Option<(Timestamp, Stage<K, F::Value>)>,
    /// Keys of the last slice, for the room of the next.
    keys_before: usize,
    late: Option<OutputTag<T>>,
    /// None: only contexts need them.
    states: States<K>,
    desk: Desk<E::Out>,
    window: PhantomData<fn() -> W>,
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
        let SliceSpec { shape, fold, emit, late } = spec;
        Self {
            shape,
            keys_of,
            fold,
            emit,
            keys: Keys::default(),
            spots: Vec::new(),
            open: Vec::new(),
            recent: 0,
            closed: Closed::new(!shape.is_cumulating()),
            leaving: Vec::new(),
            closed_leaving: None,
            stored_closed: String::new(),
            next: None,
            fired: SliceNo::MIN.into(),
            firing: None,
            keys_before: 0,
            late,
            states: States::default(),
            desk: Desk::new(site),
            window: PhantomData,
        }
    }

    /// Slices that are open, and keys that have anything in closed ones.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.open.len() + self.closed.len() + usize::from(self.next.is_some())
    }

    fn place(&mut self, at: Timestamp) -> Place {
        let holds = |slice: &Slice<K, F::Value>| slice.begin <= at && at <= slice.last;
        if let Some(found) = self.open.iter().rposition(holds) {
            self.recent = found;
            return Place::Open(found);
        }
        let number = self.shape.slice(at);
        let watermark = self.desk.watermark;
        let Some(end) = self.shape.first_end(number) else {
            return if at <= watermark { Place::Late } else { Place::Between };
        };
        if self.shape.last(self.shape.last_end(number.into())) <= watermark {
            return Place::Late;
        }
        // The windows before the watermark are over, whether or not there was anything in them.
        let end = end.max(self.first_behind(watermark));
        self.next = Some(self.next.map_or(end, |next| next.min(end)));
        if Bound::from(number) < self.fired {
            return Place::Closed(number);
        }
        let found = self.open.partition_point(|open| open.number < number);
        if self.open.get(found).is_none_or(|open| open.number != number) {
            self.open.insert(found, snapshot::slice(self.shape, number, self.keys_before));
        }
        self.recent = found;
        Place::Open(found)
    }

    /// The end of the first window that is not over by `watermark`.
    fn first_behind(&self, watermark: Timestamp) -> Bound {
        // One that ends with the last millisecond is over with it, and not before.
        let next = watermark.saturating_add(1).min(Timestamp::MAX - 1);
        self.shape.next_end(self.shape.slice(next).into())
    }

    /// Takes a batch apart into runs of records that go to one place.
    fn take(&mut self, input: &mut Batch<T>, out: &mut dyn Output<E::Out>) -> TaskResult {
        let timestamps = std::mem::take(&mut input.timestamps);
        let keys = std::mem::take(&mut self.keys);
        let mut records = input.records.drain(..);
        let mut from = 0;
        while let Some(&at) = timestamps.get(from) {
            let place = match self.open.get(self.recent) {
                Some(slice) if slice.begin <= at && at <= slice.last => Place::Open(self.recent),
                _ => self.place(at),
            };
            let mut run = 1;
            match place {
                Place::Open(index) => {
                    let Slice { begin, last, table, .. } = &mut self.open[index];
                    run = timestamps[from..].iter().take_while(|at| *begin <= **at && **at <= *last).count();
                    let (hashes, keys) = (&keys.hashes[from..from + run], &keys.keys[from..from + run]);
                    for (hashes, keys) in hashes.chunks(TOGETHER).zip(keys.chunks(TOGETHER)) {
                        self.spots.clear();
                        table.locate(hashes, keys.iter(), &mut self.spots);
                        let found = self.spots.iter().zip(hashes).zip(keys);
                        for (((spot, hash), key), record) in found.zip(records.by_ref()) {
                            match table.at(*spot) {
                                Some((_, value)) => self.fold.add(value, record),
                                None => {
                                    table.fold(*hash, key.clone(), record, &mut self.fold, F::first, F::add);
                                }
                            }
                        }
                    }
                }
                Place::Closed(number) => {
                    if let Some(record) = records.next() {
                        let Self { fold, closed, .. } = self;
                        let value = fold.first(record);
                        closed.add(keys.hashes[from], &keys.keys[from], number, value, |a, b| fold.merge(a, b));
                    }
                }
                Place::Late => {
                    if let Some(record) = records.next() {
                        self.late(record, at, out)?;
                    }
                }
                Place::Between => drop(records.next()),
            }
            from += run;
        }
        drop(records);
        input.timestamps = timestamps;
        input.timestamps.clear();
        self.keys = keys;
        Ok(())
    }

    #[cold]
    fn late(&mut self, record: T, at: Timestamp, out: &mut dyn Output<E::Out>) -> TaskResult {
        let late = &self.late;
        self.desk.with(&mut self.states.operator.lists, out, |mut ctx| {
            match late {
                Some(tag) => {
                    ctx.set_timestamp(Some(at));
                    ctx.emit_to(tag, record).map_err(failed)?;
                }
                None => ctx.add_to(LATE_RECORDS_DROPPED, 1),
            }
            ctx.flush()
        })
    }

    /// The window with this end.
    fn window(&self, end: Bound) -> TaskResult<W> {
        let (start, last) = (self.shape.begin(self.shape.start(end)), self.shape.last(end));
        W::of_span(start, last.saturating_add(1)).ok_or_else(no_span)
    }

    /// The stage that comes after the slices before `end` have been dealt with, one at a time.
    fn close(&mut self, end: Bound) -> Stage<K, F::Value> {
        if self.open.first().is_some_and(|slice| Bound::from(slice.number) < end) {
            let slice = self.open.remove(0);
            self.recent = self.recent.saturating_sub(1);
            self.keys_before = slice.table.len();
            let number = slice.number;
            let contents = match slice.table.is_giving() {
                true => Contents::Seen { slice, place: 0 },
                false => Contents::Taken(Box::new(slice.table.into_entries())),
            };
            if self.shape.is_tumbling() {
                return Stage::Tumble { end, contents };
            }
            return Stage::Close { slice: number, contents, end };
        }
        Stage::Walk { end, place: 0 }
    }

    /// What was given out stays for a snapshot that has not been given all of it.
    fn leave(&mut self, contents: Contents<K, F::Value>) {
        if let Contents::Seen { slice, .. } = contents
            && slice.table.is_giving()
        {
            self.leaving.push(slice);
        }
    }

    /// The window with this end is over.
    fn over(&mut self, end: Bound) {
        if self.shape.is_cumulating() && self.shape.last_end(end - 1) == end {
            let cycle = self.closed.take();
            if cycle.is_giving() {
                self.closed_leaving = Some(cycle);
            }
        }
        self.next = if self.closed.is_empty() {
            self.open.first().and_then(|slice| self.shape.first_end(slice.number))
        } else {
            Some(self.shape.next_end(end))
        };
    }

    /// Does some of the work of a stage.
    fn step(
        &mut self,
        watermark: Timestamp,
        stage: Stage<K, F::Value>,
        out: &mut dyn Output<E::Out>,
    ) -> TaskResult<Option<Stage<K, F::Value>>> {
        match stage {
            Stage::Next => {
                let due = self.next.filter(|end| self.shape.last(*end) <= watermark);
                let Some(end) = due else {
                    out.event(Event::Watermark(watermark))?;
                    return Ok(None);
                };
                self.fired = self.fired.max(end);
                Ok(Some(self.close(end)))
            }
            Stage::Close { slice, mut contents, end } => {
                let Self { fold, closed, .. } = self;
                let mut add = |key: &K, value| {
                    closed.add(KeyHash::of(key), key, slice, value, |a, b| fold.merge(a, b));
                };
                match &mut contents {
                    Contents::Taken(entries) => {
                        entries.by_ref().take(BATCH_RECORDS).for_each(|(key, value)| add(&key, value));
                    }
                    Contents::Seen { slice, place } => {
                        let some = slice.table.iter_from(*place).take(BATCH_RECORDS);
                        some.for_each(|(key, value)| add(key, value.clone()));
                        *place += BATCH_RECORDS;
                    }
                }
                if contents.has_more() {
                    return Ok(Some(Stage::Close { slice, contents, end }));
                }
                self.leave(contents);
                Ok(Some(self.close(end)))
            }
            Stage::Walk { end, place } => {
                let (window, start) = (self.window(end)?, self.shape.start(end));
                let Self { fold, emit, closed, states, desk, .. } = self;
                let mut on = None;
                desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
                    let mut ctx = WindowContext::new(ctx);
                    ctx.set_timestamp(Some(window.max_timestamp()));
                    on = closed.window((place, BATCH_RECORDS), start, fold, F::merge, |fold, key, value| {
                        emit.emit(key, &window, fold.bare(&value), &mut ctx).map_err(failed)
                    })?;
                    ctx.flush()
                })?;
                if let Some(place) = on {
                    return Ok(Some(Stage::Walk { end, place }));
                }
                self.over(end);
                Ok(Some(Stage::Next))
            }
            Stage::Tumble { end, mut contents } => {
                let window = self.window(end)?;
                let Self { fold, emit, states, desk, .. } = self;
                desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
                    let mut ctx = WindowContext::new(ctx);
                    ctx.set_timestamp(Some(window.max_timestamp()));
                    let mut give =
                        |key: &K, value: &F::Value| emit.emit(key, &window, fold.bare(value), &mut ctx).map_err(failed);
                    match &mut contents {
                        Contents::Taken(entries) => {
                            entries.by_ref().take(BATCH_RECORDS).try_for_each(|(key, value)| give(&key, &value))?;
                        }
                        Contents::Seen { slice, place } => {
                            let mut some = slice.table.iter_from(*place).take(BATCH_RECORDS);
                            some.try_for_each(|(key, value)| give(key, value))?;
                            *place += BATCH_RECORDS;
                        }
                    }
                    ctx.flush()
                })?;
                if contents.has_more() {
                    return Ok(Some(Stage::Tumble { end, contents }));
                }
                self.leave(contents);
                self.over(end);
                Ok(Some(Stage::Next))
            }
        }
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
        self.desk.restore(from)?;
        self.put_back(from)
    }

    fn process(&mut self, input: &mut Batch<T>, out: &mut dyn Output<E::Out>) -> TaskResult {
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
            if self.next.is_some_and(|end| self.shape.last(end) <= watermark) {
                self.firing = Some((watermark, Stage::Next));
                return Ok(());
            }
        }
        out.event(event)
    }

    fn resume(&mut self, out: &mut dyn Output<E::Out>) -> TaskResult<Drained> {
        let Some((watermark, stage)) = self.firing.take() else { return Ok(Drained::All) };
        self.firing = self.step(watermark, stage, out)?.map(|stage| (watermark, stage));
        Ok(Drained::Some)
    }

    fn snapshot(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        debug_assert!(self.firing.is_none(), "what a watermark has set off is done before a barrier");
        self.begin_storing(into)?;
        self.desk.snapshot(into)
    }

    fn snapshot_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        self.store_more(into)
    }

    fn finish(&mut self, out: &mut dyn Output<E::Out>) -> TaskResult {
        self.desk.finish(&mut self.states.operator.lists, out, |_| Ok(()))
    }

    fn state_size(&self) -> StateSize {
        let slices = self.open.iter().chain(&self.leaving).map(|slice| slice.table.len());
        StateSize { keys: slices.sum::<usize>() + self.closed.len(), timers: 0 }
    }
}

impl<K: Key, V> Contents<K, V> {
    fn has_more(&self) -> bool {
        match self {
            Self::Taken(entries) => entries.size_hint().0 > 0,
            Self::Seen { slice, place } => *place < slice.table.len(),
        }
    }
}

#[cold]
fn no_span() -> Box<Failure> {
    let message = "an assigner says that its windows are aligned, but they are no spans of time (`Window::of_span`)";
    Box::new(Failure::user(message).fatal())
}
