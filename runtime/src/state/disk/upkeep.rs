//! The threads that write and merge the files of all trees of a process.
//!
//! Two, as merging takes long: what was gathered in memory must not wait for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering::SeqCst, mpsc},
};

use flott_core::failure::Failure;

use super::store::Tree;

/// Hands work to the threads, which end when it is dropped.
pub(super) struct Upkeep {
    writing: mpsc::Sender<Arc<Tree>>,
    merging: mpsc::Sender<Work>,
}

/// What writing must not wait for.
enum Work {
    Merge(Arc<Tree>),
    Drop(Box<dyn Send>),
}

impl Upkeep {
    /// Starts them.
    pub fn start() -> std::io::Result<Self> {
        let (merging, work) = mpsc::channel::<Work>();
        let (writing, to_write) = mpsc::channel::<Arc<Tree>>();
        std::thread::Builder::new().name("flott-state-merge".into()).spawn(move || {
            for work in work {
                match work {
                    Work::Merge(tree) => guarded(&tree, Tree::merge),
                    Work::Drop(gone) => drop(gone),
                }
            }
        })?;
        let then = merging.clone();
        std::thread::Builder::new().name("flott-state-write".into()).spawn(move || {
            for tree in to_write {
                guarded(&tree, Tree::write_sealed);
                if !tree.to_merge.swap(true, SeqCst) {
                    // The other thread ends after this one.
                    let _ = then.send(Work::Merge(tree));
                }
            }
        })?;
        Ok(Self { writing, merging })
    }

    /// Has what is sealed written, and files merged then.
    pub fn write(&self, tree: &Arc<Tree>) {
        if !tree.to_write.swap(true, SeqCst) {
            // The thread lives as long as the sender, and what panics in it is caught.
            let _ = self.writing.send(Arc::clone(tree));
        }
    }

    /// Lets go of something with which files go, or very many entries: that takes long.
    pub fn drop(&self, gone: impl Send + 'static) {
        let _ = self.merging.send(Work::Drop(Box::new(gone)));
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
