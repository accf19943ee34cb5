//! A file that is being written.

use arrow_schema::SchemaRef;
use flott::{Data, FileEncoder, PartFile, UserError};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use serde_arrow::ArrayBuilder;

/// Rows that become columns at once.
const ROWS_AT_ONCE: usize = 1024;

/// Rows are gathered by column, and encoded a thousand at a time; encoded columns stay in memory until their group of rows is
/// complete.
pub(crate) struct ParquetFile {
    rows: ArrayBuilder,
    gathered: usize,
    file: ArrowWriter<PartFile>,
}

impl ParquetFile {
    pub fn begin(file: PartFile, schema: SchemaRef, properties: WriterProperties) -> Result<Self, UserError> {
        let rows = ArrayBuilder::from_arrow(schema.fields())?;
        Ok(Self { rows, gathered: 0, file: ArrowWriter::try_new(file, schema, Some(properties))? })
    }

    fn encode(&mut self) -> Result<(), UserError> {
        self.gathered = 0;
        Ok(self.file.write(&self.rows.to_record_batch()?)?)
    }
}

impl<T: Data> FileEncoder<T> for ParquetFile {
    fn write(&mut self, records: &[T]) -> Result<(), UserError> {
        for record in records {
            self.rows.push(record)?;
            self.gathered += 1;
            if self.gathered == ROWS_AT_ONCE {
                self.encode()?;
            }
        }
        Ok(())
    }

    fn buffered(&self) -> u64 {
        self.file.in_progress_size() as u64
    }

    fn finish(mut self: Box<Self>) -> Result<PartFile, UserError> {
        self.encode()?;
        Ok(self.file.into_inner()?)
    }
}
