//! Lines of files.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    marker::PhantomData,
    mem,
    ops::ControlFlow,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    task::{Context, Poll},
};

use flott_core::failure::Failure;
use flott_runtime::{
    batch::{BATCH_RECORDS, Batch, Data},
    error::TaskResult,
    source::{ReadStatus, Source, SplitReader},
    task::TaskInfo,
};
use serde::{Deserialize, Serialize};

use super::lines::LineBuffer;

/// Largest split in bytes.
const SPLIT_BYTES_MAX: u64 = 32 << 20;
/// Smallest split in bytes, but for the ends of files.
const SPLIT_BYTES_MIN: u64 = 1 << 20;
/// Splits per reader, where files are large enough.
const SPLITS_PER_READER: u64 = 4;
/// Files of one source.
const FILES_MAX: usize = 1_000_000;
/// How deep directories may nest; a bound on loops of links.
const DEPTH_MAX: usize = 64;
/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;
/// Bytes of lines in one batch.
const BATCH_BYTES: usize = 64 << 10;

/// Lines of files, and of all files below directories. What begins with `.` or `_` below a directory is skipped.
pub(crate) struct TextSource<L> {
    paths: Vec<PathBuf>,
    line: PhantomData<fn() -> L>,
}

impl<L> TextSource<L> {
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths, line: PhantomData }
    }
}

/// A run of bytes of a file. A line belongs to the split that it begins in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TextSplit {
    /// Bytes of the path; it need not be UTF-8.
    path: Vec<u8>,
    start: u64,
    end: u64,
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> Box<Failure> {
    let message = format!("cannot {action} {}: {error}", path.display());
    Box::new(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => Failure::user(message).fatal(),
        _ => Failure::environment(message),
    })
}

/// Finds the files in or below `path`, with their sizes.
fn find(path: &Path, depth: usize, files: &mut Vec<(PathBuf, u64)>) -> TaskResult {
    let metadata = fs::metadata(path).map_err(|error| cannot("read", path, &error))?;
    if !metadata.is_dir() {
        if files.len() >= FILES_MAX {
            return Err(Box::new(Failure::user(format!("more than {FILES_MAX} input files")).fatal()));
        }
        files.push((path.to_owned(), metadata.len()));
        return Ok(());
    }
    if depth >= DEPTH_MAX {
        let message = format!("{} lies more than {DEPTH_MAX} directories deep; do links form a loop?", path.display());
        return Err(Box::new(Failure::user(message).fatal()));
    }
    let list = |error: io::Error| cannot("list", path, &error);
    let mut names = fs::read_dir(path)
        .map_err(list)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<OsString>>>()
        .map_err(list)?;
    names.retain(|name| !matches!(name.as_bytes().first(), Some(b'.' | b'_')));
    names.sort_unstable();
    names.iter().try_for_each(|name| find(&path.join(name), depth + 1, files))
}

impl<L: Data + for<'a> From<&'a str>> Source for TextSource<L> {
    type Item = L;
    type Split = TextSplit;

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<TextSplit>> {
        let mut files = Vec::new();
        for path in &self.paths {
            find(path, 0, &mut files)?;
        }
        let total: u64 = files.iter().map(|(_, size)| size).sum();
        let size_max = (total / (u64::from(parallelism) * SPLITS_PER_READER)).clamp(SPLIT_BYTES_MIN, SPLIT_BYTES_MAX);
        let mut splits = Vec::new();
        for (path, size) in files {
            let path = path.into_os_string().into_vec();
            for (start, end) in super::cut(size, size.div_ceil(size_max)) {
                splits.push(TextSplit { path: path.clone(), start, end });
            }
        }
        Ok(splits)
    }

    fn open(&self, split: TextSplit, _: &TaskInfo) -> TaskResult<Box<dyn SplitReader<L, TextSplit>>> {
        let path = PathBuf::from(OsString::from_vec(split.path));
        let mut file = File::open(&path).map_err(|error| cannot("read", &path, &error))?;
        // The byte before tells whether a line begins at the start.
        let from = split.start.saturating_sub(1);
        file.seek(SeekFrom::Start(from)).map_err(|error| cannot("read", &path, &error))?;
        let skip = split.start > 0;
        Ok(Box::new(Reader { path, file, buffer: LineBuffer::default(), at: from, end: split.end, skip }))
    }
}

