//! What is stored of slices.
//!
//! What keys have in a slice is stored with its number, and what they had in closed slices of sliding windows as it is. In
//! cumulating windows, what a key has had since its cycle began is stored as if it lay in the first slice of the cycle: it
//! takes part in the same windows. Which window is next is not stored; it follows from the watermark and from what there is.

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    snapshot::{Restored, StateSink},
    state::{FoldTable, KeyHash, Spread},
};

use super::{
    Slice, SliceWindows,
    closed::Past,
    history::History,
    shape::{Shape, SliceNo},
};
use crate::{
    operator::{Fold, window::Emit},
    window::Window,
};

const SHAPE: &str = "windows";
const SLICES: &str = "slices";
const HISTORIES: &str = "closed slices";

/// An empty slice for the records of number `number`.
pub(super) fn slice<K: Key, V>(shape: Shape, number: SliceNo, keys: usize) -> Slice<K, V> {
    let (begin, last) = (shape.begin(number), shape.last(number.saturating_add(1)));
    Slice { number, begin, last, table: FoldTable::with_capacity(keys) }
}

impl<K, T, W, F, E> SliceWindows<K, T, W, F, E>
where
    K: Key,
    T: Data,
    W: Window,
    F: Fold<K, T>,
    E: Emit<K, W, F::Bare>,
{
    pub(super) fn store(&self, into: &mut StateSink<'_>) -> TaskResult {
        let open = self
            .open
            .iter()
            .flat_map(|slice| slice.table.iter().map(|(key, value)| (KeyHash::of(key), (slice.number, key, value))));
        // Something of a cycle is closed only when a window of it is over; that was the last one.
        let cycle = self.shape.start(self.fired);
        let cumulated = self.closed.iter().filter_map(|(hash, key, past)| match past {
            Past::Whole(value) => Some((hash, (cycle, key, value))),
            Past::Sliding(_) => None,
        });
        into.own_elements(SHAPE, Spread::Union, std::iter::once(self.shape))?;
        into.own(SLICES, open.chain(cumulated))?;
        let histories = self.closed.iter().filter_map(|(hash, key, past)| match past {
            Past::Sliding(history) => Some((hash, (key, history))),
            Past::Whole(_) => None,
        });
        into.own(HISTORIES, histories)
    }

    /// Puts back what was stored; the watermark has been.
    pub(super) fn put_back(&mut self, from: &Restored) -> TaskResult {
        let Self { shape, fold, open, closed, .. } = self;
        let (mut same, mut sound) = (true, true);
        from.own_elements(SHAPE, |stored: Shape| same &= stored == *shape)?;
        if !same {
            let message = "the windows of the snapshot have another kind, size or offset than those of the program";
            return Err(Box::new(Failure::user(message).fatal()));
        }
        from.own(SLICES, |(number, key, value): (SliceNo, K, F::Value)| {
            let place = open.partition_point(|open| open.number < number);
            if open.get(place).is_none_or(|open| open.number != number) {
                open.insert(place, slice(*shape, number, 0));
            }
            let hash = KeyHash::of(&key);
            open[place].table.fold(hash, key, value, fold, |_, value| value, F::merge);
        })?;
        from.own(HISTORIES, |(key, history): (K, History<F::Value>)| {
            sound &= history.is_sound();
            closed.put(KeyHash::of(&key), key, history);
        })?;
        if !sound {
            return Err(Box::new(Failure::user("slices of the snapshot are not in order").fatal()));
        }
        self.next = self.first_due();
        Ok(())
    }

    /// The end of the next window with anything in it, from what there is.
    fn first_due(&self) -> Option<SliceNo> {
        let Self { shape, open, closed, desk, .. } = self;
        // Windows before this one are over.
        let behind = match desk.watermark {
            Timestamp::MIN => SliceNo::MIN,
            watermark => shape.next_end(shape.slice(watermark.saturating_add(1))),
        };
        let of = |number: SliceNo| {
            let first = shape.first_end(number)?;
            Some(if shape.is_tumbling() { first } else { first.max(behind) })
        };
        let closed = closed.iter().filter_map(|(_, _, past)| match past {
            Past::Sliding(history) => history.first().and_then(of),
            Past::Whole(_) => None,
        });
        open.iter().filter_map(|slice| of(slice.number)).chain(closed).min()
    }
}
