//! What an operator keeps of one key in order of time.
//!
//! Most records come in order, or nearly so, most keys have few, and all leave at the old end: the newest lie in one ring,
//! where adding in order and dropping the oldest costs nothing to speak of. A ring that is full joins a list of older ones,
//! so that a record that comes late to a key with a million moves some hundred others and not half of them.

use std::{collections::VecDeque, fmt, marker::PhantomData};

use flott_runtime::batch::{Data, Timestamp};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
    ser::SerializeSeq,
};

/// Values in a ring that is full. Older rings have up to twice as many.
const RING: usize = 256;

/// Values that a decoder believes to come before it has seen them.
const BELIEVED: usize = 16;

type Ring<V> = VecDeque<(Timestamp, V)>;

/// Values in order of their times; those of one time in the order in which they came.
#[derive(Debug, Clone)]
pub(super) struct Timeline<V> {
    /// Full rings, oldest first; none is empty.
    #[expect(clippy::box_collection, reason = "few keys have any: a word instead of four")]
    older: Option<Box<VecDeque<Ring<V>>>>,
    /// What is newer than all of these.
    newest: Ring<V>,
}

/// A place in a timeline, as long as that does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Which ring; the newest has the number of older ones.
    ring: usize,
    /// Which value in it.
    at: usize,
}

impl<V> Default for Timeline<V> {
    fn default() -> Self {
        Self { older: None, newest: Ring::new() }
    }
}

impl<V> Timeline<V> {
    fn older(&self) -> impl Iterator<Item = &Ring<V>> {
        self.older.iter().flat_map(|older| older.iter())
    }

    fn ring(&self, index: usize) -> Option<&Ring<V>> {
        match &self.older {
            Some(older) if index < older.len() => older.get(index),
            Some(older) => (index == older.len()).then_some(&self.newest),
            None => (index == 0).then_some(&self.newest),
        }
    }

    /// Values in it.
    pub fn len(&self) -> usize {
        self.older().map(Ring::len).sum::<usize>() + self.newest.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.older.is_none() && self.newest.is_empty()
    }

