//! Split coordinators: one per source of the job.
//!
//! A source's splits are listed by one of its readers, and are opaque here. Readers ask when they have nothing to do, and
//! the first to ask gets the next split: so a slow reader holds nobody up. A reader that asks before the list is there
//! waits; those who wait are served in order of their subtasks. When the region of a reader starts over, what it had been given goes back, in its old order.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flott_core::{
    failure::Failure,
    id::{AttemptId, AttemptNumber, OperatorId, SubtaskIndex},
};

use crate::index::VertexIndex;

/// Splits that one source may have.
pub const SPLITS_MAX: usize = 1 << 20;

/// A split by its place in the list.
type SplitIndex = u32;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Listing {
    /// Nobody has been asked.
    Unasked,
    /// A reader has been asked.
    Asked(AttemptId),
    /// All splits there are.
    Known(Vec<Bytes>),
}

/// An answer to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The reader.
    pub attempt: AttemptId,
    /// `None`: there are no more.
    pub split: Option<Bytes>,
}

/// Hands out the splits of one source.
#[derive(Debug, Clone)]
pub struct SplitCoordinator {
    /// The source.
    pub source: OperatorId,
    /// The vertex that reads it.
    pub vertex: VertexIndex,
    listing: Listing,
    unassigned: BTreeSet<SplitIndex>,
    assigned: BTreeMap<SubtaskIndex, Vec<SplitIndex>>,
    waiting: BTreeSet<AttemptId>,
    /// Attempts that were told that there are no more. What goes back later is for others: these may be ending.
    dismissed: BTreeMap<SubtaskIndex, AttemptNumber>,
}

impl SplitCoordinator {
    /// Nothing is known yet.
    pub fn new(source: OperatorId, vertex: VertexIndex) -> Self {
        Self {
            source,
            vertex,
            listing: Listing::Unasked,
            unassigned: BTreeSet::new(),
            assigned: BTreeMap::new(),
            waiting: BTreeSet::new(),
            dismissed: BTreeMap::new(),
        }
    }

    /// Whether a reader is to be asked for the list.
    pub fn wants_listing(&self) -> bool {
        self.listing == Listing::Unasked
    }

    /// Notes that `attempt` is asked for the list.
    pub fn asked(&mut self, attempt: AttemptId) {
        self.listing = Listing::Asked(attempt);
    }

    /// Who has been asked and has not answered.
    pub fn lister(&self) -> Option<AttemptId> {
        match &self.listing {
            Listing::Asked(attempt) => Some(*attempt),
            Listing::Unasked | Listing::Known(_) => None,
        }
    }

    /// Takes the list, and serves those who wait for it. A list that was not asked for changes nothing.
    ///
    /// # Errors
    /// The reader's own, or that there are too many splits; then somebody is to be asked again.
    pub fn listed(
        &mut self,
        attempt: AttemptId,
        result: Result<Vec<Bytes>, Failure>,
    ) -> Result<Vec<Assignment>, Failure> {
        if self.lister() != Some(attempt) {
            return Ok(Vec::new());
        }
        self.listing = Listing::Unasked;
        let splits = result?;
        if splits.len() > SPLITS_MAX {
            let message = format!("a source has {} splits, and at most {SPLITS_MAX} can be handed out", splits.len());
            return Err(Failure::user(message).fatal());
        }
        self.unassigned = (0..splits.len() as SplitIndex).collect();
        self.listing = Listing::Known(splits);
        let waiting = std::mem::take(&mut self.waiting);
        Ok(waiting.into_iter().filter_map(|attempt| self.request(attempt)).collect())
    }

    /// A reader wants a split. `None` if it has to wait for the list. If a request arrives twice, its reader gets two
    /// splits, and reads both.
    pub fn request(&mut self, attempt: AttemptId) -> Option<Assignment> {
        let Listing::Known(splits) = &self.listing else {
            // One place per reader, however often it asks.
            self.waiting.insert(attempt);
            return None;
        };
        let dismissed = self.dismissed.get(&attempt.subtask) == Some(&attempt.attempt);
        let next = if dismissed { None } else { self.unassigned.pop_first() };
        if let Some(index) = next {
            self.assigned.entry(attempt.subtask).or_default().push(index);
        }
        if next.is_none() {
            self.dismissed.insert(attempt.subtask, attempt.attempt);
        }
        let split = next.and_then(|index| splits.get(index as usize)).cloned();
        Some(Assignment { attempt, split })
    }

    /// An attempt has ended: it will not list, and does not wait. What it read stays read. `true` if another is to be
    /// asked for the list.
    pub fn ended(&mut self, attempt: AttemptId) -> bool {
        self.waiting.remove(&attempt);
        let listed = self.lister() == Some(attempt);
        if listed {
            self.listing = Listing::Unasked;
        }
        listed
    }

    /// A subtask starts over: what it was given goes back.
    pub fn restarted(&mut self, subtask: SubtaskIndex) {
        self.unassigned.extend(self.assigned.remove(&subtask).into_iter().flatten());
    }
}
