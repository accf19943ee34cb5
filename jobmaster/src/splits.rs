//! Split coordinators: one per source of the job.
//!
//! A source's splits are listed by one of its readers, and are opaque here. Readers ask for one at a time, and the first to
//! ask gets the next split: so a slow reader holds nobody up. A reader that asks before the list is there waits; those who
//! wait are served in order of their subtasks. When the region of a reader starts over, what it had been given goes back,
//! in its old order.
//!
//! Readers of splits that never end hold all they get, and the first of them would ask for everything. So each is told its
//! share, with which all have as many, give or take one, and does not ask while it holds as many: the shares together are
//! all splits, so none is left over. Where splits do end it goes on to ask, and fast readers still read more of them. That
//! a reader keeps to it need not be checked here: what it was given is given to nobody else.
//!
//! A checkpoint holds what is left of a source: splits that nobody had when its barrier was sent, and what readers say they have
//! left of theirs. A reader takes splits and barriers in the order in which they were sent to it: what it was given before the
//! barrier it has read up to the cut, and what it is given later it reads behind it. So when its region goes back to the
//! checkpoint, what it had left then goes back, and what it was given since.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flott_core::{
    failure::Failure,
    id::{AttemptId, AttemptNumber, CheckpointId, OperatorId, SubtaskIndex},
    journal::SplitMark,
};

use crate::index::VertexIndex;

/// Splits that one source may have.
pub const SPLITS_MAX: usize = 1 << 20;

/// The order in which splits are handed out. What is left of one that was begun comes before all others.
type Place = i64;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Listing {
    /// Nobody has been asked.
    Unasked,
    /// A reader has been asked.
    Asked(AttemptId),
    /// Known: so many there are in all.
    Known(u32),
}

/// An answer to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The reader.
    pub attempt: AttemptId,
    /// `None`: there are no more.
    pub split: Option<Bytes>,
    /// How many splits the reader is to hold at a time; at least 1.
    pub share: u32,
}

/// What a subtask was given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    place: Place,
    split: Bytes,
    /// The newest barrier that was sent before.
    after: CheckpointId,
}

/// A reader that an earlier JobMaster has left.
#[derive(Debug, Clone)]
pub struct TakenReader {
    /// Which.
    pub attempt: AttemptId,
    /// What it was given since the latest checkpoint, each with the newest barrier that was sent before.
    pub given: Vec<(CheckpointId, SplitMark)>,
    /// What it had left at the latest checkpoint, unless it began from it.
    pub left: Vec<Bytes>,
    /// Whether it was told that there are no more.
    pub is_dismissed: bool,
}

/// Hands out the splits of one source.
#[derive(Debug, Clone)]
pub struct SplitCoordinator {
    /// The source.
    pub source: OperatorId,
    /// The vertex that reads it.
    pub vertex: VertexIndex,
    /// Its subtasks.
    readers: u32,
    listing: Listing,
    unassigned: BTreeMap<Place, Bytes>,
    /// Since the checkpoint that a restart goes back to.
    given: BTreeMap<SubtaskIndex, Vec<Given>>,
    /// What subtasks had left at that checkpoint.
    left: BTreeMap<SubtaskIndex, Vec<Bytes>>,
    /// The newest barrier that was sent.
    barrier: CheckpointId,
    /// Place of what goes back next and is no split of the list.
    returned: Place,
    waiting: BTreeSet<AttemptId>,
    /// Attempts that were told that there are no more. What goes back later is for others: these may be ending.
    dismissed: BTreeMap<SubtaskIndex, AttemptNumber>,
}

impl SplitCoordinator {
    /// Nothing is known yet.
    pub fn new(source: OperatorId, vertex: VertexIndex, readers: u32) -> Self {
        Self {
            source,
            vertex,
            readers,
            listing: Listing::Unasked,
            unassigned: BTreeMap::new(),
            given: BTreeMap::new(),
            left: BTreeMap::new(),
            barrier: CheckpointId(0),
            returned: -1,
            waiting: BTreeSet::new(),
            dismissed: BTreeMap::new(),
        }
    }

