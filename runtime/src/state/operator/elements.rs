//! Encoded elements.

use flott_core::{codec, failure::Failure};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::TaskResult;

/// Encoded elements, one after the other. Who spreads them over subtasks sees only where each ends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Elements {
    /// The end of each element in `bytes`, ascending; the last is the end of all.
    ends: Vec<u64>,
    #[serde(serialize_with = "as_bytes")]
    bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Raw {
    ends: Vec<u64>,
    bytes: Vec<u8>,
}

/// Elements whose ends do not fit their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ends of {elements} elements must ascend to {bytes}, the length of their bytes")]
pub struct BrokenElements {
    elements: usize,
    bytes: usize,
}

impl TryFrom<Raw> for Elements {
    type Error = BrokenElements;

    fn try_from(Raw { ends, bytes }: Raw) -> Result<Self, BrokenElements> {
        if ends.is_sorted() && ends.last().copied().unwrap_or_default() == bytes.len() as u64 {
            return Ok(Self { ends, bytes });
        }
        Err(BrokenElements { elements: ends.len(), bytes: bytes.len() })
    }
}

/// One copy instead of a call per byte; in the codec it is the same as a list of bytes.
fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

impl Elements {
    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all of them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            // An element lies within the bytes: `ends` ascends to their length.
            let element = &self.bytes[start..*end as usize];
            start = *end as usize;
            element
        })
    }

    /// Adds an encoded element.
    pub fn push(&mut self, element: &[u8]) {
        self.bytes.extend_from_slice(element);
        self.ends.push(self.bytes.len() as u64);
    }

    /// Encodes and adds an element.
    pub(super) fn encode<T: Serialize>(&mut self, element: &T) -> TaskResult {
        codec::encode(element, &mut self.bytes)
            .map_err(|error| Box::new(Failure::user("operator state cannot be encoded").caused_by(&error)))?;
        self.ends.push(self.bytes.len() as u64);
        Ok(())
    }
}