    /// Values with their times, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(Timestamp, V)> {
        self.older().chain([&self.newest]).flatten()
    }

    /// The earliest time.
    #[inline]
    pub fn first(&self) -> Option<Timestamp> {
        let ring = match &self.older {
            Some(older) => older.front()?,
            None => &self.newest,
        };
        ring.front().map(|(at, _)| *at)
    }

    /// The place behind all values whose times are `before` something; all earlier ones must be.
    fn behind(&self, before: impl Fn(Timestamp) -> bool) -> Cursor {
        let within = |ring: &Ring<V>| ring.partition_point(|(at, _)| before(*at));
        let Some(older) = &self.older else { return Cursor { ring: 0, at: within(&self.newest) } };
        if self.newest.front().is_some_and(|(at, _)| before(*at)) {
            return Cursor { ring: older.len(), at: within(&self.newest) };
        }
        let ring = older.partition_point(|ring| ring.back().is_some_and(|(at, _)| before(*at)));
        Cursor { ring, at: older.get(ring).map_or(0, within) }
    }

    /// The place of the first value at `at` or later.
    pub fn seek(&self, at: Timestamp) -> Cursor {
        self.behind(|known| known < at)
    }

    /// Shows `visit` the values from `cursor` on whose times are not after `until`, `budget` of them at most, and moves the
    /// cursor and the budget on. Whether these were all.
    #[inline]
    pub fn scan<E>(
        &self,
        cursor: &mut Cursor,
        until: Timestamp,
        budget: &mut usize,
        mut visit: impl FnMut(Timestamp, &V) -> Result<(), E>,
    ) -> Result<bool, E> {
        while let Some(ring) = self.ring(cursor.ring) {
            for (at, value) in ring.range(cursor.at.min(ring.len())..) {
                if *at > until {
                    return Ok(true);
                }
                let Some(left) = budget.checked_sub(1) else { return Ok(false) };
                *budget = left;
                cursor.at += 1;
                visit(*at, value)?;
            }
            *cursor = Cursor { ring: cursor.ring + 1, at: 0 };
        }
        Ok(true)
    }

    /// The last value whose time is not after `at`.
    pub fn latest(&self, at: Timestamp) -> Option<&V> {
        let Cursor { ring, at } = self.behind(|known| known <= at);
        let value = match at.checked_sub(1) {
            Some(before) => self.ring(ring)?.get(before),
            None => self.ring(ring.checked_sub(1)?)?.back(),
        };
        value.map(|(_, value)| value)
    }

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, at: Timestamp, value: V) {
        let in_order = match self.newest.back() {
            Some((last, _)) => *last <= at,
            None => self.older.is_none(),
        };
        if in_order {
            self.newest.push_back((at, value));
            self.roll();
        } else {
            self.insert(at, value);
        }
    }

    /// Adds a value in place of those of the same time.
    pub fn set(&mut self, at: Timestamp, value: V) {
        let place = self.seek(at);
        let ring = match &mut self.older {
            Some(older) if place.ring < older.len() => older.get_mut(place.ring),
            _ => Some(&mut self.newest),
        };
        match ring.and_then(|ring| ring.get_mut(place.at)) {
            Some(known) if known.0 == at => known.1 = value,
            _ => self.add(at, value),
        }
    }

    #[inline(never)]
    fn insert(&mut self, at: Timestamp, value: V) {
        let place = self.behind(|known| known <= at);
        if let Some(older) = &mut self.older
            && let Some(ring) = older.get_mut(place.ring)
        {
            ring.insert(place.at, (at, value));
            if ring.len() > 2 * RING {
                let later = ring.split_off(RING);
                older.insert(place.ring + 1, later);
            }
            return;
        }
        self.newest.insert(place.at, (at, value));
        self.roll();
    }

    /// Makes a full ring an older one.
    #[inline]
    fn roll(&mut self) {
        if self.newest.len() >= RING {
            let full = std::mem::replace(&mut self.newest, Ring::with_capacity(RING));
            self.older.get_or_insert_default().push_back(full);
        }
    }

    /// Drops the values at the old end that are `gone`, up to the first that is not.
    #[inline]
    pub fn expire(&mut self, gone: impl Fn(Timestamp) -> bool) {
        if self.first().is_some_and(&gone) {
            self.truncate(self.behind(gone));
        }
    }

    /// Drops what is before the last value whose time is `past`; all earlier ones must be.
    pub fn keep_last(&mut self, past: impl Fn(Timestamp) -> bool) {
        let Cursor { ring, at } = self.behind(past);
        match (at.checked_sub(1), ring.checked_sub(1)) {
            (Some(at), _) => self.truncate(Cursor { ring, at }),
            (None, Some(ring)) => {
                let at = self.ring(ring).map_or(0, |ring| ring.len().saturating_sub(1));
                self.truncate(Cursor { ring, at });
            }
            (None, None) => {}
        }
    }

    /// Drops what is before `place`.
    #[inline(never)]
    fn truncate(&mut self, place: Cursor) {
        let Some(older) = &mut self.older else {
            self.newest.drain(..place.at);
            return;
        };
        older.drain(..place.ring);
        let ring = older.front_mut().unwrap_or(&mut self.newest);
        ring.drain(..place.at);
        self.drop_empty();
    }

    fn drop_empty(&mut self) {
        if self.older.as_ref().is_some_and(|older| older.is_empty()) {
            self.older = None;
        }
    }

    /// Takes out the first value unless it is after `until`.
    pub fn pop(&mut self, until: Timestamp) -> Option<(Timestamp, V)> {
        if self.first()? > until {
            return None;
        }
        let Some(older) = &mut self.older else { return self.newest.pop_front() };
        let ring = older.front_mut()?;
        let first = ring.pop_front();
        if ring.is_empty() {
            older.pop_front();
            self.drop_empty();
        }
        first
    }
}

impl<V: Data> Serialize for Timeline<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|value| values.serialize_element(value))?;
        values.end()
    }
}

impl<'de, V: Data> Deserialize<'de> for Timeline<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Values(PhantomData))
    }
}

struct Values<V>(PhantomData<V>);

impl<'de, V: Data> Visitor<'de> for Values<V> {
    type Value = Timeline<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values with their times")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Timeline<V>, A::Error> {
        let mut timeline = Timeline::default();
        timeline.newest.reserve(values.size_hint().unwrap_or(0).min(BELIEVED));
        while let Some((at, value)) = values.next_element()? {
            timeline.add(at, value);
        }
        Ok(timeline)
    }
}

#[cfg(test)]
mod tests;
