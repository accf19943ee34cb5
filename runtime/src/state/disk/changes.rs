//! What has changed in a table since a cut, in order of keys: in memory, and in a file where that is too much.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, btree_map},
    iter::Peekable,
    path::PathBuf,
};

use super::runs::{Reader, Runs};
use crate::error::TaskResult;

/// What an entry in memory takes up beside its bytes.
const ENTRY_BYTES: usize = 96;

/// An encoded key, and its encoded value unless it has been taken out.
pub(super) type Change = (Box<[u8]>, Option<Box<[u8]>>);

/// The last change of each key.
#[derive(Default)]
pub(super) struct Changes {
    recent: BTreeMap<Box<[u8]>, Option<Box<[u8]>>>,
    /// What those in memory take up, about.
    bytes: usize,
    /// Earlier ones.
    runs: Option<Runs>,
}

impl Changes {
    /// Notes that `key` has this value now, or none. When more than `bytes` are in memory they go to a file, which `path`
    /// names if there is none yet.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        bytes: usize,
        path: impl FnOnce() -> PathBuf,
    ) -> TaskResult {
        let size = |value: Option<&[u8]>| value.map_or(0, <[u8]>::len);
        if let Some(known) = self.recent.get_mut(key) {
            self.bytes = self.bytes - size(known.as_deref()) + size(value);
            *known = value.map(Box::from);
        } else {
            self.bytes += key.len() + size(value) + ENTRY_BYTES;
            self.recent.insert(key.into(), value.map(Box::from));
        }
        if self.bytes > bytes {
            let runs = match &mut self.runs {
                Some(runs) => runs,
                None => self.runs.insert(Runs::create(path())?),
            };
            runs.write(&self.recent)?;
            self.recent.clear();
            self.bytes = 0;
        }
        Ok(())
    }

    /// All of them, in order of keys.
    pub fn into_changes(self) -> TaskResult<Merged> {
        let mut readers = self.runs.map_or_else(Vec::new, Runs::into_readers);
        let mut next = BinaryHeap::new();
        for (run, reader) in readers.iter_mut().enumerate() {
            if let Some((key, value)) = reader.next()? {
                next.push(Reverse(Next { key, run: Reverse(run), value }));
            }
        }
        Ok(Merged { readers, next, recent: self.recent.into_iter().peekable() })
    }
}

/// The next change of a run. Of two with one key that of the later run comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    key: Box<[u8]>,
    run: Reverse<usize>,
    value: Option<Box<[u8]>>,
}

/// Those that are in memory.
type Recent = btree_map::IntoIter<Box<[u8]>, Option<Box<[u8]>>>;

/// Changes in order of keys.
pub(super) struct Merged {
    readers: Vec<Reader>,
    next: BinaryHeap<Reverse<Next>>,
    recent: Peekable<Recent>,
}

impl Merged {
    /// The next one.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what was written.
    pub fn next(&mut self) -> TaskResult<Option<Change>> {
        let recent_first = match (self.recent.peek(), self.next.peek()) {
            (Some((recent, _)), Some(Reverse(next))) => *recent <= next.key,
            (recent, _) => recent.is_some(),
        };
        let change = if recent_first { self.recent.next() } else { self.pop()? };
        // Earlier changes of the same key do not count.
        if let Some((key, _)) = &change {
            while self.next.peek().is_some_and(|Reverse(next)| next.key == *key) {
                self.pop()?;
            }
        }
        Ok(change)
    }

    fn pop(&mut self) -> TaskResult<Option<Change>> {
        let Some(Reverse(Next { key, run, value })) = self.next.pop() else { return Ok(None) };
        if let Some(reader) = self.readers.get_mut(run.0)
            && let Some((key, value)) = reader.next()?
        {
            self.next.push(Reverse(Next { key, run, value }));
        }
        Ok(Some((key, value)))
    }
}
