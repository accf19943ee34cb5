//! Copies of directories.

use std::{fs, io, path::Path};

/// A directory with all that is in it, as far as it can be had.
///
/// # Errors
/// The first thing that could not be copied, with its path.
pub fn directory(from: &Path, to: &Path) -> io::Result<()> {
    let named = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    fs::create_dir(to).map_err(|error| named(to, error))?;
    let mut outcome = Ok(());
    for entry in fs::read_dir(from).map_err(|error| named(from, error))? {
        let copied = entry.map_err(|error| named(from, error)).and_then(|entry| {
            let (path, to) = (entry.path(), to.join(entry.file_name()));
            if path.is_dir() {
                directory(&path, &to)
            } else {
                fs::copy(&path, &to).map(drop).map_err(|error| named(&path, error))
            }
        });
        outcome = outcome.and(copied);
    }
    outcome
}
