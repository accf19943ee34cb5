//! State on disk: tables that hold more than fits into memory.
//!
//! A table ([`DiskTable`]) keeps the entries that were used last in memory, as they are ([`hot`]), and all others in a
//! log-structured tree of encoded keys and values ([`store`]). What changed is written there when room is needed, and at a
//! cut. What has changed since the last cut is noted beside it, in order of keys, in memory and, where that is too much, in a
//! file ([`changes`]): a snapshot of what has changed is read from there, one of all there is from the tree. Either has entries
//! as any other backend gives them, so that a snapshot fits all.
//!
//! All tables of a process share its memory for state on disk ([`Disk`]). Nothing on disk outlives the process; what has to
//! is in checkpoints.
//!
//! # Layout
//! - `table`: the table
//! - `hot`: entries in memory
//! - `store`: entries on disk
//! - `upkeep`: threads that write and merge files
//! - `changes`: what has changed since the last cut
//! - `runs`: that, as it lies in a file
//! - `giving`: snapshots
//! - `place`: where a tree lies
//! - `directory`: where all of it lies

mod changes;
mod directory;
mod giving;
mod hot;
mod place;
mod runs;
mod store;
mod table;
#[cfg(test)]
pub(super) mod tests;
mod upkeep;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use directory::Directory;
use flott_core::failure::Failure;
use lsm_tree::{Cache, DescriptorTable};
use place::Place;
pub(super) use table::DiskTable;
use upkeep::Upkeep;

use crate::error::TaskResult;

/// A file system in memory, where the system has one.
const IN_MEMORY: &str = "/dev/shm";

/// Files that are kept open.
const FILES_MAX: usize = 256;

/// Bytes of blocks that are kept of all files at least.
const BLOCKS_MIN: usize = 256 << 10;

/// Bytes of changes that are noted in memory at most: a task waits while they are written, about a millisecond for each MB.
const CHANGES_MAX: usize = 2 << 20;

/// Bytes of a table in memory that go to disk at once, at most: in some ten milliseconds.
const NEAR_MAX: usize = 2 << 20;

/// What each table has of everything at least, however many there are; but no entries, where no memory is asked for.
const LEAST: Least = Least { hot: 16 << 10, part: 64 << 10, changes: 16 << 10 };

/// Bytes that each table has at least.
#[derive(Debug, Clone, Copy)]
struct Least {
    hot: usize,
    part: usize,
    changes: usize,
}

/// Where the tables of a process lie, and the memory that they have together.
pub struct Disk {
    directory: Directory,
    /// In memory, where that can be.
    lists: Option<Directory>,
    next: AtomicU64,
    memory: usize,
    least: Least,
    tables: AtomicUsize,
    /// What the entries of one table may take up in memory, as many tables as there are now.
    hot: AtomicUsize,
    /// What tables take up that are in memory because they are small.
    near: AtomicUsize,
    blocks: Arc<Cache>,
    files: Arc<DescriptorTable>,
    upkeep: Upkeep,
}

impl Disk {
    /// A place for tables in `parent`, which have `memory` bytes together. With none, a table has one entry in memory.
    ///
    /// # Errors
    /// When there is no room for a directory or a thread.
    pub fn start(parent: &Path, memory: usize) -> TaskResult<Arc<Self>> {
        let least = if memory == 0 { Least { hot: 0, ..LEAST } } else { LEAST };
        Self::with_least(parent, memory, least)
    }

    fn with_least(parent: &Path, memory: usize, least: Least) -> TaskResult<Arc<Self>> {
        let unusable = |error: io::Error| {
            Box::new(
                Failure::environment(format!("there can be no state on disk in {}", parent.display())).because(error),
            )
        };
        let directory = Directory::create(parent).map_err(unusable)?;
        let lists = Directory::create(Path::new(IN_MEMORY))
            .inspect_err(|error| tracing::debug!(directory = IN_MEMORY, %error, "lists of files are kept on disk"));
        Ok(Arc::new(Self {
            directory,
            lists: lists.ok(),
            next: AtomicU64::new(0),
            memory,
            least,
            tables: AtomicUsize::new(0),
            hot: AtomicUsize::new(0),
            near: AtomicUsize::new(0),
            blocks: Arc::new(Cache::with_capacity_bytes((memory / 4).max(BLOCKS_MIN) as u64)),
            files: Arc::new(DescriptorTable::new(FILES_MAX)),
            upkeep: Upkeep::start().map_err(unusable)?,
        }))
    }

    /// A name that nothing has yet.
    fn new_name(&self) -> String {
        self.next.fetch_add(1, Relaxed).to_string()
    }

    /// A path on disk that nothing has yet.
    fn new_path(&self) -> PathBuf {
        self.directory.path().join(self.new_name())
    }

    /// Where a tree may lie.
    fn new_place(&self) -> Place {
        Place::on_disk(self.new_path())
    }

    /// Where it had better lie, if that can be.
    fn new_place_with_list(&self) -> Option<Place> {
        let name = self.new_name();
        Some(Place::with_list(self.lists.as_ref()?.path().join(&name), self.directory.path().join(name)))
    }

    /// Blocks of files that were read last.
    fn blocks(&self) -> &Arc<Cache> {
        &self.blocks
    }

    fn files(&self) -> &Arc<DescriptorTable> {
        &self.files
    }

    fn upkeep(&self) -> &Upkeep {
        &self.upkeep
    }

    /// A table more, or less.
    fn count(&self, table: bool) {
        if table {
            self.tables.fetch_add(1, Relaxed)
        } else {
            self.tables.fetch_sub(1, Relaxed)
        };
        self.hot.store((3 * self.share(8)).max(self.least.hot), Relaxed);
    }

    /// A table in memory takes up `after` bytes, which were `before`. How many more it may take up: none if it is to go to disk.
    pub(super) fn near(&self, before: usize, after: usize) -> Option<usize> {
        let all = self.near.fetch_add(after.wrapping_sub(before), Relaxed).wrapping_add(after).wrapping_sub(before);
        let room = NEAR_MAX.checked_sub(after)?;
        let left = (self.memory / 8).saturating_sub(all).max(self.least.hot.saturating_sub(after));
        if left == 0 { None } else { Some(room.min(left)) }
    }

    fn share(&self, part: usize) -> usize {
        self.memory / part / self.tables.load(Relaxed).max(1)
    }

    /// What the entries of one table may take up in memory.
    fn hot_bytes(&self) -> usize {
        self.hot.load(Relaxed)
    }

    /// What a tree gathers before it is written: of three such parts one is gathered and two wait.
    fn part_bytes(&self) -> u64 {
        self.share(8 * 3).max(self.least.part) as u64
    }

    /// What is noted in memory of changes: those since the last cut, and those that are being given.
    fn changes_bytes(&self) -> usize {
        self.share(8 * 2).clamp(self.least.changes, CHANGES_MAX.max(self.least.changes))
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("directory", &self.directory).field("memory", &self.memory).finish_non_exhaustive()
    }
}