    /// Begins with this list: what a checkpoint had left of the source, or what an earlier JobMaster had.
    pub fn restore(&mut self, splits: Vec<Bytes>) {
        self.listing = Listing::Known(splits.len() as u32);
        self.unassigned = (0..).zip(splits).collect();
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
        self.restore(splits);
        let waiting = std::mem::take(&mut self.waiting);
        Ok(waiting.into_iter().filter_map(|attempt| self.request(attempt)).collect())
    }

    /// A reader wants a split. `None` if it has to wait for the list. If a request arrives twice, its reader gets two
    /// splits, and reads both.
    pub fn request(&mut self, attempt: AttemptId) -> Option<Assignment> {
        let Listing::Known(splits) = self.listing else {
            // One place per reader, however often it asks.
            self.waiting.insert(attempt);
            return None;
        };
        let dismissed = self.dismissed.get(&attempt.subtask) == Some(&attempt.attempt);
        let next = if dismissed { None } else { self.unassigned.pop_first() };
        match &next {
            Some((place, split)) => {
                let given = Given { place: *place, split: split.clone(), after: self.barrier };
                self.given.entry(attempt.subtask).or_default().push(given);
            }
            None => {
                self.dismissed.insert(attempt.subtask, attempt.attempt);
            }
        }
        let split = next.map(|(_, split)| split);
        Some(Assignment { attempt, split, share: share(splits, self.readers, attempt.subtask) })
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

    /// Takes over from an earlier JobMaster: `splits` are those that nobody had begun at the latest checkpoint, `readers` are all
    /// that read, and `barrier` is the newest that was sent. `false` if they cannot have been given what they say.
    pub fn take_over(&mut self, splits: Option<Vec<Bytes>>, readers: Vec<TakenReader>, barrier: CheckpointId) -> bool {
        *self = Self { barrier, ..Self::new(self.source, self.vertex, self.readers) };
        if let Some(splits) = splits {
            self.restore(splits);
        }
        if let Listing::Known(splits) = &mut self.listing {
            // Shares are of all that there are.
            *splits += readers.iter().map(|reader| reader.left.len() as u32).sum::<u32>();
        }
        let mut places: BTreeMap<SplitMark, Vec<Place>> = BTreeMap::new();
        if readers.iter().any(|reader| !reader.given.is_empty()) {
            // The first of equal ones is taken first.
            for (place, split) in self.unassigned.iter().rev() {
                places.entry(SplitMark::of(split)).or_default().push(*place);
            }
        }
        for TakenReader { attempt, given, left, is_dismissed } in readers {
            for (after, mark) in given {
                let place = places.get_mut(&mark).and_then(Vec::pop);
                let Some((place, split)) = place.and_then(|place| self.unassigned.remove_entry(&place)) else {
                    return false;
                };
                self.given.entry(attempt.subtask).or_default().push(Given { place, split, after });
            }
            if !left.is_empty() {
                self.left.insert(attempt.subtask, left);
            }
            if is_dismissed {
                self.dismissed.insert(attempt.subtask, attempt.attempt);
            }
        }
        true
    }

    /// A subtask starts over from the latest checkpoint, or from the beginning if there is none: what it had left there, and
    /// what it was given since, goes back.
    pub fn restarted(&mut self, subtask: SubtaskIndex) {
        let given = self.given.remove(&subtask).unwrap_or_default();
        self.unassigned.extend(given.into_iter().map(|Given { place, split, .. }| (place, split)));
        // In their order, before all others.
        for split in self.left.remove(&subtask).unwrap_or_default().into_iter().rev() {
            self.unassigned.insert(self.returned, split);
            self.returned -= 1;
        }
    }

    // ------------------------------------------------------------ checkpoints

    /// A barrier is being sent: whether the splits are known, and those that nobody has, in order.
    pub fn cut(&mut self, checkpoint: CheckpointId) -> (bool, Vec<Bytes>) {
        self.barrier = checkpoint;
        (matches!(self.listing, Listing::Known(_)), self.unassigned.values().cloned().collect())
    }

    /// A checkpoint is complete, in which subtasks had so much `left`: it is what they go back to from now on.
    pub fn completed(&mut self, checkpoint: CheckpointId, left: BTreeMap<SubtaskIndex, Vec<Bytes>>) {
        self.given.values_mut().for_each(|given| given.retain(|given| given.after >= checkpoint));
        self.given.retain(|_, given| !given.is_empty());
        self.left = left;
    }
}

/// How many of `splits` reader `subtask` of `readers` is to hold; at least 1, as some other may come too late to read its own.
fn share(splits: u32, readers: u32, subtask: SubtaskIndex) -> u32 {
    let readers = readers.max(1);
    (splits / readers + u32::from(subtask.0 < splits % readers)).max(1)
}

#[cfg(test)]
mod tests {
    use flott_core::id::VertexId;
    use proptest::prelude::*;

