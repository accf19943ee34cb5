//! The slices that there are, and where a record goes among them.

use std::collections::{BTreeSet, VecDeque};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    state::{Backend, BackendTable, Cursor, KeyHash},
};

use super::{
    closed::{Closed, Past},
    shape::{Bound, Shape, SliceNo},
    slice::Slice,
};
use crate::{operator::Fold, window::Window};

/// Where a record goes.
pub(super) enum Place {
    /// Into an open slice.
    Open(usize),
    /// Into a slice that has closed, but is in windows still to come.
    Closed(SliceNo),
    /// Into a slice of windows that have fired, and take late records still.
    Kept(SliceNo),
    /// Into none: all its windows have gone, or it lies between ones that have.
    Late,
    /// Into none: it lies between windows still to come.
    Between,
}

/// Slices of one shape, with what keys have in them.
pub(super) struct Slices<K, V> {
    pub shape: Shape,
    /// How long after its end a window takes records.
    lateness_ms: i64,
    /// In order of their numbers; no window of these has fired.
    pub open: VecDeque<Slice<K, V>>,
    /// The one that was last used; most records are in the same.
    pub recent: usize,
    /// In order of their numbers: those of windows that have fired, as long as any takes late records.
    pub kept: VecDeque<Slice<K, V>>,
    pub closed: Closed<K, V>,
    /// The end of the next window that has anything in it.
    pub next: Option<Bound>,
    /// Slices before this one have closed.
    pub fired: Bound,
    /// Keys of the last slice, for the room of the next.
    keys_before: usize,
    backend: Backend,
}

impl<K: Key, V: Data> Slices<K, V> {
    pub fn new(shape: Shape, lateness_ms: i64, backend: &Backend) -> Self {
        Self {
            shape,
            lateness_ms,
            open: VecDeque::new(),
            recent: 0,
            kept: VecDeque::new(),
            closed: Closed::new(!shape.is_cumulating(), backend),
            next: None,
            fired: SliceNo::MIN.into(),
            keys_before: 0,
            backend: backend.clone(),
        }
    }

    /// Keys in all of them; one that is in several counts as often.
    pub fn len(&self) -> usize {
        self.open.iter().chain(&self.kept).map(|slice| slice.table.len()).sum::<usize>() + self.closed.len()
    }

    /// Whether slices are kept when their windows have fired.
    pub fn keeps(&self) -> bool {
        self.lateness_ms > 0
    }

    /// How long after its end a window takes records, in milliseconds.
    pub fn lateness_ms(&self) -> i64 {
        self.lateness_ms
    }

    /// The watermark with which the window with this end takes no more records.
    pub fn over_at(&self, end: Bound) -> Timestamp {
        self.shape.last(end).saturating_add(self.lateness_ms)
    }

    /// Where a record of the time `at` goes, which is not in the slice that was last used.
    pub fn place(&mut self, at: Timestamp, watermark: Timestamp) -> Place {
        if let Some(found) = self.open_at(at) {
            self.recent = found;
            return Place::Open(found);
        }
        let number = self.shape.slice(at);
        let Some(end) = self.shape.first_end(number) else {
            return if at.saturating_add(self.lateness_ms) <= watermark { Place::Late } else { Place::Between };
        };
        let last_end = self.shape.last_end(number.into());
        if self.over_at(last_end) <= watermark {
            return Place::Late;
        }
        if self.shape.last(last_end) > watermark {
            // The windows before the watermark have fired, whether or not there was anything in them.
            self.expect(end.max(self.shape.first_behind(watermark)));
        }
        if self.keeps() && self.shape.last(end) <= watermark {
            return Place::Kept(number);
        }
        if Bound::from(number) < self.fired {
            return Place::Closed(number);
        }
        Place::Open(self.open_up(number))
    }

