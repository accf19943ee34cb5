//! A log file that keeps the newest: when half of its bound is reached, it becomes the file before it, `<name>.1`.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use flott_core::units::ByteSize;

/// Below this a file would be all notices.
const HALF_MIN: u64 = 4 << 10;

#[derive(Debug)]
pub(crate) struct BoundedLog {
    path: PathBuf,
    file: File,
    size: u64,
    half: u64,
    /// Writing failed; output is dropped until the next rotation.
    broken: bool,
}

impl BoundedLog {
    /// Opens `path` to append. It and the file before it take `bytes_max` together.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub(crate) fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = create(path, false)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, half: (bytes_max / 2).max(HALF_MIN), broken: false })
    }

    /// Appends. An error of the disk loses output, never the program: it is logged once and the rest is dropped.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(self.half.saturating_sub(self.size)).unwrap_or(usize::MAX);
            let Some((now, rest)) = bytes.split_at_checked(room.min(bytes.len())) else {
                return;
            };
            if !self.broken
                && let Err(error) = self.file.write_all(now)
            {
                tracing::warn!(file = %self.path.display(), %error, "output of a job process is lost");
                self.broken = true;
            }
            self.size += now.len() as u64;
            bytes = rest;
            if self.size >= self.half
                && let Err(error) = self.rotate()
            {
                tracing::warn!(file = %self.path.display(), %error, "log of a job process could not be rotated");
                self.broken = true;
                self.size = 0;
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let before = rotated(&self.path);
        let dropped = before.exists();
        std::fs::rename(&self.path, &before)?;
        self.file = create(&self.path, true)?;
        self.size = 0;
        self.broken = false;
        let name = before.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bound = ByteSize::from_bytes(self.half * 2);
        let what = if dropped { ", what came before that is dropped" } else { "" };
        let notice = format!("[flott: earlier output is in {name}{what}; this log is kept to {bound}]\n");
        self.size += notice.len() as u64;
        self.file.write_all(notice.as_bytes())
    }
}

/// Where the older half of a log is.
pub(crate) fn rotated(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

fn create(path: &Path, fresh: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600);
    if fresh {
        options.write(true).truncate(true)
    } else {
        options.append(true)
    };
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_output_is_kept_within_the_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.out");
        let mut log = BoundedLog::open(&path, 16 << 10).unwrap();
        for line in 0..10_000 {
            log.write(format!("line {line}\n").as_bytes());
        }
        let newest = std::fs::read_to_string(&path).unwrap();
        let before = std::fs::read_to_string(rotated(&path)).unwrap();
        assert!(newest.len() + before.len() <= 16 << 10);
        assert!((before + &newest).ends_with("line 9999\n"));
        let notice =
            "[flott: earlier output is in job.out.1, what came before that is dropped; this log is kept to 16 kb]\n";
        assert!(newest.starts_with(notice), "{newest:.200}");
    }

    #[test]
    fn next_process_of_a_job_appends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.out");
        BoundedLog::open(&path, 1 << 20).unwrap().write(b"first\n");
        BoundedLog::open(&path, 1 << 20).unwrap().write(b"second\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\n");
    }

    #[test]
    fn one_huge_write_is_bounded_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("job.out");
        BoundedLog::open(&path, 16 << 10).unwrap().write(&vec![b'x'; 1 << 20]);
        let size = |path: &Path| std::fs::metadata(path).unwrap().len();
        assert!(size(&path) + size(&rotated(&path)) <= 16 << 10);
    }
}
