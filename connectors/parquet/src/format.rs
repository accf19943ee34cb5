//! The format and its settings.

use std::{marker::PhantomData, sync::Arc};

use arrow_schema::{Schema, SchemaRef};
use flott::{Data, FileEncoder, FileFormat, PartFile, UserError};
use parquet::{
    arrow::ArrowWriter,
    file::properties::{WriterProperties, WriterPropertiesBuilder},
};

use crate::{
    encoder::ParquetFile,
    schema::{self, SchemaError},
};

/// Bytes of a group of rows, where nothing else is set. They are in memory until the group is complete, for each file that is
/// open.
const ROW_GROUP_BYTES: usize = 32 << 20;

/// Parquet files of records, for [`FileSink::new`](flott::FileSink::new): their names end in `.parquet`.
///
/// A field of a record is a column; `Option` makes it one with nulls. Records in records, lists, maps, and enums without
/// data (as texts) are columns too; enums with data and integers of 128 bits are not. Fields must always be serialized, and
/// alike: not `#[serde(flatten)]`, `skip_serializing_if` or `untagged`.
///
/// As each checkpoint completes the files, the interval between checkpoints bounds how large they become. Size for
/// [`roll_at_bytes`](flott::FileSink::roll_at_bytes) is what is encoded, up to the last 1024 rows.
pub struct Parquet<T> {
    schema: SchemaRef,
    properties: WriterPropertiesBuilder,
    record: PhantomData<fn(T)>,
}

/// How pages of a file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy: cheap, and known to every reader.
    #[cfg(feature = "snap")]
    Snappy,
    /// Zstandard at its usual level: denser.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl From<Compression> for parquet::basic::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::UNCOMPRESSED,
            #[cfg(feature = "snap")]
            Compression::Snappy => Self::SNAPPY,
            #[cfg(feature = "zstd")]
            Compression::Zstd => Self::ZSTD(parquet::basic::ZstdLevel::default()),
        }
    }
}

impl<T: Data> Parquet<T> {
    /// With the columns of `T`, groups of rows of at most 32 MiB, and Snappy if the feature `snap` is there.
    ///
    /// # Errors
    /// When `T` cannot be made columns of.
    pub fn new() -> Result<Self, SchemaError> {
        Self::with_schema(schema::of::<T>()?)
    }

    /// With given columns, which must have the names of the fields of `T`: to say that an `i64` is a timestamp, for instance, or
    /// for types that do not tell their fields.
    ///
    /// # Errors
    /// When Parquet has no such columns.
    pub fn with_schema(schema: Schema) -> Result<Self, SchemaError> {
        let schema = Arc::new(schema);
        // Told now, and not with the first record.
        if let Some(column) = schema::unknown_to_parquet(schema.fields()) {
            return Err(SchemaError::of::<T>(format!("{column} may be of several kinds, as enums with data are")));
        }
        serde_arrow::ArrayBuilder::from_arrow(schema.fields()).map_err(|error| SchemaError::of::<T>(error))?;
        ArrowWriter::try_new(std::io::sink(), schema.clone(), None).map_err(|error| SchemaError::of::<T>(error))?;
        let properties = WriterProperties::builder()
            .set_created_by(format!("flott {}", env!("CARGO_PKG_VERSION")))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
        #[cfg(feature = "snap")]
        let properties = properties.set_compression(Compression::Snappy.into());
        Ok(Self { schema, properties, record: PhantomData })
    }

    /// How pages are compressed.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.properties = self.properties.set_compression(compression.into());
        self
    }

    /// A group of rows has about so many bytes at most. That much is in memory, for each file that is open.
    #[must_use]
    pub fn row_group_bytes(mut self, bytes: usize) -> Self {
        self.properties = self.properties.set_max_row_group_bytes(Some(bytes.max(1)));
        self
    }

    /// A group of rows has so many rows at most; 1,048,576 if nothing is said.
    #[must_use]
    pub fn row_group_rows(mut self, rows: usize) -> Self {
        self.properties = self.properties.set_max_row_group_row_count(Some(rows.max(1)));
        self
    }

    /// The columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

impl<T: Data> FileFormat<T> for Parquet<T> {
    fn name(&self) -> &str {
        "Parquet"
    }

    fn extension(&self) -> &str {
        "parquet"
    }

    fn begin(&self, file: PartFile) -> Result<Box<dyn FileEncoder<T>>, UserError> {
        Ok(Box::new(ParquetFile::begin(file, self.schema.clone(), self.properties.clone().build())?))
    }
}
