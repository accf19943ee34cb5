//! The hidden directory that files are written to before a commit shows them.
//!
//! In the output directory `DIR`, job `J` writes to `DIR/.flott-J`, where each writer claims a directory that no other has had,
//! `<subtask>-<number>`, and numbers its parts: so parts of different attempts and checkpoints never collide. A commit links
//! each part that was prepared under its final name, in the directory of its partition. So a reader of `DIR` that skips hidden
//! files, as all of this trade do, sees what belongs to checkpoints that are complete, and to the end of a job, and nothing
//! else. Every process of the job must see `DIR` under the same path.
//!
//! There are two sorts of parts. Those that are prepared *at a barrier* become visible with a checkpoint, and stay whatever
//! becomes of the job: it will go on behind them. They are known by their names, which have the job's in them. Those that are
//! prepared *at the end* are the result of a job: a commit that fails is taken back, and so is that of this sink when another
//! sink of the job has failed. They are known by being the same file as the one in `.flott-J`, and [`end`] says for how long they may be
//! taken back.
//!
//! When all sinks have committed, what was shown is settled: of parts of a barrier, the hidden name goes, and their writer's
//! directory notes how far it has come, so that a repeated commit finds that there is nothing to do, also when somebody has
//! taken the files away meanwhile. When the writers of all subtasks have ended, `.flott-J` goes, with all that attempts which
//! failed have left there.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::{failure::Failure, id::JobId};
use flott_runtime::error::TaskResult;

pub(super) use self::room::{Place, Room};
use self::{
    end::{By, Showing},
    part::Part,
    staged::{Name, Settled, Staged},
};

mod end;
mod part;
mod room;
mod staged;

/// Where parts of other jobs are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// In the output directory.
    Top,
    /// In the directories within it as well: there are partitions.
    Below,
}

/// Levels of directories in an output directory that are looked into.
const DEPTH_MAX: usize = 32;

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
fn done(directory: &Path, job: JobId) -> PathBuf {
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

/// Shows everything in `prepared` under its final name. A repeat is harmless, before and after [`settle`], and after others; and
/// beside an earlier round, which another process may still be at whose JobMaster is gone. Tells of files of other jobs that are not there.
///
/// # Errors
/// When not all can be shown; then nothing is that was prepared at the end, unless another round has it settled. When a part of
/// another job is there before this job has shown any, unless it may be: another job may have got the same output directory while it
/// was empty still, and whoever commits first has it.
pub(super) fn commit(
    directory: &Path,
    job: JobId,
    prepared: &[Bytes],
    others: Others,
    reach: Reach,
) -> TaskResult<Vec<Failure>> {
    let staging = staging(directory, job);
    let staged: Vec<Staged> = prepared.iter().map(|bytes| Staged::read(bytes)).collect::<TaskResult<_>>()?;
    let (staged, of_others): (Vec<_>, Vec<_>) = staged.into_iter().partition(|staged| staged.job == job);
    let missing = of_others.iter().map(commit_for).collect::<TaskResult<Vec<_>>>()?.concat();
    let told: Vec<_> = not_there(&missing).into_iter().collect();
    if exists(&staging)? {
        let shown = commit_own(directory, &staging, job, &staged, others, reach);
        // Else another round has settled it meanwhile.
        if shown.is_ok() || exists(&staging)? {
            return shown.map(|()| told);
        }
    }
    // Settled before, or never there.
    staged.iter().flat_map(|staged| &staged.parts).try_for_each(|name| {
        let to = directory.join(name.target(job));
        match fs::symlink_metadata(&to) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message =
                    format!("cannot find {}: it was taken away or removed before the job had ended", to.display());
                Err(Box::new(Failure::user(message)))
            }
            Err(error) => Err(cannot("find", &to, &error)),
        }
    })?;
    Ok(told)
}

/// Shows what this job has staged and not settled.
fn commit_own(
    directory: &Path,
    staging: &Path,
    job: JobId,
    staged: &[Staged],
    others: Others,
    reach: Reach,
) -> TaskResult {
    let (mut parts, mut settled) = (Vec::new(), Settled::of(staging));
    for name in staged.iter().flat_map(|staged| &staged.parts) {
        let part = name.part(directory, staging, job);
        // A later part of a barrier may be settled before this one.
        let is_waiting = !name.is_end() && exists(&part.from)?;
        if is_waiting || !settled.holds(name)? {
            parts.push((name, part));
        }
    }
    if let Err(failure) = show(directory, staging, job, &parts, others, reach) {
        let mut ends = parts.iter().filter(|(name, _)| name.is_end());
        ends.try_for_each(|(_, part)| part.take_back(directory, By::Round))?;
        return Err(failure);
    }
    let ended: BTreeSet<(u32, u32)> = staged.iter().filter_map(|staged| staged.ended).collect();
    note_ended(staging, &ended)
}

