//! A directory is one process's as long as that process holds a locked file in it.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a locked file is waited for, and how long between two tries.
const PATIENCE: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(20);

/// Takes the file, which is made if it is not there; the lock goes with the value. `None` if another process has it, and
/// keeps it for a second: one that was killed has its files for a moment after it has gone from the list of processes.
/// Blocks for as long.
///
/// # Errors
/// The file cannot be opened, or its file system knows no locks.
pub fn exclusive(path: &Path) -> io::Result<Option<File>> {
    let began = Instant::now();
    loop {
        // Anew for each try: who had it may have removed it.
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if began.elapsed() >= PATIENCE => return Ok(None),
            Err(TryLockError::WouldBlock) => sleep(AGAIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_let_go_within_a_moment_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = exclusive(&path).unwrap().unwrap();
        std::thread::scope(|scope| {
            let next = scope.spawn(|| exclusive(&path).unwrap());
            sleep(AGAIN * 3);
            drop(held);
            assert!(next.join().unwrap().is_some());
        });
    }

    #[test]
    fn what_another_keeps_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let _held = exclusive(&path).unwrap().unwrap();
        assert!(exclusive(&path).unwrap().is_none());
    }
}
