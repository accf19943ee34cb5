//! Strictness where serde by itself is lenient: a key that is there twice, a field that nobody reads.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};

use crate::job_graph::check::limits::CONFIGURATION_ENTRIES_MAX;

/// Reads a configuration. Serde's own maps let the last of equal keys win, which hides a mistake.
pub(in crate::job_graph) fn unique_entries<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(UniqueEntries)
}

struct UniqueEntries;

impl<'de> Visitor<'de> for UniqueEntries {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            if entries.len() == CONFIGURATION_ENTRIES_MAX {
                return Err(A::Error::custom(format_args!("more than {CONFIGURATION_ENTRIES_MAX} entries")));
            }
            if entries.contains_key(&key) {
                let start: String = key.chars().take(80).collect();
                return Err(A::Error::custom(format_args!("duplicate key {start:?}")));
            }
            entries.insert(key, value);
        }
        Ok(entries)
    }
}

/// Reads an object without fields, where serde takes any fields for a variant that has none.
pub(in crate::job_graph) fn no_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NoFields {}

    NoFields::deserialize(deserializer).map(|NoFields {}| ())
}
