//! Tables of an operator that come and go, such as one per window.
//!
//! Of what has changed since the snapshot before, a table that has gone has nothing: what earlier ones have of it would come back.
//! So each snapshot names those that were there, for the key groups of the subtask that gave it; of other subtasks, which may
//! have been further or less far, others may have been.

use std::collections::BTreeSet;

use flott_core::key_group::KeyGroupRange;
use serde::{Deserialize, Serialize};

use super::Restored;
use crate::{error::TaskResult, state::Snapshot};

pub(super) const TABLES: &str = "tables";

/// Tables that a subtask had.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tables {
    /// The subtask's.
    pub groups: KeyGroupRange,
    pub names: Vec<String>,
}

/// Tables that were there where a snapshot was cut.
#[derive(Debug)]
pub struct RestoredTables<'a> {
    restored: &'a Restored,
    there: Vec<Tables>,
}

impl Restored {
    /// The tables that [`StateSink::tables`](super::StateSink::tables) named. Others are left behind.
    ///
    /// # Errors
    /// When their names cannot be decoded.
    pub fn tables(&self) -> TaskResult<RestoredTables<'_>> {
        let mut there: Vec<Tables> = Vec::new();
        self.own_elements(TABLES, |tables| there.push(tables))?;
        // Where none was ever named, none has gone.
        if !there.is_empty() {
            self.keep_tables(|name| there.iter().any(|tables| tables.names.iter().any(|known| known == name)));
        }
        Ok(RestoredTables { restored: self, there })
    }
}

impl RestoredTables<'_> {
    /// Their names, those of key groups of other subtasks too.
    pub fn names(&self) -> BTreeSet<&str> {
        self.there.iter().flat_map(|tables| &tables.names).map(String::as_str).collect()
    }

    /// Puts one back.
    ///
    /// # Errors
    /// As [`Restored::table`].
    pub fn put_back(&self, name: &str, table: &mut dyn Snapshot) -> TaskResult {
        let had = |tables: &&Tables| tables.names.iter().any(|known| known == name);
        let groups: Vec<_> = self.there.iter().filter(had).map(|tables| tables.groups).collect();
        self.restored.table_where(name, table, |group| {
            group.is_none_or(|group| groups.iter().any(|groups| groups.contains(group)))
        })
    }
}

#[cfg(test)]
mod tests {
    use flott_core::{
        checkpoint::Overtaking,
        id::{OperatorId, SubtaskIndex},
        key_group::{KeyGroup, MaxParallelism},
    };

    use super::*;
    use crate::{
        snapshot::{Cut, Piece, StateSink},
        state::{Extent, FoldTable, GroupSpace, KeyHash, Progress},
        testing::barrier,
    };

    type Table = FoldTable<u64, u64>;

    fn groups(start: u16, end: u16) -> KeyGroupRange {
        KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).unwrap()
    }

    fn max() -> MaxParallelism {
        MaxParallelism::try_from(128).unwrap()
    }

    fn add(table: &mut Table, key: u64) {
        table.fold(KeyHash::of(&key), key, 1, &mut (), |(), item| item, |(), value, item| *value += item);
    }

    /// Keys of a table, in order, with their values.
    fn held(table: &Table) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = table.iter().map(|(key, value)| (*key, *value)).collect();
        all.sort_unstable();
        all
    }

    /// All that a subtask gives of its tables.
    fn cut(held: KeyGroupRange, extent: Extent, tables: &mut [(&str, &mut Table)]) -> Vec<Piece> {
        let mut cut = Cut::new(barrier(1, Overtaking::Never), extent, Default::default());
        let (mut pieces, space) = (Vec::new(), GroupSpace { max: max(), held });
        let mut sink = StateSink::new(OperatorId::from_bytes([1; 16]), space, 1, &mut cut, &mut pieces);
        sink.tables(tables.iter().map(|(name, _)| (*name).to_owned()).collect()).unwrap();
        for (name, table) in &mut *tables {
            sink.table(name, &mut **table).unwrap();
        }
        for (name, table) in tables {
            while sink.more_table(name, &mut **table).unwrap() != Progress::Done {}
        }
        pieces
    }

    /// What a subtask finds of chains of cuts, one of each subtask before.
    fn restored(chains: &[Vec<Vec<Piece>>]) -> Restored {
        let restored = Restored::new(SubtaskIndex(0), 1);
        for (subtask, chain) in (0..).map(SubtaskIndex).zip(chains) {
            for (place, pieces) in chain.iter().enumerate() {
                let counts = |piece: &&Piece| piece.1.is_incremental() || place + 1 == chain.len();
                for (_, section, chunk) in pieces.iter().filter(counts) {
                    restored.add(section.clone(), subtask, chunk.clone());
                }
            }
        }
        restored
    }

    fn put_back(restored: &Restored) -> Vec<(String, Vec<(u64, u64)>)> {
        let tables = restored.tables().unwrap();
        let put_back = |name: &str| {
            let mut table = Table::default();
            tables.put_back(name, &mut table).unwrap();
            (name.to_owned(), self::held(&table))
        };
        let all = tables.names().into_iter().map(put_back).collect();
        assert!(restored.is_empty(), "nothing is left that nobody asks for: {restored:?}");
        all
    }

    #[test]
    fn tables_that_have_gone_do_not_come_back() {
        let all = KeyGroupRange::all(max());
        let (mut first, mut second) = (Table::default(), Table::default());
        add(&mut first, 1);
        add(&mut second, 1);
        let whole = cut(all, Extent::Whole, &mut [("first", &mut first), ("second", &mut second)]);
        add(&mut second, 1);
        add(&mut second, 2);
        let changed = cut(all, Extent::Changed, &mut [("second", &mut second)]);
        let mut third = Table::default();
        add(&mut third, 3);
        let last = cut(all, Extent::Changed, &mut [("second", &mut second), ("third", &mut third)]);
        let of = |name: &str, entries: &[(u64, u64)]| (name.to_owned(), entries.to_vec());
        let chain = vec![whole, changed, last];
        assert_eq!(put_back(&restored(&[chain])), [of("second", &[(1, 2), (2, 1)]), of("third", &[(3, 1)])]);
        assert_eq!(put_back(&Restored::new(SubtaskIndex(0), 1)), []);
    }

    #[test]
    fn each_subtask_had_its_own() {
        // The first subtask has given its table out, the second has not.
        let halves = [groups(0, 63), groups(64, 127)];
        let chains = halves.map(|held| {
            let mut table = Table::default();
            (0..100).filter(|key| held.contains(KeyHash::of(key).group(max()))).for_each(|key| add(&mut table, key));
            let whole = cut(held, Extent::Whole, &mut [("table", &mut table)]);
            let mut there: Vec<(&str, &mut Table)> = Vec::new();
            if held == halves[1] {
                there.push(("table", &mut table));
            }
            vec![whole, cut(held, Extent::Changed, &mut there)]
        });
        let [(name, entries)] = &put_back(&restored(&chains))[..] else { panic!("one table") };
        let second = (0..100).filter(|key| halves[1].contains(KeyHash::of(key).group(max())));
        assert_eq!((&name[..], entries.clone()), ("table", second.map(|key| (key, 1)).collect()));
    }
}
