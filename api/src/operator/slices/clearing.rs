//! Windows that are over for good: those whose lateness has passed.
//!
//! A function with state is told of each when it is over for a key, and what it keeps for it is dropped. Which keys have a window
//! is found out as what they have in it is, but as late as windows are over: slices join those before them, with nothing of them
//! but the keys.
//!
//! None of this is stored: it is made of the slices that are kept, of which there are all that it takes.

use flott_runtime::{
    batch::{BATCH_RECORDS, Data, Key},
    error::TaskResult,
    output::Output,
    state::{Backend, Cursor, KeyHash, Progress},
};

use super::{
    SliceWindows,
    closed::Closed,
    giving::{KEYS_MAX, KEYS_TOGETHER, clear},
    placing::Slices,
    shape::{Bound, Shape, SliceNo},
    slice::Slice,
};
use crate::{
    operator::{Fold, window::Emit},
    window::{Window, WindowContext},
};

/// The keys of windows that have fired. Without a function to be told of them there are none.
pub(super) struct Clearing<K> {
    /// Those of slices before `joined` that windows to be cleared have.
    keys: Closed<K, ()>,
    joined: Bound,
    /// The end of the next window to be cleared.
    pub next: Option<Bound>,
}

impl<K: Key> Clearing<K> {
    pub fn new(shape: Shape) -> Self {
        Self { keys: Closed::new(!shape.is_cumulating(), &Backend::Heap), joined: SliceNo::MIN.into(), next: None }
    }

    /// Keys that it remembers.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The window with this end has something in it.
    pub fn expect(&mut self, end: Bound) {
        self.next = Some(self.next.map_or(end, |next| next.min(end)));
    }

    /// A late record of a key has come into a slice; the first of its windows that is not over has this end.
    pub fn add(&mut self, number: SliceNo, key: (KeyHash, &K), end: Bound) -> TaskResult {
        self.expect(end);
        if Bound::from(number) < self.joined {
            self.keys.add(key, number, (), Bound::MIN, |(), ()| ())?;
        }
        Ok(())
    }

    /// The place of the next kept slice before `end` whose keys have not joined.
    pub fn next_to_join<V: Data>(&mut self, slices: &Slices<K, V>, end: Bound) -> Option<usize> {
        let place = slices.kept_from(self.joined);
        if slices.kept.get(place).is_some_and(|slice| Bound::from(slice.number) < end) {
            return Some(place);
        }
        self.joined = self.joined.max(end);
        None
    }

    /// Some of the keys of the slice that is kept at `place` join.
    pub fn join<V: Data>(
        &mut self,
        slices: &mut Slices<K, V>,
        place: usize,
        cursor: &mut Cursor,
    ) -> TaskResult<Progress> {
        let Some(Slice { number, table, .. }) = slices.kept.get_mut(place) else { return Ok(Progress::Done) };
        let progress = table.walk(cursor, BATCH_RECORDS, |key, _| {
            self.keys.add((KeyHash::of(key), key), *number, (), Bound::MIN, |(), ()| ())
        })?;
        if progress == Progress::Done {
            self.joined = Bound::from(*number) + 1;
        }
        Ok(progress)
    }

    /// The window with this end has been cleared.
    pub fn over<V: Data>(&mut self, slices: &Slices<K, V>, end: Bound) {
        if slices.shape.ends_cycle(end) {
            self.keys.take();
        }
        self.next = if self.keys.is_empty() {
            let next = slices.kept.get(slices.kept_from(self.joined));
            next.and_then(|slice| slices.shape.first_end(slice.number))
        } else {
            Some(slices.shape.next_end(end))
        };
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
    /// Clears the window with this end, for some of its keys.
    pub(super) fn clear(
        &mut self,
        end: Bound,
        cursor: &mut Cursor,
        out: &mut dyn Output<E::Out>,
    ) -> TaskResult<Progress> {
        let (window, starts) = (self.slices.window::<W>(end)?, self.slices.shape.starts(end));
        let Self { emit, clearing, states, scopes, desk, .. } = self;
        let mut on = Progress::More;
        desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
            let mut ctx = WindowContext::new(ctx);
            ctx.set_timestamp(Some(window.max_timestamp()));
            let mut left = KEYS_MAX;
            while on == Progress::More && left > 0 && ctx.given() < BATCH_RECORDS {
                let merge = |_: &mut E, (): &mut (), ()| ();
                on = clearing.keys.window(cursor, KEYS_TOGETHER, starts, emit, merge, |emit, key, ()| {
                    clear::<_, _, F::Bare, _>(emit, scopes, key, &window, &mut ctx)
                })?;
                left -= KEYS_TOGETHER;
            }
            ctx.flush()
        })?;
        Ok(on)
    }
}
