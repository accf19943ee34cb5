//! What a watermark or the clock sets off, in steps.

use std::mem::needs_drop;

use flott_runtime::{
    batch::{BATCH_RECORDS, Data, Key, Timestamp},
    error::TaskResult,
    event::Event,
    output::{Drained, Output},
    state::{Cursor, KeyHash, Progress},
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
    /// Results of the window with this end, of the keys that are left.
    Walk { end: Bound, cursor: Cursor },
    /// Results of the slice that is the window with this end.
    Tumble { end: Bound, contents: Contents<K, V> },
    /// What is left of the keys of the slice that is kept at `place` join those before them, for the window with this end, which is
    /// over for good.
    Join { end: Bound, place: usize, cursor: Cursor },
    /// The keys that are left are told so.
    Clear { end: Bound, cursor: Cursor },
    /// Slices that need not be kept any more go: what is left of the one at hand, and then the next.
    Forget { gone: Gone<K, V> },
}

/// What is left of a slice that is dropped.
type Gone<K, V> = Option<Box<dyn Iterator<Item = (K, V)> + Send>>;

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
        let Some(slice) = self.slices.close_before(end) else { return Stage::Walk { end, cursor: Cursor::default() } };
        let number = slice.number;
        let contents = Contents::of(slice, self.slices.keeps());
        if self.slices.shape.is_tumbling() {
            return Stage::Tumble { end, contents };
        }
        Stage::Close { slice: number, contents, end }
    }

    /// What was given out stays for late records, or for a snapshot that has not been given all of it.
    fn leave(&mut self, contents: Contents<K, F::Value>) {
        let Contents::Seen { slice, .. } = contents else { return };
        if !self.slices.keeps() {
            return self.discard(slice);
        }
        if E::STATEFUL
            && let Some(end) = self.slices.shape.first_end(slice.number)
        {
            self.clearing.expect(end);
        }
        self.slices.keep(slice);
    }

    /// Whether something is still to be let go of, of what is to be kept.
    fn cools(&self, contents: &mut Contents<K, F::Value>) -> TaskResult<bool> {
        Ok(self.slices.keeps() && contents.cool()? == Progress::More)
    }

    /// Drops a slice, but for a snapshot that has not been given all of it.
    fn discard(&mut self, slice: Slice<K, F::Value>) {
        if slice.table.is_giving() {
            self.leaving.push(slice);
        }
    }

    /// Whether there is something to do by the time that `until` is over.
    pub(super) fn is_due(&self, until: Timestamp) -> bool {
        let Self { slices, clearing, .. } = self;
        slices.next.is_some_and(|end| slices.shape.last(end) <= until)
            || clearing.next.is_some_and(|end| slices.over_at(end) <= until)
            || slices.can_forget(until)
    }

    /// What is next, in order of time, by the time that `until` is over.
    fn next(&mut self, until: Timestamp) -> Option<Stage<K, F::Value>> {
        let Self { slices, clearing, .. } = self;
        let fires = slices.next.map(|end| (slices.shape.last(end), end)).filter(|(at, _)| *at <= until);
        let clears = clearing.next.map(|end| (slices.over_at(end), end)).filter(|(at, _)| *at <= until);
        match (fires, clears) {
            (Some((at, end)), clears) if clears.is_none_or(|(over, _)| at <= over) => {
                slices.fired = slices.fired.max(end);
                Some(self.close(end))
            }
            (_, Some((_, end))) => Some(self.join(end)),
            _ => None,
        }
    }

    /// The stage that comes after the kept slices before `end` have joined those whose keys are cleared, one at a time.
    fn join(&mut self, end: Bound) -> Stage<K, F::Value> {
        match self.clearing.next_to_join(&self.slices, end) {
            Some(place) => Stage::Join { end, place, cursor: Cursor::default() },
            None => Stage::Clear { end, cursor: Cursor::default() },
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

    /// Drops slices that need not be kept any more, about a batch of their keys at a time. Whether these were all.
    fn forget(&mut self, until: Timestamp, gone: &mut Gone<K, F::Value>) -> Drained {
        let mut left = BATCH_RECORDS;
        while left > 0 {
            if let Some(entries) = gone {
                let dropped = entries.by_ref().take(left).count();
                left -= dropped;
                if left > 0 {
                    *gone = None;
                }
                continue;
            }
            let Some(slice) = self.slices.forget(until) else { return Drained::All };
            left -= 1;
            match Contents::of(slice, !needs_drop::<(K, F::Value)>()) {
                Contents::Taken(entries) => *gone = Some(entries),
                Contents::Seen { slice, .. } => self.discard(slice),
            }
        }
        Drained::Some
    }

    /// Does some of the work; what is left of it.
    pub(super) fn step(
        &mut self,
        firing: Firing<K, F::Value>,
        out: &mut dyn Output<E::Out>,
    ) -> TaskResult<Option<Firing<K, F::Value>>> {
        let Firing { cause, until, stage } = firing;
        let stage = match stage {
            Stage::Next => match self.next(until) {
                Some(stage) => stage,
                None => return self.wind_up((cause, until), None, out),
            },
            Stage::Forget { gone } => return self.wind_up((cause, until), gone, out),
            Stage::Close { slice, mut contents, end } => {
                let Self { fold, slices, .. } = self;
                let start = slices.next_start();
                contents.take(BATCH_RECORDS, |key, value| {
                    let key = (KeyHash::of(key), key);
                    slices.closed.add(key, slice, value, start, |a, b| fold.merge(a, b))
                })?;
                if contents.has_more() || self.cools(&mut contents)? {
                    Stage::Close { slice, contents, end }
                } else {
                    self.leave(contents);
                    self.close(end)
                }
            }
            Stage::Walk { end, mut cursor } => match self.walk(end, &mut cursor, out)? {
                Progress::More | Progress::Waiting => Stage::Walk { end, cursor },
                Progress::Done => {
                    self.over(cause, end);
                    Stage::Next
                }
            },
            Stage::Tumble { end, mut contents } => {
                self.tumble(end, &mut contents, out)?;
                if contents.has_more() || self.cools(&mut contents)? {
                    Stage::Tumble { end, contents }
                } else {
                    self.leave(contents);
                    self.over(cause, end);
                    Stage::Next
                }
            }
            Stage::Join { end, place, mut cursor } => match self.clearing.join(&mut self.slices, place, &mut cursor)? {
                Progress::More | Progress::Waiting => Stage::Join { end, place, cursor },
                Progress::Done => self.join(end),
            },
            Stage::Clear { end, mut cursor } => match self.clear(end, &mut cursor, out)? {
                Progress::More | Progress::Waiting => Stage::Clear { end, cursor },
                Progress::Done => {
                    self.clearing.over(&self.slices, end);
                    Stage::Next
                }
            },
        };
        Ok(Some(Firing { cause, until, stage }))
    }

    /// Nothing is due any more: what need not be kept goes, and then time has come.
    fn wind_up(
        &mut self,
        (cause, until): (Cause, Timestamp),
        mut gone: Gone<K, F::Value>,
        out: &mut dyn Output<E::Out>,
    ) -> TaskResult<Option<Firing<K, F::Value>>> {
        if self.forget(until, &mut gone) == Drained::Some {
            return Ok(Some(Firing { cause, until, stage: Stage::Forget { gone } }));
        }
        match cause {
            Cause::Watermark => out.event(Event::Watermark(until))?,
            Cause::Clock => self.set_alarm(),
            Cause::End => {}
        }
        Ok(None)
    }

    /// Gives results of the window with this end, of some of the keys.
    fn walk(&mut self, end: Bound, cursor: &mut Cursor, out: &mut dyn Output<E::Out>) -> TaskResult<Progress> {
        let (window, starts) = (self.slices.window::<W>(end)?, self.slices.shape.starts(end));
        let Self { fold, emit, slices, given, states, scopes, desk, .. } = self;
        let (groups, last, keeps) = (desk.task.snapshots.groups(), window.max_timestamp(), slices.keeps());
        let mut on = Progress::More;
        desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
            let mut ctx = WindowContext::new(ctx);
            ctx.set_timestamp(Some(last));
            let mut left = KEYS_MAX;
            while on == Progress::More && left > 0 && ctx.given() < BATCH_RECORDS {
                on = slices.closed.window(cursor, KEYS_TOGETHER, starts, fold, F::merge, |fold, key, value| {
                    if given.has(last, key, groups) {
                        return Ok(());
                    }
                    give(emit, key, &window, fold.bare(&value), &mut ctx)?;
                    if keeps { Ok(()) } else { clear::<_, _, F::Bare, _>(emit, scopes, key, &window, &mut ctx) }
                })?;
                left -= KEYS_TOGETHER;
            }
            ctx.flush()
        })?;
        Ok(on)
    }

    /// Gives results of the slice that is the window with this end.
    fn tumble(&mut self, end: Bound, contents: &mut Contents<K, F::Value>, out: &mut dyn Output<E::Out>) -> TaskResult {
        let (window, keeps) = (self.slices.window::<W>(end)?, self.slices.keeps());
        let Self { fold, emit, states, scopes, desk, .. } = self;
        desk.with_keyed(&mut states.keyed, &mut states.operator.lists, out, |ctx| {
            let mut ctx = WindowContext::new(ctx);
            ctx.set_timestamp(Some(window.max_timestamp()));
            let mut left = KEYS_MAX;
            while left > 0 && ctx.given() < BATCH_RECORDS && contents.has_more() {
                contents.look(KEYS_TOGETHER, |key, value| {
                    give(emit, key, &window, fold.bare(value), &mut ctx)?;
                    if keeps { Ok(()) } else { clear::<_, _, F::Bare, _>(emit, scopes, key, &window, &mut ctx) }
                })?;
                left -= KEYS_TOGETHER;
            }
            ctx.flush()
        })
    }
}
