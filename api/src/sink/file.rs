//! Files of lines that appear whole or not at all.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use flott_core::{codec, failure::Failure, id::JobId};
use flott_runtime::{
    batch::{Batch, Data},
    error::TaskResult,
};

use super::{
    Sink, SinkTask, SinkWriter,
    staging::{self, Staged, cannot},
};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes records as lines to files `part-<subtask>` in a directory. They become visible together when the job has
/// succeeded; a failed or cancelled job leaves nothing behind. A subtask without records has no file.
///
/// A directory that holds visible files already is refused, unless [`overwrite`](Self::overwrite) is allowed. If another
/// job has put its parts there by the time that this one has succeeded, this one fails and replaces none of them. The job's
/// processes must all see the directory under the same path, in a file system with atomic renames; a relative one starts
/// from the directory in which the program was planned.
pub struct FileSink<T> {
    directory: PathBuf,
    overwrite: bool,
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
        Self { directory: directory.into(), overwrite: false, line, record: PhantomData }
    }

    /// Replaces the `part-…` files of an earlier job when this one commits.
    #[must_use]
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
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
        let (path, staged) = staging::open(&self.directory, &task.task, self.overwrite)?;
        Ok(Box::new(Writer {
            path,
            staged,
            line: self.line,
            file: None,
            buffer: Vec::new(),
            first: task.task.subtask() == 0,
        }))
    }

    fn commit(&self, job: JobId, prepared: &[Bytes]) -> TaskResult {
        staging::commit(&self.directory, job, prepared, self.overwrite)
    }

    fn settle(&self, job: JobId) -> TaskResult {
        staging::settle(&self.directory, job)
    }

    fn abort(&self, job: JobId) -> TaskResult {
        staging::abort(&self.directory, job)
    }
}

struct Writer<T> {
    path: PathBuf,
    staged: Staged,
    line: fn(&T, &mut Vec<u8>) -> Result<(), String>,
    file: Option<File>,
    buffer: Vec<u8>,
    first: bool,
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
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        self.buffer = Vec::new();
        match &self.file {
            Some(file) => file.sync_all().map_err(|error| cannot("flush", &self.path, &error)),
            None => Ok(()),
        }
    }

    fn prepare_commit(&mut self) -> TaskResult<Option<Bytes>> {
        if self.file.take().is_none() {
            // Somebody has to say that the staging directory can go.
            if !self.first {
                return Ok(None);
            }
            self.staged.file = None;
        }
        let bytes = codec::to_vec(&self.staged)
            .map_err(|error| Box::new(Failure::internal("a prepared file cannot be noted").caused_by(&error)))?;
        Ok(Some(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        // A device that is always full stands in for the disk.
        let path = PathBuf::from("/dev/full");
        let staged = Staged { file: None, target: "part-0".to_owned() };
        let sink = FileSink::<u64>::text("out");
        let mut writer = Writer { path, staged, line: sink.line, file: None, buffer: Vec::new(), first: true };
        writer.write(&mut Batch::from(vec![1, 2, 3])).unwrap();
        let failure = writer.finish().unwrap_err();
        assert_eq!(failure.message, "cannot write /dev/full: No space left on device (os error 28)");
    }
}
