//! The tree of one table: encoded keys and values, on disk but for what was written last.
//!
//! The library's tree writes what it has gathered in memory to disk, and merges its files, only when it is told to. Here it
//! is told: who writes seals what has been gathered when it is enough, and the threads of [`Upkeep`](super::upkeep::Upkeep)
//! do the rest. Who writes quicker than they can waits for them.

use std::{
    ops::Bound,
    path::Path,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Relaxed, SeqCst},
        },
    },
    time::Duration,
};

use flott_core::failure::Failure;
use lsm_tree::{AbstractTree, AnyTree, Config, Guard, SequenceNumberCounter, UserKey, UserValue, compaction::Leveled};
use parking_lot::{Condvar, Mutex};

use super::{Disk, place::Place};
use crate::error::TaskResult;

/// Parts that may wait to be written, beside the one that is gathered.
const SEALED_MAX: usize = 2;

/// Runs of files that a look-up may have to go through before who writes waits for them to be merged.
const RUNS_MAX: usize = 20;

/// Runs that are left alone: the library merges what was written last when there are so many.
const RUNS_KEPT: usize = 4;

/// Merges that one call does at most.
const MERGES_MAX: usize = 32;

/// How long a write waits for the disk, and what can be written later.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(120);

/// Bytes of a file of the tree.
const FILE_BYTES: u64 = 16 << 20;

/// What one key may have: the library keeps its length in two bytes.
const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// In place of the empty key, which the library does not take: `()` is encoded so, and then so are all keys of the table.
const EMPTY_KEY: &[u8] = &[0];

/// The last version of an entry, whichever that is.
const LAST_VERSION: u64 = u64::MAX >> 1;

/// Keys and values in order of keys.
pub(super) type Entries = Box<dyn Iterator<Item = TaskResult<(UserKey, UserValue)>> + Send>;

/// A tree and its directory.
pub(super) struct Store {
    tree: Arc<Tree>,
    disk: Arc<Disk>,
}

/// What the threads of upkeep share with the table.
pub(super) struct Tree {
    tree: AnyTree,
    /// Whether its keys are empty.
    empty_keys: AtomicBool,
    versions: SequenceNumberCounter,
    /// Held by who begins to read at a version, from the moment that it is chosen until the library has found its files.
    beginning: Mutex<()>,
    place: Place,
    failed: Mutex<Option<Failure>>,
    /// Whether it waits to be written.
    pub to_write: AtomicBool,
    /// Whether it waits to be merged.
    pub to_merge: AtomicBool,
    /// Something was written, merged, or went wrong.
    went_on: (Mutex<()>, Condvar),
}

impl Store {
    /// An empty tree in a directory of its own.
    pub fn create(disk: &Arc<Disk>) -> TaskResult<Self> {
        let tree = match disk.new_place_with_list().map(|place| Tree::create(disk, place)) {
            Some(Ok(tree)) => tree,
            Some(Err(failure)) => {
                tracing::warn!(%failure, "the list of files of a state is kept on disk");
                Tree::create(disk, disk.new_place())?
            }
            None => Tree::create(disk, disk.new_place())?,
        };
        Ok(Self { tree: Arc::new(tree), disk: Arc::clone(disk) })
    }

    /// The tree itself. Dropped, it takes the directory with it, as soon as nobody is at work there.
    pub fn into_tree(self) -> Arc<Tree> {
        self.tree
    }

    pub fn get(&self, key: &[u8]) -> TaskResult<Option<UserValue>> {
        check_length(key)?;
        self.tree.tree.get(taken(key), LAST_VERSION).map_err(|error| self.tree.unreadable(&error))
    }

    pub fn contains(&self, key: &[u8]) -> TaskResult<bool> {
        check_length(key)?;
        self.tree.tree.contains_key(taken(key), LAST_VERSION).map_err(|error| self.tree.unreadable(&error))
    }

    /// Sets the value of `key`, or takes it out.
    ///
    /// # Errors
    /// When the disk has failed, or the key is too long.
    pub fn write(&self, key: &[u8], value: Option<&[u8]>) -> TaskResult {
        check_length(key)?;
        if key.is_empty() {
            self.tree.empty_keys.store(true, Relaxed);
        }
        let (key, version) = (taken(key), self.tree.versions.next());
        let (_, gathered) = match value {
            Some(value) => self.tree.tree.insert(key, value, version),
            None => self.tree.tree.remove(key, version),
        };
        if gathered >= self.disk.part_bytes() {
            self.seal()?;
        }
        Ok(())
    }

    /// Whether a write would not wait for the disk; nor would one of another behind it, as what is gathered has room to spare.
    ///
    /// # Errors
    /// When the disk has failed.
    pub fn has_room(&self) -> TaskResult<bool> {
        self.tree.check()?;
        if self.tree.tree.l0_run_count() < RUNS_MAX {
            return Ok(self.tree.tree.sealed_memtable_count() < SEALED_MAX);
        }
        // What was merged for this tree before may not have been enough.
        if !self.tree.to_merge.load(SeqCst) {
            self.disk.upkeep().write(&self.tree);
        }
        Ok(false)
    }

    /// Another number whenever files were written or merged.
    pub fn taken_up(&self) -> u64 {
        self.tree.tree.current_version().id()
    }

    /// Why nothing is written that has waited for so long.
    pub fn behind(&self) -> Box<Failure> {
        let (directory, wait) = (self.tree.place.files().display(), WAIT_MAX.as_secs());
        Box::new(Failure::environment(format!("the disk took up no state within {wait} s, in {directory}")))
    }

    /// What the disk has of it.
    #[cfg(test)]
    pub fn tree(&self) -> Arc<Tree> {
        Arc::clone(&self.tree)
    }

