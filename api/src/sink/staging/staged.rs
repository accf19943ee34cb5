//! What a writer prepares, and what its files are called.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use flott_core::{codec, failure::Failure, id::JobId};
use flott_runtime::error::TaskResult;
use serde::{Deserialize, Serialize};

use super::{Part, cannot, end, names, part::SECOND, remove_all};
use crate::sink::file::partition;

/// What a commit shows of one writer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Staged {
    /// Whose it is. A job that starts from a snapshot of another commits what that one had prepared.
    pub job: JobId,
    /// That job's output directory, as bytes of the path.
    directory: Vec<u8>,
    /// Files.
    pub parts: Vec<Name>,
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
    /// The directory that it is shown in, within the output directory; empty for that itself.
    pub partition: String,
    /// What its name ends in, without the dot; empty for nothing.
    pub extension: String,
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
    pub fn new(job: JobId, directory: &Path, parts: Vec<Name>, ended: Option<(u32, u32)>) -> Self {
        Self { job, directory: directory.as_os_str().as_bytes().to_vec(), parts, ended }
    }

    pub fn directory(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.directory))
    }

    pub fn read(bytes: &[u8]) -> TaskResult<Self> {
        let staged = match bytes.strip_prefix(LAYOUT) {
            Some(bytes) => codec::decode::<Self>(bytes),
            None => codec::decode::<OnePart>(bytes).map(Self::from),
        };
        let staged =
            staged.map_err(|error| Box::new(Failure::internal("a prepared file cannot be read").caused_by(&error)))?;
        // Names become paths, and they come out of a snapshot that may lie anywhere.
        for Name { partition, extension, .. } in &staged.parts {
            partition::check(partition)
                .and_then(|()| partition::check_extension(extension))
                .map_err(|problem| Box::new(Failure::internal("a prepared file has an odd name").because(problem)))?;
        }
        Ok(staged)
    }

    pub fn to_bytes(&self) -> TaskResult<Vec<u8>> {
        let mut bytes = LAYOUT.to_vec();
        bytes.extend(
            codec::to_vec(self)
                .map_err(|error| Box::new(Failure::internal("a prepared file cannot be noted").caused_by(&error)))?,
        );
        Ok(bytes)
    }
}

/// Begins what a writer has prepared. What there was before begins with the id of a job, which is drawn.
const LAYOUT: &[u8; 16] = b"flott/files/2\0\0\0";

/// What savepoints hold of writers that had one part at a time and no partitions.
#[derive(Deserialize)]
struct OnePart {
    job: JobId,
    directory: Vec<u8>,
    part: Option<PlainName>,
    ended: Option<(u32, u32)>,
}

#[derive(Deserialize)]
struct PlainName {
    subtask: u32,
    writer: u32,
    number: u32,
    sort: Sort,
}

impl From<OnePart> for Staged {
    fn from(OnePart { job, directory, part, ended }: OnePart) -> Self {
        let name = |PlainName { subtask, writer, number, sort }| {
            let (partition, extension) = (String::new(), String::new());
            Name { subtask, writer, number, sort, partition, extension }
        };
        Self { job, directory, parts: part.map(name).into_iter().collect(), ended }
    }
}

