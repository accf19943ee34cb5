//! A snapshot of a queue that goes on.
//!
//! It goes from the last time to the first, and within the bucket of a time from place to place. What it has not come to
//! yet may change before it does: a timer that is added is noted, and passed over; one that is taken out is put aside first,
//! unless it is noted as added. Where the timers of the bucket that it is in are about to move, which takes a time for each
//! of them, all that is left of the bucket is put aside as well.
//!
//! It has all there is, whatever has changed: most timers are gone by the next snapshot. Nothing is kept for it while none
//! is being given.

use flott_core::failure::Failure;
use hashbrown::HashTable;

use super::{
    TimerQueue,
    bucket::{Bucket, Timer, place},
};
use crate::{
    batch::{Key, Timestamp},
    error::TaskResult,
    state::{Content, Extent, GroupSpace, KeyHash, Progress, RunSink, Runs, Snapshot, entries},
};

/// What a place without a timer costs that a step looks at, in bytes that it could encode instead.
const FREE_PLACE_COST: usize = 4;

/// What is left of a snapshot.
#[derive(Debug)]
pub(super) struct Giving<K, N> {
    values: Runs,
    /// Timers at later times have been given, and at this time those at lower places. All have if there is none.
    from: Option<(Timestamp, usize)>,
    /// Those that were added since, where others are still to be given.
    added: HashTable<(Timestamp, Timer<K, N>)>,
    /// What went wrong while a timer was put aside.
    failed: Option<Box<Failure>>,
}

