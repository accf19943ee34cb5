//! The threads that write and merge the files of all trees of a process.
//!
//! Two, as merging takes long: what was gathered in memory must not wait for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::SeqCst, mpsc},
};

use flott_core::failure::Failure;

use super::store::{Entries, Tree};

/// Hands work to the threads, which end when it is dropped.
pub(super) struct Upkeep {
    writing: mpsc::Sender<Work>,
}

enum Work {
    Write(Arc<Tree>),
    Drop(Entries),
}

impl Upkeep {
    /// Starts them.
    pub fn start() -> std::io::Result<Self> {
        let (merging, to_merge) = mpsc::channel::<Arc<Tree>>();
        let (writing, work) = mpsc::channel::<Work>();
        std::thread::Builder::new().name("flott-state-merge".into()).spawn(move || {
            for tree in to_merge {
                guarded(&tree, Tree::merge);
            }
        })?;
        std::thread::Builder::new().name("flott-state-write".into()).spawn(move || {
            for work in work {
                let tree = match work {
                    Work::Write(tree) => tree,
                    Work::Drop(entries) => {
                        drop(entries);
                        continue;
                    }
                };
                guarded(&tree, Tree::write_sealed);
                if !tree.to_merge.swap(true, SeqCst) {
                    // The other thread ends after this one.
                    let _ = merging.send(tree);
                }
            }
        })?;
        Ok(Self { writing })
    }

    /// Has what is sealed written, and files merged then.
    pub fn write(&self, tree: &Arc<Tree>) {
        // The thread lives as long as the sender, and what panics in it is caught.
        let _ = self.writing.send(Work::Write(Arc::clone(tree)));
    }

    /// Lets go of what reads a tree, and with it of files that were merged into others meanwhile: removing them takes long.
    pub fn drop(&self, entries: Entries) {
        let _ = self.writing.send(Work::Drop(entries));
    }
}

fn guarded(tree: &Arc<Tree>, work: fn(&Tree)) {
    if Arc::strong_count(tree) == 1 {
        // Its table is gone.
        return;
    }
    if catch_unwind(AssertUnwindSafe(|| work(tree))).is_err() {
        tree.fail(Failure::internal("a thread that writes state to disk panicked"));
    }
}
