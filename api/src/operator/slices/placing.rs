//! The slices that there are, and where a record goes among them.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    state::HeapTable,
};

use super::{
    closed::{Closed, Past},
    shape::{Bound, Shape, SliceNo},
    slice::Slice,
};
use crate::window::Window;

/// Where a record goes.
pub(super) enum Place {
    /// Into an open slice.
    Open(usize),
    /// Into a slice that has closed, but is in windows still to come.
    Closed(SliceNo),
    /// Into none: all its windows have gone, or it lies between ones that have.
    Late,
    /// Into none: it lies between windows still to come.
    Between,
}

/// Slices of one shape, with what keys have in them.
pub(super) struct Slices<K, V> {
    pub shape: Shape,
    /// In order of their numbers.
    pub open: Vec<Slice<K, V>>,
    /// The one that was last used; most records are in the same.
    pub recent: usize,
    pub closed: Closed<K, V>,
    /// The end of the next window that has anything in it.
    pub next: Option<Bound>,
    /// Slices before this one have closed.
    pub fired: Bound,
    /// Keys of the last slice, for the room of the next.
    keys_before: usize,
}

impl<K: Key, V: Data> Slices<K, V> {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            open: Vec::new(),
            recent: 0,
            closed: Closed::new(!shape.is_cumulating()),
            next: None,
            fired: SliceNo::MIN.into(),
            keys_before: 0,
        }
    }

    /// Keys in all of them; one that is in several counts as often.
    pub fn len(&self) -> usize {
        self.open.iter().map(|slice| slice.table.len()).sum::<usize>() + self.closed.len()
    }

    /// Where a record of the time `at` goes, which is not in the slice that was last used.
    pub fn place(&mut self, at: Timestamp, watermark: Timestamp) -> Place {
        if let Some(found) = self.open.iter().rposition(|slice| slice.holds(at)) {
            self.recent = found;
            return Place::Open(found);
        }
        let number = self.shape.slice(at);
        let Some(end) = self.shape.first_end(number) else {
            return if at <= watermark { Place::Late } else { Place::Between };
        };
        if self.shape.last(self.shape.last_end(number.into())) <= watermark {
            return Place::Late;
        }
        // The windows before the watermark are over, whether or not there was anything in them.
        let end = end.max(self.shape.first_behind(watermark));
        self.expect(end);
        if Bound::from(number) < self.fired {
            return Place::Closed(number);
        }
        Place::Open(self.open_up(number))
    }

    /// The place of the open slice of what comes at the time `at`, before which no window has been given out that is over
    /// later; nothing if it lies between windows.
    pub fn place_by_clock(&mut self, at: Timestamp) -> Option<usize> {
        if let Some(found) = self.open.iter().rposition(|slice| slice.holds(at)) {
            return Some(found);
        }
        let number = self.shape.slice(at);
        self.expect(self.shape.first_end(number)?);
        Some(self.open_up(number))
    }

    /// The window with this end has something in it.
    fn expect(&mut self, end: Bound) {
        self.next = Some(self.next.map_or(end, |next| next.min(end)));
    }

    /// The place of the open slice of this number, which is made if it is not there.
    fn open_up(&mut self, number: SliceNo) -> usize {
        let place = of_number(&mut self.open, self.shape, number, self.keys_before);
        self.recent = place;
        place
    }

    /// The slice of this number among those that are open, which is made if it is not there.
    pub fn opened(&mut self, number: SliceNo) -> &mut Slice<K, V> {
        let place = of_number(&mut self.open, self.shape, number, 0);
        &mut self.open[place]
    }

    /// The window with this end.
    pub fn window<W: Window>(&self, end: Bound) -> TaskResult<W> {
        let (start, last) = (self.shape.begin(self.shape.start(end)), self.shape.last(end));
        W::of_span(start, last.saturating_add(1)).ok_or_else(no_span)
    }

    /// Whether a window is over with `watermark` that has not been given out.
    pub fn is_due(&self, watermark: Timestamp) -> bool {
        self.next.is_some_and(|end| self.shape.last(end) <= watermark)
    }

    /// Takes out the first of the open slices before `end`, if there are any.
    pub fn close_before(&mut self, end: Bound) -> Option<Slice<K, V>> {
        self.open.first().filter(|slice| Bound::from(slice.number) < end)?;
        let slice = self.open.remove(0);
        self.recent = self.recent.saturating_sub(1);
        self.keys_before = slice.table.len();
        Some(slice)
    }

    /// The window with this end has been given out. What closed slices had, if that is no longer needed.
    pub fn over(&mut self, end: Bound) -> Option<HeapTable<K, Past<V>>> {
        let cycle = self.shape.ends_cycle(end).then(|| self.closed.take());
        self.next = if self.closed.is_empty() {
            self.open.first().and_then(|slice| self.shape.first_end(slice.number))
        } else {
            Some(self.shape.next_end(end))
        };
        cycle
    }

    /// The end of the next window with anything in it, from what there is; those that are over with `until` have been given out.
    pub fn first_due(&self, until: Timestamp) -> Option<Bound> {
        let Self { shape, open, closed, .. } = self;
        let behind = shape.first_behind(until);
        let of = |number: SliceNo| {
            let first = shape.first_end(number)?;
            Some(if shape.is_tumbling() { first } else { first.max(behind) })
        };
        open.iter().map(|slice| slice.number).chain(closed.oldest()).filter_map(of).min()
    }
}

/// Where the slice of this number is in the list, which is made, with room for so many keys, if it is not there.
fn of_number<K: Key, V>(slices: &mut Vec<Slice<K, V>>, shape: Shape, number: SliceNo, keys: usize) -> usize {
    let place = slices.partition_point(|slice| slice.number < number);
    if slices.get(place).is_none_or(|slice| slice.number != number) {
        slices.insert(place, Slice::new(shape, number, keys));
    }
    place
}

#[cold]
fn no_span() -> Box<Failure> {
    let message = "an assigner says that its windows are aligned, but they are no spans of time (`Window::of_span`)";
    Box::new(Failure::user(message).fatal())
}
