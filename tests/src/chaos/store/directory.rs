//! A directory, on a small disk of its own where one can be mounted.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{
    binaries::text,
    disk::{SmallDisk, exchange},
};

/// Room for checkpoints of a scenario many times over; and filled in no time.
const SIZE: &str = "32m";

/// A directory for checkpoints.
#[derive(Debug)]
pub struct LocalDirectory {
    room: PathBuf,
    /// Where savepoints are, on the disk that all share.
    around: PathBuf,
    disk: Option<SmallDisk>,
}

impl LocalDirectory {
    /// Makes it in `sandbox`.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(sandbox: &Path) -> Self {
        let room = sandbox.join("store");
        let disk = SmallDisk::mount(text(&room), SIZE, "steps of a plan in which there is no room for checkpoints");
        let directory = Self { around: sandbox.to_owned(), room, disk: disk.map(SmallDisk::kept_if_it_fails) };
        fs::create_dir(directory.checkpoints()).expect("a new directory can be written to");
        directory
    }

    /// Where checkpoints are.
    pub fn checkpoints(&self) -> PathBuf {
        self.room.join("checkpoints")
    }

    /// Where savepoints are.
    pub fn savepoints(&self, number: u64) -> PathBuf {
        self.around.join(format!("savepoints-{number}"))
    }

    /// Takes all room that there is; `false` where there is no disk that could be filled.
    pub fn fill(&self) -> bool {
        self.disk.as_ref().map(SmallDisk::fill).is_some()
    }

    /// Puts a file in the place of the directory, at once.
    pub fn block(&self) {
        File::create(self.aside()).expect("the store can be written to");
        exchange(&self.aside(), &self.checkpoints());
    }

    /// There is room, and the directory is in its place.
    pub fn mend(&self) {
        if let Some(disk) = &self.disk {
            disk.empty();
        }
        if self.aside().is_dir() {
            exchange(&self.aside(), &self.checkpoints());
        }
    }

    fn aside(&self) -> PathBuf {
        self.room.join("aside")
    }
}
