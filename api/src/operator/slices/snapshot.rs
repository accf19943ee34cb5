//! What is stored of slices.
//!
//! Each open slice is a table under its number, and so is what keys had in closed slices. They are given in steps, and what has not
//! changed is not given again; so which of them are there is stored besides. One that is given out while some of it is still to be
//! stored is kept until it is.
//!
//! Where slices are kept for late records, all of them are one table (see `numbered`), and of closed ones nothing else is stored: what they
//! have come to for windows that are still to come is put together of them again.
//!
//! What a key has had in cumulating windows since its cycle began is stored under the number of the first slice of the cycle, and comes back as
//! if it lay there: it takes part in the same windows. Which window is next is not stored; it follows from the watermark and from
//! what there is.

use std::mem;

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    snapshot::{Restored, StateSink},
    state::{Cursor, KeyHash, Progress, Spread},
    time::TimeDomain,
};

use super::{
    SliceWindows,
    closed::Past,
    due::Firing,
    history::History,
    numbered::Numbered,
    shape::{Shape, SliceNo},
    slice::Slice,
};
use crate::{
    operator::{Fold, window::Emit},
    window::Window,
};

const SHAPE: &str = "windows";
/// How long the slices that are stored were kept for late records.
const LATENESS: &str = "allowed lateness";
const SLICE: &str = "slice ";
const CYCLE: &str = "cycle ";
const CLOSED: &str = "closed slices";
/// All slices, where they are kept for late records.
const KEPT: &str = "numbered slices";
/// Both are of snapshots that had all slices at once.
const SLICES: &str = "slices";
const HISTORIES: &str = "closed slices";

fn slice_name(number: SliceNo) -> String {
    format!("{SLICE}{number}")
}

