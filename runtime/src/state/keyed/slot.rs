//! Tables without their types.

use std::any::{Any, TypeId};

use super::place::{Place, Spot};
use crate::{
    batch::{Data, Key, Timestamp},
    error::TaskResult,
    state::{
        expiring::Perish,
        heap::HeapTable,
        meta::StateMeta,
        table::{Extent, GroupSpace, KeyHash, Progress, RunSink, Snapshot},
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
pub(super) trait AnyTable: Snapshot + Any {}

/// A table without its types, whose values expire.
pub(super) trait AnyExpiring: AnyTable {
    /// Searches `places` from `place` on, and gives where to go on.
    fn search(&mut self, place: usize, places: usize, moment: Moment) -> TaskResult<usize>;
}

/// The table of the one backend there is. It is held by its type, and not behind a trait object, so that its look-ups are
/// compiled into the handles: that takes off 1 to 2 ns of 8 per access (`benches/state.rs`). A second backend becomes a
/// second variant of what is held here.
struct Held<K, V>(HeapTable<K, V>);

impl<K: Key, V: Data> Held<K, V> {
    fn new() -> Box<Self> {
        Box::new(Self(HeapTable::default()))
    }
}

impl<K: Key, V: Data> Snapshot for Held<K, V> {
    fn keys(&self) -> usize {
        self.0.keys()
    }

    fn begin(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult {
        self.0.begin(extent, groups)
    }

    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        self.0.advance(bytes, sink)
    }

    fn abandon(&mut self) {
        self.0.abandon();
    }

    fn expect(&mut self, keys: usize) -> TaskResult {
        self.0.expect(keys)
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.0.restore(count, bytes)
    }

    fn forget(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.0.forget(count, bytes)
    }
}

impl<K: Key, V: Data> AnyTable for Held<K, V> {}

impl<K: Key, V: Data + Perish> AnyExpiring for Held<K, V> {
    fn search(&mut self, place: usize, places: usize, moment: Moment) -> TaskResult<usize> {
        Ok(self.0.search(place, places, |value| value.is_overdue(moment), |value| value.prune(moment)))
    }
}

impl SlotTable {
    /// An empty table of `V`, or of `E` where there is a time-to-live.
    pub fn new<K: Key, V: Data, E: Data + Perish>(ttl: Option<StateTtl>) -> Self {
        match ttl {
            None => Self::Plain(Held::<K, V>::new()),
            Some(ttl) => Self::Expiring(Held::<K, E>::new(), Expiry { ttl, accesses: 0, place: 0 }),
        }
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
                Some(Place::Plain(Spot { table: &mut held.0, hash, key }))
            }
            Self::Expiring(table, expiry) => {
                expiry.accesses = expiry.accesses.saturating_add(1);
                let table: &mut dyn Any = &mut **table;
                let held = table.downcast_mut::<Held<K, E>>()?;
                Some(Place::Expiring(Spot { table: &mut held.0, hash, key }, expiry.ttl.at(now)))
            }
        }
    }

    /// The keys that have something. Nothing if the table is one of other types.
    pub fn held_keys<K: Key, V: Data, E: Data + Perish>(&self) -> Option<Vec<K>> {
        fn of<K: Key, V: Data>(table: &dyn Any) -> Option<Vec<K>> {
            Some(table.downcast_ref::<Held<K, V>>()?.0.iter().map(|(key, _)| key.clone()).collect())
        }
        match self {
            Self::Plain(table) => of::<K, V>(&**table),
            Self::Expiring(table, _) => of::<K, E>(&**table),
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
            Self::Plain(table) => &**table,
            Self::Expiring(table, _) => &**table,
        }
    }

    /// As [`entries`](Self::entries), to put entries in.
    pub fn entries_mut(&mut self) -> &mut dyn Snapshot {
        match self {
            Self::Plain(table) => &mut **table,
            Self::Expiring(table, _) => &mut **table,
        }
    }
}
