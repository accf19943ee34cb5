//! The document in a place of a job's log: `_metadata`.
//!
//! ```json
//! {"format":"flott.checkpoint","version":3,"engine":"0.1.0","checksum":"<64 hex digits>","manifest":{…}}
//! {"format":"flott.checkpoint","version":3,"engine":"0.1.0","checksum":"<64 hex digits>","claim":{…}}
//! ```
//!
//! `checksum` is the BLAKE3 of the very bytes of the last value, from its first brace to its last, as in the document of
//! a job graph. `engine` says who wrote it and is not compared. Fields that are unknown, missing or there twice are
//! errors: a later version that adds some has another number.
//!
//! | version | |
//! |---|---|
//! | 1 | what readers had left of their splits is among the splits of the source |
//! | 2 | it is with the readers, and subtasks that have finished have their results with them |
//! | 3 | subtasks may have records with them that barriers have overtaken |

use std::borrow::Cow;

use flott_core::{
    id::{CheckpointId, Digest, JobId, JobMasterEpoch},
    sealed::{self, ENGINE, Kind, SealError},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Manifest,
    check::{ManifestError, check, limits},
};

/// What `format` says.
pub const FORMAT: &str = "flott.checkpoint";
/// What `version` says: the version of the format that is written.
pub const VERSION: u64 = 3;
/// The oldest version that is read.
pub const OLDEST_VERSION: u64 = 1;
/// Size above which a document is refused unread, in bytes.
pub const SIZE_MAX: u64 = 1 << 30;

const KIND: Kind = Kind { format: FORMAT, version: VERSION, oldest: OLDEST_VERSION };

/// The mark of a JobMaster in the log of its job: whatever an older one may want to put there comes too late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The job.
    pub job_id: JobId,
    /// The place.
    pub checkpoint: CheckpointId,
    /// The JobMaster.
    pub epoch: JobMasterEpoch,
    /// Tells it from every other claim, should the answer to its creation be lost.
    pub nonce: String,
}

/// What lies in a place of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// A checkpoint or savepoint.
    Manifest(Box<Manifest>),
    /// No state: a JobMaster began here, or left the place out.
    Claim(Claim),
}

impl Document {
    /// Who wrote it.
    pub fn epoch(&self) -> JobMasterEpoch {
        match self {
            Self::Manifest(manifest) => manifest.epoch,
            Self::Claim(claim) => claim.epoch,
        }
    }
}

/// Why bytes are not a manifest or claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// More than [`SIZE_MAX`].
    #[error("has {0} bytes, expected at most {SIZE_MAX}")]
    TooLarge(u64),
    /// Of another kind, damaged, or not of the right shape.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// Neither or both of the two things that a document can hold.
    #[error("expected either a manifest or a claim")]
    Content,
    /// A manifest that makes no sense.
    #[error("manifest.{0}")]
    Manifest(#[from] ManifestError),
    /// A claim that makes no sense.
    #[error("claim.{0}")]
    Claim(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow)]
    format: Cow<'a, str>,
    version: u64,
    #[serde(borrow)]
    engine: Cow<'a, str>,
    checksum: Digest,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    manifest: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    claim: Option<&'a RawValue>,
}

/// Writes the document of a manifest. Nothing is checked: [`read`] refuses what a manifest must not be.
pub fn write(manifest: &Manifest) -> Vec<u8> {
    let manifest = raw(manifest);
    written(&manifest, Some(&manifest), None)
}

/// Writes the document of a claim.
pub fn write_claim(claim: &Claim) -> Vec<u8> {
    let claim = raw(claim);
    written(&claim, None, Some(&claim))
}

fn raw(content: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(content).expect("all keys of a manifest or claim are strings")
}

fn written(content: &RawValue, manifest: Option<&RawValue>, claim: Option<&RawValue>) -> Vec<u8> {
    let checksum = Digest::of(content.get().as_bytes());
    let document =
        Written { format: FORMAT.into(), version: VERSION, engine: ENGINE.into(), checksum, manifest, claim };
    serde_json::to_vec(&document).expect("all keys of a document are strings")
}

/// Reads a document and [checks](check) its manifest.
///
/// # Errors
/// The first problem, by name. Takes memory in proportion to the bytes, and never panics.
pub fn read(bytes: &[u8]) -> Result<Document, DocumentError> {
    if bytes.len() as u64 > SIZE_MAX {
        return Err(DocumentError::TooLarge(bytes.len() as u64));
    }
    let document: Written<'_> = KIND.read(bytes, |document: &Written<'_>| (&document.format, document.version))?;
    match (document.manifest, document.claim) {
        (Some(manifest), None) => {
            let manifest: Manifest = sealed::content(bytes, document.checksum, manifest)?;
            check(&manifest)?;
            Ok(Document::Manifest(Box::new(manifest)))
        }
        (None, Some(claim)) => {
            let claim: Claim = sealed::content(bytes, document.checksum, claim)?;
            check_claim(&claim)?;
            Ok(Document::Claim(claim))
        }
        (None, None) | (Some(_), Some(_)) => Err(DocumentError::Content),
    }
}

fn check_claim(claim: &Claim) -> Result<(), DocumentError> {
    if !(1..=limits::ID_MAX).contains(&claim.checkpoint.0) {
        return Err(DocumentError::Claim("checkpoint: out of range"));
    }
    if claim.epoch.0 > limits::ID_MAX {
        return Err(DocumentError::Claim("epoch: out of range"));
    }
    Ok(())
}
