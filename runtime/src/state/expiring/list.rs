//! A list whose elements expire one by one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Perish;
use crate::{batch::Timestamp, state::ttl::Moment};

/// Elements, and when each was last used. The two are kept apart so that the elements can be given out as a slice.
#[derive(Debug, Clone)]
pub(in crate::state) struct ExpiringList<V> {
    values: Vec<V>,
    /// As many as elements.
    used: Vec<Timestamp>,
    /// The least of them.
    oldest: Timestamp,
}

impl<V> Default for ExpiringList<V> {
    fn default() -> Self {
        Self { values: Vec::new(), used: Vec::new(), oldest: Timestamp::MAX }
    }
}

impl<V> ExpiringList<V> {
    /// A list that is written now.
    pub fn new(values: Vec<V>, moment: Moment) -> Self {
        let used = vec![moment.now; values.len()];
        Self { values, used, oldest: moment.now }
    }

    /// Other elements in their places, last used when they were.
    pub fn map<W>(self, make: impl FnMut(V) -> W) -> ExpiringList<W> {
        ExpiringList { values: self.values.into_iter().map(make).collect(), used: self.used, oldest: self.oldest }
    }

    /// Reads all elements that are there.
    #[inline]
    pub fn read(&mut self, moment: Moment) -> &[V] {
        for used in &mut self.used {
            *used = moment.after_read(*used);
        }
        self.oldest = least(&self.used);
        &self.values
    }

    /// The elements that are there, without a use of them.
    #[inline]
    pub fn peek(&self) -> &[V] {
        &self.values
    }

    /// Adds to the end.
    #[inline]
    pub fn push(&mut self, value: V, moment: Moment) {
        self.values.push(value);
        self.used.push(moment.now);
        self.oldest = self.oldest.min(moment.now);
    }

    /// The elements that are still given out.
    pub fn into_values(mut self, moment: Moment) -> Vec<V> {
        if !moment.shows_expired() {
            self.prune(moment);
        }
        self.values
    }
}

fn least(used: &[Timestamp]) -> Timestamp {
    used.iter().copied().min().unwrap_or(Timestamp::MAX)
}

impl<V> Perish for ExpiringList<V> {
    fn is_due(&self, moment: Moment) -> bool {
        moment.expired(self.oldest)
    }

    fn is_overdue(&self, moment: Moment) -> bool {
        moment.overdue(self.oldest)
    }

    fn prune(&mut self, moment: Moment) -> bool {
        if moment.expired(self.oldest) {
            let mut used = self.used.iter();
            self.values.retain(|_| used.next().is_some_and(|used| !moment.expired(*used)));
            self.used.retain(|used| !moment.expired(*used));
            self.oldest = least(&self.used);
        }
        !self.values.is_empty()
    }
}

impl<V: Serialize> Serialize for ExpiringList<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.values.iter().zip(&self.used))
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for ExpiringList<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (values, used): (Vec<V>, Vec<_>) = Vec::<(V, Timestamp)>::deserialize(deserializer)?.into_iter().unzip();
        let oldest = least(&used);
        Ok(Self { values, used, oldest })
    }
}