/// What there is to say of files of a snapshot that are not there. That is right where a reader takes files away, and when that was cannot
/// be told where the job is gone that had them: so it is no error, and must not go unheard.
fn not_there(missing: &[PathBuf]) -> Option<Failure> {
    let first = missing.first()?;
    let message = format!(
        "{} files that the snapshot holds, {} among them, are not there. Where a reader takes files away that is right; else \
         their results are lost, and a job that starts from an earlier snapshot makes them again",
        missing.len(),
        first.display()
    );
    Some(Failure::environment(message))
}

/// Shows what another job had prepared for the snapshot that this one has started from. That job may have shown it, and may
/// have ended before. Gives files that are not there, nor on their way.
///
/// # Errors
/// When it cannot be shown.
fn commit_for(staged: &Staged) -> TaskResult<Vec<PathBuf>> {
    let (directory, staging) = (staged.directory(), staging(staged.directory(), staged.job));
    let (mut parts, mut missing, mut settled) = (Vec::new(), Vec::new(), Settled::of(&staging));
    for name in &staged.parts {
        let part = name.part(directory, &staging, staged.job);
        if exists(&staging)? {
            let is_waiting = !name.is_end() && exists(&part.from)?;
            if is_waiting || !settled.holds(name)? {
                parts.push((name, part));
            }
        } else if !exists(&part.to)? {
            missing.push(part.to);
        }
    }
    let shown = show(directory, &staging, staged.job, &parts, Others::Keep, Reach::Top);
    let settled = shown.and_then(|()| staged::settle(&parts, &staging));
    // Else that job has ended meanwhile, or another round has settled it.
    if settled.is_err() && exists(&staging)? { settled.map(|()| missing) } else { Ok(missing) }
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

fn show(
    directory: &Path,
    staging: &Path,
    job: JobId,
    parts: &[(&Name, Part)],
    others: Others,
    reach: Reach,
) -> TaskResult {
    if parts.is_empty() && others != Others::Replace {
        return Ok(());
    }
    let ends = Showing::begin(staged::rooms_of_ends(parts, staging))?;
    let claimed = staging.join(CLAIMED);
    let is_claimed = exists(&claimed)?;
    if !is_claimed && !exists(staging)? {
        // What is shown would be taken for somebody else's.
        return Err(Box::new(Failure::environment("another round of the commit has settled it meanwhile")));
    }
    if !is_claimed && others != Others::Keep {
        let found = of_others(directory, job, parts, reach)?;
        if others == Others::Replace {
            remove(directory, &found, parts)?;
        } else if let Some(other) = found.first() {
            return Err(not_ours(directory, other));
        }
    }
    for (_, part) in parts {
        part.show(others == Others::Replace).map_err(|error| match part.to.strip_prefix(directory) {
            Ok(name) if error.kind() == io::ErrorKind::AlreadyExists => not_ours(directory, name),
            _ => cannot("make", &part.to, &error),
        })?;
    }
    sync_partitions(directory, parts)?;
    ends.done()?;
    if is_claimed { Ok(()) } else { note(&claimed) }
}

/// Flushes the directories that parts are in, and those around them: any may have been made just now, or in an attempt that
/// was cut off before it came to this.
fn sync_partitions(directory: &Path, parts: &[(&Name, Part)]) -> TaskResult {
    let mut touched = BTreeSet::from([directory]);
    for (_, part) in parts {
        touched.extend(part.to.ancestors().skip(1).take_while(|partition| *partition != directory));
    }
    // The innermost first: what is flushed later names only what is there for certain.
    touched.into_iter().rev().try_for_each(sync_directory)
}

fn not_ours(directory: &Path, name: &Path) -> Box<Failure> {
    let message = format!(
        "output directory {} has got {} of somebody else while the job ran, another job with the same output maybe; \
         nothing of this job is shown there. Choose another directory, or allow the sink to overwrite or to append",
        directory.display(),
        name.display()
    );
    Box::new(Failure::user(message).fatal())
}

/// The parts in `directory` that are not of this job, by their paths within it.
fn of_others(directory: &Path, job: JobId, parts: &[(&Name, Part)], reach: Reach) -> TaskResult<Vec<PathBuf>> {
    let own: BTreeMap<&Path, &Part> = parts.iter().map(|(_, part)| (part.to.as_path(), part)).collect();
    // Asked when it is found: another round of the commit may have shown it just now.
    let is_own = |path: &Path| own.get(path).is_some_and(|part| part.is_shown());
    let mut found = Vec::new();
    let mut levels = vec![(PathBuf::new(), 0)];
    while let Some((level, depth)) = levels.pop() {
        for name in names(&directory.join(&level))? {
            if is_hidden(&name) {
                continue;
            }
            let path = level.join(&name);
            let at = directory.join(&path);
            if reach == Reach::Below && fs::symlink_metadata(&at).is_ok_and(|metadata| metadata.is_dir()) {
                if depth < DEPTH_MAX {
                    levels.push((path, depth + 1));
                }
            } else if name.as_encoded_bytes().starts_with(b"part-")
                && !staged::is_of_barrier(&name, job)
                && !is_own(&at)
            {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// Removes those of `others` that no part replaces, and partitions that are empty then.
fn remove(directory: &Path, others: &[PathBuf], parts: &[(&Name, Part)]) -> TaskResult {
    // Looked for first: nothing may be gone when it turns out that the commit cannot be.
    for other in others {
        if directory.join(other).is_dir() {
            let message = format!("cannot overwrite {}: it is a directory", directory.join(other).display());
            return Err(Box::new(Failure::user(message).fatal()));
        }
    }
    let targets: BTreeSet<&Path> = parts.iter().map(|(_, part)| part.to.as_path()).collect();
    for path in others.iter().map(|other| directory.join(other)).filter(|path| !targets.contains(path.as_path())) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot("remove", &path, &error)),
            _ => {}
        }
        part::remove_empty(directory, &path);
    }
    Ok(())
}

/// All sinks of the job have committed what is `prepared`: nothing of it is taken back any more, and what would be needed for that goes.
pub(super) fn settle(directory: &Path, job: JobId, prepared: &[Bytes]) -> TaskResult {
    let (staging, done) = (staging(directory, job), done(directory, job));
    let is_over = exists(&staging.join(OVER))?;
    let settled = settle_parts(directory, &staging, job, prepared);
    // Else an earlier round of the commit is at what follows, and its process may end before it is through.
    if exists(&staging)? {
        settled?;
        if !is_over {
            return Ok(());
        }
    }
    // First out of the way at once, since a commit that is repeated while half of it is removed could not be told from
    // one that has lost files.
    match fs::rename(&staging, &done) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot("rename", &staging, &error)),
        _ => {}
    }
    if let Err(failure) = remove_all(&done) {
        tracing::warn!(%job, %failure, "what a file sink used for its commits is left");
    }
    Ok(())
}

