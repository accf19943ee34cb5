//! What a chain of snapshots must have, by plain sets.

use std::collections::BTreeSet;

use super::*;

/// The model of a table, and the snapshots that were taken of it.
#[derive(Default)]
pub(super) struct Chain {
    entries: BTreeMap<u16, u32>,
    /// Keys of entries that have changed since the last cut.
    changed: BTreeSet<u16>,
    /// Keys that have gone since, of those that the chain has.
    gone: BTreeSet<u16>,
    /// Keys that the chain has.
    stored: BTreeSet<u16>,
    /// The runs of all snapshots since the last whole one.
    runs: Vec<Run>,
    giving: Option<Giving>,
    /// The entries at the cut of the last complete snapshot.
    at_cut: BTreeMap<u16, u32>,
    /// Whether a snapshot has been completed since it was last asked.
    news: bool,
    torn: bool,
    begun: bool,
    /// Keys that come and go, or go and come, between two cuts: the table gives no key twice, and may give some that no
    /// snapshot has as removed.
    pub on_disk: bool,
}

struct Giving {
    whole: bool,
    at_cut: BTreeMap<u16, u32>,
    values: BTreeSet<u16>,
    gone: BTreeSet<u16>,
    runs: Vec<Run>,
}

impl Chain {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, key: u16) -> Option<u32> {
        self.entries.get(&key).copied()
    }

    pub fn entries(&self) -> BTreeMap<u16, u32> {
        self.entries.clone()
    }

    pub fn at_cut(&self) -> BTreeMap<u16, u32> {
        self.at_cut.clone()
    }

    pub fn put(&mut self, key: u16, value: u32) {
        self.entries.insert(key, value);
        self.changed.insert(key);
    }

    pub fn take(&mut self, key: u16) {
        if self.entries.remove(&key).is_some() {
            self.changed.remove(&key);
            if self.stored.remove(&key) {
                self.gone.insert(key);
            }
        }
    }

    /// Changes or takes all entries.
    pub fn update(&mut self, change: impl Fn(u16, u32) -> Option<u32>) {
        for (key, value) in self.entries.clone() {
            match change(key, value) {
                Some(value) => self.put(key, value),
                None => self.take(key),
            }
        }
    }

    /// Changes or takes some entries.
    pub fn update_where(&mut self, which: impl Fn(u16, u32) -> bool, change: impl Fn(u32) -> Option<u32>) {
        let mut rest = self.entries.clone();
        rest.retain(|key, value| which(*key, *value));
        for (key, value) in rest {
            match change(value) {
                Some(value) => self.put(key, value),
                None => self.take(key),
            }
        }
    }

    pub fn begin(&mut self, table: &mut dyn Snapshot, extent: Extent) {
        self.torn |= self.giving.take().is_some();
        let begun = table.begin(extent, all(7));
        if self.torn && extent == Extent::Changed {
            assert!(begun.unwrap_err().message.contains("must be whole"));
            return;
        }
        begun.unwrap();
        let whole = extent == Extent::Whole || !self.begun;
        (self.torn, self.begun) = (false, true);
        let (mut values, mut gone) = (std::mem::take(&mut self.changed), std::mem::take(&mut self.gone));
        if whole {
            values = self.entries.keys().copied().collect();
            gone.clear();
        }
        self.stored = self.entries.keys().copied().collect();
        self.giving = Some(Giving { whole, at_cut: self.entries.clone(), values, gone, runs: Vec::new() });
    }

    pub fn advance(&mut self, table: &mut dyn Snapshot, bytes: usize) -> Progress {
        let mut runs = Vec::new();
        let progress = table.advance(bytes, &mut kept(&mut runs)).unwrap();
        let Some(giving) = &mut self.giving else {
            assert!(runs.is_empty() && progress == Progress::Done);
            return progress;
        };
        // No more than was asked for, but for the run that was too much.
        let most = runs.iter().map(|run| run.bytes.len()).max().unwrap_or_default();
        assert!(runs.iter().map(|run| run.bytes.len()).sum::<usize>() <= bytes + most);
        giving.runs.append(&mut runs);
        if progress == Progress::Done {
            self.complete();
        }
        progress
    }

    /// Nothing is missing, given twice, or given though it has not changed.
    fn complete(&mut self) {
        let Giving { whole, at_cut, values, gone, runs } = self.giving.take().unwrap();
        let of = |content| runs.iter().filter(move |run| run.content == content);
        if !self.on_disk {
            assert!(runs.is_sorted_by_key(|run| run.content == Content::Values), "removed keys come first");
        }
        let mut given: Vec<(u16, u32)> = of(Content::Values).flat_map(Run::decode).collect();
        given.sort_unstable();
        let expected = values.iter().map(|key| (*key, at_cut[key])).collect::<Vec<_>>();
        assert_eq!(given, expected);
        let mut removed: Vec<u16> = of(Content::Removed).flat_map(Run::decode).collect();
        removed.sort_unstable();
        if self.on_disk {
            assert!(removed.is_sorted_by(|one, next| one < next), "no key is given twice");
            assert!(removed.iter().all(|key| !at_cut.contains_key(key)));
            assert!(gone.difference(&values).all(|key| removed.contains(key)));
        } else {
            assert_eq!(removed, Vec::from_iter(gone));
        }
        for run in &runs {
            let keys = match run.content {
                Content::Values => run.decode::<(u16, u32)>().into_iter().map(|(key, _)| key).collect(),
                Content::Removed => run.decode::<u16>(),
            };
            assert!(keys.iter().all(|key| hash(*key).group(all(7).max) == run.group));
        }
        if whole {
            self.runs.clear();
        }
        self.runs.extend(runs);
        self.at_cut = at_cut;
        self.news = true;
    }

    pub fn abandon(&mut self, table: &mut dyn Snapshot) {
        table.abandon();
        self.torn |= self.giving.take().is_some();
    }

    /// The runs of a chain that has become longer.
    pub fn take_stored(&mut self) -> Option<Vec<Run>> {
        std::mem::take(&mut self.news).then(|| self.runs.clone())
    }

    /// The chain as it goes on after its last snapshot was restored; none if there is none.
    pub fn go_on(self) -> Option<(Self, Vec<Run>)> {
        if !self.begun || self.torn {
            return None;
        }
        let Self { at_cut, runs, on_disk, .. } = self;
        let stored = at_cut.keys().copied().collect();
        // A table to which nothing was restored has not begun.
        let begun = !runs.is_empty();
        let entries = at_cut.clone();
        let chain = Self { entries, stored, at_cut, runs: runs.clone(), begun, on_disk, ..Self::default() };
        Some((chain, runs))
    }
}