    /// Has what was gathered written.
    #[cold]
    fn seal(&self) -> TaskResult {
        if self.tree.tree.rotate_memtable().is_some() {
            self.disk.upkeep().write(&self.tree);
        }
        let (lock, went_on) = &self.tree.went_on;
        let mut guard = lock.lock();
        loop {
            self.tree.check()?;
            if self.tree.tree.sealed_memtable_count() <= SEALED_MAX && self.tree.tree.l0_run_count() <= RUNS_MAX {
                return Ok(());
            }
            // Whatever was done for this tree before may not have been enough.
            self.disk.upkeep().write(&self.tree);
            if went_on.wait_for(&mut guard, WAIT_MAX).timed_out() {
                return Err(self.behind());
            }
        }
    }

    /// Entries behind `after`, or all, as they are now, whatever is written meanwhile.
    pub fn entries(&self, after: Option<&[u8]>) -> Entries {
        let beginning = self.tree.beginning.lock();
        let now = self.tree.versions.get();
        let range = match after {
            Some(after) => {
                self.tree.tree.range::<&[u8], _>((Bound::Excluded(taken(after)), Bound::Unbounded), now, None)
            }
            None => self.tree.tree.iter(now, None),
        };
        drop(beginning);
        let tree = Arc::clone(&self.tree);
        let empty_keys = tree.empty_keys.load(Relaxed);
        Box::new(range.map(move |entry| {
            let (key, value) = entry.into_inner().map_err(|error| tree.unreadable(&error))?;
            Ok((if empty_keys { UserKey::empty() } else { key }, value))
        }))
    }
}

impl Tree {
    /// An empty one. Nothing is left of it when that fails.
    fn create(disk: &Disk, place: Place) -> TaskResult<Self> {
        let versions = SequenceNumberCounter::default();
        let config = Config::new(place.tree(), versions.clone(), SequenceNumberCounter::default())
            .use_cache(Arc::clone(disk.blocks()))
            .use_descriptor_table(Some(Arc::clone(disk.files())));
        let opened = config.open().and_then(|tree| Ok(place.opened().map(|()| tree)?));
        let tree = match opened {
            Ok(tree) => tree,
            Err(error) => {
                place.remove();
                return Err(failed(place.tree(), "made", &error));
            }
        };
        Ok(Self {
            tree,
            empty_keys: AtomicBool::new(false),
            versions,
            beginning: Mutex::default(),
            place,
            failed: Mutex::default(),
            to_write: AtomicBool::new(false),
            to_merge: AtomicBool::new(false),
            went_on: Default::default(),
        })
    }

    /// Versions before this are not needed any more: who reads at one of them holds the files that it is in, and who begins to
    /// read from now on reads at a later one.
    fn obsolete(&self) -> u64 {
        let _beginning = self.beginning.lock();
        self.versions.get()
    }

    /// Writes what was sealed.
    pub fn write_sealed(&self) {
        self.to_write.store(false, SeqCst);
        let written = {
            let lock = self.tree.get_flush_lock();
            self.tree.flush(&lock, self.obsolete())
        };
        if let Err(error) = written {
            self.fail(*failed(self.place.files(), "written", &error));
        }
        self.go_on();
    }

    /// Merges files, if there are any to be merged.
    pub fn merge(&self) {
        self.to_merge.store(false, SeqCst);
        // Each time the library merges one level into the next, whichever needs it most.
        for _ in 0..MERGES_MAX {
            let strategy = Arc::new(Leveled::default().with_table_target_size(FILE_BYTES));
            if let Err(error) = self.tree.compact(strategy, self.obsolete()) {
                self.fail(*failed(self.place.files(), "merged", &error));
                return;
            }
            self.go_on();
            if self.tree.l0_run_count() < RUNS_KEPT {
                break;
            }
        }
    }

    /// Nothing is written meanwhile.
    #[cfg(test)]
    pub fn hold(&self) -> std::sync::MutexGuard<'_, ()> {
        self.tree.get_flush_lock()
    }

    /// Refuses to go on when something went wrong.
    fn check(&self) -> TaskResult {
        match &*self.failed.lock() {
            Some(failure) => Err(Box::new(failure.clone())),
            None => Ok(()),
        }
    }

    /// From now on nothing can be written.
    pub fn fail(&self, failure: Failure) {
        self.failed.lock().get_or_insert(failure);
        self.go_on();
    }

    fn go_on(&self) {
        let (lock, went_on) = &self.went_on;
        drop(lock.lock());
        went_on.notify_all();
    }

    fn unreadable(&self, error: &lsm_tree::Error) -> Box<Failure> {
        failed(self.place.files(), "read", error)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Files that are open would keep their room on disk. Where that fails, they are closed when others are opened.
        if let Err(error) = self.tree.drop_range::<&[u8], _>(..) {
            tracing::debug!(directory = %self.place.files().display(), %error, "files of state on disk stay open");
        }
        self.place.remove();
    }
}

/// As the library takes it.
fn taken(key: &[u8]) -> &[u8] {
    if key.is_empty() { EMPTY_KEY } else { key }
}

/// Refuses a key that is too long for the tree.
pub(super) fn check_length(key: &[u8]) -> TaskResult {
    if key.len() <= KEY_BYTES_MAX {
        return Ok(());
    }
    let bytes = key.len();
    let message = format!("a key of keyed state has {bytes} bytes; on disk it may have {KEY_BYTES_MAX}");
    Err(Box::new(Failure::user(message).fatal()))
}

fn failed(directory: &Path, what: &str, error: &lsm_tree::Error) -> Box<Failure> {
    let directory = directory.display();
    Box::new(Failure::environment(format!("state on disk in {directory} cannot be {what}")).because(error))
}
