//! The directory of one writer.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::id::JobId;
use flott_runtime::{error::TaskResult, task::TaskInfo};

use super::{
    Others, ROLLED, admit, cannot, exists, names, note,
    staged::{Name, Sort, Staged},
    sync_directory,
};

/// Where a writer stages its parts, one after the other. Nobody else has had it.
#[derive(Debug)]
pub(in crate::sink) struct Room {
    directory: PathBuf,
    staging: PathBuf,
    job: JobId,
    parallelism: u32,
    /// The part that is next, or being written.
    next: Name,
    /// It is noted that something was prepared at a barrier.
    rolled: bool,
}

impl Room {
    /// Claims one for `task` in the output directory.
    ///
    /// # Errors
    /// When the job may not write there, or cannot.
    pub fn claim(directory: &Path, task: &TaskInfo, others: Others) -> TaskResult<Self> {
        let staging = admit(directory, task.job, others)?;
        let mut next = Name { subtask: task.subtask(), writer: 0, number: 0, sort: Sort::Barrier };
        loop {
            let room = next.room(&staging);
            match fs::create_dir(&room) {
                Ok(()) => break,
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
        Ok(Self { directory, staging, job: task.job, parallelism, next, rolled: false })
    }

    /// The path of the part that is written.
    pub fn path(&self) -> PathBuf {
        self.next.room(&self.staging).join(self.next.staged())
    }

    /// A part is written whole; or none, if none was begun. What its commit needs; at a barrier that is something only if one
    /// was.
    ///
    /// # Errors
    /// When it is not on the disk for certain.
    pub fn prepare(&mut self, part: Option<&File>, ended: bool) -> TaskResult<Option<Bytes>> {
        if part.is_none() && !ended {
            return Ok(None);
        }
        let path = self.path();
        let ended_as = ended.then_some((self.next.subtask, self.parallelism));
        let mut staged = Staged::new(self.job, &self.directory, None, ended_as);
        if let Some(file) = part {
            file.sync_all().map_err(|error| cannot("flush", &path, &error))?;
            let mut name = self.next.clone();
            if ended {
                // Another writer of the subtask may have shown one of that name; then this one is a further part.
                let only = Name { sort: Sort::Only, ..name.clone() };
                let is_only =
                    !exists(&self.staging.join(ROLLED))? && !exists(&self.directory.join(only.target(self.job)))?;
                name.sort = if is_only { Sort::Only } else { Sort::End };
                let renamed = name.room(&self.staging).join(name.staged());
                fs::rename(&path, &renamed).map_err(|error| cannot("rename", &path, &error))?;
            }
            sync_directory(&name.room(&self.staging))?;
            staged.part = Some(name);
            self.next.number += 1;
        }
        if !ended && !self.rolled {
            note(&self.staging.join(ROLLED))?;
            self.rolled = true;
        }
        Ok(Some(staged.to_bytes()?.into()))
    }
}