/// What a timer is looked for by among those of all times.
fn place_at<N: Key>(at: Timestamp, hash: KeyHash, namespace: &N) -> u64 {
    place(hash, namespace) ^ (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl<K: Key, N: Key> Giving<K, N> {
    fn new(groups: GroupSpace) -> Self {
        Self {
            values: Runs::new(groups, Content::Values),
            from: Some((Timestamp::MAX, 0)),
            added: HashTable::new(),
            failed: None,
        }
    }

    fn has_given(&self, at: Timestamp, place: usize) -> bool {
        self.from.is_none_or(|(until, from)| until < at || until == at && place < from)
    }

    /// Notes a timer that was added.
    pub fn come(&mut self, at: Timestamp, timer: impl FnOnce() -> Timer<K, N>) {
        if self.from.is_some_and(|(until, _)| at <= until) {
            let timer = timer();
            let rehash = |(at, timer): &(Timestamp, Timer<K, N>)| place_at(*at, timer.hash, &timer.namespace);
            self.added.insert_unique(place_at(at, timer.hash, &timer.namespace), (at, timer), rehash);
        }
    }

    /// A timer is about to be removed from its bucket, if it is there.
    pub fn leave(&mut self, at: Timestamp, bucket: &Bucket<K, N>, hash: KeyHash, key: &K, namespace: &N) {
        let Some(found) = bucket.find(hash, key, namespace) else { return };
        if !self.has_given(at, found) {
            self.put_aside(at, bucket.at(found));
        } else if let Bucket::Few(timers) = bucket
            && !self.has_given(at, timers.len() - 1)
        {
            // The last one takes its place, which will not be looked at any more.
            self.put_aside(at, timers.last());
        }
        self.forget_added(at, hash, key, namespace);
    }

    /// The last timer is about to be taken from a bucket.
    pub fn leave_last(&mut self, at: Timestamp, timers: &[Timer<K, N>]) {
        let Some((timer, before)) = timers.split_last() else { return };
        if !self.has_given(at, before.len()) {
            self.put_aside(at, Some(timer));
        }
        self.forget_added(at, timer.hash, &timer.key, &timer.namespace);
    }

    /// A bucket is about to be lined up.
    pub fn line_up(&mut self, at: Timestamp, bucket: &Bucket<K, N>) {
        if let Bucket::Many(_) = bucket {
            self.settle(at, bucket);
        }
    }

    /// The timers of a bucket are about to move.
    pub fn settle(&mut self, at: Timestamp, bucket: &Bucket<K, N>) {
        if let Some((until, from)) = self.from
            && until == at
            && from > 0
        {
            for place in from..bucket.places() {
                self.put_aside(at, bucket.at(place));
            }
            self.from = before(at);
        }
    }

    fn was_added(&self, at: Timestamp, timer: &Timer<K, N>) -> bool {
        let Timer { hash, key, namespace } = timer;
        let is = |known: &(Timestamp, Timer<K, N>)| known.0 == at && known.1.is(*hash, key, namespace);
        self.added.find(place_at(at, *hash, namespace), is).is_some()
    }

    fn forget_added(&mut self, at: Timestamp, hash: KeyHash, key: &K, namespace: &N) {
        let is = |known: &(Timestamp, Timer<K, N>)| known.0 == at && known.1.is(hash, key, namespace);
        if let Ok(entry) = self.added.find_entry(place_at(at, hash, namespace), is) {
            entry.remove();
        }
    }

    fn put_aside(&mut self, at: Timestamp, timer: Option<&Timer<K, N>>) {
        if let Err(failure) = self.put(at, timer) {
            self.failed.get_or_insert(failure);
        }
    }

    /// Puts a timer to those of its group, unless there is none or it was added since; says what that has cost.
    fn put(&mut self, at: Timestamp, timer: Option<&Timer<K, N>>) -> TaskResult<usize> {
        match timer {
            Some(timer) if !self.was_added(at, timer) => {
                let entry = (at, &timer.key, &timer.namespace);
                self.values.put(timer.hash, |bytes| entries::encode(&entry, bytes))
            }
            _ => Ok(FREE_PLACE_COST),
        }
    }
}

/// Where to go on when all timers at a time have been given.
fn before(at: Timestamp) -> Option<(Timestamp, usize)> {
    at.checked_sub(1).map(|at| (at, 0))
}

impl<K: Key, N: Key> TimerQueue<K, N> {
    fn give(&self, giving: &mut Giving<K, N>, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        if let Some(failure) = giving.failed.take() {
            return Err(failure);
        }
        let mut left = bytes.max(1);
        if giving.values.give_full(&mut left, sink)? == Progress::More {
            return Ok(Progress::More);
        }
        while let Some((until, from)) = giving.from {
            let Some((at, bucket)) = self.buckets.range(..=until).next_back() else {
                giving.from = None;
                break;
            };
            let from = if *at == until { from } else { 0 };
            for place in from..bucket.places() {
                giving.from = Some((*at, place + 1));
                left = left.saturating_sub(giving.put(*at, bucket.at(place))?);
                if giving.values.give_full(&mut left, sink)? == Progress::More || left == 0 {
                    return Ok(Progress::More);
                }
            }
            giving.from = before(*at);
        }
        giving.values.give_all(&mut left, sink)
    }
}

impl<K: Key, N: Key> Snapshot for TimerQueue<K, N> {
    fn keys(&self) -> usize {
        self.len
    }

    /// It has all timers, whatever its extent.
    fn begin(&mut self, _: Extent, groups: GroupSpace) -> TaskResult {
        self.giving = Some(Box::new(Giving::new(groups)));
        Ok(())
    }

    fn advance(&mut self, bytes: usize, sink: &mut RunSink<'_>) -> TaskResult<Progress> {
        let Some(mut giving) = self.giving.take() else { return Ok(Progress::Done) };
        let given = self.give(&mut giving, bytes, sink)?;
        if given == Progress::More {
            self.giving = Some(giving);
        }
        Ok(given)
    }

    fn abandon(&mut self) {
        self.giving = None;
    }

    fn expect(&mut self, _: usize) -> TaskResult {
        Ok(())
    }

    fn restore(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.abandon();
        entries::decode(count, bytes, |(at, key, namespace): (Timestamp, K, N)| {
            self.add(at, KeyHash::of(&key), &key, &namespace);
        })
    }

    /// No snapshot of timers has removed ones.
    fn forget(&mut self, count: usize, bytes: &[u8]) -> TaskResult {
        self.abandon();
        entries::decode(count, bytes, |(at, key, namespace): (Timestamp, K, N)| {
            self.remove(at, KeyHash::of(&key), &key, &namespace);
        })
    }
}
