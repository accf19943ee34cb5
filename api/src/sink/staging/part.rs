//! One file, shown under its final name without replacing what is not its own.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use flott_core::id::IdSequence;
use flott_runtime::error::TaskResult;

use super::{
    cannot,
    end::{self, By},
};

/// What second names begin with that a commit gives a part for a moment.
pub(super) const SECOND: &str = "shown-";

/// A file that is staged, and where it is to be seen.
#[derive(Debug)]
pub(super) struct Part {
    pub from: PathBuf,
    pub to: PathBuf,
}

impl Part {
    /// Whether what stands in the final place is this part.
    pub fn is_shown(&self) -> bool {
        match identity(&self.from) {
            Ok(from) => identity(&self.to).is_ok_and(|to| to == from),
            Err(error) => self.was_moved(&error),
        }
    }

    /// Whether it is shown, and staged still.
    pub fn is_linked(&self) -> bool {
        identity(&self.from).is_ok() && self.is_shown()
    }

    /// Where there are no links a part is moved, so it is not staged any more. Once it was taken back, what stands in its place is not it.
    fn was_moved(&self, error: &io::Error) -> bool {
        let is_taken_back = || match (self.from.parent(), self.from.file_name()) {
            (Some(room), Some(name)) => end::is_taken_back(room, name),
            _ => false,
        };
        error.kind() == io::ErrorKind::NotFound && self.to.is_file() && !is_taken_back()
    }

    /// Shows it. What stands in its place and is not this part is replaced if `overwrite` is set, and
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if not.
    pub fn show(&self, overwrite: bool) -> io::Result<()> {
        if self.is_shown() {
            return Ok(());
        }
        if let Some(partition) = self.to.parent() {
            // What is there and no directory is not one of somebody else's parts.
            fs::create_dir_all(partition).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => io::ErrorKind::NotADirectory.into(),
                _ => error,
            })?;
        }
        let shown = match self.link(overwrite) {
            Err(error) if has_no_links(&error) => move_to(&self.from, &self.to, overwrite),
            linked => linked,
        };
        let shown = match (shown, self.from.parent(), self.from.file_name()) {
            (Err(error), Some(room), Some(name)) if error.kind() == io::ErrorKind::NotFound && !self.is_shown() => {
                end::show_again(room, name, &self.to, overwrite)
            }
            (shown, ..) => shown,
        };
        match shown {
            // An answer that a network file system has lost, and asked for again; or another round of the commit has just shown it, or
            // settled it.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound)
                    && self.is_shown() =>
            {
                Ok(())
            }
            shown => shown,
        }
    }

    fn link(&self, overwrite: bool) -> io::Result<()> {
        if !overwrite {
            return fs::hard_link(&self.from, &self.to);
        }
        // A second name, since a rename must leave the staged one: it is how the part is known. No other round of the commit has the same,
        // wherever it is.
        let second = self.from.with_file_name(format!("{SECOND}{:016x}", IdSequence::random_seed()));
        fs::hard_link(&self.from, &second)?;
        fs::rename(&second, &self.to)
    }

    /// Undoes [`show`](Self::show), as far as it was done and may be undone. Partitions of `directory` that are empty then go.
    pub fn take_back(&self, directory: &Path, by: By) -> TaskResult {
        let undone = match (identity(&self.from), self.from.parent()) {
            (Ok(_), Some(room)) if self.is_shown() => end::take_back(room, &self.to, by, None),
            (Err(error), Some(room)) if self.was_moved(&error) => {
                end::take_back(room, &self.to, by, self.from.file_name())
            }
            _ => Ok(()),
        };
        undone.map_err(|error| cannot("take back", &self.to, &error))?;
        remove_empty(directory, &self.to);
        Ok(())
    }

    /// Removes what is staged of it.
    pub fn discard(&self) -> TaskResult {
        match fs::remove_file(&self.from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", &self.from, &error)),
            _ => Ok(()),
        }
    }
}

/// Removes the directories between `directory` and `file` that hold nothing.
pub(super) fn remove_empty(directory: &Path, file: &Path) {
    for partition in file.ancestors().skip(1).take_while(|partition| *partition != directory) {
        // Fails where it holds something, or was never there: both are right.
        if fs::remove_dir(partition).is_err() {
            return;
        }
    }
}

/// Device and number of a file: the same for all its names.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// FAT and some network file systems.
fn has_no_links(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
}

/// For file systems without links.
pub(super) fn move_to(from: &Path, to: &Path, overwrite: bool) -> io::Result<()> {
    if overwrite {
        return fs::rename(from, to);
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::{
            errno::Errno,
            fcntl::{AT_FDCWD, RenameFlags, renameat2},
        };
        match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EINVAL | Errno::ENOSYS) => {}
            result => return Ok(result?),
        }
    }
    // Neither: all that is left is to look first.
    match fs::symlink_metadata(to) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(from, to),
    }
}
