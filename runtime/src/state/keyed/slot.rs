//! Tables without their types.

use std::any::{Any, TypeId};

use super::place::{Place, Spot};
use crate::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    state::{
        backend::{Backend, BackendTable},
        expiring::Perish,
        meta::StateMeta,
        table::{KeyHash, Snapshot, StateTable},
        ttl::{Moment, StateTtl},
    },
};

/// One registered state.
pub(super) struct Slot {
    pub table: SlotTable,
    pub meta: StateMeta,
    /// The type of its handles: what it was registered as.
    pub handle: TypeId,
    /// The same in words.
    pub what: String,
}

/// The table of a state.
pub(super) enum SlotTable {
    /// A `Held<K, _>`.
    Plain(Box<dyn AnyTable>),
    /// A `Held<K, _>` whose values expire.
    Expiring(Box<dyn AnyExpiring>, Expiry),
}

/// How a state expires.
pub(super) struct Expiry {
    pub ttl: StateTtl,
    /// Accesses since the last search.
    accesses: usize,
    /// Where the search goes on.
    place: usize,
}

/// A table without its types.
pub(super) trait AnyTable: Any + Send {
    /// Its part that does not depend on types.
    fn entries(&self) -> &dyn Snapshot;

    /// As [`entries`](Self::entries), to put entries in.
    fn entries_mut(&mut self) -> &mut dyn Snapshot;
}

/// A table without its types, whose values expire.
pub(super) trait AnyExpiring: AnyTable {
    /// Searches `places` from `place` on, and gives where to go on.
    fn search(&mut self, place: usize, places: usize, moment: Moment) -> TaskResult<usize>;
}

/// A table that can be found again by its type.
struct Held<K, V>(BackendTable<K, V>);

impl<K: Key, V: Data> Held<K, V> {
    fn new(backend: &Backend) -> TaskResult<Box<Self>> {
        let mut table = backend.table();
        table.prepare()?;
        Ok(Box::new(Self(table)))
    }
}

impl<K: Key, V: Data> AnyTable for Held<K, V> {
    fn entries(&self) -> &dyn Snapshot {
        self.0.entries()
    }

    fn entries_mut(&mut self) -> &mut dyn Snapshot {
        self.0.entries_mut()
    }
}

impl<K: Key, V: Data + Perish> AnyExpiring for Held<K, V> {
    fn search(&mut self, place: usize, places: usize, moment: Moment) -> TaskResult<usize> {
        let (due, keep) = (|value: &V| value.is_overdue(moment), |value: &mut V| value.prune(moment));
        match &mut self.0 {
            BackendTable::Heap(table) => Ok(table.search(place, places, due, keep)),
            BackendTable::Elsewhere(table) => table.search(place, places, &mut { due }, &mut { keep }),
        }
    }
}

impl SlotTable {
    /// An empty table of `V`, or of `E` where there is a time-to-live.
    pub fn new<K: Key, V: Data, E: Data + Perish>(backend: &Backend, ttl: Option<StateTtl>) -> TaskResult<Self> {
        Ok(match ttl {
            None => Self::Plain(Held::<K, V>::new(backend)?),
            Some(ttl) => Self::Expiring(Held::<K, E>::new(backend)?, Expiry { ttl, accesses: 0, place: 0 }),
        })
    }

    /// Its time-to-live.
    pub fn ttl(&self) -> Option<StateTtl> {
        match self {
            Self::Plain(_) => None,
            Self::Expiring(_, expiry) => Some(expiry.ttl),
        }
    }

    /// The place of `key`. Nothing if the table is one of other types.
    #[inline]
    pub fn place<'s, K: Key, V: Data, E: Data + Perish>(
        &'s mut self,
        hash: KeyHash,
        key: &'s K,
        now: Timestamp,
    ) -> Option<Place<'s, K, V, E>> {
        match self {
            Self::Plain(table) => {
                let table: &mut dyn Any = &mut **table;
                let held = table.downcast_mut::<Held<K, V>>()?;
                Some(Place::Plain(Spot { table: held.0.borrow_mut(), hash, key }))
            }
            Self::Expiring(table, expiry) => {
                expiry.accesses = expiry.accesses.saturating_add(1);
                let table: &mut dyn Any = &mut **table;
                let held = table.downcast_mut::<Held<K, E>>()?;
                Some(Place::Expiring(Spot { table: held.0.borrow_mut(), hash, key }, expiry.ttl.at(now)))
            }
        }
    }

    /// The keys that have something. Nothing if the table is one of other types.
    pub fn held_keys<K: Key, V: Data, E: Data + Perish>(&mut self) -> Option<TaskResult<Vec<K>>> {
        fn of<K: Key, V: Data>(table: &mut dyn Any) -> Option<TaskResult<Vec<K>>> {
            Some(match &mut table.downcast_mut::<Held<K, V>>()?.0 {
                BackendTable::Heap(table) => table.held_keys(),
                BackendTable::Elsewhere(table) => table.held_keys(),
            })
        }
        match self {
            Self::Plain(table) => of::<K, V>(&mut **table),
            Self::Expiring(table, _) => of::<K, E>(&mut **table),
        }
    }

    /// Goes on with the search for what has expired, as far as accesses have earned.
    pub fn search(&mut self, now: Timestamp) -> TaskResult {
        if let Self::Expiring(table, expiry) = self {
            let places = expiry.ttl.places().saturating_mul(std::mem::take(&mut expiry.accesses));
            if places > 0 {
                expiry.place = table.search(expiry.place, places, expiry.ttl.at(now))?;
            }
        }
        Ok(())
    }

    /// Its part that does not depend on types.
    pub fn entries(&self) -> &dyn Snapshot {
        match self {
            Self::Plain(table) => table.entries(),
            Self::Expiring(table, _) => table.entries(),
        }
    }

    /// As [`entries`](Self::entries), to put entries in.
    pub fn entries_mut(&mut self) -> &mut dyn Snapshot {
        match self {
            Self::Plain(table) => table.entries_mut(),
            Self::Expiring(table, _) => table.entries_mut(),
        }
    }
}
