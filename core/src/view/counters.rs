//! What user functions count, by name, while an attempt runs.
//!
//! Names come from user code, and may be made of data: a program that counts by customer has a million of them. The
//! figures of all attempts are told once a second and kept in the JobManager, so an attempt has [`COUNTERS_MAX`] names
//! of its own; under further ones, and under names that are too long, it counts on in [`FURTHER_COUNTERS`].

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

use super::Accumulator;

/// Names that an attempt counts under, [`FURTHER_COUNTERS`] left out.
pub const COUNTERS_MAX: usize = 256;

/// Bytes of such a name.
pub const COUNTER_NAME_BYTES_MAX: usize = 256;

/// The counter of all that is counted under names that find no place.
pub const FURTHER_COUNTERS: &str = "flott.furtherCounters";

/// The counter of late records that no side output took; Flink's name.
pub const LATE_RECORDS_DROPPED: &str = "numLateRecordsDropped";

/// Sums by name, bounded as this module says, also when they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// Adds `number` to the counter `name`. A sum wraps around at the ends of its range.
    pub fn add(&mut self, name: &str, number: i64) {
        if let Some(sum) = self.0.get_mut(name) {
            *sum = sum.wrapping_add(number);
            return;
        }
        let own = self.0.len() - usize::from(self.0.contains_key(FURTHER_COUNTERS));
        if name == FURTHER_COUNTERS || own < COUNTERS_MAX && name.len() <= COUNTER_NAME_BYTES_MAX {
            self.0.insert(name.to_owned(), number);
        } else {
            self.add(FURTHER_COUNTERS, number);
        }
    }

    /// Adds another attempt's.
    pub fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(name, number)| self.add(name, number));
    }

    /// The sum under `name`; 0 if nobody has counted.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// By name, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, i64)> {
        self.0.iter().map(|(name, sum)| (name.as_str(), *sum))
    }

    /// Whether nobody has counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// As accumulators of a job.
    pub fn accumulators(&self) -> BTreeMap<String, Accumulator> {
        self.iter().map(|(name, sum)| (name.to_owned(), Accumulator::LongCounter(sum))).collect()
    }
}

impl<'de> Deserialize<'de> for Counters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct("Counters", Bounded)
    }
}

struct Bounded;

impl<'de> Visitor<'de> for Bounded {
    type Value = Counters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sums by name")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Counters, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counters, A::Error> {
        let mut counters = Counters::default();
        while let Some((name, number)) = map.next_entry::<String, i64>()? {
            let known = counters.0.len();
            counters.add(&name, number);
            if counters.0.len() == known || !counters.0.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "a counter is there twice, has a name longer than {COUNTER_NAME_BYTES_MAX} bytes, or is one of more \
                     than {COUNTERS_MAX}"
                )));
            }
        }
        Ok(counters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn numbered(count: usize) -> Counters {
        let mut counters = Counters::default();
        (0..count).for_each(|number| counters.add(&number.to_string(), 1));
        counters
    }

    #[test]
    fn what_finds_no_place_is_counted_together() {
        let mut counters = numbered(COUNTERS_MAX);
        assert_eq!((counters.iter().count(), counters.get(FURTHER_COUNTERS)), (COUNTERS_MAX, 0));
        for number in 0..10_000 {
            counters.add(&format!("further {number}"), 2);
        }
        counters.add("7", 4);
        assert_eq!((counters.iter().count(), counters.get("7")), (COUNTERS_MAX + 1, 5));
        assert_eq!(counters.get(FURTHER_COUNTERS), 20_000);
        let mut long = Counters::default();
        long.add(&"x".repeat(COUNTER_NAME_BYTES_MAX + 1), 3);
        long.add(&"x".repeat(COUNTER_NAME_BYTES_MAX), 1);
        assert_eq!((long.iter().count(), long.get(FURTHER_COUNTERS)), (2, 3));
        long.merge(&counters);
        let sum = |counters: &Counters| counters.iter().map(|(_, number)| number).sum::<i64>();
        assert_eq!((long.iter().count(), sum(&long)), (COUNTERS_MAX + 1, 4 + sum(&counters)));
    }

    #[test]
    fn what_is_read_has_the_same_bounds() {
        #[track_caller]
        fn check(written: &BTreeMap<String, i64>, is_read: bool) {
            assert_eq!(codec::decode::<Counters>(&codec::to_vec(written).unwrap()).is_ok(), is_read);
            assert_eq!(serde_json::from_value::<Counters>(serde_json::json!(written)).is_ok(), is_read);
        }
        let written = |count: usize| (0..count).map(|number| (number.to_string(), 1)).collect::<BTreeMap<_, _>>();
        check(&written(0), true);
        let mut full = numbered(COUNTERS_MAX);
        full.add("further", 5);
        check(&full.0, true);
        assert_eq!(codec::decode::<Counters>(&codec::to_vec(&full).unwrap()), Ok(full));
        check(&written(COUNTERS_MAX + 1), false);
        check(&[("x".repeat(COUNTER_NAME_BYTES_MAX + 1), 1)].into(), false);
    }
}
