//! Records on their way into slices, a batch at a time.

use std::vec::Drain;

use flott_runtime::{
    batch::{Batch, Data, Key, Timestamp},
    error::TaskResult,
    output::Output,
    state::{KeyHash, SpillTable, Spot},
};

use super::{SliceWindows, placing::Place};
use crate::{
    operator::{Fold, folding::TOGETHER, window::Emit},
    window::Window,
};

impl<K, T, W, F, E> SliceWindows<K, T, W, F, E>
where
    K: Key,
    T: Data,
    W: Window,
    F: Fold<K, T>,
    E: Emit<K, W, F::Bare>,
{
    /// Takes a batch apart into runs of records that go to one place.
    pub(super) fn take(&mut self, input: &mut Batch<T>, out: &mut dyn Output<E::Out>) -> TaskResult {
        let timestamps = std::mem::take(&mut input.timestamps);
        let keys = std::mem::take(&mut self.keys);
        let mut records = input.records.drain(..);
        let mut from = 0;
        while let Some(&at) = timestamps.get(from) {
            let Self { slices, fold, spots, .. } = self;
            let place = match slices.open.get(slices.recent) {
                Some(slice) if slice.holds(at) => Place::Open(slices.recent),
                _ => slices.place(at, self.desk.watermark),
            };
            let mut run = 1;
            match place {
                Place::Open(index) => {
                    let slice = &mut slices.open[index];
                    run = timestamps[from..].iter().take_while(|at| slice.holds(**at)).count();
                    let (hashes, keys) = (&keys.hashes[from..from + run], &keys.keys[from..from + run]);
                    fold_all(&mut slice.table, hashes, keys, &mut records, fold, spots)?;
                }
                Place::Closed(number) => {
                    if let Some(record) = records.next() {
                        let value = fold.first(record);
                        let (hash, key) = (keys.hashes[from], &keys.keys[from]);
                        slices.join_closed((hash, key), number, value, |a, b| fold.merge(a, b))?;
                    }
                }
                Place::Kept(_) => run = self.take_late(from, &timestamps, &keys, &mut records, out)?,
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

    /// Takes a batch whose records all come when the clock says.
    pub(super) fn take_by_clock(&mut self, input: &mut Batch<T>) -> TaskResult {
        let now = self.given.time(self.desk.task.clock.now());
        let Self { slices, keys, fold, spots, .. } = self;
        if let Some(place) = slices.place_by_clock(now) {
            let table = &mut slices.open[place].table;
            fold_all(table, &keys.hashes, &keys.keys, &mut input.records.drain(..), fold, spots)?;
        }
        input.clear();
        Ok(())
    }

    #[cold]
    fn late(&mut self, record: T, at: Timestamp, out: &mut dyn Output<E::Out>) -> TaskResult {
        let late = &self.late;
        self.desk.with(&mut self.states.operator.lists, out, |mut ctx| {
            late.take(record, at, &mut ctx)?;
            ctx.flush()
        })
    }
}

/// Folds the next records, one for each of `keys` with these `hashes`, into the table.
#[inline(always)]
fn fold_all<K: Key, T: Data, F: Fold<K, T>>(
    table: &mut SpillTable<K, F::Value>,
    hashes: &[KeyHash],
    keys: &[K],
    records: &mut Drain<'_, T>,
    fold: &mut F,
    spots: &mut Vec<Spot>,
) -> TaskResult {
    let Some(memory) = table.in_memory() else {
        let mut keyed = hashes.iter().zip(keys).zip(records);
        return keyed.try_for_each(|((hash, key), record)| table.fold(*hash, key, record, fold, F::first, F::add));
    };
    for (hashes, keys) in hashes.chunks(TOGETHER).zip(keys.chunks(TOGETHER)) {
        spots.clear();
        memory.locate(hashes, keys.iter(), spots);
        let found = spots.iter().zip(hashes).zip(keys);
        for (((spot, hash), key), record) in found.zip(records.by_ref()) {
            match memory.at(*spot) {
                Some((_, value)) => fold.add(value, record),
                None => {
                    memory.fold(*hash, key.clone(), record, fold, F::first, F::add);
                }
            }
        }
    }
    table.grown(keys.len())
}
