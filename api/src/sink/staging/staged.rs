//! What a writer prepares, and what its files are called.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use flott_core::{codec, failure::Failure, id::JobId};
use flott_runtime::error::TaskResult;
use serde::{Deserialize, Serialize};

use super::{Part, cannot, exists, names};

/// What a commit shows of one writer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    /// Whose it is. A job that starts from a snapshot of another commits what that one had prepared.
    pub job: JobId,
    /// That job's output directory, as bytes of the path.
    directory: Vec<u8>,
    /// A file.
    pub part: Option<Name>,
    /// The writer's input has ended: its subtask, and how many subtasks there are.
    pub ended: Option<(u32, u32)>,
}

/// What a part is called, where it is staged and where it is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name {
    pub subtask: u32,
    /// Which of the writers of the subtask it is of.
    pub writer: u32,
    /// Which of the parts of the writer it is.
    pub number: u32,
    pub sort: Sort,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Sort {
    /// Prepared at a barrier.
    Barrier,
    /// Prepared at the end.
    End,
    /// Prepared at the end, and the only one of its subtask: it needs no number.
    Only,
}

impl Staged {
    pub fn new(job: JobId, directory: &Path, part: Option<Name>, ended: Option<(u32, u32)>) -> Self {
        Self { job, directory: directory.as_os_str().as_bytes().to_vec(), part, ended }
    }

    pub fn directory(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.directory))
    }

    pub fn read(bytes: &[u8]) -> TaskResult<Self> {
        codec::decode(bytes)
            .map_err(|error| Box::new(Failure::internal("a prepared file cannot be read").caused_by(&error)))
    }

    pub fn to_bytes(&self) -> TaskResult<Vec<u8>> {
        codec::to_vec(self)
            .map_err(|error| Box::new(Failure::internal("a prepared file cannot be noted").caused_by(&error)))
    }
}

/// What stands for the job in the names of its parts.
fn mark(job: JobId) -> String {
    job.to_string().chars().take(8).collect()
}

/// Whether `name` is one of a part that `job` has shown at a barrier, or behind one.
pub(super) fn is_of_barrier(name: &OsStr, job: JobId) -> bool {
    let name = name.as_encoded_bytes();
    let Some(behind) = name.strip_prefix(b"part-") else { return false };
    let digits = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
    behind[digits..].starts_with(format!("-{}-", mark(job)).as_bytes())
}

impl Name {
    /// The writer's directory within `staging`.
    pub fn room(&self, staging: &Path) -> PathBuf {
        staging.join(format!("{}-{}", self.subtask, self.writer))
    }

    /// The name in the output directory.
    pub fn target(&self, job: JobId) -> String {
        let Self { subtask, writer, number, sort } = self;
        match sort {
            Sort::Only => format!("part-{subtask}"),
            Sort::Barrier | Sort::End => format!("part-{subtask}-{}-{writer}-{number}", mark(job)),
        }
    }

    /// The name in the writer's directory.
    pub fn staged(&self) -> String {
        let number = self.number;
        match self.sort {
            Sort::Barrier => number.to_string(),
            Sort::End => format!("{number}.end"),
            Sort::Only => format!("{number}.only"),
        }
    }

    /// What [`staged`](Self::staged) gave. Nothing if it is none of these.
    fn of_staged(subtask: u32, writer: u32, name: &str) -> Option<Self> {
        let (number, sort) = match name.split_once('.') {
            None => (name, Sort::Barrier),
            Some((number, "end")) => (number, Sort::End),
            Some((number, "only")) => (number, Sort::Only),
            Some(_) => return None,
        };
        Some(Self { subtask, writer, number: number.parse().ok()?, sort })
    }

    /// Whether it was prepared at the end.
    pub fn is_end(&self) -> bool {
        matches!(self.sort, Sort::End | Sort::Only)
    }

    /// The file.
    pub fn part(&self, directory: &Path, staging: &Path, job: JobId) -> Part {
        Part { from: self.room(staging).join(self.staged()), to: directory.join(self.target(job)) }
    }

    /// What is noted in the writer's directory of parts that are settled: those of barriers are so in order, and of the end
    /// there is one.
    fn settled(&self) -> String {
        if self.is_end() { "end-settled".to_owned() } else { format!("settled-{}", self.number) }
    }

    /// Whether it has been settled.
    pub fn is_settled(&self, staging: &Path) -> TaskResult<bool> {
        let room = self.room(staging);
        if self.is_end() {
            return exists(&room.join(self.settled()));
        }
        Ok(furthest(&room)?.is_some_and(|furthest| self.number <= furthest))
    }

    /// Notes that it is shown for good, if it is shown.
    pub fn settle(&self, part: &Part, staging: &Path) -> TaskResult {
        if !part.is_linked() {
            return Ok(());
        }
        let room = self.room(staging);
        let noted = room.join(self.settled());
        if self.is_end() {
            // Its file stays until all is over: it says that the one in the output directory is the job's.
            return super::note(&noted);
        }
        match furthest(&room)? {
            Some(before) if before >= self.number => {}
            Some(before) => {
                let before = room.join(format!("settled-{before}"));
                fs::rename(&before, &noted).map_err(|error| cannot("rename", &before, &error))?;
            }
            None => super::note(&noted)?,
        }
        match fs::remove_file(&part.from) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", &part.from, &error)),
            _ => Ok(()),
        }
    }
}

/// The last part of a writer's directory that is settled.
fn furthest(room: &Path) -> TaskResult<Option<u32>> {
    let number = |name: &std::ffi::OsString| name.to_str()?.strip_prefix("settled-")?.parse().ok();
    Ok(names(room)?.iter().filter_map(number).max())
}

/// All that is staged, whether it is whole or not.
pub(super) fn all(staging: &Path) -> TaskResult<Vec<Name>> {
    let mut found = Vec::new();
    for room in names(staging)? {
        let place = room.to_str().and_then(|room| room.split_once('-'));
        let place = place.and_then(|(subtask, writer)| Some((subtask.parse().ok()?, writer.parse().ok()?)));
        let Some((subtask, writer)) = place else { continue };
        let names = names(&staging.join(&room))?;
        found.extend(names.iter().filter_map(|name| Name::of_staged(subtask, writer, name.to_str()?)));
    }
    Ok(found)
}
