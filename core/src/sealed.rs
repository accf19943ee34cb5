//! JSON documents that say what they are, and whether they are whole.
//!
//! Each has a `format`, a `version`, and a `checksum` of the very bytes of the value that is its content.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    id::Digest,
    json::{Misplaced, locate},
};

/// Who reads and writes.
pub const ENGINE: &str = env!("CARGO_PKG_VERSION");

/// Characters of a strange format that are shown.
const FORMAT_SHOWN_MAX: usize = 80;

/// What the documents of one kind say that they are.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Their `format`.
    pub format: &'static str,
    /// The `version` that this build writes.
    pub version: u64,
    /// The oldest that it reads.
    pub oldest: u64,
}

/// Why bytes are not a whole document of a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// JSON of another format.
    #[error("format: {found:?}, expected {expected:?}")]
    Format {
        /// The beginning of what it says.
        found: String,
        /// What it must say.
        expected: &'static str,
    },
    /// A version that this build does not read.
    #[error("version: {found}, expected {}, which flott {ENGINE} reads", read_versions(.oldest, .newest))]
    Version {
        /// Its version.
        found: u64,
        /// The oldest version that is read.
        oldest: u64,
        /// The newest.
        newest: u64,
    },
    /// Not JSON, or not of the right shape.
    #[error("{0}")]
    Malformed(Misplaced),
    /// The content is not the one that was written.
    #[error("checksum: {stated}, but that of the content is {actual}: the document is damaged")]
    Checksum {
        /// What the document says.
        stated: Digest,
        /// What its content has.
        actual: Digest,
    },
}

fn read_versions(oldest: &u64, newest: &u64) -> String {
    if oldest == newest { newest.to_string() } else { format!("{oldest} to {newest}") }
}

/// What every version of every kind has.
#[derive(Deserialize)]
struct Heading {
    format: String,
    version: Option<u64>,
}

impl Kind {
    /// Reads the document around the content; `heading` gives its format and version.
    ///
    /// # Errors
    /// The first problem, by name.
    pub fn read<'a, D: Deserialize<'a>>(
        self,
        bytes: &'a [u8],
        heading: impl FnOnce(&D) -> (&str, u64),
    ) -> Result<D, SealError> {
        let document: D = match serde_json::from_slice(bytes) {
            Ok(document) => document,
            Err(error) => {
                let malformed = || SealError::Malformed(locate(bytes, 0..bytes.len(), &error));
                return Err(self.other(bytes).unwrap_or_else(malformed));
            }
        };
        let (format, version) = heading(&document);
        self.check(format, version)?;
        Ok(document)
    }

    fn check(self, format: &str, version: u64) -> Result<(), SealError> {
        if format != self.format {
            let found = format.chars().take(FORMAT_SHOWN_MAX).collect();
            return Err(SealError::Format { found, expected: self.format });
        }
        if !(self.oldest..=self.version).contains(&version) {
            return Err(SealError::Version { found: version, oldest: self.oldest, newest: self.version });
        }
        Ok(())
    }

    /// A document of a later version may have other fields: its version is the better thing to complain about.
    fn other(self, bytes: &[u8]) -> Option<SealError> {
        let heading: Heading = serde_json::from_slice(bytes).ok()?;
        self.check(&heading.format, heading.version.unwrap_or(self.version)).err()
    }
}

/// Reads the content of `document`, which lies in it as `raw`, if its checksum is the one that is stated.
///
/// # Errors
/// When it is not, or the content is not of the right shape; then with its place in the document.
pub fn content<'a, T: Deserialize<'a>>(document: &'a [u8], stated: Digest, raw: &'a RawValue) -> Result<T, SealError> {
    let text = raw.get();
    let actual = Digest::of(text.as_bytes());
    if actual != stated {
        return Err(SealError::Checksum { stated, actual });
    }
    serde_json::from_str(text).map_err(|error| {
        // The raw value is a piece of the document, so its place there is the distance of the two beginnings.
        let start = text.as_ptr().addr().saturating_sub(document.as_ptr().addr());
        SealError::Malformed(locate(document, start..start + text.len(), &error))
    })
}
