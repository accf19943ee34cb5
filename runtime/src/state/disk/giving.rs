//! Snapshots of a table on disk.
//!
//! At a cut nothing is done but that it is counted. What had changed by then and is in memory alone settles first, in steps, or
//! before it changes or has to go:
//!
//! - Where what has changed is given, it joins the changes that were noted before, which are read then. The tree has nothing to do
//!   with that.
//! - Where all is given, it goes to the tree. Nothing that changed later does meanwhile: so when all is there, the tree is as the
//!   table was at the cut. From then on it is read as it was, whatever comes after.

use std::time::{Duration, Instant};

use flott_core::codec;

use super::{
    changes::{Changes, Merged},
    hot::Place,
    store::{Entries, WAIT_MAX},
    table::{DiskTable, undecodable},
};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::{
        table::{Content, Extent, GroupSpace, KeyHash, Progress, RunSink},
        track::Runs,
    },
};

/// What looking at a place in memory costs in a step, in bytes that could be given instead.
const PLACE_COST: usize = 4;

/// What finding an entry on disk costs.
const ENTRY_COST: usize = 32;

/// What bringing an entry to the tree costs: some microseconds, in which a thousand bytes are read.
const WRITE_COST: usize = 1024;

/// What bringing one to the changes costs.
const NOTE_COST: usize = 256;

/// What passes between two steps that find the disk behind counts no more than this: who does not ask does not wait.
const STEP_MAX: Duration = Duration::from_secs(1);

/// A snapshot that is being given.
pub(super) struct Giving {
    stage: Stage,
    /// Nothing could be brought to the tree, as the disk is behind.
    pub(super) behind: Option<Behind>,
    removed: Runs,
    values: Runs,
}

/// How long the disk has taken up nothing, of a snapshot or of what records write.
#[derive(Debug)]
pub(super) struct Behind {
    /// What it had taken up by then.
    taken_up: u64,
    asked: Instant,
    pub(super) waited: Duration,
}

impl Behind {
    /// A step finds it behind.
    pub(super) fn new(now: Instant, taken_up: u64) -> Self {
        Self { taken_up, asked: now, waited: Duration::ZERO }
    }

    /// So does the next one, which is told how long that is.
    pub(super) fn again(&mut self, now: Instant, taken_up: u64) -> Duration {
        if self.taken_up == taken_up {
            self.waited += now.saturating_duration_since(self.asked).min(STEP_MAX);
            self.asked = now;
        } else {
            *self = Self::new(now, taken_up);
        }
        self.waited
    }
}

/// What to do with something for which the disk is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// Wait until it is.
    Wait,
    /// Leave it for later.
    Leave,
}

enum Stage {
    /// What has changed and is in memory goes to the changes if those are given, else to the tree.
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
        Self { stage: Stage::Settle { next: 0, changes }, behind: None, removed, values }
    }

    /// How much it has, if something of that may be in memory alone.
    pub fn settles(&self) -> Option<Extent> {
        match &self.stage {
            Stage::Settle { changes: Some(_), .. } => Some(Extent::Changed),
            Stage::Settle { changes: None, .. } => Some(Extent::Whole),
            Stage::All(_) | Stage::Changed(_) => None,
        }
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
        let Self { stage, removed, values, .. } = self;
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

    /// Whether a snapshot of this extent is being given, and something that it has may be in memory alone.
    pub(super) fn is_settling(&self, extent: Extent) -> bool {
        self.giving.as_ref().and_then(Giving::settles) == Some(extent)
    }

    /// As [`settle`](Self::settle), where that goes to the tree: before it does, nothing that is later can go there.
    pub(super) fn settle_tree(&mut self, left: &mut usize) -> TaskResult<Progress> {
        if self.is_settling(Extent::Whole) { self.settle(left, Full::Wait) } else { Ok(Progress::Done) }
    }

    /// The next entry that the tree waits for, which can go then; one that is `spared` is brought there and stays. None when the tree
    /// takes any.
    pub(super) fn take_pending(&mut self, spared: Option<Place>) -> TaskResult<Option<Place>> {
        while self.is_settling(Extent::Whole) {
            let Some(place) = self.next_to_settle()? else { continue };
            if !self.is_pending(place) {
                continue;
            }
            if spared != Some(place) {
                return Ok(Some(place));
            }
            self.write_back(place)?;
        }
        Ok(None)
    }

    /// Brings some more of what the snapshot being given has and is in memory alone to where it is read.
    pub(super) fn settle(&mut self, left: &mut usize, full: Full) -> TaskResult<Progress> {
        while let Some(extent) = self.giving.as_ref().and_then(Giving::settles) {
            if *left == 0 {
                return Ok(Progress::More);
            }
            *left = left.saturating_sub(PLACE_COST);
            if let Some(place) = self.next_to_settle()?.filter(|place| self.is_pending(*place)) {
                if extent == Extent::Whole && full == Full::Leave && self.is_behind()? {
                    self.settle_later();
                    return Ok(Progress::Waiting);
                }
                let cost = if extent == Extent::Whole { WRITE_COST } else { NOTE_COST };
                *left = left.saturating_sub(self.settle_entry(place)? + cost);
            }
        }
        Ok(Progress::Done)
    }

    /// The place that was looked at last is looked at again.
    fn settle_later(&mut self) {
        if let Some(Giving { stage: Stage::Settle { next, .. }, .. }) = &mut self.giving {
            *next -= 1;
        }
    }

    /// Whether a write would have to wait for the disk.
    ///
    /// # Errors
    /// When that has been so for too long, or the disk has failed.
    fn is_behind(&mut self) -> TaskResult<bool> {
        let (Some(store), Some(giving)) = (&self.store, &mut self.giving) else { return Ok(false) };
        if store.has_room()? {
            giving.behind = None;
            return Ok(false);
        }
        let (now, taken_up) = (Instant::now(), store.taken_up());
        let behind = giving.behind.get_or_insert_with(|| Behind::new(now, taken_up));
        if behind.again(now, taken_up) > WAIT_MAX { Err(store.behind()) } else { Ok(true) }
    }

    /// What is in the next place, which may be nothing. Behind the last place, what has settled is read from now on.
    fn next_to_settle(&mut self) -> TaskResult<Option<Place>> {
        let Some(Giving { stage: Stage::Settle { next, changes }, .. }) = &mut self.giving else { return Ok(None) };
        if *next < self.hot.places() {
            *next += 1;
            return Ok(self.hot.taken(*next - 1));
        }
        let stage = match changes.take() {
            Some(changes) => Stage::Changed(changes.into_changes()?),
            None => Stage::All(self.stored(None)),
        };
        if let Some(giving) = &mut self.giving {
            giving.stage = stage;
        }
        Ok(None)
    }
}
