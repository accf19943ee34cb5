//! Files of lines that appear whole or not at all.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::{failure::Failure, id::JobId};
use flott_runtime::{
    batch::{Batch, Data},
    error::TaskResult,
};

use super::{
    Sink, SinkTask, SinkWriter,
    staging::{self, Others, Room, cannot},
};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes records as lines to files `part-…` in a directory, each of one subtask.
///
/// In streaming jobs a file with what has been written since the last checkpoint appears with each checkpoint, when it is
/// complete, and the last ones when the job has succeeded: `part-<subtask>-<job>-<writer>-<number>`. What is behind the last
/// checkpoint when a job fails or is cancelled leaves nothing. In jobs that take no checkpoints, as those in batch mode, all
/// files become visible together when the job has succeeded, as `part-<subtask>`; a failed or cancelled job leaves nothing
/// behind. A subtask without records has no file. A job that starts from a snapshot of another first shows what belongs to it and
/// that job has not shown, in that job's directory.
///
/// A directory that holds visible files before the job begins is refused, unless [`overwrite`](Self::overwrite) or
/// [`append`](Self::append) is allowed. If another job has put its parts there by the time that this one shows its first, this
/// one fails and replaces none of them. The job's processes must all see the directory under the same path, in a file system
/// with atomic renames; a relative one starts from the directory in which the program was planned.
pub struct FileSink<T> {
    directory: PathBuf,
    others: Others,
    line: fn(&T, &mut Vec<u8>) -> Result<(), String>,
    record: PhantomData<fn(T)>,
}

impl<T: Data> FileSink<T> {
    /// Lines as the records' `Display` writes them.
    pub fn text(directory: impl Into<PathBuf>) -> Self
    where
        T: Display,
    {
        Self::new(directory, |record, out| writeln!(out, "{record}").map_err(|error| error.to_string()))
    }

    /// A JSON document per line.
    pub fn json_lines(directory: impl Into<PathBuf>) -> Self {
        Self::new(directory, |record, out| {
            serde_json::to_writer(&mut *out, record).map_err(|error| error.to_string())?;
            out.push(b'\n');
            Ok(())
        })
    }

    fn new(directory: impl Into<PathBuf>, line: fn(&T, &mut Vec<u8>) -> Result<(), String>) -> Self {
        Self { directory: directory.into(), others: Others::Refuse, line, record: PhantomData }
    }

    /// Replaces the `part-…` files of an earlier job when this one first shows its own.
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.others = Others::Replace;
        self
    }

    /// Leaves what is in the directory, and adds files to it: for a job that goes on from the savepoint of another.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.others = Others::Keep;
        self
    }

    pub(crate) fn at(mut self, directory: PathBuf) -> Self {
        self.directory = directory;
        self
    }

    /// Where files appear.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl<T: Data> Sink for FileSink<T> {
    type Item = T;

    fn open(&self, task: &SinkTask) -> TaskResult<Box<dyn SinkWriter<T>>> {
        let room = Room::claim(&self.directory, &task.task, self.others)?;
        Ok(Box::new(Writer { path: room.path(), room, line: self.line, file: None, buffer: Vec::new(), ended: false }))
    }

    fn commit(&self, job: JobId, prepared: &[Bytes]) -> TaskResult {
        staging::commit(&self.directory, job, prepared, self.others)
    }

    fn settle(&self, job: JobId) -> TaskResult {
        staging::settle(&self.directory, job)
    }

    fn abort(&self, job: JobId) -> TaskResult {
        staging::abort(&self.directory, job)
    }
}

struct Writer<T> {
    room: Room,
    /// Of the part that is written.
    path: PathBuf,
    line: fn(&T, &mut Vec<u8>) -> Result<(), String>,
    file: Option<File>,
    buffer: Vec<u8>,
    ended: bool,
}

impl<T> Writer<T> {
    fn flush(&mut self) -> TaskResult {
        let Self { path, file, buffer, .. } = self;
        let mut write = || -> io::Result<()> {
            let file = match file {
                Some(file) => file,
                None => file.insert(File::create(&*path)?),
            };
            file.write_all(buffer)
        };
        write().map_err(|error| cannot("write", path, &error))?;
        buffer.clear();
        Ok(())
    }
}

impl<T: Data> SinkWriter<T> for Writer<T> {
    fn write(&mut self, batch: &mut Batch<T>) -> TaskResult {
        for record in batch.records.drain(..) {
            (self.line)(&record, &mut self.buffer)
                .map_err(|error| Box::new(Failure::user("a record cannot be written as a line").because(error)))?;
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> TaskResult {
        self.ended = true;
        Ok(())
    }

    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        let prepared = self.room.prepare(self.file.take().as_ref(), self.ended)?;
        self.path = self.room.path();
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests {
    use flott_runtime::time::Clock;

    use super::*;
    use crate::operator::stand::task;

    #[test]
    fn a_full_disk_is_named() {
        // A device that is always full stands in for the disk.
        let path = PathBuf::from("/dev/full");
        let directory = tempfile::tempdir().unwrap();
        let sink = FileSink::<u64>::text(directory.path());
        let room = Room::claim(directory.path(), &task(Clock::System), Others::Refuse).unwrap();
        let mut writer = Writer { room, path, line: sink.line, file: None, buffer: Vec::new(), ended: false };
        writer.write(&mut Batch::from(vec![1, 2, 3])).unwrap();
        let failure = writer.prepare_commit().unwrap_err();
        assert_eq!(failure.message, "cannot write /dev/full: No space left on device (os error 28)");
    }
}
