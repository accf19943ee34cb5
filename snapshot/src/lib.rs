//! Checkpoints and savepoints at rest: what they consist of, and how they get into and out of an object store.
//!
//! A checkpoint is a *manifest* that names immutable *state files*. Tasks write the files; the JobMaster commits the
//! manifest, by a conditional create and by nothing else, so that it is there whole or not at all. The manifests of a
//! job are a log with one place for each checkpoint id, and who creates a document in the next place is the JobMaster:
//! so an older one finds its place taken, and learns that it is deposed.
//!
//! ```text
//! <dir>/<job id>/chk-<n>/_metadata       manifest of checkpoint n, or the claim of a JobMaster
//! <dir>/<job id>/shared/<name>           state files
//! <dir>/savepoint-<…>/_metadata, <name>  a savepoint: the same under one directory
//! ```
//!
//! This crate knows nothing of tasks and operators, decides nothing about when to checkpoint, and reads no clock but to
//! wait between tries. It runs within tokio.
//!
//! # Layout
//! - [`directory`]: where documents and files lie: a local directory, or S3
//! - [`manifest`]: what a checkpoint consists of, its document and its checks
//! - [`mod@file`]: state files: written in one pass, read by section and key group
//! - [`log`]: the checkpoints of one job: claim, commit, list, collect, sweep
//! - [`snapshot`]: one checkpoint or savepoint by its path, and how savepoints are committed; `dispose`: how they go
//! - [`states`]: states as data, for people
//! - [`verify`]: whether what a manifest names is there and whole
//! - [`error`]: why something did not work
//! - `testing`: a store that breaks when it is told to, for the tests of those who use this

pub mod directory;
mod dispose;
pub mod error;
pub mod file;
pub mod log;
pub mod manifest;
pub mod snapshot;
pub mod states;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod verify;

pub use directory::{Directory, S3Options, Stores};
pub use error::Error;
pub use file::{
    Chunk, Compression, EngineKind, Entries, KeyedKind, Section, SectionIndex, SectionKind, Spread, StateFileReader,
    StateFileWriter, TimeDomain,
};
pub use log::{Checkpoints, Claimed, Collected, Expected, Listed, Log};
pub use manifest::{
    Checksum, DataPath, DataPathError, Manifest, OperatorIdentity, ReaderSplits, SnapshotKind, SourceSplits, StateFile,
    SubtaskState, VertexState,
};
pub use snapshot::Snapshot;
pub use verify::Damage;