    /// The place of the open slice of what comes at the time `at`, before which no window has been given out that is over
    /// later; nothing if it lies between windows.
    pub fn place_by_clock(&mut self, at: Timestamp) -> Option<usize> {
        if let Some(found) = self.open_at(at) {
            return Some(found);
        }
        let number = self.shape.slice(at);
        self.expect(self.shape.first_end(number)?);
        Some(self.open_up(number))
    }

    /// The place of the open slice that `at` is in, if it is there.
    fn open_at(&self, at: Timestamp) -> Option<usize> {
        let place = self.open.partition_point(|slice| slice.begin <= at).checked_sub(1)?;
        self.open.get(place)?.holds(at).then_some(place)
    }

    /// The window with this end has something in it.
    fn expect(&mut self, end: Bound) {
        self.next = Some(self.next.map_or(end, |next| next.min(end)));
    }

    /// Adds what `key` has in a slice that has closed to what it has in others.
    pub fn join_closed(
        &mut self,
        key: (KeyHash, &K),
        number: SliceNo,
        value: V,
        merge: impl FnMut(&mut V, V),
    ) -> TaskResult {
        let start = self.next_start();
        self.closed.add(key, number, value, start, merge)
    }

    /// No window that is still to come begins before this.
    pub fn next_start(&self) -> Bound {
        self.next.map_or(Bound::MIN, |next| self.shape.start(next))
    }

    /// The place of the open slice of this number, which is made if it is not there.
    fn open_up(&mut self, number: SliceNo) -> usize {
        let place = self.place_opened(number, self.keys_before);
        self.recent = place;
        place
    }

    /// Where the slice of this number is among those that are open, which is made, with room for so many keys, if it is not there.
    fn place_opened(&mut self, number: SliceNo, keys: usize) -> usize {
        let place = self.open.partition_point(|slice| slice.number < number);
        if self.open.get(place).is_none_or(|slice| slice.number != number) {
            self.open.insert(place, Slice::new(self.shape, number, keys, &self.backend));
        }
        place
    }

    /// The slice of this number among those that are open, which is made if it is not there.
    pub fn opened(&mut self, number: SliceNo) -> &mut Slice<K, V> {
        let place = self.place_opened(number, 0);
        &mut self.open[place]
    }

    /// The window with this end.
    pub fn window<W: Window>(&self, end: Bound) -> TaskResult<W> {
        let (start, last) = (self.shape.begin(self.shape.start(end)), self.shape.last(end));
        W::of_span(start, last.saturating_add(1)).ok_or_else(no_span)
    }

    /// The kept slice of this number, which is made if it is not there.
    pub fn kept_mut(&mut self, number: SliceNo) -> &mut Slice<K, V> {
        let place = self.kept_from(number.into());
        if self.kept.get(place).is_none_or(|slice| slice.number != number) {
            self.kept.insert(place, Slice::new(self.shape, number, 0, &self.backend));
        }
        &mut self.kept[place]
    }

    /// Where kept slices from this one on begin.
    pub fn kept_from(&self, number: Bound) -> usize {
        self.kept.partition_point(|slice| Bound::from(slice.number) < number)
    }

    /// Slices from this one on, in order. Those that are kept are before those that are open.
    pub fn slices_from(&mut self, number: Bound) -> impl Iterator<Item = &mut Slice<K, V>> {
        let kept = self.kept_from(number);
        let open = self.open.partition_point(|slice| Bound::from(slice.number) < number);
        self.kept.range_mut(kept..).chain(self.open.range_mut(open..))
    }

    /// Keeps a slice that has closed.
    pub fn keep(&mut self, slice: Slice<K, V>) {
        let place = self.kept_from(slice.number.into());
        self.kept.insert(place, slice);
    }

    /// Whether all windows of this slice take no more records at `watermark`.
    pub fn is_over(&self, number: SliceNo, watermark: Timestamp) -> bool {
        self.is_over_after(number, (self.lateness_ms, watermark))
    }

    /// The same, were the lateness another, in milliseconds.
    pub fn is_over_after(&self, number: SliceNo, (lateness_ms, watermark): (i64, Timestamp)) -> bool {
        self.shape.last(self.shape.last_end(number.into())).saturating_add(lateness_ms) <= watermark
    }