/// What stands for `/` in the names of staged files. Partitions have no control characters in them.
const SLASH: &str = "\u{1f}";

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

    /// The path in the output directory.
    pub fn target(&self, job: JobId) -> PathBuf {
        let Self { subtask, writer, number, sort, partition, extension } = self;
        let mut name = match sort {
            Sort::Only => format!("part-{subtask}"),
            Sort::Barrier | Sort::End => format!("part-{subtask}-{}-{writer}-{number}", mark(job)),
        };
        if !extension.is_empty() {
            name = format!("{name}.{extension}");
        }
        Path::new(partition).join(name)
    }

    /// The name in the writer's directory: `<number>[.<sort>][~<extension>][@<partition>]`. It says all, since what is
    /// staged is found by listing. No extension has an `@` in it.
    pub fn staged(&self) -> String {
        let mut name = self.number.to_string();
        name.push_str(match self.sort {
            Sort::Barrier => "",
            Sort::End => ".end",
            Sort::Only => ".only",
        });
        if !self.extension.is_empty() {
            name = format!("{name}~{}", self.extension);
        }
        if !self.partition.is_empty() {
            name = format!("{name}@{}", self.partition.replace('/', SLASH));
        }
        name
    }

    /// What [`staged`](Self::staged) gave. Nothing if it is none of these.
    fn of_staged(subtask: u32, writer: u32, name: &str) -> Option<Self> {
        let (name, partition) = name.split_once('@').unwrap_or((name, ""));
        let (name, extension) = name.split_once('~').unwrap_or((name, ""));
        let (number, sort) = match name.split_once('.') {
            None => (name, Sort::Barrier),
            Some((number, "end")) => (number, Sort::End),
            Some((number, "only")) => (number, Sort::Only),
            Some(_) => return None,
        };
        let (number, partition) = (number.parse().ok()?, partition.replace(SLASH, "/"));
        partition::check(&partition).ok()?;
        Some(Self { subtask, writer, number, sort, partition, extension: extension.to_owned() })
    }

    /// Whether it was prepared at the end.
    pub fn is_end(&self) -> bool {
        matches!(self.sort, Sort::End | Sort::Only)
    }

    /// The file.
    pub fn part(&self, directory: &Path, staging: &Path, job: JobId) -> Part {
        Part { from: self.room(staging).join(self.staged()), to: directory.join(self.target(job)) }
    }
}

/// Noted in a writer's directory: parts of barriers are settled up to this number.
fn settled_up_to(number: u32) -> String {
    format!("settled-{number}")
}

/// What has been settled of the parts in a staging directory. Each writer's directory is listed once.
pub(super) struct Settled<'a> {
    staging: &'a Path,
    furthest: BTreeMap<PathBuf, Option<u32>>,
}

impl<'a> Settled<'a> {
    pub fn of(staging: &'a Path) -> Self {
        Self { staging, furthest: BTreeMap::new() }
    }

    /// Whether `name` has been settled.
    pub fn holds(&mut self, name: &Name) -> TaskResult<bool> {
        let room = name.room(self.staging);
        if name.is_end() {
            return end::is_settled(&room);
        }
        let furthest = match self.furthest.get(&room) {
            Some(furthest) => *furthest,
            None => *self.furthest.entry(room.clone()).or_insert(furthest(&room)?),
        };
        Ok(furthest.is_some_and(|furthest| name.number <= furthest))
    }
}

/// The directories of writers of which `parts` hold the end.
pub(super) fn rooms_of_ends(parts: &[(&Name, Part)], staging: &Path) -> BTreeSet<PathBuf> {
    parts.iter().filter(|(name, _)| name.is_end()).map(|(name, _)| name.room(staging)).collect()
}

/// Notes of those of `parts` that are shown that they are for good.
///
/// # Errors
/// When the file system fails, or a round that has failed had taken back something of an end.
pub(super) fn settle(parts: &[(&Name, Part)], staging: &Path) -> TaskResult {
    // The files of the end stay until all is over: they say that those in the output directory are the job's.
    rooms_of_ends(parts, staging).iter().try_for_each(|room| end::settle(room))?;
    let mut rooms: BTreeMap<PathBuf, Vec<&(&Name, Part)>> = BTreeMap::new();
    for part in parts.iter().filter(|(name, part)| !name.is_end() && part.is_linked()) {
        rooms.entry(part.0.room(staging)).or_default().push(part);
    }
    for (room, parts) in rooms {
        let Some(last) = parts.iter().map(|(name, _)| name.number).max() else { continue };
        match furthest(&room)? {
            Some(before) if before >= last => {}
            Some(before) => {
                let (before, last) = (room.join(settled_up_to(before)), room.join(settled_up_to(last)));
                match fs::rename(&before, &last) {
                    // Another round of the commit has just done so, or gone further.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => super::note(&last)?,
                    renamed => renamed.map_err(|error| cannot("rename", &before, &error))?,
                }
            }
            None => super::note(&room.join(settled_up_to(last)))?,
        }
        for (_, part) in parts {
            part.discard()?;
        }
    }
    Ok(())
}

