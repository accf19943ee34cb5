//! The hidden directory that files are written to before a commit shows them.
//!
//! In the output directory `DIR`, job `J` writes to `DIR/.flott-J`, where each writer claims a directory that no other has had,
//! `<subtask>-<number>`: so parts of different attempts and checkpoints never collide. A commit links what was prepared
//! under its final name. So a reader of `DIR` that skips hidden files, as all of this trade do, sees what belongs to
//! checkpoints that are complete, and to the end of a job, and nothing else. Every process of the job must see `DIR` under the
//! same path.
//!
//! There are two sorts of parts. Those that are prepared *at a barrier* become visible with a checkpoint, and stay whatever
//! becomes of the job: it will go on behind them. They are known by their names, which have the job's in them. Those that are
//! prepared *at the end* are the result of a job: a commit that fails is taken back, and so is that of this sink when another
//! sink of the job has failed. They are known by being the same file as the one in `.flott-J`.
//!
//! When all sinks have committed, what was shown is settled: of parts of a barrier, the hidden name goes, and their writer's
//! directory notes how far it has come, so that a repeated commit finds that there is nothing to do, also when somebody has
//! taken the files away meanwhile. When the writers of all subtasks have ended, `.flott-J` goes, with all that attempts which
//! failed have left there.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::{failure::Failure, id::JobId};
use flott_runtime::error::TaskResult;

pub(super) use self::room::Room;
use self::{
    part::Part,
    staged::{Name, Staged},
};

mod part;
mod room;
mod staged;

/// What becomes of the files that are in an output directory before a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// There must be none.
    Refuse,
    /// Parts are removed when the job first shows its own.
    Replace,
    /// They stay.
    Keep,
}

fn staging(directory: &Path, job: JobId) -> PathBuf {
    directory.join(format!(".flott-{job}"))
}

/// What the staging directory is called once all is shown, until it is removed.
fn settled(directory: &Path, job: JobId) -> PathBuf {
    directory.join(format!(".flott-{job}.done"))
}

/// In the staging directory: the job may write here, whatever is in the output directory.
const ADMITTED: &str = "admitted";

/// In the staging directory: the job has shown something.
const CLAIMED: &str = "claimed";

/// In the staging directory: some writer has prepared something at a barrier, so the parts of the job are numbered.
const ROLLED: &str = "rolled";

/// In the staging directory: all writers have ended, and what they have written is shown.
const OVER: &str = "over";

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

fn exists(path: &Path) -> TaskResult<bool> {
    path.try_exists().map_err(|error| cannot("find", path, &error))
}

fn note(path: &Path) -> TaskResult {
    fs::File::create(path).map(drop).map_err(|error| cannot("create", path, &error))
}

/// Names in a directory, in order. None if it is not there.
fn names(directory: &Path) -> TaskResult<Vec<OsString>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| cannot("list", directory, &error))?,
    };
    let names: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
    let mut names = names.map_err(|error| cannot("list", directory, &error))?;
    names.sort();
    Ok(names)
}

/// Makes the staging directory of `job`.
///
/// # Errors
/// When the output directory cannot be written to, or holds visible files where there must be none. That is asked before the
/// first writer of the job opens: later the files may be its own.
fn admit(directory: &Path, job: JobId, others: Others) -> TaskResult<PathBuf> {
    let staging = staging(directory, job);
    fs::create_dir_all(&staging).map_err(|error| cannot("create", &staging, &error))?;
    let admitted = staging.join(ADMITTED);
    if exists(&admitted)? {
        return Ok(staging);
    }
    if others == Others::Refuse
        && let Some(name) = names(directory)?.iter().find(|name| !is_hidden(name))
    {
        let message = format!(
            "output directory {} already holds files ({}); choose another, or allow the sink to overwrite or to append",
            directory.display(),
            name.to_string_lossy()
        );
        return Err(Box::new(Failure::user(message).fatal()));
    }
    note(&admitted)?;
    Ok(staging)
}

