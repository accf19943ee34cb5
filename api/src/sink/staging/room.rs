//! The directory of one writer.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::{failure::Failure, id::JobId};
use flott_runtime::{error::TaskResult, task::TaskInfo};

use super::{
    Others, ROLLED, admit, cannot, end, exists, names, note,
    staged::{Name, Sort, Staged},
    sync_directory,
};

/// Files of a writer that may wait for the same commit: all their names are in one message, and in the manifest.
const PARTS_MAX: usize = 10_000;

/// Where a writer stages its parts. Nobody else has had it.
#[derive(Debug)]
pub(in crate::sink) struct Room {
    directory: PathBuf,
    staging: PathBuf,
    job: JobId,
    parallelism: u32,
    /// The part that is next.
    next: Name,
    /// Parts that are whole and on the disk, and that no commit has been prepared for.
    whole: Vec<Name>,
    /// It is noted that something was prepared at a barrier.
    rolled: bool,
}

/// A part that is being written.
#[derive(Debug, Clone)]
pub(in crate::sink) struct Place {
    name: Name,
    pub path: PathBuf,
}

impl Room {
    /// Claims one for `task` in the output directory, for files whose names end in `extension`.
    ///
    /// # Errors
    /// When the job may not write there, or cannot.
    pub fn claim(directory: &Path, task: &TaskInfo, others: Others, extension: &str) -> TaskResult<Self> {
        let staging = admit(directory, task.job, others)?;
        let (partition, extension) = (String::new(), extension.to_owned());
        let subtask = task.subtask();
        let mut next = Name { subtask, writer: 0, number: 0, sort: Sort::Barrier, partition, extension };
        loop {
            let room = next.room(&staging);
            match fs::create_dir(&room) {
                Ok(()) => break end::begin(&room)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => next.writer += 1,
                Err(error) => return Err(cannot("create", &room, &error)),
            }
        }
        // One that has ended before is written for again.
        let again = format!("ended-{}-", next.subtask);
        for name in names(&staging)?.iter().filter(|name| name.as_encoded_bytes().starts_with(again.as_bytes())) {
            let ended = staging.join(name);
            match fs::remove_file(&ended) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot("remove", &ended, &error)),
                _ => {}
            }
        }
        let (directory, parallelism) = (directory.to_owned(), task.parallelism);
        Ok(Self { directory, staging, job: task.job, parallelism, next, whole: Vec::new(), rolled: false })
    }

    /// A place for the next part, one of this partition. All parts of a writer are numbered in the order in which they begin.
    pub fn place(&mut self, partition: &str) -> Place {
        let name = Name { partition: partition.to_owned(), ..self.next.clone() };
        self.next.number += 1;
        Place { path: name.room(&self.staging).join(name.staged()), name }
    }

    /// The part at `place` is whole: it waits for the next commit.
    ///
    /// # Errors
    /// When it is not on the disk for certain, or too many wait.
    pub fn complete(&mut self, place: Place, file: &File) -> TaskResult {
        file.sync_all().map_err(|error| cannot("flush", &place.path, &error))?;
        if self.whole.len() >= PARTS_MAX {
            let message = format!(
                "a file sink has written {PARTS_MAX} files in one subtask since its last checkpoint; let it roll them later, \
                 have fewer partitions, or send the records of a partition to one subtask"
            );
            return Err(Box::new(Failure::user(message).fatal()));
        }
        self.whole.push(place.name);
        Ok(())
    }

    /// What the commit of all parts that are whole needs; nothing if there are none, and the writer goes on.
    ///
    /// # Errors
    /// When they are not on the disk for certain.
    pub fn prepare(&mut self, ended: bool) -> TaskResult<Option<Bytes>> {
        if self.whole.is_empty() && !ended {
            return Ok(None);
        }
        let mut parts = std::mem::take(&mut self.whole);
        let room = self.next.room(&self.staging);
        if ended {
            self.name_last(&mut parts, &room)?;
        }
        if !parts.is_empty() {
            sync_directory(&room)?;
        }
        if !ended && !self.rolled {
            note(&self.staging.join(ROLLED))?;
            self.rolled = true;
        }
        let ended_as = ended.then_some((self.next.subtask, self.parallelism));
        Ok(Some(Staged::new(self.job, &self.directory, parts, ended_as).to_bytes()?.into()))
    }

    /// These are prepared at the end, and are named so.
    fn name_last(&self, parts: &mut [Name], room: &Path) -> TaskResult {
        let mut of_partition: BTreeMap<String, u32> = BTreeMap::new();
        for part in &*parts {
            *of_partition.entry(part.partition.clone()).or_default() += 1;
        }
        let has_rolled = exists(&self.staging.join(ROLLED))?;
        for part in parts {
            let path = room.join(part.staged());
            // Another writer of the subtask may have shown one of that name; then this one is a further part.
            let only = Name { sort: Sort::Only, ..part.clone() };
            let is_only = !has_rolled
                && of_partition.get(&part.partition) == Some(&1)
                && !exists(&self.directory.join(only.target(self.job)))?;
            part.sort = if is_only { Sort::Only } else { Sort::End };
            fs::rename(&path, room.join(part.staged())).map_err(|error| cannot("rename", &path, &error))?;
        }
        Ok(())
    }
}
