//! What a table knows of its snapshots: what has changed since the last, and what of it is still to be given.
//!
//! Beside the entries stand three marks per place of the table ([`Marks`]). A cut does not touch them: it starts a new
//! count, and each word of marks is brought up to it when it is next looked at. So a cut takes no time, and what it has
//! to do is spread over the changes and steps after it.
//!
//! # Layout
//! - `marks`: marks by place
//! - `runs`: encoded entries, gathered by key group

mod marks;
mod runs;

use flott_core::{codec::CodecError, failure::Failure};
use marks::Since;
pub(super) use marks::{Mark, Marks};
pub(crate) use runs::Runs;

use super::table::{Content, Extent, GroupSpace, KeyHash, Progress, RunSink};
use crate::{
    batch::{Data, Key},
    error::TaskResult,
    state::entries,
};

/// What looking at a free place costs in a step, in bytes that it could encode instead.
const FREE_PLACE_COST: usize = 4;

/// What looking at a word of marks costs.
const WORD_COST: usize = 4;

/// Encodes an entry. A pointer, so that only who begins a snapshot needs to know how.
type Encode<K, V> = fn(&(K, V), &mut Vec<u8>) -> Result<(), CodecError>;

/// The snapshots of one table.
#[derive(Debug)]
pub(super) struct Track<K, V> {
    marks: Marks,
    /// Keys that earlier snapshots have, and that have gone since the last cut.
    gone: Vec<K>,
    giving: Option<Giving<K>>,
    /// A snapshot was given up, so that none can build on it.
    torn: bool,
    encode: Encode<K, V>,
}

/// A snapshot that is being given.
#[derive(Debug)]
struct Giving<K> {
    gone: Vec<K>,
    removed: Runs,
    values: Runs,
    /// How many words of marks have been gone through.
    word: usize,
    /// What went wrong while an entry was kept aside.
    failed: Option<Box<Failure>>,
}

impl<K: Key, V: Data> Track<K, V> {
    /// That of a table of which no snapshot has been taken.
    pub fn new() -> Self {
        Self { marks: Marks::default(), gone: Vec::new(), giving: None, torn: false, encode: entries::encode }
    }

    /// Notes that all that is there has been restored.
    pub fn restored(&mut self) {
        self.torn |= self.is_marked();
        self.giving = None;
        self.marks.start(Since::Restored);
    }

    /// Gives some more of a snapshot; see [`Snapshot::advance`](super::Snapshot::advance). `at` says what is at a place,
    /// of which there are `places`, looked at in the order of `walk`.
    pub fn advance<'a>(
        &mut self,
        (places, walk): (usize, Walk),
        at: impl Fn(usize) -> Option<&'a (K, V)>,
        bytes: usize,
        sink: &mut RunSink<'_>,
    ) -> TaskResult<Progress> {
        let Some(giving) = &mut self.giving else { return Ok(Progress::Done) };
        let given = giving.step(&mut self.marks, entries::encode, (places, walk), at, bytes, sink);
        match given {
            Ok(Progress::More | Progress::Waiting) => {}
            Ok(Progress::Done) => self.giving = None,
            Err(_) => self.abandon(),
        }
        given
    }
}

impl<K: Key, V> Track<K, V> {
    /// Cuts a snapshot of a table with so many places; see [`Snapshot::begin`](super::Snapshot::begin).
    pub fn begin(&mut self, extent: Extent, groups: GroupSpace, places: usize) -> TaskResult {
        self.abandon();
        if self.torn && extent == Extent::Changed {
            return Err(given_up());
        }
        self.torn = false;
        let mut gone = std::mem::take(&mut self.gone);
        if extent == Extent::Changed && !self.marks.are_empty() {
            self.marks.start(Since::Changed);
        } else {
            self.marks.start(Since::Whole);
            gone = Vec::new();
        }
        self.marks.make_room(places);
        let (removed, values) = (Runs::new(groups, Content::Removed), Runs::new(groups, Content::Values));
        self.giving = Some(Giving { gone, removed, values, word: 0, failed: None });
        Ok(())
    }

    /// Whether marks are kept of entries that are there.
    pub fn is_marked(&self) -> bool {
        !self.marks.are_new()
    }

    /// Whether some of a snapshot is still to be given.
    pub fn is_giving(&self) -> bool {
        self.giving.is_some()
    }

    /// See [`Snapshot::abandon`](super::Snapshot::abandon).
    pub fn abandon(&mut self) {
        self.torn |= self.giving.take().is_some();
    }

    /// Notes that an entry is about to change.
    ///
    #[inline]
    pub fn change(&mut self, place: usize, entry: &(K, V)) {
        if self.marks.change(place) {
            self.keep_aside(entry);
        }
    }

