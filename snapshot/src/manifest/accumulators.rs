//! Results in a document: JSON has no word for numbers that are none, or without end.

use std::collections::BTreeMap;

use flott_core::view::Accumulator;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Written {
    LongCounter(i64),
    DoubleCounter(String),
    LongMinimum(i64),
    LongMaximum(i64),
    List(Vec<String>),
}

pub fn serialize<S: Serializer>(results: &BTreeMap<String, Accumulator>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(results.iter().map(|(name, result)| {
        let written = match result {
            Accumulator::LongCounter(sum) => Written::LongCounter(*sum),
            Accumulator::DoubleCounter(sum) => Written::DoubleCounter(sum.to_string()),
            Accumulator::LongMinimum(least) => Written::LongMinimum(*least),
            Accumulator::LongMaximum(greatest) => Written::LongMaximum(*greatest),
            Accumulator::List(records) => Written::List(records.clone()),
        };
        (name, written)
    }))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Accumulator>, D::Error> {
    let written = <BTreeMap<String, Written>>::deserialize(deserializer)?;
    let read = |(name, written)| {
        let result = match written {
            Written::LongCounter(sum) => Accumulator::LongCounter(sum),
            Written::DoubleCounter(sum) => {
                let shown = || D::Error::custom(format_args!("{sum:?} is no number"));
                Accumulator::DoubleCounter(sum.parse().map_err(|_| shown())?)
            }
            Written::LongMinimum(least) => Accumulator::LongMinimum(least),
            Written::LongMaximum(greatest) => Accumulator::LongMaximum(greatest),
            Written::List(records) => Accumulator::List(records),
        };
        Ok((name, result))
    };
    written.into_iter().map(read).collect()
}
