//! Columns from types.

use arrow_schema::{DataType, Field, FieldRef, Schema};
use flott::Data;
use serde_arrow::schema::{SchemaLike, TracingOptions};

/// Why a type has no columns that a Parquet file can have.
#[derive(Debug, thiserror::Error)]
#[error("records of type {record} cannot be rows of Parquet: {problem}")]
pub struct SchemaError {
    record: &'static str,
    problem: String,
}

impl SchemaError {
    pub(crate) fn of<T>(problem: impl ToString) -> Self {
        Self { record: std::any::type_name::<T>(), problem: problem.to_string() }
    }
}

/// The columns of `T`, found out by deserializing it from nothing. Texts, lists and bytes are the kinds that every reader knows,
/// with offsets of 32 bits: no group of rows comes near to 2 GiB.
pub(crate) fn of<T: Data>() -> Result<Schema, SchemaError> {
    let options = TracingOptions::default()
        .strings_as_large_utf8(false)
        .sequence_as_large_list(false)
        .bytes_as_large_binary(false)
        .enums_without_data_as_strings(true)
        .map_as_struct(false)
        .from_type_budget(1_000);
    let fields = Vec::<FieldRef>::from_type::<T>(options).map_err(|error| SchemaError::of::<T>(error))?;
    Ok(Schema::new(fields))
}

/// The column, by its path, that Parquet has no kind for; its library would panic.
pub(crate) fn unknown_to_parquet<'a>(fields: impl IntoIterator<Item = &'a FieldRef>) -> Option<String> {
    fields.into_iter().find_map(|field| unknown(field))
}

fn unknown(field: &Field) -> Option<String> {
    let within = match field.data_type() {
        DataType::Union(..) | DataType::RunEndEncoded(..) => return Some(field.name().clone()),
        DataType::Struct(fields) => unknown_to_parquet(fields),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => unknown(item),
        _ => None,
    };
    within.map(|column| format!("{}.{column}", field.name()))
}
