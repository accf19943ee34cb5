//! Opaque bytes in a document that people may read: hex digits, not lists of numbers.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Bytes as hex digits.
struct Hex(Bytes);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        read(&text).map(|bytes| Self(bytes.into())).ok_or_else(|| {
            let start: String = text.chars().take(80).collect();
            D::Error::custom(format_args!("expected pairs of hex digits, not {start:?}"))
        })
    }
}

pub(crate) fn write(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn read(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    digits.chunks_exact(2).map(|pair| Some((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8)).collect()
}

/// For a list of byte strings.
pub(super) mod list {
    use super::*;

    pub fn serialize<S: Serializer>(list: &[Bytes], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|bytes| Hex(bytes.clone())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Bytes>, D::Error> {
        Ok(<Vec<Hex>>::deserialize(deserializer)?.into_iter().map(|Hex(bytes)| bytes).collect())
    }
}

/// For committables, which the control messages write as numbers.
pub(super) mod committables {
    use flott_core::{
        id::{AttemptId, AttemptNumber, OperatorId, SubtaskIndex, VertexId},
        message::Committable,
    };

    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        sink: OperatorId,
        vertex: VertexId,
        subtask: SubtaskIndex,
        attempt: AttemptNumber,
        data: Hex,
    }

    pub fn serialize<S: Serializer>(list: &[Committable], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|Committable { sink, attempt, data }| Written {
            sink: *sink,
            vertex: attempt.vertex,
            subtask: attempt.subtask,
            attempt: attempt.attempt,
            data: Hex(data.clone()),
        }))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Committable>, D::Error> {
        let list = <Vec<Written>>::deserialize(deserializer)?;
        Ok(list
            .into_iter()
            .map(|Written { sink, vertex, subtask, attempt, data }| Committable {
                sink,
                attempt: AttemptId { vertex, subtask, attempt },
                data: data.0,
            })
            .collect())
    }
}
