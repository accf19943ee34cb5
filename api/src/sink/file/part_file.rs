//! A file that is being written.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

/// A new file of a [`FileSink`](super::FileSink), for a [`FileEncoder`](super::FileEncoder) to write to. It gathers what it is
/// given, so small writes are cheap; it cannot be read or gone back in.
#[derive(Debug)]
pub struct PartFile {
    file: File,
    buffer: Vec<u8>,
    meter: Arc<Meter>,
}

/// What the sink sees of a file that an encoder has.
#[derive(Debug, Default)]
pub(super) struct Meter {
    bytes: AtomicU64,
    /// Why it could not be written to. An encoder tells of that as of a record that it cannot write.
    error: Mutex<Option<io::Error>>,
}

impl Meter {
    /// Bytes that the file was given.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub fn take_error(&self) -> Option<io::Error> {
        self.error.lock().take()
    }
}

impl PartFile {
    pub(super) fn create(path: &Path) -> io::Result<(Self, Arc<Meter>)> {
        let meter = Arc::<Meter>::default();
        Ok((Self { file: File::create(path)?, buffer: Vec::new(), meter: meter.clone() }, meter))
    }

    /// Writes what is gathered.
    pub(super) fn complete(mut self) -> io::Result<File> {
        self.write_out()?;
        Ok(self.file)
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Write for PartFile {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        // There is one writer: nothing is lost between the two.
        self.meter.bytes.store(self.meter.bytes.load(Relaxed) + bytes.len() as u64, Relaxed);
        if self.buffer.len() >= BUFFER_BYTES
            && let Err(error) = self.write_out()
        {
            let told = error.kind().into();
            *self.meter.error.lock() = Some(error);
            return Err(told);
        }
        Ok(bytes.len())
    }

    /// Does nothing: nobody reads the file before it is complete.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
