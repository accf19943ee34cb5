//! The directory of a process's state on disk.
//!
//! A process that ends in order removes it, and a TaskManager removes what its job processes have left. Nobody does where a
//! program that runs by itself is killed: so the next one in the same place looks for directories that no process has
//! locked. The lock goes with the process, however it ends.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

const PREFIX: &str = "flott-state-";

/// A new directory, for this user alone. It goes with the value.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes one in `parent`, and removes those there that processes have left.
    ///
    /// # Errors
    /// When it cannot be made or opened. What cannot be removed is no error.
    pub fn create(parent: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Links lead here from elsewhere.
        let parent = &std::path::absolute(parent)?;
        sweep(parent);
        loop {
            let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
            let path = parent.join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                // Of a process that had this id before, or has it in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            match locked(&path) {
                // Somebody took it for one that was left.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(Some(lock)) => return Ok(Self { path, _lock: lock }),
                Err(error) => return Err(error),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        removed(&self.path);
    }
}

/// The directory's lock, unless another process has it, or has removed the directory meanwhile. Where the file system knows
/// no locks nobody has one, so that nothing is swept there.
fn locked(path: &Path) -> io::Result<Option<File>> {
    let directory = File::open(path)?;
    if let Err(TryLockError::WouldBlock) = directory.try_lock() {
        return Ok(None);
    }
    let is_there = fs::metadata(path)?.ino() == directory.metadata()?.ino();
    Ok(is_there.then_some(directory))
}

/// Removes what nobody holds.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        // Not a link, and nothing that is waited for when it is opened.
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_directory || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        // Not one of another user.
        let Ok(directory) = File::open(&path) else { continue };
        if directory.try_lock().is_ok() {
            removed(&path);
        }
    }
}

/// Whatever is there goes.
pub(super) fn removed(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(directory = %path.display(), %error, "state on disk was not removed");
        }
        Ok(()) | Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_has_left_is_removed_by_the_next_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join("flott-state-1-0");
        fs::create_dir_all(left.join("0")).unwrap();
        fs::write(left.join("0/table"), "entries").unwrap();
        let others = parent.path().join("flott-other");
        fs::create_dir(&others).unwrap();

        let first = Directory::create(parent.path()).unwrap();
        assert!(!left.exists() && others.exists());
        let second = Directory::create(parent.path()).unwrap();
        assert!(first.path().exists() && first.path() != second.path());
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists() && second.path().exists());
    }

    #[test]
    fn a_place_that_is_named_from_here_is_found_from_elsewhere() {
        let from = std::env::current_dir().unwrap();
        let parent = tempfile::tempdir_in(&from).unwrap();
        let here = parent.path().strip_prefix(&from).unwrap();
        assert!(Directory::create(here).unwrap().path().is_absolute());
    }
}
