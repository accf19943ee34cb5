//! Where checkpoints are written, and how that goes wrong.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::disk::{SmallDisk, exchange};

/// Room for checkpoints of a scenario many times over; and filled in no time.
const SIZE: &str = "32m";

/// A directory for checkpoints, on a small disk of its own where one can be mounted.
#[derive(Debug)]
pub struct Store {
    room: PathBuf,
    /// On failure, what it holds is copied to here.
    kept: PathBuf,
    disk: Option<SmallDisk>,
}

impl Store {
    /// Makes `room`.
    pub fn new(room: &Path) -> Self {
        let path = crate::binaries::text(room);
        let disk = SmallDisk::mount(path, SIZE, "steps of a plan in which there is no room for checkpoints");
        let store = Self { room: room.to_owned(), kept: room.with_extension("kept"), disk };
        fs::create_dir(store.checkpoints()).expect("a new directory can be written to");
        store
    }

    /// For `execution.checkpointing.dir`.
    pub fn checkpoints(&self) -> PathBuf {
        self.room.join("checkpoints")
    }

    /// Takes all room that there is; `false` where there is no disk that could be filled.
    pub fn fill(&self) -> bool {
        if self.disk.is_none() {
            return false;
        }
        let mut ballast = File::create(self.ballast()).expect("the store can be written to");
        let zeros = [0; 4096];
        loop {
            match ballast.write_all(&zeros) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return true,
                Err(error) => panic!("the store cannot be filled: {error}"),
            }
        }
    }

    /// Gives it back.
    pub fn empty(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    /// Puts a file in the place of the directory, at once; or the directory in the place of the file.
    pub fn swap(&self) {
        let aside = self.room.join("aside");
        if !aside.exists() {
            File::create(&aside).expect("the store can be written to");
        }
        exchange(&aside, &self.checkpoints());
    }

    /// Files that are left in the directory of a job.
    pub fn left_of(&self, job: &str) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut directories = vec![self.checkpoints().join(job)];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() { directories.push(path) } else { files.push(path) }
            }
        }
        files
    }

    fn ballast(&self) -> PathBuf {
        self.room.join("ballast")
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if std::thread::panicking() && self.disk.is_some() {
            copy(&self.room, &self.kept);
        }
    }
}

/// As much as can be copied.
fn copy(from: &Path, to: &Path) {
    let _ = fs::create_dir(to);
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else if entry.file_name() != "ballast" {
            let _ = fs::copy(from, to);
        }
    }
}
