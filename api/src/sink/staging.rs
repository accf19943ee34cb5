//! The hidden directory that files are written to before the commit shows them.
//!
//! In the output directory `DIR`, job `J` writes to `DIR/.flott-J/part-<subtask>-<attempt>`; the commit renames what the
//! last attempts have prepared to `DIR/part-<subtask>` and removes `.flott-J`. So a reader of `DIR` that skips hidden
//! files, as all of this trade do, sees all of a job's output or nothing of it, but for the instants of the renames.
//! Every process of the job must see `DIR` under the same path.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::{codec, failure::Failure, id::JobId};
use flott_runtime::{error::TaskResult, task::TaskInfo};
use serde::{Deserialize, Serialize};

/// A file that a commit shows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    /// Its name in the staging directory; none where there is nothing to show, and only the directory is to be removed.
    pub file: Option<String>,
    /// Its name in the output directory.
    pub target: String,
}

fn staging(directory: &Path, job: JobId) -> PathBuf {
    directory.join(format!(".flott-{job}"))
}

/// A failure that names the path.
pub(super) fn cannot(action: &str, path: &Path, error: &io::Error) -> Box<Failure> {
    let failure = Failure::environment(format!("cannot {action} {}: {error}", path.display()));
    Box::new(match error.kind() {
        // Nobody mends these while the job waits for its restart.
        io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            failure.fatal()
        }
        _ => failure,
    })
}

fn is_hidden(name: &OsStr) -> bool {
    matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'))
}

/// Makes the staging directory of `job`, and gives the path for the file of this attempt.
///
/// # Errors
/// When the output directory cannot be written to, or already holds visible files that may not be overwritten. Before
/// the commit a job has shown nothing, so whatever is there is not of this job, in a restarted task too.
pub(super) fn open(directory: &Path, task: &TaskInfo, overwrite: bool) -> TaskResult<(PathBuf, Staged)> {
    let staging = staging(directory, task.job);
    fs::create_dir_all(&staging).map_err(|error| cannot("create", &staging, &error))?;
    if !overwrite {
        for entry in fs::read_dir(directory).map_err(|error| cannot("list", directory, &error))? {
            let name = entry.map_err(|error| cannot("list", directory, &error))?.file_name();
            if !is_hidden(&name) {
                let message = format!(
                    "output directory {} already holds files ({}); choose another, or allow the sink to overwrite",
                    directory.display(),
                    name.to_string_lossy()
                );
                return Err(Box::new(Failure::user(message).fatal()));
            }
        }
    }
    let (subtask, attempt) = (task.subtask(), task.attempt.attempt);
    let file = format!("part-{subtask}-{attempt}");
    let path = staging.join(&file);
    Ok((path, Staged { file: Some(file), target: format!("part-{subtask}") }))
}

/// Shows everything in `prepared` under its final name. A repeat is harmless: what is gone from the staging directory
/// and stands in its final place was renamed before.
pub(super) fn commit(directory: &Path, job: JobId, prepared: &[Bytes], overwrite: bool) -> TaskResult {
    let staging = staging(directory, job);
    let mut all: Vec<Staged> = Vec::with_capacity(prepared.len());
    for bytes in prepared {
        let staged: Staged = codec::decode(bytes)
            .map_err(|error| Box::new(Failure::internal("a prepared file cannot be read").caused_by(&error)))?;
        for name in staged.file.iter().chain([&staged.target]) {
            if name.contains('/') || !name.starts_with("part-") {
                return Err(Box::new(Failure::internal(format!("{name:?} is no prepared file"))));
            }
        }
        all.push(staged);
    }
    if overwrite && staging.exists() {
        remove_others(directory, &all)?;
    }
    for Staged { file, target } in &all {
        let Some(file) = file else { continue };
        let (from, to) = (staging.join(file), directory.join(target));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && to.exists() => {}
            result => result.map_err(|error| cannot("rename to", &to, &error))?,
        }
    }
    sync_directory(directory)?;
    remove_all(&staging)
}

/// Removes what an earlier job has left in `directory` and this one will not replace.
fn remove_others(directory: &Path, all: &[Staged]) -> TaskResult {
    let targets: BTreeSet<&OsStr> =
        all.iter().filter(|staged| staged.file.is_some()).map(|staged| OsStr::new(&staged.target)).collect();
    for entry in fs::read_dir(directory).map_err(|error| cannot("list", directory, &error))? {
        let entry = entry.map_err(|error| cannot("list", directory, &error))?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b"part-") && !targets.contains(name.as_os_str()) {
            fs::remove_file(entry.path()).map_err(|error| cannot("remove", &entry.path(), &error))?;
        }
    }
    Ok(())
}

/// Removes what the job has staged, and the output directory if nothing else is in it.
pub(super) fn abort(directory: &Path, job: JobId) -> TaskResult {
    remove_all(&staging(directory, job))?;
    // Fails where it holds something, or was never there: both are right.
    let _ = fs::remove_dir(directory);
    Ok(())
}

fn remove_all(staging: &Path) -> TaskResult {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", staging, &error)),
        _ => Ok(()),
    }
}

fn sync_directory(directory: &Path) -> TaskResult {
    fs::File::open(directory).and_then(|file| file.sync_all()).map_err(|error| cannot("flush", directory, &error))
}
