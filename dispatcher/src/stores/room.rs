//! What has to be free on the disk before sled is given a change.
//!
//! sled keeps the first error of a write as long as its database is open, and answers all later writes with it; where it was writing
//! a large record, the next one hangs, and so does closing the database. So it must not meet a full disk: what may not fit is refused
//! before, and is no harm but to who asked, who may ask again when there is room.

use std::{io, path::Path};

use super::StoreError;

/// Free bytes that are left to sled for its own files, and for what others write in between: it makes these longer in pieces
/// of half a megabyte.
const RESERVE: u64 = 2 << 20;

/// Those that are left besides to small changes, with which jobs go on and end, when a large one comes: a job is accepted.
const FOR_SMALL: u64 = 6 << 20;

/// What a small change has at most.
const SMALL: usize = 16 << 10;

/// What a change may take up for each of its bytes: in the log, and in a file of its own or moved within the log.
const COPIES: u64 = 2;

/// Whether a change of so many bytes may be written in `directory`, where so many are free.
pub(super) fn check(
    directory: &Path,
    bytes: usize,
    free: impl FnOnce(&Path) -> io::Result<u64>,
) -> Result<(), StoreError> {
    let what = |error| StoreError::Io(format!("cannot see how much is free in {}: {error}", directory.display()));
    let others = if bytes > SMALL { FOR_SMALL } else { 0 };
    let (free, wanted) = (free(directory).map_err(what)?, RESERVE + others + COPIES * bytes as u64);
    if free >= wanted {
        return Ok(());
    }
    Err(StoreError::Io(format!(
        "{} has {free} bytes free, and {wanted} are wanted for a change of the job store: make room there",
        directory.display()
    )))
}

/// What is free for this user in the file system of `directory`, in bytes.
///
/// # Errors
/// When it cannot be asked.
pub(super) fn free(directory: &Path) -> io::Result<u64> {
    let system = nix::sys::statvfs::statvfs(directory)?;
    Ok(system.blocks_available().saturating_mul(system.fragment_size()))
}
