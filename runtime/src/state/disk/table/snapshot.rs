//! Snapshots of a table on disk, and how it begins with one.

use super::{DiskTable, stored_in};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        disk::{
            changes::Changes,
            giving::{Full, Giving},
        },
        entries,
        schema::{self, StoredSchema},
        table::{Extent, GroupSpace, Progress, RunSink, Snapshot},
        track::given_up,
    },
};

impl<K: Key, V: Data> DiskTable<K, V> {
    /// Before anything is restored: what was there before becomes part of the tree, and no snapshot builds on it.
    fn begin_restore(&mut self) -> TaskResult {
        self.tracked = true;
        if !self.touched {
            return Ok(());
        }
        self.end_giving();
        for n in 0..self.hot.places() {
            if let Some(place) = self.hot.taken(n) {
                if self.hot.get(place).is_some_and(|entry| entry.dirty) {
                    self.write_back(place)?;
                }
                self.hot.take(place);
            }
        }
        self.changes = Changes::default();
        (self.touched, self.torn) = (false, true);
        Ok(())
    }
}

impl<K: Key, V: Data> Snapshot for DiskTable<K, V> {
    fn keys(&self) -> usize {
        self.keys
    }

    fn schema(&self) -> StoredSchema {
        schema::keyed::<K, V>()
    }

    fn begin(&mut self, extent: Extent, groups: GroupSpace) -> TaskResult {
        self.abandon();
        if self.torn && extent == Extent::Changed {
            return Err(given_up());
        }
        self.torn = false;
        let changes = std::mem::take(&mut self.changes);
        let changed_alone = extent == Extent::Changed && self.tracked;
        (self.tracked, self.touched) = (true, true);
        self.cut += 1;
        self.giving = Some(Giving::new(changed_alone.then_some(changes), groups));
        Ok(())
    }

    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        let mut left = bytes.max(1);
        let settled = self.settle(&mut left, Full::Leave);
        let given = match (settled, &mut self.giving) {
            (Ok(Progress::Done), Some(giving)) => giving.give::<K>(left, sink),
            (settled, _) => settled,
        };
        match given {
            Ok(Progress::More | Progress::Waiting) => {}
            Ok(Progress::Done) => _ = self.end_giving(),
            Err(_) => self.abandon(),
        }
        given
    }

    fn abandon(&mut self) {
        self.torn |= self.end_giving();
    }

    fn expect(&mut self, _: usize) -> TaskResult {
        Ok(())
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.begin_restore()?;
        entries::decode_parts::<K, V>(count, bytes, |key, value| {
            let store = stored_in(&mut self.store, &self.disk)?;
            self.keys += usize::from(!store.contains(key)?);
            store.write(key, Some(value))
        })
    }

    fn forget(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.begin_restore()?;
        entries::decode_parts::<K, ()>(count, bytes, |key, _| {
            if let Some(store) = &self.store
                && store.contains(key)?
            {
                self.keys -= 1;
                store.write(key, None)?;
            }
            Ok(())
        })
    }
}
