//! Where operators put their state.

use std::{collections::BTreeSet, sync::Arc};

use flott_core::{codec, failure::Failure, id::OperatorId};
use serde::Serialize;

use super::{Chunk, Cut, Piece, Section, SectionSort};
use crate::{
    batch::Key,
    error::TaskResult,
    state::{
        Content, Extent, GroupEntries, GroupSpace, KeyHash, KeyedStates, OperatorStates, Progress, Snapshot, States,
    },
    time::{TimeDomain, TimerQueue},
};

/// Bytes that are taken of a table at a time.
const STEP_BYTES: usize = 256 << 10;

/// Takes the state of one operator at a barrier.
pub struct StateSink<'a> {
    operator: OperatorId,
    groups: GroupSpace,
    extent: Extent,
    /// Operators that have more to give.
    open: &'a mut BTreeSet<OperatorId>,
    pieces: &'a mut Vec<Piece>,
}

impl<'a> StateSink<'a> {
    pub(super) fn new(operator: OperatorId, groups: GroupSpace, cut: &'a mut Cut, pieces: &'a mut Vec<Piece>) -> Self {
        Self { operator, groups, extent: cut.extent, open: &mut cut.open, pieces }
    }

    fn put(&mut self, section: &Section, chunk: Chunk) {
        self.pieces.push((self.operator, section.clone(), chunk));
    }

    fn put_entries(&mut self, section: &Section, entries: GroupEntries<'_>) {
        let GroupEntries { group, content, count, bytes } = entries;
        let removed = content == Content::Removed;
        self.put(section, Chunk { group: Some(group), removed, count, bytes: bytes.to_vec() });
    }

    /// All states of a keyed operator. Those by key are cut now and given in steps, by [`more`](Self::more).
    ///
    /// # Errors
    /// When something cannot be encoded; so it is with all methods.
    pub fn states<K: Key>(&mut self, states: &mut States<K>) -> TaskResult {
        self.keyed(&mut states.keyed)?;
        self.operator(&states.operator)
    }

    /// Keyed states with their timers: they are cut now and given in steps, by [`more`](Self::more).
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn keyed<K: Key>(&mut self, states: &mut KeyedStates<K>) -> TaskResult {
        states.begin_snapshot(self.extent, self.groups)?;
        self.open.insert(self.operator);
        Ok(())
    }

    /// Some more of keyed states whose snapshot was begun by [`keyed`](Self::keyed): to be called by
    /// [`snapshot_more`](crate::output::Operator::snapshot_more) for all of them.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn more<K: Key>(&mut self, states: &mut KeyedStates<K>) -> TaskResult<Progress> {
        let progress = states.advance_snapshot(STEP_BYTES, &mut |meta, entries| {
            self.put_entries(&Section::of_state(meta)?, entries);
            Ok(())
        })?;
        if progress == Progress::Done {
            self.open.remove(&self.operator);
        }
        Ok(progress)
    }

    /// States apart from keys.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn operator(&mut self, states: &OperatorStates) -> TaskResult {
        states.snapshot(&mut |meta, elements| {
            let section = Section { name: Arc::clone(&meta.name), sort: SectionSort::Elements(meta.spread) };
            let bytes = codec::to_vec(&elements).map_err(|error| unencodable(&section, &error))?;
            self.put(&section, Chunk { group: None, removed: false, count: elements.len(), bytes });
            Ok(())
        })
    }

    /// Timers of its own, beside those of keyed states.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn timers<K: Key, N: Key>(&mut self, domain: TimeDomain, timers: &mut TimerQueue<K, N>) -> TaskResult {
        self.whole(Section::of_timers(domain), timers)
    }

    /// A table that the operator keeps by itself, under a name of its own.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn table(&mut self, name: &str, table: &mut dyn Snapshot) -> TaskResult {
        self.whole(Section { name: name.into(), sort: SectionSort::Own }, table)
    }

    fn whole(&mut self, section: Section, part: &mut dyn Snapshot) -> TaskResult {
        part.begin(Extent::Whole, self.groups)?;
        while part.advance(STEP_BYTES, &mut |entries| {
            self.put_entries(&section, entries);
            Ok(())
        })? == Progress::More
        {}
        Ok(())
    }

    /// Entries that the operator keeps by itself, each with the hash of its key, under a name of its own.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn own<T: Serialize>(&mut self, name: &str, entries: impl Iterator<Item = (KeyHash, T)>) -> TaskResult {
        self.grouped(&Section { name: name.into(), sort: SectionSort::Own }, entries)
    }

    fn grouped<T: Serialize>(&mut self, section: &Section, entries: impl Iterator<Item = (KeyHash, T)>) -> TaskResult {
        let max = self.groups.max;
        let mut ordered: Vec<_> = entries.map(|(hash, entry)| (hash.group(max), entry)).collect();
        ordered.sort_by_key(|(group, _)| *group);
        for run in ordered.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((group, _)) = run.first() else { continue };
            let mut bytes = Vec::new();
            for (_, entry) in run {
                codec::encode(entry, &mut bytes).map_err(|error| unencodable(section, &error))?;
            }
            self.put(section, Chunk { group: Some(*group), removed: false, count: run.len(), bytes });
        }
        Ok(())
    }
}

fn unencodable(section: &Section, error: &codec::CodecError) -> Box<Failure> {
    Box::new(Failure::user(format!("{section} cannot be encoded")).caused_by(error))
}