/// Shows everything in `prepared` under its final name. A repeat is harmless, before and after [`settle`], and after others.
///
/// # Errors
/// When not all can be shown; then nothing is that was prepared at the end. When a part of another job is there before this
/// job has shown any, unless it may be: another job may have got the same output directory while it was empty still, and
/// whoever commits first has it.
pub(super) fn commit(directory: &Path, job: JobId, prepared: &[Bytes], others: Others) -> TaskResult {
    let staging = staging(directory, job);
    let staged: Vec<Staged> = prepared.iter().map(|bytes| Staged::read(bytes)).collect::<TaskResult<_>>()?;
    let (staged, of_others): (Vec<_>, Vec<_>) = staged.into_iter().partition(|staged| staged.job == job);
    of_others.iter().try_for_each(commit_for)?;
    let names = staged.iter().filter_map(|staged| staged.part.as_ref());
    if !exists(&staging)? {
        // Settled before, or never there.
        return names.into_iter().try_for_each(|name| {
            let to = directory.join(name.target(job));
            fs::symlink_metadata(&to).map(drop).map_err(|error| cannot("find", &to, &error))
        });
    }
    let mut parts = Vec::new();
    for name in names {
        let part = name.part(directory, &staging, job);
        // A later part of a barrier may be settled before this one.
        let is_waiting = !name.is_end() && exists(&part.from)?;
        if is_waiting || !name.is_settled(&staging)? {
            parts.push((name, part));
        }
    }
    if let Err(failure) = show(directory, &staging, job, &parts, others) {
        let ends = parts.iter().filter(|(name, _)| name.is_end());
        ends.map(|(_, part)| part).try_for_each(Part::take_back)?;
        return Err(failure);
    }
    let ended: BTreeSet<(u32, u32)> = staged.iter().filter_map(|staged| staged.ended).collect();
    note_ended(&staging, &ended)
}

/// Shows what another job had prepared for the snapshot that this one has started from. That job may have shown it, and may
/// have ended before.
///
/// # Errors
/// When it cannot be shown.
fn commit_for(staged: &Staged) -> TaskResult {
    let (directory, staging) = (staged.directory(), staging(staged.directory(), staged.job));
    let Some(name) = &staged.part else { return Ok(()) };
    let part = name.part(directory, &staging, staged.job);
    if !exists(&staging)? {
        if !exists(&part.to)? {
            let (job, path) = (staged.job, part.to.display());
            tracing::warn!(%job, %path, "a file that the snapshot holds is not there: it was taken away after it was shown, or removed");
        }
        return Ok(());
    }
    if name.is_settled(&staging)? {
        return Ok(());
    }
    show(directory, &staging, staged.job, &[(name, part)], Others::Keep)?;
    name.settle(&name.part(directory, &staging, staged.job), &staging)
}

/// The writers of these subtasks of so many have ended, and what they have prepared is shown. Notes it when those of all have.
fn note_ended(staging: &Path, ended: &BTreeSet<(u32, u32)>) -> TaskResult {
    for (subtask, of) in ended {
        note(&staging.join(ended_name(*subtask, *of)))?;
    }
    let counts: BTreeSet<u32> = ended.iter().map(|(_, of)| *of).collect();
    for of in counts {
        let all = (0..of).try_fold(true, |all, subtask| {
            Ok::<_, Box<Failure>>(all && exists(&staging.join(ended_name(subtask, of)))?)
        })?;
        if all {
            return note(&staging.join(OVER));
        }
    }
    Ok(())
}

/// In the staging directory: the last writer of a subtask of so many has ended.
fn ended_name(subtask: u32, of: u32) -> String {
    format!("ended-{subtask}-{of}")
}