impl<K, V> Slice<K, V>
where
    K: Key,
    V: Data,
{
    fn give(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        into.more_table(&slice_name(self.number), &mut self.table)
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
    /// Under which name closed slices are stored. Something of a cycle is closed only when a window of it is over; that was the
    /// last one.
    fn closed_name(&self) -> String {
        let shape = self.slices.shape;
        if !shape.is_cumulating() {
            return CLOSED.to_owned();
        }
        // The first cycle may have begun before time did.
        let first = shape.slice(Timestamp::MIN).into();
        format!("{CYCLE}{}", shape.start(self.slices.fired).max(first))
    }

    pub(super) fn begin_storing(&mut self, into: &mut StateSink<'_>) -> TaskResult {
        // The snapshot that they were kept for was given up.
        self.leaving.clear();
        self.closed_leaving = None;
        self.stored_closed = self.closed_name();
        into.own_elements(SHAPE, Spread::Union, std::iter::once(self.slices.shape))?;
        if self.slices.keeps() {
            into.own_elements(LATENESS, Spread::Union, std::iter::once(self.slices.lateness_ms()))?;
            // What closed ones have come to is made of them.
            into.tables(vec![KEPT.to_owned()])?;
            return into.table(KEPT, &mut self.numbered());
        }
        let Self { slices, stored_closed, .. } = self;
        let open = slices.open.iter().map(|slice| slice_name(slice.number));
        into.tables(open.chain((!slices.closed.is_empty()).then(|| stored_closed.clone())).collect())?;
        for slice in &mut slices.open {
            into.table(&slice_name(slice.number), &mut slice.table)?;
        }
        into.table(stored_closed, slices.closed.table.entries_mut())?;
        if self.domain == TimeDomain::Processing {
            self.given.store(self.desk.task.snapshots.groups(), into)?;
        }
        Ok(())
    }

    pub(super) fn store_more(&mut self, into: &mut StateSink<'_>) -> TaskResult<Progress> {
        if self.slices.keeps() {
            return into.more_table(KEPT, &mut self.numbered());
        }
        while let Some(slice) = self.leaving.last_mut() {
            let progress = slice.give(into)?;
            if progress != Progress::Done {
                return Ok(progress);
            }
            self.leaving.pop();
        }
        let firing = self.firing.as_mut().and_then(Firing::slice_mut);
        for slice in firing.into_iter().chain(&mut self.slices.open) {
            let progress = slice.give(into)?;
            if progress != Progress::Done {
                return Ok(progress);
            }
        }
        if let Some(table) = &mut self.closed_leaving {
            let progress = into.more_table(&self.stored_closed, table.entries_mut())?;
            if progress != Progress::Done {
                return Ok(progress);
            }
            self.closed_leaving = None;
        }
        into.more_table(&self.stored_closed, self.slices.closed.table.entries_mut())
    }

    fn numbered(&mut self) -> Numbered<'_, K, F::Value> {
        let Self { slices, leaving, firing, stored, desk, .. } = self;
        let firing = firing.as_mut().and_then(Firing::slice_mut);
        let over = (slices.lateness_ms(), desk.watermark);
        Numbered { slices, leaving, firing, stored, over }
    }

    /// Puts back what was stored; the watermark has been.
    pub(super) fn put_back(&mut self, from: &Restored) -> TaskResult {
        let Self { slices, leaving, stored, clearing, fold, given, desk, .. } = self;
        let by_clock = self.domain == TimeDomain::Processing;
        let went_by_clock = by_clock && given.put_back(desk.task.snapshots.groups(), from)?;
        let (mut any, mut same, mut sound, mut dropped) = (false, true, true, false);
        from.own_elements(SHAPE, |stored: Shape| (any, same) = (true, same && stored == slices.shape))?;
        if any && by_clock && !went_by_clock {
            let message = "the windows of the snapshot go by event time, and those of the program by the clock";
            return Err(Box::new(Failure::user(message).fatal()));
        }
        let mut lateness_ms = slices.lateness_ms();
        from.own_elements(LATENESS, |stored: i64| lateness_ms = stored.min(lateness_ms))?;
        if !same {
            let message = "the windows of the snapshot have another kind, size or offset than those of the program";
            return Err(Box::new(Failure::user(message).fatal()));
        }
        let number = |name: &str, kind: &str| name.strip_prefix(kind)?.parse::<SliceNo>().ok();
        let tables = from.tables()?;
        for name in tables.names() {
            if name == KEPT {
                let over = (lateness_ms, desk.watermark);
                tables.put_back(name, &mut Numbered { slices, leaving, firing: None, stored, over })?;
            } else if let Some(number) = number(name, SLICE) {
                tables.put_back(name, &mut slices.opened(number).table)?;
            } else if let Some(number) = number(name, CYCLE) {
                dropped = true;
                let mut cycle = desk.task.backend.table::<K, Past<F::Value>>();
                tables.put_back(name, cycle.entries_mut())?;
                let slice = slices.opened(number);
                cycle.walk(&mut Cursor::default(), usize::MAX, |key, past| {
                    let Past::Whole(value) = past else {
                        sound = false;
                        return Ok(());
                    };
                    slice.table.fold(KeyHash::of(key), key, value.clone(), fold, |_, value| value, F::merge)
                })?;
            } else {
                dropped = true;
                tables.put_back(name, slices.closed.table.entries_mut())?;
            }
        }
        let mut put = Ok(());
        from.own(SLICES, |(number, key, value): (SliceNo, K, F::Value)| {
            let slice = slices.opened(number);
            let folded = slice.table.fold(KeyHash::of(&key), &key, value, fold, |_, value| value, F::merge);
            put = mem::replace(&mut put, Ok(())).and(folded);
        })?;
        from.own(HISTORIES, |(key, history): (K, History<F::Value>)| {
            dropped = true;
            let set = slices.closed.table.insert(KeyHash::of(&key), &key, Past::Sliding(history));
            put = mem::replace(&mut put, Ok(())).and(set);
        })?;
        put?;
        if dropped && slices.keeps() {
            let message = "the windows of the snapshot took no late records, and what they had is dropped: start with an allowed \
                           lateness of 0, or without the snapshot";
            return Err(Box::new(Failure::user(message).fatal()));
        }
        let until = match self.domain {
            TimeDomain::Event => desk.watermark,
            TimeDomain::Processing => given.until(),
        };
        if !slices.settle(until, fold)? || !sound {
            return Err(Box::new(Failure::user("slices of the snapshot are not in order").fatal()));
        }
        if E::STATEFUL {
            let ends = slices.kept.iter().filter_map(|slice| slices.first_kept_end(slice.number, until));
            ends.for_each(|end| clearing.expect(end));
        }
        Ok(())
    }
}
