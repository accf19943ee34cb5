//! Comma-separated values, by RFC 4180.

use std::fmt;

use flott_runtime::{batch::Data, error::UserError};

use super::{FileEncoder, FileFormat, PartFile};

/// Records as rows: structs with a line of their fields' names at the beginning of each file; tuples, which have no names,
/// without. Fields are quoted where they must be. A map is refused; so is a record or list within a struct whose fields have a
/// header, but without one its fields just follow each other. All records are to have the same fields: where some are left out
/// (`skip_serializing_if`), the others stand in their columns.
///
/// ```
/// use flott::{Csv, FileSink};
///
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct Order {
///     day: String,
///     cents: u64,
/// }
///
/// let sink = FileSink::<Order>::csv("orders");
/// let sink = FileSink::<Order>::new("orders", Csv::new().delimiter(b';').header(false));
/// ```
#[derive(Debug, Clone)]
pub struct Csv {
    delimiter: u8,
    header: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Csv {
    /// Commas, and a header where fields have names.
    pub fn new() -> Self {
        Self { delimiter: b',', header: true }
    }

    /// What stands between fields, such as `b';'` or `b'\t'`.
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Whether a file begins with the names of the fields.
    #[must_use]
    pub fn header(mut self, header: bool) -> Self {
        self.header = header;
        self
    }
}

impl<T: Data> FileFormat<T> for Csv {
    fn name(&self) -> &str {
        "CSV"
    }

    fn extension(&self) -> &str {
        "csv"
    }

    fn begin(&self, file: PartFile) -> Result<Box<dyn FileEncoder<T>>, UserError> {
        let mut builder = csv::WriterBuilder::new();
        let rows = builder.delimiter(self.delimiter).has_headers(self.header).from_writer(file);
        Ok(Box::new(CsvFile(rows)))
    }
}

struct CsvFile(csv::Writer<PartFile>);

impl<T: Data> FileEncoder<T> for CsvFile {
    fn write(&mut self, records: &[T]) -> Result<(), UserError> {
        records.iter().try_for_each(|record| self.0.serialize(record))?;
        // Into the file's own buffer, so that its size is known.
        Ok(self.0.flush()?)
    }

    fn finish(self: Box<Self>) -> Result<PartFile, UserError> {
        // The error has the writer in it, which cannot be sent on.
        self.0.into_inner().map_err(|error| Box::new(Unfinished(error.to_string())) as UserError)
    }
}

#[derive(Debug)]
struct Unfinished(String);

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unfinished {}