struct Reader {
    path: PathBuf,
    file: File,
    buffer: LineBuffer,
    /// Where the next line begins in the file.
    at: u64,
    end: u64,
    /// The next line began in the split before.
    skip: bool,
}

impl Reader {
    /// Reads more; false at the end of the file.
    fn read_more(&mut self) -> TaskResult<bool> {
        let into = self.buffer.refill(READ_BYTES)?;
        let read = (&mut self.file).take(READ_BYTES as u64).read_to_end(into);
        read.map(|bytes| bytes > 0).map_err(|error| cannot("read", &self.path, &error))
    }
}

impl<L: for<'a> From<&'a str>> SplitReader<L, TextSplit> for Reader {
    fn poll_read(&mut self, _: &mut Context<'_>, batch: &mut Batch<L>) -> Poll<TaskResult<ReadStatus>> {
        let mut bytes = 0;
        loop {
            if self.at >= self.end {
                return Poll::Ready(Ok(ReadStatus::Ended));
            }
            let Self { buffer, at, end, skip, .. } = self;
            let flow = buffer.take(|line, taken| {
                *at += taken as u64;
                bytes += taken;
                if !mem::take(skip) {
                    batch.records.push(L::from(line));
                }
                let full = batch.records.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES;
                if full || *at >= *end { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if flow.is_break() {
                let status = if self.at >= self.end { ReadStatus::Ended } else { ReadStatus::More };
                return Poll::Ready(Ok(status));
            }
            if !self.read_more()? {
                if let Some(line) = self.buffer.rest()
                    && !self.skip
                {
                    batch.records.push(L::from(&line));
                }
                return Poll::Ready(Ok(ReadStatus::Ended));
            }
        }
    }

    fn remaining(&self) -> TextSplit {
        // A split that begins behind the first byte passes over the line that ends there.
        let start = self.at + u64::from(self.skip);
        TextSplit { path: self.path.as_os_str().as_bytes().to_vec(), start, end: self.end }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    fn read(path: &Path, start: u64, end: u64) -> Vec<String> {
        let file = File::open(path).unwrap();
        let mut reader = Reader { path: path.into(), file, buffer: LineBuffer::default(), at: 0, end, skip: start > 0 };
        let from = start.saturating_sub(1);
        reader.file.seek(SeekFrom::Start(from)).unwrap();
        reader.at = from;
        let mut lines = Vec::new();
        let mut batch: Batch<String> = Batch::default();
        loop {
            let poll = reader.poll_read(&mut Context::from_waker(Waker::noop()), &mut batch);
            lines.append(&mut batch.records);
            if matches!(poll, Poll::Ready(Ok(ReadStatus::Ended))) {
                return lines;
            }
        }
    }

    proptest! {
        #[test]
        fn every_line_is_in_one_split(text in "([ab]{0,3}(\n|\r\n)){0,12}[ab]{0,3}", cuts in prop::collection::vec(0usize..60, 0..6)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("text");
            fs::write(&path, &text).unwrap();
            let mut cuts: Vec<u64> = cuts.into_iter().map(|cut| cut.min(text.len()) as u64).collect();
            cuts.extend([0, text.len() as u64]);
            cuts.sort_unstable();
            cuts.dedup();
            let lines: Vec<String> = cuts.windows(2).flat_map(|cut| read(&path, cut[0], cut[1])).collect();
            prop_assert_eq!(lines, text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hidden_files_are_skipped_and_others_found_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b", "a/x", "a/.hidden", "_SUCCESS", ".flott-1/part-0"] {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        let mut files = Vec::new();
        find(directory.path(), 0, &mut files).unwrap();
        let names: Vec<_> = files.iter().map(|(path, _)| path.strip_prefix(directory.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a/x"), Path::new("b")]);
    }

    #[test]
    fn large_files_are_split_and_missing_ones_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("large");
        File::create(&path).unwrap().set_len(100 << 20).unwrap();
        let splits = TextSource::<String>::new(vec![path.clone()]).enumerate(1).unwrap();
        assert_eq!(splits.len(), 4);
        assert_eq!(splits.iter().map(|split| split.end - split.start).sum::<u64>(), 100 << 20);
        let missing = TextSource::<String>::new(vec![directory.path().join("nothing")]).enumerate(1).unwrap_err();
        assert!(missing.message.contains("nothing: No such file"), "{missing}");
    }
}
