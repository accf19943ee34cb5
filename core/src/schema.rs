//! What values of a type look like in [the binary format](crate::codec), which names nothing itself.
//!
//! A schema is found by watching the type's own `Deserialize`: it is told made-up values, and what it asks for is noted. So it costs
//! a program nothing to have one, and types that cannot be watched (they check what they read, or read by hand) are
//! [`Unknown`](Schema::Unknown). Snapshots of state keep the schemas of what they hold, so that a program whose types have
//! changed is told what has changed, and so that state can be shown as data.
//!
//! # Layout
//! - `trace`: from a type to its schema
//! - `compare`: whether what was written by one can be read by another
//! - `read`: bytes as JSON

mod compare;
mod read;
#[cfg(test)]
mod tests;
mod trace;

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use compare::Difference;
pub use read::{ReadError, read};

/// Schemas that are longer are not stored.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The shape of a type's encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schema {
    /// Nothing.
    Unit,
    /// One byte.
    Bool,
    /// A signed integer of so many bits.
    Int(u8),
    /// An unsigned integer of so many bits.
    Uint(u8),
    /// A floating-point number of so many bits.
    Float(u8),
    /// A character.
    Char,
    /// A string.
    String,
    /// Bytes.
    Bytes,
    /// There, or not.
    Option(Box<Schema>),
    /// Any number of elements.
    Seq(Box<Schema>),
    /// Any number of keys with their values.
    Map(Box<(Schema, Schema)>),
    /// Fields without names.
    Tuple(Vec<Schema>),
    /// Fields with names, of a type with a name.
    Struct(String, Vec<(String, Schema)>),
    /// Fields without names, of a type with a name.
    TupleStruct(String, Vec<Schema>),
    /// One of several variants, by their index. A variant that was never seen is absent.
    Enum(String, Vec<(String, Option<Schema>)>),
    /// The innermost type of this name around it once more.
    Again(String),
    /// Nothing is known of it.
    Unknown,
}

/// Of the entries of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySchema {
    /// Of keys; absent where entries have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Schema>,
    /// Of values.
    pub value: Schema,
}

impl Schema {
    /// That of a type.
    pub fn of<T: DeserializeOwned>() -> Self {
        trace::of::<T>()
    }

    /// Whether `self` was written by a type whose encodings a type of schema `now` takes for what they were. Names of types may
    /// differ; names of fields and variants may not.
    ///
    /// # Errors
    /// The first difference.
    pub fn accept(&self, now: &Self) -> Result<(), Difference> {
        compare::accept(self, now)
    }
}

impl EntrySchema {
    /// Of a table with keys.
    pub fn keyed<K: DeserializeOwned, V: DeserializeOwned>() -> Self {
        Self { key: Some(Schema::of::<K>()), value: Schema::of::<V>() }
    }

    /// Of elements.
    pub fn elements<V: DeserializeOwned>() -> Self {
        Self { key: None, value: Schema::of::<V>() }
    }

    /// As it is stored: JSON. Nothing if that cannot be written, or is not worth it.
    pub fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|text| text.len() <= TEXT_BYTES_MAX)
    }

    /// From what was stored; nothing if it says what this version does not know.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As [`Schema::accept`], for keys and values.
    ///
    /// # Errors
    /// The first difference.
    pub fn accept(&self, now: &Self) -> Result<(), Difference> {
        if let (Some(key), Some(key_now)) = (&self.key, &now.key) {
            key.accept(key_now).map_err(|difference| difference.within("key"))?;
        }
        self.value.accept(&now.value).map_err(|difference| difference.within("value"))
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self]| {
            parts.iter().enumerate().try_for_each(|(place, part)| {
                let comma = if place == 0 { "" } else { ", " };
                write!(f, "{comma}{part}")
            })
        };
        match self {
            Self::Unit => f.write_str("()"),
            Self::Bool => f.write_str("bool"),
            Self::Int(bits) => write!(f, "i{bits}"),
            Self::Uint(bits) => write!(f, "u{bits}"),
            Self::Float(bits) => write!(f, "f{bits}"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("String"),
            Self::Bytes => f.write_str("bytes"),
            Self::Option(inner) => write!(f, "Option<{inner}>"),
            Self::Seq(inner) => write!(f, "Vec<{inner}>"),
            Self::Map(entry) => write!(f, "Map<{}, {}>", entry.0, entry.1),
            Self::Tuple(parts) => {
                f.write_str("(")?;
                list(f, parts)?;
                f.write_str(if parts.len() == 1 { ",)" } else { ")" })
            }
            Self::Struct(name, _) | Self::TupleStruct(name, _) | Self::Enum(name, _) | Self::Again(name) => {
                f.write_str(name)
            }
            Self::Unknown => f.write_str("a type of which nothing is known"),
        }
    }
}
