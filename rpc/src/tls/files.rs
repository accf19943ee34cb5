//! What is read from files, and read again when these change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use parking_lot::Mutex;

use super::TlsError;

/// How often it is looked whether files have changed, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file that a key names.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub key: &'static str,
    pub path: PathBuf,
}

impl Named {
    pub(super) fn unusable(&self, reason: impl ToString) -> TlsError {
        TlsError::File { key: self.key, path: self.path.clone(), reason: reason.to_string() }
    }
}

/// What tells one content of a file from another: a file that is replaced is another one, even behind a link.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    inode: u64,
    length: u64,
    modified: Option<SystemTime>,
}

fn mark(path: &Path) -> io::Result<Mark> {
    let metadata = fs::metadata(path)?;
    Ok(Mark { inode: metadata.ino(), length: metadata.len(), modified: metadata.modified().ok() })
}

type Read<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// A value made of the contents of files.
pub(super) struct Watched<T> {
    files: Vec<Named>,
    read: Read<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    /// Of the last try; `None` for a file that could not be looked at.
    marks: Vec<Option<Mark>>,
    looked: Instant,
    value: Arc<T>,
}

impl<T> Watched<T> {
    /// Reads the files for the first time.
    pub(super) fn new(
        files: Vec<Named>,
        read: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // Before they are read: what changes meanwhile is read again.
        let marks = marks(&files);
        let value = Arc::new(read()?);
        let state = State { marks, looked: Instant::now(), value };
        Ok(Self { files, read: Box::new(read), state: Mutex::new(state) })
    }

    /// The value of now, or the last good one.
    pub(super) fn get(&self) -> Arc<T> {
        self.get_looking_every(LOOK_EVERY)
    }

    pub(super) fn get_looking_every(&self, pause: Duration) -> Arc<T> {
        let mut state = self.state.lock();
        if state.looked.elapsed() < pause {
            return state.value.clone();
        }
        state.looked = Instant::now();
        let marks = marks(&self.files);
        if marks != state.marks {
            match (self.read)() {
                Ok(value) => {
                    tracing::info!(files = ?self.files, "certificates were read again");
                    state.value = Arc::new(value);
                }
                Err(error) => tracing::warn!(%error, "changed certificates are not used; those of before are"),
            }
            state.marks = marks;
        }
        state.value.clone()
    }
}

fn marks(files: &[Named]) -> Vec<Option<Mark>> {
    files.iter().map(|file| mark(&file.path).ok()).collect()
}