    /// Notes that an entry is about to get another form that comes to the same: earlier snapshots hold good for it.
    #[inline]
    pub fn reform(&mut self, place: usize, entry: &(K, V)) {
        if self.marks.give(place) {
            self.keep_aside(entry);
        }
    }

    /// Notes that there is a new entry.
    #[inline]
    pub fn come(&mut self, place: usize) {
        self.marks.set(place, Mark { changed: true, pending: false, stored: false });
    }

    /// Notes that an entry is about to go, and says whether its key must then be given to [`gone`](Self::gone).
    #[inline]
    pub fn leave(&mut self, place: usize, entry: &(K, V)) -> bool {
        let Mark { pending, stored, .. } = self.marks.get(place);
        if pending {
            self.keep_aside(entry);
        }
        self.marks.set(place, Mark::default());
        stored
    }

    /// Notes that a key has gone that earlier snapshots have.
    pub fn gone(&mut self, key: K) {
        self.gone.push(key);
    }

    #[cold]
    fn keep_aside(&mut self, entry: &(K, V)) {
        if let Some(giving) = &mut self.giving
            && let Err(failure) = giving.values.put(KeyHash::of(&entry.0), |bytes| (self.encode)(entry, bytes))
        {
            giving.failed.get_or_insert(failure);
        }
    }

    /// Gives the mark of each entry to the place that it has moved to. `moved` calls what it is given with the places before
    /// and after of each, of which there are so many now.
    pub fn carry(&mut self, places: usize, moved: impl FnOnce(&mut dyn FnMut(usize, usize))) {
        let mut marks = self.marks.blank(places);
        moved(&mut |from, to| marks.set(to, self.marks.get(from)));
        self.marks = marks;
        if let Some(giving) = &mut self.giving {
            giving.word = 0;
        }
    }
}

impl<K: Key> Giving<K> {
    fn step<'a, V: 'a>(
        &mut self,
        marks: &mut Marks,
        encode: impl Fn(&(K, V), &mut Vec<u8>) -> Result<(), CodecError>,
        (places, walk): (usize, Walk),
        at: impl Fn(usize) -> Option<&'a (K, V)>,
        bytes: usize,
        sink: &mut RunSink<'_>,
    ) -> TaskResult<Progress>
    where
        K: 'a,
    {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let mut left = bytes.max(1);
        while let Some(key) = self.gone.pop() {
            let put = self.removed.put(KeyHash::of(&key), |bytes| entries::encode(&key, bytes))?;
            left = left.saturating_sub(put);
            if self.removed.give_full(&mut left, sink)? == Progress::More || left == 0 {
                return Ok(Progress::More);
            }
        }
        if self.removed.give_all(&mut left, sink)? == Progress::More
            || self.values.give_full(&mut left, sink)? == Progress::More
        {
            return Ok(Progress::More);
        }
        let words = places.div_ceil(Marks::PLACES);
        while self.word < words {
            let word = walk(self.word, words);
            while let Some(place) = marks.take_pending(word) {
                match at(place) {
                    Some(entry) => {
                        let put = self.values.put(KeyHash::of(&entry.0), |bytes| encode(entry, bytes))?;
                        left = left.saturating_sub(put);
                        if self.values.give_full(&mut left, sink)? == Progress::More || left == 0 {
                            return Ok(Progress::More);
                        }
                    }
                    None => left = left.saturating_sub(FREE_PLACE_COST),
                }
            }
            self.word += 1;
            left = left.saturating_sub(WORD_COST);
            if left == 0 {
                return Ok(Progress::More);
            }
        }
        self.values.give_all(&mut left, sink)
    }
}

/// Which word of marks is looked at as the `n`th, of so many.
pub(super) type Walk = fn(n: usize, words: usize) -> usize;

/// One after the other; their number may grow meanwhile.
pub(super) fn in_order(n: usize, _: usize) -> usize {
    n
}

/// About as the golden ratio has it, so that entries of all parts come evenly mixed.
///
/// In a hash table entries lie in order of their hashes. A smaller one, into which they are put one after the other, would
/// have them all in one stretch, which is then full while the rest is empty, and every search in it goes a long way: a
/// second became fourteen. The number of words is a power of two, as that of a hash table's places is.
pub(super) fn scattered(n: usize, words: usize) -> usize {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15) & (words - 1)
}

#[cold]
pub(super) fn no_room(keys: usize) -> Box<Failure> {
    Box::new(Failure::environment(format!("there is no memory for {keys} keys of keyed state")))
}

#[cold]
pub(super) fn given_up() -> Box<Failure> {
    Box::new(Failure::internal("a snapshot of keyed state was given up: the next one must be whole"))
}
