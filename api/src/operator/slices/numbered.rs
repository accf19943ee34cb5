//! Slices as one table of a snapshot, whose values have the numbers of the slices that they are of.
//!
//! Where slices are kept for late records there are as many as lateness is wide: far too many for each to be a table that is
//! stored by itself. None of their keys ever goes but with the whole slice; and which slices have gone follows from the watermark.

use std::collections::BTreeMap;

use flott_core::{codec, failure::Failure, key_group::KeyGroup};
use flott_runtime::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    state::{Content, Extent, FoldTable, GroupEntries, GroupSpace, KeyHash, Progress, RunSink, Snapshot},
};

use super::{
    placing::Slices,
    shape::{Bound, SliceNo},
    slice::Slice,
};

/// As much of a step as looking at a slice is, in bytes.
const SLICE_COST: usize = 64;

/// All slices that are there, or that a snapshot still has.
pub(super) struct Numbered<'a, K, V> {
    pub slices: &'a mut Slices<K, V>,
    /// Slices that have gone.
    pub leaving: &'a mut Vec<Slice<K, V>>,
    /// One on its way.
    pub firing: Option<&'a mut Slice<K, V>>,
    /// Slices before this one have been given.
    pub stored: &'a mut Bound,
    /// Slices that are over with this lateness, in milliseconds, and watermark are not put back: those that had gone may still be among
    /// what was stored earlier, without what had come to them since.
    pub over: (i64, Timestamp),
}

impl<K: Key, V: Data> Numbered<'_, K, V> {
    fn all(&mut self) -> impl Iterator<Item = &mut Slice<K, V>> {
        self.leaving.iter_mut().chain(self.firing.as_deref_mut()).chain(self.slices.slices_from(Bound::MIN))
    }

    /// Gives some of what there is to `runs`.
    fn give(&mut self, bytes: usize, runs: &mut Runs) -> TaskResult<Progress> {
        let mut left = bytes;
        let mut step = |slice: &mut Slice<K, V>| -> TaskResult<Progress> {
            let (before, number) = (runs.bytes, slice.number);
            let progress = slice.table.advance(left, &mut |entries| runs.put::<K, V>(number, entries))?;
            left = left.saturating_sub(runs.bytes - before + SLICE_COST);
            Ok(if left == 0 { Progress::More } else { progress })
        };
        while let Some(slice) = self.leaving.last_mut() {
            let progress = step(slice)?;
            if !slice.table.is_giving() {
                self.leaving.pop();
            }
            if progress != Progress::Done {
                return Ok(progress);
            }
        }
        if let Some(slice) = self.firing.as_deref_mut() {
            let progress = step(slice)?;
            if progress != Progress::Done {
                return Ok(progress);
            }
        }
        // Slices that have come since have nothing to give.
        for slice in self.slices.slices_from(*self.stored) {
            let progress = step(slice)?;
            if !slice.table.is_giving() {
                *self.stored = Bound::from(slice.number) + 1;
            }
            if progress != Progress::Done {
                return Ok(progress);
            }
        }
        Ok(Progress::Done)
    }
}

impl<K: Key, V: Data> Snapshot for Numbered<'_, K, V> {
    fn keys(&self) -> usize {
        self.slices.len()
    }

    fn schema(&self) -> Option<std::sync::Arc<str>> {
        FoldTable::<K, (SliceNo, V)>::default().schema()
    }

    fn begin(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult {
        *self.stored = Bound::MIN;
        self.all().try_for_each(|slice| slice.table.begin(extent, groups))
    }

    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        let mut runs = Runs::default();
        let progress = self.give(bytes, &mut runs)?;
        for (group, (count, bytes)) in &runs.of_groups {
            sink(GroupEntries { group: *group, content: Content::Values, count: *count, bytes })?;
        }
        Ok(progress)
    }

    fn abandon(&mut self) {
        self.all().for_each(|slice| slice.table.abandon());
    }

    fn expect(&mut self, _: usize) -> TaskResult {
        Ok(())
    }

    fn restore(&mut self, count: usize, mut bytes: &[u8]) -> TaskResult {
        for _ in 0..count {
            let entry = codec::decode_prefix(&mut bytes).map_err(|error| undecodable(&error))?;
            let (key, (number, value)): (K, (SliceNo, V)) = entry;
            if !self.slices.is_over_after(number, self.over) {
                let set = |(): &mut (), known: &mut V, value| *known = value;
                let table = &mut self.slices.opened(number).table;
                table.fold(KeyHash::of(&key), &key, value, &mut (), |(), value| value, set)?;
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        Err(Box::new(Failure::user(format!("{} bytes follow the last entry of slices", bytes.len()))))
    }

    fn forget(&mut self, _: usize, _: &[u8]) -> TaskResult {
        Err(gone())
    }
}

/// Entries of a step, by key group.
#[derive(Default)]
struct Runs {
    of_groups: BTreeMap<KeyGroup, (usize, Vec<u8>)>,
    bytes: usize,
}

impl Runs {
    /// Adds entries of the slice of this number.
    fn put<K: Key, V: Data>(&mut self, number: SliceNo, entries: GroupEntries<'_>) -> TaskResult {
        let GroupEntries { group, content, count, mut bytes } = entries;
        if content == Content::Removed {
            return Err(gone());
        }
        let (held, into) = self.of_groups.entry(group).or_default();
        let before = into.len();
        for _ in 0..count {
            let (key, value): (K, V) = codec::decode_prefix(&mut bytes).map_err(|error| undecodable(&error))?;
            codec::encode(&(key, (number, value)), into)
                .map_err(|error| Box::new(Failure::user("slices cannot be encoded").caused_by(&error)))?;
        }
        *held += count;
        self.bytes += into.len() - before;
        Ok(())
    }
}

#[cold]
fn undecodable(error: &codec::CodecError) -> Box<Failure> {
    Box::new(Failure::user("slices cannot be decoded").caused_by(error))
}

#[cold]
fn gone() -> Box<Failure> {
    Box::new(Failure::internal("a key has gone out of a slice"))
}