    use super::*;

    fn reader(subtask: u32) -> AttemptId {
        let vertex = VertexId::from_bytes([1; 16]);
        AttemptId { vertex, subtask: SubtaskIndex(subtask), attempt: AttemptNumber(0) }
    }

    /// Lets readers ask in the order of `turns` until none asks any more; how many splits each holds at most and at the
    /// end, if splits end or not.
    fn deal(splits: u32, readers: u32, turns: &[u32], end: bool) -> Vec<u32> {
        let mut coordinator = SplitCoordinator::new(OperatorId::from_uid("source"), VertexIndex(0), readers);
        coordinator.asked(reader(0));
        let list = (0..splits).map(|split| Bytes::from(split.to_le_bytes().to_vec())).collect();
        assert_eq!(coordinator.listed(reader(0), Ok(list)), Ok(Vec::new()));
        let mut given = vec![0; readers as usize];
        let mut asks = vec![true; readers as usize];
        for turn in turns.iter().copied().chain((0..readers).cycle()) {
            let place = (turn % readers) as usize;
            if asks[place] {
                let Assignment { split, share, .. } = coordinator.request(reader(place as u32)).unwrap();
                given[place] += u32::from(split.is_some());
                asks[place] = split.is_some() && (end || given[place] < share);
            }
            if asks.iter().all(|asks| !asks) {
                break;
            }
        }
        given
    }

    proptest! {
        #[test]
        fn splits_that_never_end_are_all_dealt_evenly(
            splits in 0u32..40,
            readers in 1u32..9,
            turns in prop::collection::vec(0u32..9, 0..60),
        ) {
            let given = deal(splits, readers, &turns, false);
            prop_assert_eq!(given.iter().sum::<u32>(), splits);
            let (least, most) = (given.iter().min().unwrap(), given.iter().max().unwrap());
            prop_assert!(most - least <= 1, "{:?}", given);
        }

        #[test]
        fn splits_that_end_are_all_read_by_whoever_asks(
            splits in 0u32..40,
            readers in 1u32..9,
            turns in prop::collection::vec(0u32..9, 0..60),
        ) {
            prop_assert_eq!(deal(splits, readers, &turns, true).iter().sum::<u32>(), splits);
        }
    }

    #[test]
    fn shares_are_of_what_readers_had_left_too() {
        let mut coordinator = SplitCoordinator::new(OperatorId::from_uid("source"), VertexIndex(0), 1);
        let left = ["a", "b", "c", "d"].map(Bytes::from).to_vec();
        let taken = TakenReader { attempt: reader(0), given: Vec::new(), left, is_dismissed: false };
        assert!(coordinator.take_over(Some(Vec::new()), vec![taken], CheckpointId(1)));
        coordinator.restarted(SubtaskIndex(0));
        let answers: Vec<_> = (0..5).filter_map(|_| coordinator.request(reader(0))).collect();
        assert_eq!(answers.iter().filter(|answer| answer.split.is_some()).count(), 4);
        assert!(answers.iter().all(|answer| answer.share == 4), "{answers:?}");
    }

    #[test]
    fn a_fast_reader_may_read_all_splits_that_end() {
        assert_eq!(deal(5, 2, &[1; 6], true), [0, 5]);
        assert_eq!(deal(5, 2, &[1; 6], false), [3, 2]);
    }
}
