//! The states in a snapshot as data, for people.
//!
//! Whatever program wrote it: what entries look like stands beside them ([`EntrySchema`]). A state whose types are not known is
//! listed with its size, and its entries cannot be told apart.

use std::collections::BTreeMap;

use flott_core::{
    codec,
    id::OperatorId,
    key_group::KeyGroup,
    schema::{self, EntrySchema, Schema},
};
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    error::Error,
    file::{EngineKind, Entries, Section, SectionIndex, SectionKind, StateFileReader},
    manifest::StateFile,
    snapshot::Snapshot,
};

/// A state of an operator, in all subtasks.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What it is.
    pub section: Section,
    /// Name of the operator, and the uid that the user gave.
    pub operator: (String, Option<String>),
    /// Entries that were written: a key that has changed since the last whole checkpoint counts once more, and so does one that
    /// was removed.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl State {
    /// What its entries look like, if that is known.
    pub fn schema(&self) -> Option<EntrySchema> {
        EntrySchema::from_text(self.section.schema.as_deref()?)
    }
}

/// One entry of a state.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The group of its key; none for elements that belong to no key.
    pub group: Option<KeyGroup>,
    /// Its key.
    pub key: Option<Value>,
    /// Its value.
    pub value: Value,
}

/// Why the entries of a state cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// They cannot be read at all.
    #[error(transparent)]
    Store(#[from] Error),
    /// They can, but mean nothing.
    #[error("{state}: its entries cannot be shown: {problem}")]
    Opaque {
        /// The state.
        state: String,
        /// Why not.
        problem: String,
    },
}

/// What tells one entry of a state from the others: its encoded key, or its place.
type Place = (Option<KeyGroup>, Vec<u8>);

/// Elements of operator state, as they are stored.
#[derive(Deserialize)]
struct Elements {
    ends: Vec<u64>,
    bytes: Vec<u8>,
}

impl Snapshot {
    /// All states, by operator and name.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub async fn states(&self) -> Result<Vec<State>, Error> {
        let mut states: BTreeMap<(OperatorId, String), State> = BTreeMap::new();
        for files in self.chains() {
            for (reader, is_last) in self.open(files).await? {
                for (index, section) in sections(&reader) {
                    if !is_last && !is_incremental(section.kind) {
                        continue;
                    }
                    let place = (section.operator, format!("{} {:?}", section.name, section.kind));
                    let state = states.entry(place).or_insert_with(|| State {
                        section: section.clone(),
                        operator: self.named(section.operator),
                        written: 0,
                        bytes: 0,
                    });
                    for chunk in reader.chunks(index, None) {
                        state.written += chunk.count;
                        state.bytes += u64::from(chunk.bytes);
                    }
                }
            }
        }
        Ok(states.into_values().collect())
    }

    /// The entries of a state as they were when the snapshot was taken, by key group and encoded key. All of them are in memory
    /// at once.
    ///
    /// # Errors
    /// When files cannot be read, or their entries cannot be told apart.
    pub async fn entries(&self, state: &State) -> Result<Vec<Entry>, ShowError> {
        let opaque = |problem: String| ShowError::Opaque { state: state.section.to_string(), problem };
        let schema = state.schema().ok_or_else(|| opaque("the types of the state were not stored".to_owned()))?;
        let mut found: BTreeMap<Place, (Option<Value>, Value)> = BTreeMap::new();
        for (part, files) in self.chains().enumerate() {
            for (reader, is_last) in self.open(files).await? {
                for (index, section) in sections(&reader) {
                    let is_it = (section.operator, &section.name, section.kind)
                        == (state.section.operator, &state.section.name, state.section.kind);
                    if !is_it || (!is_last && !is_incremental(section.kind)) {
                        continue;
                    }
                    let mut chunks = std::pin::pin!(reader.read(index, None));
                    while let Some((chunk, payload)) = chunks.try_next().await? {
                        let unreadable = |error: schema::ReadError| opaque(error.to_string());
                        match (&schema.key, chunk.entries) {
                            (None, _) => {
                                let elements: Elements =
                                    codec::decode(&payload).map_err(|error| opaque(error.to_string()))?;
                                for (number, element) in split(&elements).enumerate() {
                                    let value = schema::read(&schema.value, &mut &*element).map_err(unreadable)?;
                                    let place = [part as u64, number as u64].map(u64::to_be_bytes).concat();
                                    found.insert((None, place), (None, value));
                                }
                            }
                            (Some(key), Entries::Removed) => {
                                for_each(&payload, chunk.count, |bytes| {
                                    let (_, encoded) = taken(key, bytes)?;
                                    found.remove(&(chunk.group, encoded));
                                    Ok(())
                                })
                                .map_err(unreadable)?;
                            }
                            (Some(key), Entries::Values) => {
                                for_each(&payload, chunk.count, |bytes| {
                                    let (key, encoded) = taken(key, bytes)?;
                                    let value = schema::read(&schema.value, bytes)?;
                                    found.insert((chunk.group, encoded), (Some(key), value));
                                    Ok(())
                                })
                                .map_err(unreadable)?;
                            }
                        }
                    }
                }
            }
        }
        Ok(found.into_iter().map(|((group, _), (key, value))| Entry { group, key, value }).collect())
    }

    /// The files of each subtask, oldest first.
    fn chains(&self) -> impl Iterator<Item = &[StateFile]> {
        self.manifest.vertices.iter().flat_map(|vertex| vertex.subtasks.iter().map(|subtask| &subtask.files[..]))
    }

    /// Each file, and whether it is the newest: only that counts for what is whole in each.
    async fn open(&self, files: &[StateFile]) -> Result<Vec<(StateFileReader, bool)>, Error> {
        let mut readers = Vec::new();
        for (place, file) in files.iter().enumerate() {
            readers.push((self.directory.open_file(file).await?, place + 1 == files.len()));
        }
        Ok(readers)
    }

    fn named(&self, operator: OperatorId) -> (String, Option<String>) {
        let operators = self.manifest.vertices.iter().flat_map(|vertex| &vertex.operators);
        let known = operators.into_iter().find(|known| known.id == operator);
        known.map_or_else(|| (operator.to_string(), None), |known| (known.name.clone(), known.uid.clone()))
    }
}

fn sections(reader: &StateFileReader) -> impl Iterator<Item = (SectionIndex, &Section)> {
    (0..).map(SectionIndex).zip(reader.sections())
}

/// Whether a file has only what has changed of it, and those before count too.
fn is_incremental(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::Keyed { .. } | SectionKind::Engine { kind: EngineKind::Table })
}

fn split(Elements { ends, bytes }: &Elements) -> impl Iterator<Item = &[u8]> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map_while(|(from, to)| bytes.get(usize::try_from(from).ok()?..usize::try_from(*to).ok()?))
}

/// A value, and the bytes that it takes up.
fn taken(schema: &Schema, bytes: &mut &[u8]) -> Result<(Value, Vec<u8>), schema::ReadError> {
    let before = *bytes;
    let value = schema::read(schema, bytes)?;
    Ok((value, before[..before.len() - bytes.len()].to_vec()))
}

fn for_each(
    mut bytes: &[u8],
    count: u64,
    mut take: impl FnMut(&mut &[u8]) -> Result<(), schema::ReadError>,
) -> Result<(), schema::ReadError> {
    (0..count).try_for_each(|_| take(&mut bytes))?;
    if bytes.is_empty() { Ok(()) } else { Err(schema::ReadError::Invalid) }
}
