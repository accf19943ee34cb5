//! Late records, in windows that have fired and take records still.
//!
//! Such a record goes into its slice, as any other. Each of its windows that has fired gives its result anew, with what the key has
//! in all slices of it; those that are still to come have what is in slices that have closed put together by key, where the record
//! is added too.

use std::{iter, vec::Drain};

use flott_runtime::{
    batch::{BATCH_RECORDS, Data, Key, Timestamp},
    error::TaskResult,
    output::Output,
    state::KeyHash,
};

use super::{
    SliceWindows,
    giving::give,
    history::History,
    placing::{Place, Slices},
    shape::{Bound, SliceNo},
};
use crate::{
    operator::{Fold, window::Emit},
    plan::Keys,
    window::{Window, WindowContext},
};

impl<K: Key, V: Data> Slices<K, V> {
    /// The ends of those windows of a kept slice that have fired and are not over for good.
    fn fired_windows(&self, number: SliceNo, watermark: Timestamp) -> impl Iterator<Item = Bound> + use<K, V> {
        let shape = self.shape;
        let last_end = shape.last_end(number.into());
        iter::successors(self.first_kept_end(number, watermark), move |end| Some(shape.next_end(*end)))
            .take_while(move |end| *end <= last_end && shape.last(*end) <= watermark)
    }

    /// Folds a record of `key` into a kept slice, and into what closed ones come to for windows that are still to come.
    fn add_late<T: Data, F: Fold<K, T, Value = V>>(
        &mut self,
        number: SliceNo,
        (hash, key): (KeyHash, &K),
        record: T,
        watermark: Timestamp,
        fold: &mut F,
    ) -> TaskResult {
        if self.shape.last(self.shape.last_end(number.into())) > watermark {
            let value = fold.first(record.clone());
            self.join_closed((hash, key), number, value, |a, b| fold.merge(a, b))?;
        }
        self.kept_mut(number).table.fold(hash, key, record, fold, F::first, F::add)
    }

    /// What `key` has in the kept slices from the place on that `from` says, up to `end`: adds it to `history`.
    fn gather(
        &mut self,
        from: &mut usize,
        end: Bound,
        (hash, key): (KeyHash, &K),
        history: &mut History<V>,
        mut merge: impl FnMut(&mut V, V),
    ) -> TaskResult {
        while let Some(slice) = self.kept.get_mut(*from).filter(|slice| Bound::from(slice.number) < end) {
            if let Some(value) = slice.table.find(hash, key)? {
                history.add(slice.number, value.clone(), &mut merge);
            }
            *from += 1;
        }
        Ok(())
    }
}

impl<K, T, W, F, E> SliceWindows<K, T, W, F, E>
where
    K: Key,
    T: Data,
    W: Window,
    F: Fold<K, T>,
    E: Emit<K, W, F::Bare>,
{
    /// Takes the records from the one of `keys` on that is at `from`, as long as they go into kept slices and what they give is not
    /// more than a batch. How many those were.
    #[cold]
    pub(super) fn take_late(
        &mut self,
        from: usize,
        timestamps: &[Timestamp],
        keys: &Keys<K>,
        records: &mut Drain<'_, T>,
        out: &mut dyn Output<E::Out>,
    ) -> TaskResult<usize> {
        let Self { slices, clearing, fold, emit, states, desk, .. } = self;
        let watermark = desk.watermark;
        let mut at = from;
        desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
            let mut ctx = WindowContext::new(ctx);
            while ctx.given() < BATCH_RECORDS
                && let Some(time) = timestamps.get(at)
                && let Place::Kept(number) = slices.place(*time, watermark)
                && let Some(record) = records.next()
            {
                let key = (keys.hashes[at], &keys.keys[at]);
                at += 1;
                slices.add_late(number, key, record, watermark, fold)?;
                if E::STATEFUL
                    && let Some(end) = slices.first_kept_end(number, watermark)
                {
                    clearing.add(number, key, end)?;
                }
                let mut history = History::default();
                let mut ends = slices.fired_windows(number, watermark).peekable();
                let first = ends.peek().map(|end| slices.shape.start(*end));
                let mut place = first.map_or(0, |start| slices.kept_from(start));
                for end in ends {
                    slices.gather(&mut place, end, key, &mut history, |a, b| fold.merge(a, b))?;
                    let value = history.window(slices.shape.starts(end), |a, b| fold.merge(a, b));
                    let window = slices.window::<W>(end)?;
                    ctx.set_timestamp(Some(window.max_timestamp()));
                    if let Some(value) = value {
                        give(emit, key.1, &window, fold.bare(&value), &mut ctx)?;
                    }
                }
            }
            ctx.flush()
        })?;
        Ok(at - from)
    }
}
