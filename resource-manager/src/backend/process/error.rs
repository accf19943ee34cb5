//! What can go wrong with the files of the process backend.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A file or directory of the process backend cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct ProcessBackendError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ProcessBackendError {
    pub(super) fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.into(), source }
    }
}
