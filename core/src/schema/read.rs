//! Bytes as JSON, for people to look at.

use serde_json::{Map, Number, Value};

use super::Schema;

/// How deep values may nest, as in the format itself.
const DEPTH_MAX: usize = crate::codec::DEPTH_MAX as usize;

/// Bytes are not what their schema says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// They end too early.
    #[error("the bytes end within a value")]
    Truncated,
    /// They are no value of the type.
    #[error("the bytes are no value of the schema")]
    Invalid,
    /// Nobody knows how to read this.
    #[error("the value is of a type of which nothing is known")]
    Unknown,
    /// They nest deeper than values do.
    #[error("the value nests too deep")]
    TooDeep,
}

/// Takes one value from the front of `bytes`. Numbers that JSON has no room for are strings, bytes are hexadecimal digits, and
/// maps whose keys are no strings are lists of pairs.
///
/// # Errors
/// When the bytes are no value of the schema, or nothing is known of a part of it.
pub fn read(schema: &Schema, bytes: &mut &[u8]) -> Result<Value, ReadError> {
    Reader { bytes, around: Vec::new() }.value(schema)
}

struct Reader<'a, 'b, 's> {
    bytes: &'a mut &'b [u8],
    /// The types around, innermost last.
    around: Vec<&'s Schema>,
}

impl<'s> Reader<'_, '_, 's> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(ReadError::Truncated)?;
        *self.bytes = rest;
        Ok(*head)
    }

    fn slice(&mut self) -> Result<&[u8], ReadError> {
        let count = self.count()?;
        let (head, rest) = self.bytes.split_at_checked(count).ok_or(ReadError::Truncated)?;
        *self.bytes = rest;
        Ok(head)
    }

    fn count(&mut self) -> Result<usize, ReadError> {
        Ok(u32::from_le_bytes(self.take()?) as usize)
    }

    fn flag(&mut self) -> Result<bool, ReadError> {
        match self.take::<1>()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(ReadError::Invalid),
        }
    }

    fn value(&mut self, schema: &'s Schema) -> Result<Value, ReadError> {
        if self.around.len() >= DEPTH_MAX {
            return Err(ReadError::TooDeep);
        }
        self.around.push(schema);
        let value = self.content(schema);
        self.around.pop();
        value
    }

    fn content(&mut self, schema: &'s Schema) -> Result<Value, ReadError> {
        let float = |value: f64| Number::from_f64(value).map_or_else(|| Value::from(value.to_string()), Value::Number);
        Ok(match schema {
            Schema::Unit => Value::Null,
            Schema::Bool => self.flag()?.into(),
            Schema::Int(8) => i8::from_le_bytes(self.take()?).into(),
            Schema::Int(16) => i16::from_le_bytes(self.take()?).into(),
            Schema::Int(32) => i32::from_le_bytes(self.take()?).into(),
            Schema::Int(64) => i64::from_le_bytes(self.take()?).into(),
            Schema::Int(_) => i128::from_le_bytes(self.take()?).to_string().into(),
            Schema::Uint(8) => u8::from_le_bytes(self.take()?).into(),
            Schema::Uint(16) => u16::from_le_bytes(self.take()?).into(),
            Schema::Uint(32) => u32::from_le_bytes(self.take()?).into(),
            Schema::Uint(64) => u64::from_le_bytes(self.take()?).into(),
            Schema::Uint(_) => u128::from_le_bytes(self.take()?).to_string().into(),
            Schema::Float(32) => float(f32::from_le_bytes(self.take()?).into()),
            Schema::Float(_) => float(f64::from_le_bytes(self.take()?)),
            Schema::Char => {
                let scalar = u32::from_le_bytes(self.take()?);
                char::from_u32(scalar).ok_or(ReadError::Invalid)?.to_string().into()
            }
            Schema::String => str::from_utf8(self.slice()?).map_err(|_| ReadError::Invalid)?.into(),
            Schema::Bytes => self.slice()?.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
            Schema::Option(inner) => {
                if self.flag()? {
                    self.value(inner)?
                } else {
                    Value::Null
                }
            }
            Schema::Seq(inner) => {
                let count = self.count()?;
                self.elements(count, |_| inner)?
            }
            Schema::Map(entry) => self.map(&entry.0, &entry.1)?,
            Schema::Tuple(parts) => self.elements(parts.len(), |place| &parts[place])?,
            Schema::TupleStruct(_, parts) if parts.len() == 1 => self.value(&parts[0])?,
            Schema::TupleStruct(_, parts) => self.elements(parts.len(), |place| &parts[place])?,
            Schema::Struct(_, fields) => {
                let named = fields.iter().map(|(name, schema)| Ok((name.clone(), self.value(schema)?)));
                Value::Object(named.collect::<Result<Map<_, _>, ReadError>>()?)
            }
            Schema::Enum(_, variants) => {
                let index = self.count()?;
                let (name, schema) = variants.get(index).ok_or(ReadError::Invalid)?;
                match schema.as_ref().ok_or(ReadError::Unknown)? {
                    Schema::Unit => name.as_str().into(),
                    schema => Value::Object(Map::from_iter([(name.clone(), self.value(schema)?)])),
                }
            }
            Schema::Again(name) => {
                let is_it = |around: &&&Schema| match around {
                    Schema::Struct(other, _) | Schema::Enum(other, _) => other == name,
                    _ => false,
                };
                let again = self.around.iter().rev().find(is_it).copied().ok_or(ReadError::Unknown)?;
                self.value(again)?
            }
            Schema::Unknown => return Err(ReadError::Unknown),
        })
    }

    fn elements(&mut self, count: usize, schema: impl Fn(usize) -> &'s Schema) -> Result<Value, ReadError> {
        // The count is a claim: nothing is set aside for it, and elements without bytes are not worth a list.
        let mut elements = Vec::new();
        for place in 0..count {
            let left = self.bytes.len();
            elements.push(self.value(schema(place))?);
            if self.bytes.len() == left && place as u32 >= crate::codec::EMPTY_ELEMENTS_MAX {
                return Err(ReadError::Invalid);
            }
        }
        Ok(Value::Array(elements))
    }

    fn map(&mut self, key: &'s Schema, value: &'s Schema) -> Result<Value, ReadError> {
        let count = self.count()?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            if self.bytes.is_empty() {
                return Err(ReadError::Truncated);
            }
            pairs.push((self.value(key)?, self.value(value)?));
        }
        if pairs.iter().all(|(key, _)| key.is_string()) {
            let named = pairs.into_iter().filter_map(|(key, value)| Some((key.as_str()?.to_owned(), value)));
            return Ok(Value::Object(named.collect()));
        }
        Ok(pairs.into_iter().map(|(key, value)| Value::Array(vec![key, value])).collect())
    }
}
