//! The hidden directory that files are written to before the commit shows them.
//!
//! In the output directory `DIR`, job `J` writes to `DIR/.flott-J/part-<subtask>-<attempt>`; the commit links what the
//! last attempts have prepared as `DIR/part-<subtask>`, and `.flott-J` is removed when all sinks of the job have
//! committed. So a reader of `DIR` that skips hidden files, as all of this trade do, sees all of a job's output or
//! nothing of it, but for the instants of the commit. Every process of the job must see `DIR` under the same path.
//!
//! A part that is visible is the job's own if it is the same file as the one in `.flott-J`: that is how a repeated commit
//! tells it from another job's, and how a commit that fails is taken back, by whichever process.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::{codec, failure::Failure, id::JobId};
use flott_runtime::{error::TaskResult, task::TaskInfo};
use serde::{Deserialize, Serialize};

use self::part::Part;

mod part;

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

/// What the staging directory is called once all is shown, until it is removed.
fn settled(directory: &Path, job: JobId) -> PathBuf {
    directory.join(format!(".flott-{job}.done"))
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

/// Shows everything in `prepared` under its final name, or nothing of it. A repeat is harmless, before and after
/// [`settle`].
///
/// # Errors
/// When a part of another job is there, unless it may be overwritten: another job may have got the same output
/// directory while it was empty still, and whoever commits first has it.
pub(super) fn commit(directory: &Path, job: JobId, prepared: &[Bytes], overwrite: bool) -> TaskResult {
    let staging = staging(directory, job);
    let mut parts = Vec::with_capacity(prepared.len());
    for bytes in prepared {
        let staged: Staged = codec::decode(bytes)
            .map_err(|error| Box::new(Failure::internal("a prepared file cannot be read").caused_by(&error)))?;
        for name in staged.file.iter().chain([&staged.target]) {
            if name.contains('/') || !name.starts_with("part-") {
                return Err(Box::new(Failure::internal(format!("{name:?} is no prepared file"))));
            }
        }
        if let Some(file) = staged.file {
            parts.push(Part { from: staging.join(file), to: directory.join(staged.target) });
        }
    }
    if !staging.try_exists().map_err(|error| cannot("find", &staging, &error))? {
        // Settled before, or never there.
        return parts.iter().try_for_each(|Part { to, .. }| {
            fs::symlink_metadata(to).map(drop).map_err(|error| cannot("find", to, &error))
        });
    }
    let shown = show(directory, &parts, overwrite);
    if shown.is_err() {
        parts.iter().try_for_each(Part::take_back)?;
    }
    shown
}

fn show(directory: &Path, parts: &[Part], overwrite: bool) -> TaskResult {
    let others = others(directory, parts)?;
    if overwrite {
        remove(directory, &others, parts)?;
    } else if let Some(other) = others.first() {
        return Err(not_ours(directory, other));
    }
    for part in parts {
        part.show(overwrite).map_err(|error| match (error.kind(), part.to.file_name()) {
            (io::ErrorKind::AlreadyExists, Some(name)) => not_ours(directory, name),
            _ => cannot("make", &part.to, &error),
        })?;
    }
    sync_directory(directory)
}

fn not_ours(directory: &Path, name: &OsStr) -> Box<Failure> {
    let message = format!(
        "output directory {} has got {} of somebody else while the job ran, another job with the same output maybe; \
         nothing of this job is shown there. Choose another directory, or allow the sink to overwrite",
        directory.display(),
        name.to_string_lossy()
    );
    Box::new(Failure::user(message).fatal())
}

/// The parts in `directory` that are not of this job.
fn others(directory: &Path, parts: &[Part]) -> TaskResult<Vec<OsString>> {
    let mut others = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| cannot("list", directory, &error))? {
        let name = entry.map_err(|error| cannot("list", directory, &error))?.file_name();
        if name.as_encoded_bytes().starts_with(b"part-")
            && !parts.iter().any(|part| part.to.file_name() == Some(&name) && part.is_shown())
        {
            others.push(name);
        }
    }
    others.sort();
    Ok(others)
}

/// Removes those of `others` that no part replaces.
fn remove(directory: &Path, others: &[OsString], parts: &[Part]) -> TaskResult {
    // Looked for first: nothing may be gone when it turns out that the commit cannot be.
    for other in others {
        if directory.join(other).is_dir() {
            let message = format!("cannot overwrite {}: it is a directory", directory.join(other).display());
            return Err(Box::new(Failure::user(message).fatal()));
        }
    }
    let targets: BTreeSet<_> = parts.iter().filter_map(|part| part.to.file_name()).collect();
    for other in others.iter().filter(|other| !targets.contains(other.as_os_str())) {
        let path = directory.join(other);
        fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
    }
    Ok(())
}

/// All sinks of the job have committed: nothing is taken back any more, and what would be needed for that goes.
pub(super) fn settle(directory: &Path, job: JobId) -> TaskResult {
    let (staging, settled) = (staging(directory, job), settled(directory, job));
    // First out of the way at once, since a commit that is repeated while half of it is removed could not be told from
    // one that has lost files.
    match fs::rename(&staging, &settled) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot("rename", &staging, &error)),
        _ => {}
    }
    remove_all(&settled)
}

/// Removes what the job has staged, what of it a commit that failed has shown, and the output directory if nothing else
/// is in it.
pub(super) fn abort(directory: &Path, job: JobId) -> TaskResult {
    let staging = staging(directory, job);
    for entry in fs::read_dir(&staging).into_iter().flatten() {
        let from = entry.map_err(|error| cannot("list", &staging, &error))?.path();
        // `part-<subtask>-<attempt>`
        if let Some((target, _)) = from.file_name().and_then(OsStr::to_str).and_then(|name| name.rsplit_once('-')) {
            Part { to: directory.join(target), from }.take_back()?;
        }
    }
    remove_all(&staging)?;
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

#[cfg(test)]
mod tests;
