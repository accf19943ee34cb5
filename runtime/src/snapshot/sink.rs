//! Where operators put their state.

use std::sync::Arc;

use flott_core::{codec, failure::Failure, id::OperatorId};
use serde::Serialize;

use super::{
    Chunk, Cut, Section, SectionSort,
    watermark::{Seen, WATERMARK},
};
use crate::{
    batch::{Key, Timestamp},
    error::TaskResult,
    state::{Elements, GroupEntries, GroupSpace, KeyedStates, OperatorStates, Snapshot, Spread, StateMeta, States},
    time::TimerQueue,
};

/// Takes the state of one operator at a barrier.
pub struct StateSink<'a> {
    operator: OperatorId,
    groups: GroupSpace,
    cut: &'a mut Cut,
}

impl<'a> StateSink<'a> {
    pub(super) fn new(operator: OperatorId, groups: GroupSpace, cut: &'a mut Cut) -> Self {
        Self { operator, groups, cut }
    }

    fn put(&mut self, section: &Section, chunk: Chunk) {
        self.cut.chunks.push((self.operator, section.clone(), chunk));
    }

    fn put_entries(&mut self, section: &Section, entries: GroupEntries<'_>) {
        let GroupEntries { group, count, bytes } = entries;
        self.put(section, Chunk { group: Some(group), removed: false, count, bytes: bytes.to_vec() });
    }

    /// All states of a keyed operator.
    ///
    /// # Errors
    /// When something cannot be encoded; so it is with all methods.
    pub fn states<K: Key>(&mut self, states: &mut States<K>) -> TaskResult {
        self.keyed(&mut states.keyed)?;
        self.operator(&states.operator)
    }

    /// Keyed states with their timers.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn keyed<K: Key>(&mut self, states: &mut KeyedStates<K>) -> TaskResult {
        states.snapshot(self.groups, &mut |StateMeta { name, kind, expires }, entries| {
            let sort = SectionSort::Keyed { kind: *kind, expires: *expires };
            self.put_entries(&Section { name: Arc::clone(name), sort }, entries);
            Ok(())
        })?;
        for domain in crate::time::TimeDomain::ALL {
            self.timers(domain.section(), states.timers().in_domain(domain))?;
        }
        Ok(())
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

    /// Timers.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn timers<K: Key, N: Key>(&mut self, section: Section, timers: &TimerQueue<K, N>) -> TaskResult {
        let entries = timers.iter().map(|(at, hash, key, namespace)| (hash, (at, key, namespace)));
        self.grouped(&section, entries)
    }

    /// A table that the operator keeps by itself, under a name of its own.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn table(&mut self, name: &str, table: &dyn Snapshot) -> TaskResult {
        let section = Section { name: name.into(), sort: SectionSort::Own };
        table.snapshot(self.groups, &mut |entries| {
            self.put_entries(&section, entries);
            Ok(())
        })
    }

    /// Entries that the operator keeps by itself, each with the hash of its key, under a name of its own.
    ///
    /// # Errors
    /// As [`states`](Self::states).
    pub fn own<T: Serialize>(
        &mut self,
        name: &str,
        entries: impl Iterator<Item = (crate::state::KeyHash, T)>,
    ) -> TaskResult {
        self.grouped(&Section { name: name.into(), sort: SectionSort::Own }, entries)
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
        let section = Section { name: name.into(), sort: SectionSort::OwnElements(spread) };
        let (mut all, mut bytes) = (Elements::default(), Vec::new());
        for element in elements {
            bytes.clear();
            codec::encode(&element, &mut bytes).map_err(|error| unencodable(&section, &error))?;
            all.push(&bytes);
        }
        let bytes = codec::to_vec(&all).map_err(|error| unencodable(&section, &error))?;
        self.put(&section, Chunk { group: None, removed: false, count: all.len(), bytes });
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

    fn grouped<T: Serialize>(
        &mut self,
        section: &Section,
        entries: impl Iterator<Item = (crate::state::KeyHash, T)>,
    ) -> TaskResult {
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
