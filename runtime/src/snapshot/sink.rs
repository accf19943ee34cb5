//! Where operators put their state.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use flott_core::{codec, failure::Failure, id::OperatorId};
use serde::Serialize;

use super::{
    Chunk, Cut, Piece, Section, SectionSort,
    tables::{TABLES, Tables},
    watermark::{HEARD, Seen, WATERMARK},
};
use crate::{
    batch::{Key, Timestamp},
    error::TaskResult,
    state::{
        Content, Elements, Extent, GroupEntries, GroupSpace, KeyHash, KeyedStates, OperatorStates, Progress, Snapshot,
        Spread, States,
    },
};

/// What keyed states count as among the things that are given in steps.
const KEYED: &str = "keyed states";

/// Bytes that are taken of a table at a time, by a task.
pub(super) const STEP_BYTES: usize = 256 << 10;

/// Takes the state of one operator at a barrier.
pub struct StateSink<'a> {
    operator: OperatorId,
    groups: GroupSpace,
    extent: Extent,
    /// Operators that have more to give.
    open: &'a mut BTreeSet<(OperatorId, Arc<str>)>,
    /// Bytes that are taken of a table at a time, about.
    step_bytes: usize,
    pieces: &'a mut Vec<Piece>,
}

impl<'a> StateSink<'a> {
    /// That of `operator`, whose subtask holds `groups`, at `cut`; pieces go into `pieces`, about `step_bytes` at a time.
    pub fn new(
        operator: OperatorId,
        groups: GroupSpace,
        step_bytes: usize,
        cut: &'a mut Cut,
        pieces: &'a mut Vec<Piece>,
    ) -> Self {
        Self { operator, groups, extent: cut.extent, open: &mut cut.open, step_bytes, pieces }
    }

    fn put(&mut self, section: &Section, chunk: Chunk) {
        self.pieces.push((self.operator, section.clone(), chunk));
    }

    fn put_entries(&mut self, section: &Section, entries: GroupEntries<'_>) {
        let GroupEntries { group, content, count, bytes } = entries;
        let removed = content == Content::Removed;
        self.put(section, Chunk { group: Some(group), removed, count, bytes: Bytes::copy_from_slice(bytes) });
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
        self.open.insert((self.operator, KEYED.into()));
        match states.timers().heard() {
            Some(heard) => self.own_elements(HEARD, Spread::Union, std::iter::once(heard)),
            None => Ok(()),
        }
    }

    /// Some more of keyed states whose snapshot was begun by [`keyed`](Self::keyed): to be called by
    /// [`snapshot_more`](crate::output::Operator::snapshot_more) for all of them.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn more<K: Key>(&mut self, states: &mut KeyedStates<K>) -> TaskResult<Progress> {
        let progress = states.advance_snapshot(self.step_bytes, &mut |meta, entries| {
            self.put_entries(&Section::of_state(meta)?, entries);
            Ok(())
        })?;
        Ok(self.went_on(&KEYED.into(), progress))
    }

    /// States apart from keys.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn operator(&mut self, states: &OperatorStates) -> TaskResult {
        states.snapshot(&mut |meta, elements| {
            let sort = SectionSort::Elements(meta.spread);
            let section = Section { name: Arc::clone(&meta.name), sort, schema: meta.schema.clone() };
            let bytes = codec::to_vec(&elements).map_err(|error| unencodable(&section, &error))?;
            self.put(&section, Chunk { group: None, removed: false, count: elements.len(), bytes: bytes.into() });
            Ok(())
        })
    }

    /// A table that the operator keeps by itself, under a name of its own: it is cut now and given in steps, by
    /// [`more_table`](Self::more_table).
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn table(&mut self, name: &str, table: &mut dyn Snapshot) -> TaskResult {
        table.begin(self.extent, self.groups)?;
        self.open.insert((self.operator, name.into()));
        Ok(())
    }

    /// Which tables there are that the operator keeps by itself, where they come and go: what has changed says nothing of those
    /// that have gone. For [`Restored::tables`](super::Restored::tables).
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn tables(&mut self, names: Vec<String>) -> TaskResult {
        let there = Tables { groups: self.groups.held, names };
        self.own_elements(TABLES, Spread::Union, std::iter::once(there))
    }

    /// Some more of a table that was begun by [`table`](Self::table).
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn more_table(&mut self, name: &str, table: &mut dyn Snapshot) -> TaskResult<Progress> {
        let section = Section { name: name.into(), sort: SectionSort::OwnTable, schema: table.schema() };
        let progress = table.advance(self.step_bytes, &mut |entries| {
            self.put_entries(&section, entries);
            Ok(())
        })?;
        Ok(self.went_on(&section.name, progress))
    }

    /// One of the things that are given in steps has come so far.
    fn went_on(&mut self, name: &Arc<str>, progress: Progress) -> Progress {
        if progress == Progress::Done {
            self.open.remove(&(self.operator, Arc::clone(name)));
        }
        progress
    }

    /// Entries that the operator keeps by itself, each with the hash of its key, under a name of its own.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn own<T: Serialize>(&mut self, name: &str, entries: impl Iterator<Item = (KeyHash, T)>) -> TaskResult {
        self.grouped(&Section { name: name.into(), sort: SectionSort::Own, schema: None }, entries)
    }

    /// Elements that the operator keeps by itself and that belong to no key, under a name of its own; `spread` says who gets
    /// them.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn own_elements<T: Serialize>(
        &mut self,
        name: &str,
        spread: Spread,
        elements: impl Iterator<Item = T>,
    ) -> TaskResult {
        let section = Section { name: name.into(), sort: SectionSort::OwnElements(spread), schema: None };
        let (mut all, mut bytes) = (Elements::default(), Vec::new());
        for element in elements {
            bytes.clear();
            codec::encode(&element, &mut bytes).map_err(|error| unencodable(&section, &error))?;
            all.push(&bytes);
        }
        let bytes = codec::to_vec(&all).map_err(|error| unencodable(&section, &error))?;
        self.put(&section, Chunk { group: None, removed: false, count: all.len(), bytes: bytes.into() });
        Ok(())
    }

    /// The watermark that the operator has seen, for [`Restored::watermark`](super::Restored::watermark).
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn watermark(&mut self, watermark: Timestamp) -> TaskResult {
        let seen = Seen { groups: self.groups.held, watermark };
        self.own_elements(WATERMARK, Spread::Union, std::iter::once(seen))
    }

    fn grouped<T: Serialize>(&mut self, section: &Section, entries: impl Iterator<Item = (KeyHash, T)>) -> TaskResult {
        let GroupSpace { max, held } = self.groups;
        let mut of_group = vec![(0, Vec::new()); held.len()];
        for (hash, entry) in entries {
            let group = hash.group(max);
            let place = usize::from(group.0).wrapping_sub(usize::from(held.start().0));
            let (count, bytes) = of_group.get_mut(place).ok_or_else(|| {
                Failure::internal(format!("{section} has a key of group {group}, but the subtask has groups {held}"))
            })?;
            *count += 1;
            codec::encode(&entry, bytes).map_err(|error| unencodable(section, &error))?;
        }
        for (group, (count, bytes)) in held.iter().zip(of_group) {
            if count > 0 {
                self.put(section, Chunk { group: Some(group), removed: false, count, bytes: bytes.into() });
            }
        }
        Ok(())
    }
}

fn unencodable(section: &Section, error: &codec::CodecError) -> Box<Failure> {
    Box::new(Failure::user(format!("{section} cannot be encoded")).caused_by(error))
}
