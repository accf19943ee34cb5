//! What a watermark or the clock sets off, in steps.

use flott_runtime::{
    batch::{BATCH_RECORDS, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::Output,
    state::KeyHash,
};

use super::{
    SliceWindows,
    giving::{KEYS_MAX, KEYS_TOGETHER, clear, give},
    shape::{Bound, SliceNo},
    slice::{Contents, Slice},
};
use crate::{
    operator::{Fold, window::Emit},
    window::{Window, WindowContext},
};

/// What has windows due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// A watermark, which waits for their results.
    Watermark,
    Clock,
    /// The end of the input: windows by the clock do not wait for theirs.
    End,
}

/// Windows at work that are over.
pub(super) struct Firing<K, V> {
    cause: Cause,
    /// The last timestamp that is over.
    until: Timestamp,
    stage: Stage<K, V>,
}

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

impl<K, V> Firing<K, V> {
    /// All that is over with the timestamp `until`.
    pub fn new(cause: Cause, until: Timestamp) -> Self {
        Self { cause, until, stage: Stage::Next }
    }

    /// The slice that is being given out.
    pub fn slice_mut(&mut self) -> Option<&mut Slice<K, V>> {
        match &mut self.stage {
            Stage::Tumble { contents: Contents::Seen { slice, .. }, .. }
            | Stage::Close { contents: Contents::Seen { slice, .. }, .. } => Some(slice),
            _ => None,
        }
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
    /// The stage that comes after the slices before `end` have been dealt with, one at a time.
    fn close(&mut self, end: Bound) -> Stage<K, F::Value> {
        let Some(slice) = self.slices.close_before(end) else { return Stage::Walk { end, place: 0 } };
        let number = slice.number;
        let contents = Contents::of(slice);
        if self.slices.shape.is_tumbling() {
            return Stage::Tumble { end, contents };
        }
        Stage::Close { slice: number, contents, end }
    }

    /// What was given out stays for a snapshot that has not been given all of it.
    fn leave(&mut self, contents: Contents<K, F::Value>) {
        if let Contents::Seen { slice, .. } = contents
            && slice.table.is_giving()
        {
            self.leaving.push(slice);
        }
    }

    /// The window with this end has been given out.
    fn over(&mut self, cause: Cause, end: Bound) {
        if cause == Cause::Clock {
            self.given.advance(self.slices.shape.last(end));
        }
        if let Some(cycle) = self.slices.over(end).filter(|cycle| cycle.is_giving()) {
            self.closed_leaving = Some(cycle);
        }
    }

    /// Does some of the work; what is left of it.
    pub(super) fn step(
        &mut self,
        firing: Firing<K, F::Value>,
        out: &mut dyn Output<E::Out>,
    ) -> TaskResult<Option<Firing<K, F::Value>>> {
        let Firing { cause, until, stage } = firing;
        let stage = match stage {
            Stage::Next => {
                let Some(end) = self.slices.next.filter(|_| self.slices.is_due(until)) else {
                    match cause {
                        Cause::Watermark => out.event(Event::Watermark(until))?,
                        Cause::Clock => self.set_alarm(),
                        Cause::End => {}
                    }
                    return Ok(None);
                };
                self.slices.fired = self.slices.fired.max(end);
                self.close(end)
            }
            Stage::Close { slice, mut contents, end } => {
                let Self { fold, slices, .. } = self;
                contents.take(BATCH_RECORDS, |key, value| {
                    slices.closed.add(KeyHash::of(key), key, slice, value, |a, b| fold.merge(a, b));
                });
                if contents.has_more() {
                    Stage::Close { slice, contents, end }
                } else {
                    self.leave(contents);
                    self.close(end)
                }
            }
            Stage::Walk { end, place } => match self.walk(end, place, out)? {
                Some(place) => Stage::Walk { end, place },
                None => {
                    self.over(cause, end);
                    Stage::Next
                }
            },
            Stage::Tumble { end, mut contents } => {
                self.tumble(end, &mut contents, out)?;
                if contents.has_more() {
                    Stage::Tumble { end, contents }
                } else {
                    self.leave(contents);
                    self.over(cause, end);
                    Stage::Next
                }
            }
        };
        Ok(Some(Firing { cause, until, stage }))
    }

    /// Gives results of the window with this end, of the keys from `place` on. Where to go on.
    fn walk(&mut self, end: Bound, place: usize, out: &mut dyn Output<E::Out>) -> TaskResult<Option<usize>> {
        let (window, start) = (self.slices.window::<W>(end)?, self.slices.shape.start(end));
        let Self { fold, emit, slices, given, states, scopes, desk, .. } = self;
        let (groups, last) = (desk.task.snapshots.groups(), window.max_timestamp());
        let mut on = Some(place);
        desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
            let mut ctx = WindowContext::new(ctx);
            ctx.set_timestamp(Some(last));
            let mut left = KEYS_MAX;
            while let Some(from) = on
                && left > 0
                && ctx.given() < BATCH_RECORDS
            {
                on = slices.closed.window((from, KEYS_TOGETHER), start, fold, F::merge, |fold, key, value| {
                    if given.has(last, key, groups) {
                        return Ok(());
                    }
                    give(emit, key, &window, fold.bare(&value), &mut ctx)?;
                    clear::<_, _, F::Bare, _>(emit, scopes, key, &window, &mut ctx)
                })?;
                left -= KEYS_TOGETHER;
            }
            ctx.flush()
        })?;
        Ok(on)
    }

    /// Gives results of the slice that is the window with this end.
    fn tumble(&mut self, end: Bound, contents: &mut Contents<K, F::Value>, out: &mut dyn Output<E::Out>) -> TaskResult {
        let window = self.slices.window::<W>(end)?;
        let Self { fold, emit, states, scopes, desk, .. } = self;
        desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
            let mut ctx = WindowContext::new(ctx);
            ctx.set_timestamp(Some(window.max_timestamp()));
            let mut left = KEYS_MAX;
            while left > 0 && ctx.given() < BATCH_RECORDS && contents.has_more() {
                contents.look(KEYS_TOGETHER, |key, value| {
                    give(emit, key, &window, fold.bare(value), &mut ctx)?;
                    clear::<_, _, F::Bare, _>(emit, scopes, key, &window, &mut ctx)
                })?;
                left -= KEYS_TOGETHER;
            }
            ctx.flush()
        })
    }
}
