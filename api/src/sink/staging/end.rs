//! Whether what a writer has prepared at the end may be taken back yet.
//!
//! Two rounds of one commit may be under way, in processes that know nothing of each other: while one fails half-way, and takes back
//! what is shown, the other may be through, and settle it. So a directory within the writer's own says by its name how far it is, and
//! what is taken back is moved into it:
//!
//! ```text
//! end-open      nothing was shown, or not all
//! end-shown     a round has shown all
//! end-decided   so has every sink of the job: a round that fails takes nothing back any more
//! end-settled   and nothing of it is missing: no round shows it again
//! ```
//!
//! Whoever settles renames it first. A move that comes later finds no directory of that name, and takes nothing back. One that came
//! before has left in there what it took, so that who settles sees it, and leaves it to the next round to show it again; that round
//! removes it from there when it is shown. Where there are no links, what was taken back is all there is of a part: it has the name there
//! that it was staged under, and is shown from there. (That a file is not where it was shown says nothing: a reader may have taken it away.)
//!
//! A process that is killed at any moment leaves a name that the next round goes on from.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use flott_core::{failure::Failure, id::IdSequence};
use flott_runtime::error::TaskResult;

use super::{cannot, exists, names, part::move_to};

const OPEN: &str = "end-open";
const SHOWN: &str = "end-shown";
const DECIDED: &str = "end-decided";
const SETTLED: &str = "end-settled";

/// In the order in which they follow: whoever has missed it under one name finds it under a later one, or settled.
const NOT_SETTLED: [&str; 3] = [OPEN, SHOWN, DECIDED];

/// What the name of something begins with there that is all there is of a part.
const MOVED: &str = "moved-";

/// Who takes something back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A round of the commit that has failed. Another may follow.
    Round,
    /// The end of the job, which has failed or was cancelled.
    Abort,
}

/// A writer begins, in its own directory.
pub(super) fn begin(room: &Path) -> TaskResult {
    let open = room.join(OPEN);
    fs::create_dir(&open).map_err(|error| cannot("create", &open, &error))
}

/// Whether no round shows it again.
pub(super) fn is_settled(room: &Path) -> TaskResult<bool> {
    exists(&room.join(SETTLED))
}

/// Ends that a round is about to show, with what was taken back of each before.
pub(super) struct Showing(Vec<(PathBuf, Vec<OsString>)>);

impl Showing {
    /// Those of these writers, by their directories.
    pub fn begin(rooms: BTreeSet<PathBuf>) -> TaskResult<Self> {
        let taken_back = |room: PathBuf| {
            let mut taken = Vec::new();
            for state in NOT_SETTLED {
                // What was moved leaves by being shown, and may be taken back again under the same name.
                taken.extend(names(&room.join(state))?.into_iter().filter(|name| moved(name).is_none()));
            }
            Ok((room, taken))
        };
        rooms.into_iter().map(taken_back).collect::<TaskResult<_>>().map(Self)
    }

    /// All of them is shown, so what was taken back before is there again. Not what was taken back since.
    pub fn done(&self) -> TaskResult {
        for (room, taken) in &self.0 {
            for state in NOT_SETTLED {
                for name in taken {
                    let taken = room.join(state).join(name);
                    unless_gone(fs::remove_file(&taken)).map_err(|error| cannot("remove", &taken, &error))?;
                }
            }
            advance(room, OPEN, SHOWN)?;
        }
        Ok(())
    }
}

/// Every sink of the job has shown all. Nothing if this one has not, or it is settled.
///
/// # Errors
/// When a round that has failed had taken something back of what was shown: the next one shows it again.
pub(super) fn settle(room: &Path) -> TaskResult {
    advance(room, SHOWN, DECIDED)?;
    if names(&room.join(DECIDED))?.is_empty() {
        return advance(room, DECIDED, SETTLED);
    }
    let message = format!(
        "another round of the commit has failed, and taken back what was shown of {}; it is to be shown again",
        room.display()
    );
    Err(Box::new(Failure::environment(message)))
}

/// Takes back `shown`, unless it is too late for that. If it was moved there, it goes by the name that it was `staged` under.
pub(super) fn take_back(room: &Path, shown: &Path, by: By, staged: Option<&OsStr>) -> io::Result<()> {
    let states: &[&str] = match by {
        By::Round => &[OPEN, SHOWN],
        By::Abort => &NOT_SETTLED,
    };
    let name = match staged {
        Some(staged) => moved_name(staged),
        None => format!("{:016x}", IdSequence::random_seed()).into(),
    };
    for state in states {
        match move_to(shown, &room.join(state).join(&name), false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Another round has just taken it back, and what is shown now is somebody else's.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            taken => return taken,
        }
    }
    Ok(())
}

/// Whether what was `staged` under this name, and moved, was taken back and is not shown again. So if that cannot be told.
pub(super) fn is_taken_back(room: &Path, staged: &OsStr) -> bool {
    let name = moved_name(staged);
    NOT_SETTLED.iter().any(|state| match fs::symlink_metadata(room.join(state).join(&name)) {
        Ok(_) => true,
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    })
}

/// Shows what was moved and taken back, and was `staged` under this name.
///
/// # Errors
/// [`NotFound`](io::ErrorKind::NotFound) if it was not taken back; else as [`move_to`].
pub(super) fn show_again(room: &Path, staged: &OsStr, to: &Path, overwrite: bool) -> io::Result<()> {
    let name = moved_name(staged);
    for state in NOT_SETTLED {
        match move_to(&room.join(state).join(&name), to, overwrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            shown => return shown,
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn moved_name(staged: &OsStr) -> OsString {
    let mut name = OsString::from(MOVED);
    name.push(staged);
    name
}

/// The name under which something was staged that was moved.
fn moved(name: &OsStr) -> Option<&OsStr> {
    name.as_bytes().strip_prefix(MOVED.as_bytes()).map(OsStr::from_bytes)
}

/// The job has ended: what was taken back goes, but what is all there is of a part that is `kept`, by where it was staged.
pub(super) fn clear(room: &Path, kept: &BTreeSet<PathBuf>) -> TaskResult {
    let is_kept = |name: &OsString| moved(name).is_some_and(|staged| kept.contains(&room.join(staged)));
    for state in NOT_SETTLED.map(|state| room.join(state)) {
        for taken in names(&state)?.iter().filter(|name| !is_kept(name)).map(|name| state.join(name)) {
            unless_gone(fs::remove_file(&taken)).map_err(|error| cannot("remove", &taken, &error))?;
        }
    }
    Ok(())
}

/// From one state to the next, unless it is in another.
fn advance(room: &Path, before: &str, behind: &str) -> TaskResult {
    let before = room.join(before);
    unless_gone(fs::rename(&before, room.join(behind))).map_err(|error| cannot("rename", &before, &error))
}

fn unless_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
