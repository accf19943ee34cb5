//! The document around a job graph: the `job.graph` file, the body of a submission and the stored copy.
//!
//! ```json
//! {"format":"flott.job-graph","version":1,"engine":"0.1.0","checksum":"<64 hex digits>","graph":{…}}
//! ```
//!
//! It is JSON, so that any language can write one. `checksum` is the BLAKE3 of the very bytes of the value of `graph`,
//! from its first brace to its last, so nobody has to agree on a canonical form. `engine` says who wrote it and is not
//! compared. Fields that are unknown, missing or there twice are errors, because a setting that is silently dropped
//! would change what the job does.

mod entries;
mod mistaken;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(super) use entries::{no_fields, unique_entries};

use super::{
    JobGraph,
    check::{GraphError, check},
};
use crate::{
    id::Digest,
    sealed::{self, ENGINE, Kind, SealError},
};

/// What `format` says.
pub const FORMAT: &str = "flott.job-graph";
/// What `version` says: the version of the format that is written, and the only one that is read.
pub const VERSION: u64 = 1;
/// Size above which a document is refused unread, in bytes.
pub const SIZE_MAX: usize = 16 << 20;

const KIND: Kind = Kind { format: FORMAT, version: VERSION, oldest: VERSION };

/// Why bytes are not a job graph that can run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// More than [`SIZE_MAX`].
    #[error("job graph has {0} bytes, expected at most {SIZE_MAX}")]
    TooLarge(usize),
    /// Some other, well-known kind of file.
    #[error("not a job graph but {0}; expected what `flott plan` writes")]
    Mistaken(&'static str),
    /// Of another kind, damaged, or not of the right shape.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// A graph that makes no sense.
    #[error("graph.{0}")]
    Graph(#[from] GraphError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u64,
    #[serde(borrow)]
    engine: Cow<'a, str>,
    checksum: Digest,
    #[serde(borrow)]
    graph: &'a RawValue,
}

/// Writes the document of `graph`. Nothing is checked: [`read`] refuses what a graph must not be.
pub fn write(graph: &JobGraph) -> Vec<u8> {
    let graph = serde_json::value::to_raw_value(graph).expect("all keys of a job graph are strings");
    let document = Document {
        format: FORMAT.into(),
        version: VERSION,
        engine: ENGINE.into(),
        checksum: Digest::of(graph.get().as_bytes()),
        graph: &graph,
    };
    serde_json::to_vec(&document).expect("all keys of a document are strings")
}

/// Reads a document and [checks](check) its graph.
///
/// # Errors
/// The first problem, by name. Takes memory in proportion to the bytes, and never panics.
pub fn read(bytes: &[u8]) -> Result<JobGraph, DocumentError> {
    if bytes.len() > SIZE_MAX {
        return Err(DocumentError::TooLarge(bytes.len()));
    }
    if let Some(kind) = mistaken::recognise(bytes) {
        return Err(DocumentError::Mistaken(kind));
    }
    let document: Document<'_> = KIND.read(bytes, |document: &Document<'_>| (&document.format, document.version))?;
    let graph: JobGraph = sealed::content(bytes, document.checksum, document.graph)?;
    check(&graph)?;
    Ok(graph)
}