/// The last part of a writer's directory that is settled.
fn furthest(room: &Path) -> TaskResult<Option<u32>> {
    let number = |name: &std::ffi::OsString| name.to_str()?.strip_prefix("settled-")?.parse().ok();
    Ok(names(room)?.iter().filter_map(number).max())
}

/// Removes what commits have left in a writer's directory beside its parts. All of it goes, unless it has parts that are `kept` or says how far
/// commits have come.
pub(super) fn clear(room: &Path, kept: &BTreeSet<PathBuf>) -> TaskResult {
    let has_kept = kept.iter().any(|part| part.starts_with(room));
    if !has_kept && !end::is_settled(room)? && furthest(room)?.is_none() {
        return remove_all(room);
    }
    for name in names(room)?.iter().filter(|name| name.as_encoded_bytes().starts_with(SECOND.as_bytes())) {
        let second = room.join(name);
        match fs::remove_file(&second) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot("remove", &second, &error)),
            _ => {}
        }
    }
    end::clear(room, kept)
}

/// The directories of all writers, each with its subtask and its number.
pub(super) fn rooms(staging: &Path) -> TaskResult<Vec<(PathBuf, u32, u32)>> {
    let room = |name: OsString| {
        let (subtask, writer) = name.to_str()?.split_once('-')?;
        Some((staging.join(&name), subtask.parse().ok()?, writer.parse().ok()?))
    };
    Ok(names(staging)?.into_iter().filter_map(room).collect())
}

/// All that is staged, whether it is whole or not.
pub(super) fn all(staging: &Path) -> TaskResult<Vec<Name>> {
    let mut found = Vec::new();
    for (room, subtask, writer) in rooms(staging)? {
        let names = names(&room)?;
        found.extend(names.iter().filter_map(|name| Name::of_staged(subtask, writer, name.to_str()?)));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const JOB: JobId = JobId::from_bytes([7; 16]);

    #[test]
    fn what_earlier_builds_have_prepared_is_read() {
        // A job, "/tmp/flott-fixture/out", part 5 of writer 2 of subtask 1 at the end, as one of 3 that have ended.
        let directory = b"/tmp/flott-fixture/out";
        let mut bytes = [JOB.as_bytes().as_slice(), &22u32.to_le_bytes(), directory, &[1]].concat();
        bytes.extend([1u32, 2, 5, 1].into_iter().flat_map(u32::to_le_bytes));
        bytes.extend([1].into_iter().chain([1u32, 3].into_iter().flat_map(u32::to_le_bytes)));
        let Staged { job, parts, ended, .. } = Staged::read(&bytes).unwrap();
        let name = Name {
            subtask: 1,
            writer: 2,
            number: 5,
            sort: Sort::End,
            partition: String::new(),
            extension: String::new(),
        };
        assert_eq!((job, parts, ended), (JOB, vec![name], Some((1, 3))));
    }

    #[test]
    fn prepared_files_that_lead_elsewhere_are_refused() {
        for (partition, extension) in [("../other", ""), ("/etc", ""), ("a", "csv/../../x")] {
            let name = Name {
                subtask: 0,
                writer: 0,
                number: 0,
                sort: Sort::Barrier,
                partition: partition.to_owned(),
                extension: extension.to_owned(),
            };
            let bytes = Staged::new(JOB, Path::new("/out"), vec![name], None).to_bytes().unwrap();
            assert_eq!(Staged::read(&bytes).unwrap_err().message, "a prepared file has an odd name");
        }
    }

    proptest! {
        #[test]
        fn names_of_staged_files_say_all(
            numbers in any::<(u32, u32, u32)>(),
            sort in prop_oneof![Just(Sort::Barrier), Just(Sort::End), Just(Sort::Only)],
            partition in "([a-z@~.=-]{1,40}/){0,3}[a-z@~.=-]{1,40}|",
            extension in r"csv|csv\.gz|",
        ) {
            prop_assume!(partition::check(&partition).is_ok());
            let (subtask, writer, number) = numbers;
            let name = Name { subtask, writer, number, sort, partition, extension };
            let staged = name.staged();
            prop_assert!(!staged.contains('/') && staged.len() + "shown-".len() <= 255, "{staged:?}");
            prop_assert_eq!(Name::of_staged(subtask, writer, &staged), Some(name));
        }
    }
}