fn show(directory: &Path, staging: &Path, job: JobId, parts: &[(&Name, Part)], others: Others) -> TaskResult {
    if parts.is_empty() && others != Others::Replace {
        return Ok(());
    }
    let claimed = staging.join(CLAIMED);
    let is_claimed = exists(&claimed)?;
    if !is_claimed && others != Others::Keep {
        let found = of_others(directory, job, parts)?;
        if others == Others::Replace {
            remove(directory, &found, parts)?;
        } else if let Some(other) = found.first() {
            return Err(not_ours(directory, other));
        }
    }
    for (_, part) in parts {
        part.show(others == Others::Replace).map_err(|error| match (error.kind(), part.to.file_name()) {
            (io::ErrorKind::AlreadyExists, Some(name)) => not_ours(directory, name),
            _ => cannot("make", &part.to, &error),
        })?;
    }
    sync_directory(directory)?;
    if is_claimed { Ok(()) } else { note(&claimed) }
}

fn not_ours(directory: &Path, name: &OsStr) -> Box<Failure> {
    let message = format!(
        "output directory {} has got {} of somebody else while the job ran, another job with the same output maybe; \
         nothing of this job is shown there. Choose another directory, or allow the sink to overwrite or to append",
        directory.display(),
        name.to_string_lossy()
    );
    Box::new(Failure::user(message).fatal())
}

/// The parts in `directory` that are not of this job.
fn of_others(directory: &Path, job: JobId, parts: &[(&Name, Part)]) -> TaskResult<Vec<OsString>> {
    let own = |name: &OsStr| {
        staged::is_of_barrier(name, job)
            || parts.iter().any(|(_, part)| part.to.file_name() == Some(name) && part.is_shown())
    };
    let mut names = names(directory)?;
    names.retain(|name| name.as_encoded_bytes().starts_with(b"part-") && !own(name));
    Ok(names)
}

/// Removes those of `others` that no part replaces.
fn remove(directory: &Path, others: &[OsString], parts: &[(&Name, Part)]) -> TaskResult {
    // Looked for first: nothing may be gone when it turns out that the commit cannot be.
    for other in others {
        if directory.join(other).is_dir() {
            let message = format!("cannot overwrite {}: it is a directory", directory.join(other).display());
            return Err(Box::new(Failure::user(message).fatal()));
        }
    }
    let targets: BTreeSet<_> = parts.iter().filter_map(|(_, part)| part.to.file_name()).collect();
    for other in others.iter().filter(|other| !targets.contains(other.as_os_str())) {
        let path = directory.join(other);
        fs::remove_file(&path).map_err(|error| cannot("remove", &path, &error))?;
    }
    Ok(())
}

/// All sinks of the job have committed: nothing that is shown is taken back any more, and what would be needed for that goes.
pub(super) fn settle(directory: &Path, job: JobId) -> TaskResult {
    let (staging, settled) = (staging(directory, job), settled(directory, job));
    if !exists(&staging.join(OVER))? {
        let staged = staged::all(&staging)?;
        return staged.iter().try_for_each(|name| name.settle(&name.part(directory, &staging, job), &staging));
    }
    // First out of the way at once, since a commit that is repeated while half of it is removed could not be told from
    // one that has lost files.
    match fs::rename(&staging, &settled) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot("rename", &staging, &error)),
        _ => {}
    }
    if let Err(failure) = remove_all(&settled) {
        tracing::warn!(%job, %failure, "what a file sink used for its commits is left");
    }
    Ok(())
}

/// Removes what the job has staged, what a commit that failed has shown of the parts of the end, and the output directory if
/// nothing else is in it. What a checkpoint has made visible stays.
pub(super) fn abort(directory: &Path, job: JobId) -> TaskResult {
    let staging = staging(directory, job);
    for name in staged::all(&staging)?.iter().filter(|name| name.is_end()) {
        if !name.is_settled(&staging)? {
            name.part(directory, &staging, job).take_back()?;
        }
    }
    remove_all(&staging)?;
    remove_all(&settled(directory, job))?;
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
