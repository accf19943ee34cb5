//! Where one tree lies: its files on disk, and the list of them in memory where that can be.
//!
//! Whenever a file comes or goes the library writes the list anew and syncs it five times, and nobody may write to the tree
//! meanwhile: 20 ms of many disks. Nothing of a tree outlives its process, so none of that is wanted. In a file system in memory it
//! takes no time, and the list takes some 60 bytes for each file.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::directory::removed;

/// What the library calls the directory of a tree's files, within the tree's own.
const FILES: &str = "tables";

/// Directories of a tree. They stay when the value goes: who is at work in the tree may outlive it.
#[derive(Debug)]
pub(super) struct Place {
    /// As the library knows it.
    tree: PathBuf,
    /// Of the files, where that is another.
    files: Option<PathBuf>,
}

impl Place {
    /// All in one directory.
    pub fn on_disk(directory: PathBuf) -> Self {
        Self { tree: directory, files: None }
    }

    /// The list in one directory, and the files in another as soon as the tree is [opened](Self::opened).
    pub fn with_list(list: PathBuf, files: PathBuf) -> Self {
        Self { tree: list, files: Some(files) }
    }

    /// The library has made the tree, which has no files yet. It would have synced their directory, had it been on disk by then.
    pub fn opened(&self) -> io::Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        let there = self.tree.join(FILES);
        fs::remove_dir(&there)?;
        fs::create_dir(files)?;
        symlink(files, there)
    }

    /// What the library is told.
    pub fn tree(&self) -> &Path {
        &self.tree
    }

    /// Where what takes up room is.
    pub fn files(&self) -> &Path {
        self.files.as_ref().unwrap_or(&self.tree)
    }

    /// Removes all that is there. What cannot be goes with the directory of all trees, when the process ends.
    pub fn remove(&self) {
        std::iter::once(&self.tree).chain(&self.files).for_each(|directory| removed(directory));
    }
}
