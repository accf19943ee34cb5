//! How records become the bytes of a file.

use std::{fmt::Display, io::Write};

use flott_runtime::{batch::Data, error::UserError};

use super::PartFile;

/// A kind of files: how records are written to them. One instance is shared by all subtasks of a process.
///
/// ```
/// use std::io::Write;
///
/// use flott::{FileEncoder, FileFormat, PartFile, UserError};
///
/// /// Numbers of eight bytes, and how many they were at the end.
/// struct Numbers;
///
/// impl FileFormat<u64> for Numbers {
///     fn name(&self) -> &str {
///         "numbers"
///     }
///
///     fn extension(&self) -> &str {
///         "bin"
///     }
///
///     fn begin(&self, file: PartFile) -> Result<Box<dyn FileEncoder<u64>>, UserError> {
///         Ok(Box::new(NumbersFile { file, count: 0 }))
///     }
/// }
///
/// struct NumbersFile {
///     file: PartFile,
///     count: u64,
/// }
///
/// impl FileEncoder<u64> for NumbersFile {
///     fn write(&mut self, records: &[u64]) -> Result<(), UserError> {
///         self.count += records.len() as u64;
///         records.iter().try_for_each(|number| Ok(self.file.write_all(&number.to_le_bytes())?))
///     }
///
///     fn finish(mut self: Box<Self>) -> Result<PartFile, UserError> {
///         self.file.write_all(&self.count.to_le_bytes())?;
///         Ok(self.file)
///     }
/// }
/// ```
pub trait FileFormat<T>: Send + Sync + 'static {
    /// What a record is that cannot be written is told under this name: `a record cannot be written as CSV`.
    fn name(&self) -> &str;

    /// What the names of files end in, without the dot, such as `csv`; empty for nothing.
    fn extension(&self) -> &str {
        ""
    }

    /// Begins a file. It is only called when there is a record for it, so that no file is without one.
    ///
    /// # Errors
    /// When it cannot be begun, such as those of `file`; the task fails.
    fn begin(&self, file: PartFile) -> Result<Box<dyn FileEncoder<T>>, UserError>;
}

/// Writes records to one file. It is used by one thread at a time, and dropped without [`finish`](Self::finish) if its task
/// fails; then its file is never seen.
pub trait FileEncoder<T>: Send {
    /// Writes records, in order: a handful at a time, since the sink looks at the size of the file in between.
    ///
    /// # Errors
    /// When one cannot be written, and those of the file; the task fails.
    fn write(&mut self, records: &[T]) -> Result<(), UserError>;

    /// About how many bytes it keeps that it will write to the file: they count for its size.
    fn buffered(&self) -> u64 {
        0
    }

    /// Writes what it has kept, and what ends a file, and gives that back.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn finish(self: Box<Self>) -> Result<PartFile, UserError>;
}

/// Lines, as a function writes them.
pub(super) struct Lines<T> {
    pub name: &'static str,
    pub write: fn(&T, &mut PartFile) -> Result<(), UserError>,
}

impl<T: Display> Lines<T> {
    /// As `Display` writes them.
    pub const TEXT: Self = Self { name: "text", write: |record, file| Ok(writeln!(file, "{record}")?) };
}

impl<T: Data> Lines<T> {
    /// A JSON document each.
    pub const JSON: Self = Self {
        name: "JSON",
        write: |record, file| {
            serde_json::to_writer(&mut *file, record)?;
            Ok(file.write_all(b"\n")?)
        },
    };
}

impl<T: 'static> FileFormat<T> for Lines<T> {
    fn name(&self) -> &str {
        self.name
    }

    fn begin(&self, file: PartFile) -> Result<Box<dyn FileEncoder<T>>, UserError> {
        Ok(Box::new(LinesFile { file, write: self.write }))
    }
}

struct LinesFile<T> {
    file: PartFile,
    write: fn(&T, &mut PartFile) -> Result<(), UserError>,
}

impl<T> FileEncoder<T> for LinesFile<T> {
    fn write(&mut self, records: &[T]) -> Result<(), UserError> {
        records.iter().try_for_each(|record| (self.write)(record, &mut self.file))
    }

    fn finish(self: Box<Self>) -> Result<PartFile, UserError> {
        Ok(self.file)
    }
}
