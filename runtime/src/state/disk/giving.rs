//! Snapshots of a table on disk.
//!
//! At a cut nothing is done but that it is counted. What had changed by then and is in memory alone goes to the tree first, in
//! steps, or before it changes or has to go. Nothing that changed later does meanwhile: so when all is there, the tree is as the
//! table was at the cut. From then on it is read as it was, whatever comes after.

use flott_core::codec;

use super::{
    changes::{Changes, Merged},
    store::Entries,
    table::{DiskTable, undecodable},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        table::{Content, GroupSpace, KeyHash, Progress, RunSink},
        track::Runs,
    },
};

/// What looking at a place in memory costs in a step, in bytes that could be given instead.
const PLACE_COST: usize = 4;

/// What finding an entry on disk costs.
const ENTRY_COST: usize = 32;

/// What bringing an entry to the tree and to the changes costs: some microseconds, in which a thousand bytes are read.
const WRITE_COST: usize = 1024;

/// A snapshot that is being given.
pub(super) struct Giving {
    stage: Stage,
    removed: Runs,
    values: Runs,
}

enum Stage {
    /// What has changed and is in memory goes to the tree, and to the changes if those alone are given.
    Settle { next: usize, changes: Option<Changes> },
    /// All entries are read.
    All(Entries),
    /// What has changed is read.
    Changed(Merged),
}

impl Giving {
    /// A snapshot of these changes, and of what has changed and is in memory alone; or of all there is.
    pub fn new(changes: Option<Changes>, groups: GroupSpace) -> Self {
        let (removed, values) = (Runs::new(groups, Content::Removed), Runs::new(groups, Content::Values));
        Self { stage: Stage::Settle { next: 0, changes }, removed, values }
    }

    /// Whether something that it has may be in memory alone.
    pub fn settles(&self) -> bool {
        matches!(self.stage, Stage::Settle { .. })
    }

    /// The changes that it has; nothing if it has all there is.
    pub fn changes(&mut self) -> Option<&mut Changes> {
        match &mut self.stage {
            Stage::Settle { changes, .. } => changes.as_mut(),
            Stage::All(_) | Stage::Changed(_) => None,
        }
    }

    /// What still holds files of the tree, if anything does.
    fn into_entries(self) -> Option<Entries> {
        match self.stage {
            Stage::All(entries) => Some(entries),
            Stage::Settle { .. } | Stage::Changed(_) => None,
        }
    }

    /// Gives some more of what is settled.
    pub fn give<K: Key>(&mut self, mut left: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        let Self { stage, removed, values } = self;
        if removed.give_full(&mut left, sink)? == Progress::More || values.give_full(&mut left, sink)? == Progress::More
        {
            return Ok(Progress::More);
        }
        while left > 0 {
            let put = match stage {
                Stage::All(entries) => match entries.next().transpose()? {
                    Some((key, value)) => put::<K>(values, &key, &value)?,
                    None => break,
                },
                Stage::Changed(changes) => match changes.next()? {
                    Some((key, Some(value))) => put::<K>(values, &key, &value)?,
                    Some((key, None)) => put::<K>(removed, &key, &[])?,
                    None => break,
                },
                Stage::Settle { .. } => break,
            };
            left = left.saturating_sub(put + ENTRY_COST);
            if removed.give_full(&mut left, sink)? == Progress::More
                || values.give_full(&mut left, sink)? == Progress::More
            {
                return Ok(Progress::More);
            }
        }
        if left == 0 || removed.give_all(&mut left, sink)? == Progress::More {
            return Ok(Progress::More);
        }
        values.give_all(&mut left, sink)
    }
}

/// Puts in an entry, or a key, by its encoded parts.
fn put<K: Key>(runs: &mut Runs, key: &[u8], value: &[u8]) -> TaskResult<usize> {
    let hash = KeyHash::of(&codec::decode::<K>(key).map_err(|error| undecodable(&error))?);
    runs.put(hash, |bytes| {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(value);
        Ok(())
    })
}

impl<K: Key, V: Data> DiskTable<K, V> {
    /// Ends the snapshot being given, if there is one, and says whether there was.
    pub(super) fn end_giving(&mut self) -> bool {
        let giving = self.giving.take();
        let was_given = giving.is_some();
        if let Some(entries) = giving.and_then(Giving::into_entries) {
            self.disk.upkeep().drop(entries);
        }
        was_given
    }

    /// Brings some more to the tree of what the snapshot being given has, if that is not all there yet.
    pub(super) fn settle(&mut self, left: &mut usize) -> TaskResult<Progress> {
        loop {
            let Some(Giving { stage: Stage::Settle { next, changes }, .. }) = &mut self.giving else {
                return Ok(Progress::Done);
            };
            if *next >= self.hot.places() {
                let stage = match changes.take() {
                    Some(changes) => Stage::Changed(changes.into_changes()?),
                    None => Stage::All(self.stored(None)),
                };
                if let Some(giving) = &mut self.giving {
                    giving.stage = stage;
                }
                return Ok(Progress::Done);
            }
            if *left == 0 {
                return Ok(Progress::More);
            }
            let place = self.hot.taken(*next);
            *next += 1;
            *left = left.saturating_sub(PLACE_COST);
            if let Some(place) = place.filter(|place| self.is_pending(*place)) {
                let written = self.write_back(place)?;
                *left = left.saturating_sub(written + WRITE_COST);
            }
        }
    }
}
