//! Parquet files for Flott's file sink.
//!
//! ```
//! use flott::{FileSink, PartitionPath};
//! use flott_parquet::Parquet;
//!
//! #[derive(Clone, serde::Serialize, serde::Deserialize)]
//! struct Order {
//!     country: String,
//!     cents: u64,
//!     note: Option<String>,
//! }
//!
//! # fn main() -> Result<(), flott_parquet::SchemaError> {
//! let sink = FileSink::new("orders", Parquet::<Order>::new()?)
//!     .partitioned_by(|order, path: &mut PartitionPath| _ = path.key("country", &order.country))
//!     .roll_at_bytes(256 << 20);
//! # Ok(())
//! # }
//! ```
//!
//! A crate of its own, since the libraries of Arrow and Parquet are many times as large as the rest of a program. It knows
//! [`flott::FileFormat`] and nothing else of Flott.
//!
//! # Layout
//! - `format`: the format and its settings
//! - `encoder`: a file that is being written
//! - `schema`: columns from types

mod encoder;
mod format;
mod schema;

pub use arrow_schema;

pub use crate::{
    format::{Compression, Parquet},
    schema::SchemaError,
};

/// The programs of the page on files compile.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/files.md")]
struct FilesPage;