    /// Whether there are slices that need not be kept any more.
    pub fn can_forget(&self, watermark: Timestamp) -> bool {
        self.kept.front().is_some_and(|slice| self.is_over(slice.number, watermark))
    }

    /// Takes out a slice that need not be kept any more.
    pub fn forget(&mut self, watermark: Timestamp) -> Option<Slice<K, V>> {
        if self.can_forget(watermark) { self.kept.pop_front() } else { None }
    }

    /// The end of the first window that a kept slice is in and that takes records still.
    pub fn first_kept_end(&self, number: SliceNo, watermark: Timestamp) -> Option<Bound> {
        let first = self.shape.first_end(number)?;
        // None is over where all time before it is none.
        let over = watermark.checked_sub(self.lateness_ms);
        Some(over.map_or(first, |over| first.max(self.shape.first_behind(over))))
    }

    /// Takes out the first of the open slices before `end`, if there are any.
    pub fn close_before(&mut self, end: Bound) -> Option<Slice<K, V>> {
        let slice = self.open.pop_front_if(|slice| Bound::from(slice.number) < end)?;
        self.recent = self.recent.saturating_sub(1);
        self.keys_before = slice.table.len();
        Some(slice)
    }

    /// The window with this end has been given out. What closed slices had, if that is no longer needed.
    pub fn over(&mut self, end: Bound) -> Option<BackendTable<K, Past<V>>> {
        let cycle = self.shape.ends_cycle(end).then(|| self.closed.take());
        self.next = if self.closed.is_empty() {
            self.open.front().and_then(|slice| self.shape.first_end(slice.number))
        } else {
            Some(self.shape.next_end(end))
        };
        cycle
    }

    /// All slices that there are were put back as open ones; makes of them what has become of them by `until`. False if they cannot
    /// have come about.
    ///
    /// # Errors
    /// When the backend cannot read or take them.
    pub fn settle<T, F: Fold<K, T, Value = V>>(&mut self, until: Timestamp, fold: &mut F) -> TaskResult<bool> {
        let Some(mut oldest) = self.closed.oldest()? else { return Ok(false) };
        for mut slice in std::mem::take(&mut self.open) {
            let number = slice.number;
            // One that is empty is of key groups of other subtasks.
            if slice.table.is_empty() || self.is_over(number, until) {
                continue;
            }
            let has_fired = self.shape.first_end(number).is_some_and(|end| self.shape.last(end) <= until);
            if !self.keeps() || !has_fired {
                self.open.push_back(slice);
                continue;
            }
            if self.shape.last(self.shape.last_end(number.into())) > until {
                slice.table.walk(&mut Cursor::default(), usize::MAX, |key, value| {
                    let key = (KeyHash::of(key), key);
                    self.closed.add(key, number, value.clone(), Bound::MIN, |a, b| fold.merge(a, b))
                })?;
                oldest.insert(number);
            }
            self.kept.push_back(slice);
        }
        self.next = self.first_due(until, oldest);
        Ok(true)
    }

    /// The end of the next window with anything in it, from what there is; those that are over with `until` have been given out.
    fn first_due(&self, until: Timestamp, closed: BTreeSet<SliceNo>) -> Option<Bound> {
        let Self { shape, open, .. } = self;
        let behind = shape.first_behind(until);
        let of = |number: SliceNo| {
            let first = shape.first_end(number)?;
            Some(if shape.is_tumbling() { first } else { first.max(behind) })
        };
        // Only where slices are kept do closed ones come back as what they have come to.
        let kept = (self.keeps() && !self.closed.is_empty()).then_some(behind);
        open.iter().map(|slice| slice.number).chain(closed).filter_map(of).chain(kept).min()
    }
}

#[cold]
fn no_span() -> Box<Failure> {
    let message = "an assigner says that its windows are aligned, but they are no spans of time (`Window::of_span`)";
    Box::new(Failure::user(message).fatal())
}