fn settle_parts(directory: &Path, staging: &Path, job: JobId, prepared: &[Bytes]) -> TaskResult {
    let committed: Vec<Staged> = prepared.iter().map(|bytes| Staged::read(bytes)).collect::<TaskResult<_>>()?;
    // An end that another commit had shown, and that is in none any more as the job went back before it, is not this one's to settle: a
    // round that failed may have taken it back, and nobody shows it again.
    let ends = committed.into_iter().filter(|staged| staged.job == job).flat_map(|staged| staged.parts);
    let barriers = staged::all(staging)?.into_iter().filter(|name| !name.is_end());
    let settled: Vec<Name> = ends.filter(Name::is_end).chain(barriers).collect();
    let parts: Vec<_> = settled.iter().map(|name| (name, name.part(directory, staging, job))).collect();
    staged::settle(&parts, staging)
}

/// Removes what the job has staged, what a commit that failed has shown of the parts of the end, and the output directory if
/// nothing else is in it. What a checkpoint has made visible stays. So do parts that are `kept`, and with them what says how far
/// the job's commits have come.
pub(super) fn abort(directory: &Path, job: JobId, kept: &[Bytes]) -> TaskResult {
    let staging = staging(directory, job);
    let kept: Vec<Staged> = kept.iter().map(|bytes| Staged::read(bytes)).collect::<TaskResult<_>>()?;
    // (Those of a job that this one has started from are not here.)
    let kept = kept.iter().filter(|staged| staged.job == job).flat_map(|staged| &staged.parts);
    let kept: BTreeSet<PathBuf> = kept.map(|name| name.part(directory, &staging, job).from).collect();
    let mut settled = Settled::of(&staging);
    for name in staged::all(&staging)? {
        let part = name.part(directory, &staging, job);
        if kept.contains(&part.from) {
            continue;
        }
        if name.is_end() && !settled.holds(&name)? {
            part.take_back(directory, By::Abort)?;
        }
        part.discard()?;
    }
    remove_all(&done(directory, job))?;
    if !kept.is_empty() {
        return staged::rooms(&staging)?.iter().try_for_each(|(room, ..)| staged::clear(room, &kept));
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
