//! Runs of changes, each in order of keys, one after the other in a file without a name.
//!
//! A run consists of frames with a checksum each, as what is read here goes into checkpoints.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
};

use flott_core::failure::Failure;

use super::changes::Change;
use crate::error::TaskResult;

/// Bytes of a frame, but for its last entry.
const FRAME_BYTES: usize = 64 << 10;

/// Length and checksum.
const HEAD_BYTES: usize = 8;

/// What stands for the length of a value that is not there.
const NO_VALUE: u32 = u32::MAX;

/// A file of runs.
pub(super) struct Runs {
    file: Arc<File>,
    /// Where each run ends.
    ends: Vec<u64>,
}

impl Runs {
    /// A file at `path`, which nothing finds there any more when this is done: it goes with whoever holds it.
    pub fn create(path: PathBuf) -> TaskResult<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.and_then(|file| fs::remove_file(&path).map(|()| file));
        let file = file.map_err(|error| broken(&format!("file {} for them cannot be made", path.display()), &error))?;
        Ok(Self { file: Arc::new(file), ends: Vec::new() })
    }

    /// Adds a run.
    pub fn write(&mut self, changes: &BTreeMap<Box<[u8]>, Option<Box<[u8]>>>) -> TaskResult {
        let mut at = self.ends.last().copied().unwrap_or_default();
        let mut frame = vec![0; HEAD_BYTES];
        let mut changes = changes.iter().peekable();
        while let Some((key, value)) = changes.next() {
            let lengths = [length(key)?, value.as_deref().map_or(Ok(NO_VALUE), length)?];
            lengths.iter().for_each(|length| frame.extend_from_slice(&length.to_le_bytes()));
            frame.extend_from_slice(key);
            frame.extend_from_slice(value.as_deref().unwrap_or_default());
            if frame.len() < FRAME_BYTES && changes.peek().is_some() {
                continue;
            }
            let body = length(&frame[HEAD_BYTES..])?;
            let checksum = crc32fast::hash(&frame[HEAD_BYTES..]);
            frame[..4].copy_from_slice(&body.to_le_bytes());
            frame[4..HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
            self.file.write_all_at(&frame, at).map_err(|error| broken("they cannot be written", &error))?;
            at += frame.len() as u64;
            frame.truncate(HEAD_BYTES);
        }
        self.ends.push(at);
        Ok(())
    }

    /// What reads each run.
    pub fn into_readers(self) -> Vec<Reader> {
        let mut begin = 0;
        let mut reader = |end| {
            let at = std::mem::replace(&mut begin, end);
            Reader { file: Arc::clone(&self.file), at, end, frame: Vec::new(), read: 0 }
        };
        self.ends.iter().map(|end| reader(*end)).collect()
    }
}

fn length(bytes: &[u8]) -> TaskResult<u32> {
    let long =
        || Box::new(Failure::user(format!("an entry of keyed state has {} bytes, which is too much", bytes.len())));
    u32::try_from(bytes.len()).ok().filter(|length| *length != NO_VALUE).ok_or_else(long)
}

/// Reads a run.
pub(super) struct Reader {
    file: Arc<File>,
    at: u64,
    end: u64,
    frame: Vec<u8>,
    /// How far the frame has been read.
    read: usize,
}

impl Reader {
    /// The next change.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what was written.
    pub fn next(&mut self) -> TaskResult<Option<Change>> {
        if self.read == self.frame.len() {
            if self.at == self.end {
                return Ok(None);
            }
            self.read_frame().map_err(|error| broken("they cannot be read", &error))?;
        }
        let change = self.cut();
        change.map(Some).ok_or_else(|| broken("they cannot be read", &"a frame ends within an entry"))
    }

    fn cut(&mut self) -> Option<Change> {
        let mut rest = self.frame.get(self.read..)?;
        let mut take = |length: usize| {
            let (taken, left) = rest.split_at_checked(length)?;
            rest = left;
            Some(taken)
        };
        let mut number = || Some(u32::from_le_bytes(take(4)?.try_into().ok()?));
        let (key, value) = (number()?, number()?);
        let key = take(key as usize)?.into();
        let value = if value == NO_VALUE { None } else { Some(take(value as usize)?.into()) };
        self.read = self.frame.len() - rest.len();
        Some((key, value))
    }

    fn read_frame(&mut self) -> io::Result<()> {
        let mut head = [0; HEAD_BYTES];
        self.file.read_exact_at(&mut head, self.at)?;
        let [length, checksum] = [&head[..4], &head[4..]].map(|bytes| bytes.try_into().map_or(0, u32::from_le_bytes));
        self.at += HEAD_BYTES as u64;
        if u64::from(length) > self.end.saturating_sub(self.at) || length == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame goes on behind the end of its run"));
        }
        self.frame.resize(length as usize, 0);
        self.file.read_exact_at(&mut self.frame, self.at)?;
        if crc32fast::hash(&self.frame) != checksum {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a frame is another"));
        }
        self.at += u64::from(length);
        self.read = 0;
        Ok(())
    }
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> Box<Failure> {
    Box::new(Failure::environment(format!("changes of state on disk: {what}")).because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(runs: Runs) -> TaskResult<usize> {
        let mut count = 0;
        for mut reader in runs.into_readers() {
            while reader.next()?.is_some() {
                count += 1;
            }
        }
        Ok(count)
    }

    fn runs() -> Runs {
        let directory = tempfile::tempdir().unwrap();
        let mut runs = Runs::create(directory.path().join("changes")).unwrap();
        let value = |key: u32| (!key.is_multiple_of(3)).then(|| vec![key as u8; 1000].into());
        let changes = |keys: std::ops::Range<u32>| keys.map(|key| (Box::from(key.to_be_bytes()), value(key))).collect();
        runs.write(&changes(0..300)).unwrap();
        runs.write(&changes(100..200)).unwrap();
        runs
    }

    #[test]
    fn runs_are_read_as_they_were_written() {
        let mut readers = runs().into_readers();
        let (key, value) = readers[1].next().unwrap().unwrap();
        assert_eq!((&key[..], value.map(|value| value.len())), (&100u32.to_be_bytes()[..], Some(1000)));
        assert_eq!(read(runs()).unwrap(), 400);
    }

    #[test]
    fn a_flipped_bit_is_found_wherever_it_is() {
        let length = *runs().ends.last().unwrap();
        for at in [0, 2, 5, 9, 20, 70_000, length - 1] {
            let runs = runs();
            let mut byte = [0];
            runs.file.read_exact_at(&mut byte, at).unwrap();
            runs.file.write_all_at(&[byte[0] ^ 4], at).unwrap();
            let failure = read(runs).unwrap_err();
            assert!(failure.message.contains("cannot be read"), "at {at}: {failure}");
        }
    }
}
