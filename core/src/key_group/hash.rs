//! The stable hash: a serde serializer whose output is a 64-bit state.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use super::mix;

/// The hash that decides where a key lives. Equal keys have equal hashes on every machine and in every release.
///
/// It is defined over the serde data model: numbers of up to 64 bits are one word (sign-extended where signed), floats
/// their bit patterns, strings and byte strings their content and length; structs and tuples chain their fields;
/// sequences and maps add their length; options and enums add which variant it is. Field and type names do not count.
/// So integers of different width that are equal in value may or may not hash alike: the type of a key must stay.
///
/// A key must serialise the same way whenever it is equal: a `HashMap` inside of one, which iterates in another order
/// each time, breaks that.
///
/// A key whose own `Serialize` fails has a fixed hash that all such keys share. That is still right, as equal keys
/// still meet; the error itself appears where the record is encoded.
#[inline(always)]
pub fn stable_hash<K: Serialize + ?Sized>(key: &K) -> u64 {
    mix::finish(key.serialize(Hasher(mix::SEED)).unwrap_or(mix::SEED))
}

/// The hash for tables within a subtask, from a [`stable_hash`].
///
/// All keys of a subtask agree in the high bits that chose it, but tables such as hashbrown's tell entries apart by the
/// seven highest. Here those carry bits that the key group left alone; the low half is unchanged.
#[inline(always)]
pub fn table_hash(stable_hash: u64) -> u64 {
    stable_hash ^ (stable_hash << 32)
}

#[derive(Clone, Copy)]
struct Hasher(u64);

/// The key's own `Serialize` failed.
#[derive(Debug)]
struct KeyFailed;

impl fmt::Display for KeyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key cannot be serialised")
    }
}

impl std::error::Error for KeyFailed {}

impl ser::Error for KeyFailed {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Hasher {
    #[inline(always)]
    fn word(self, word: u64) -> Result<u64, KeyFailed> {
        Ok(mix::word(self.0, word))
    }
}

macro_rules! words {
    ($($method:ident($type:ty) $value:ident => $word:expr),* $(,)?) => {$(
        #[inline(always)]
        fn $method(self, $value: $type) -> Result<u64, KeyFailed> {
            self.word($word)
        }
    )*};
}

impl Serializer for Hasher {
    type Ok = u64;
    type Error = KeyFailed;
    type SerializeSeq = Counted;
    type SerializeTuple = Fields;
    type SerializeTupleStruct = Fields;
    type SerializeTupleVariant = Fields;
    type SerializeMap = Counted;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    words! {
        serialize_bool(bool) value => u64::from(value),
        serialize_i8(i8) value => i64::from(value) as u64,
        serialize_i16(i16) value => i64::from(value) as u64,
        serialize_i32(i32) value => i64::from(value) as u64,
        serialize_i64(i64) value => value as u64,
        serialize_u8(u8) value => u64::from(value),
        serialize_u16(u16) value => u64::from(value),
        serialize_u32(u32) value => u64::from(value),
        serialize_u64(u64) value => value,
        serialize_f32(f32) value => u64::from(value.to_bits()),
        serialize_f64(f64) value => value.to_bits(),
        serialize_char(char) value => u64::from(u32::from(value)),
    }

    #[inline(always)]
    fn serialize_u128(self, value: u128) -> Result<u64, KeyFailed> {
        Ok(mix::word(mix::word(self.0, value as u64), (value >> 64) as u64))
    }

    #[inline(always)]
    fn serialize_i128(self, value: i128) -> Result<u64, KeyFailed> {
        self.serialize_u128(value as u128)
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<u64, KeyFailed> {
        Ok(mix::bytes(self.0, value.as_bytes()))
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Result<u64, KeyFailed> {
        Ok(mix::bytes(self.0, value))
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<u64, KeyFailed> {
        self.word(0)
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u64, KeyFailed> {
        value.serialize(Hasher(mix::word(self.0, 1)))
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<u64, KeyFailed> {
        Ok(self.0)
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Result<u64, KeyFailed> {
        Ok(self.0)
    }

    #[inline(always)]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<u64, KeyFailed> {
        self.word(u64::from(index))
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<u64, KeyFailed> {
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<u64, KeyFailed> {
        value.serialize(Hasher(mix::word(self.0, u64::from(index))))
    }

    #[inline(always)]
    fn serialize_seq(self, _: Option<usize>) -> Result<Counted, KeyFailed> {
        Ok(Counted { state: self.0, seen: 0 })
    }

    #[inline(always)]
    fn serialize_map(self, _: Option<usize>) -> Result<Counted, KeyFailed> {
        Ok(Counted { state: self.0, seen: 0 })
    }

    #[inline(always)]
    fn serialize_tuple(self, _: usize) -> Result<Fields, KeyFailed> {
        Ok(Fields(self.0))
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Fields, KeyFailed> {
        Ok(Fields(self.0))
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, KeyFailed> {
        Ok(Fields(self.0))
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields, KeyFailed> {
        Ok(Fields(mix::word(self.0, u64::from(index))))
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields, KeyFailed> {
        Ok(Fields(mix::word(self.0, u64::from(index))))
    }

    /// Part of the contract: ids that are text for people are raw bytes here.
    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Fields(u64);

impl Fields {
    #[inline(always)]
    fn field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyFailed> {
        self.0 = value.serialize(Hasher(self.0))?;
        Ok(())
    }
}

macro_rules! fields {
    ($($trait:ident::$method:ident($($name:ty)?)),* $(,)?) => {$(
        impl ser::$trait for Fields {
            type Ok = u64;
            type Error = KeyFailed;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), KeyFailed> {
                self.field(value)
            }

            #[inline(always)]
            fn end(self) -> Result<u64, KeyFailed> {
                Ok(self.0)
            }
        }
    )*};
}

fields! {
    SerializeTuple::serialize_element(), SerializeTupleStruct::serialize_field(),
    SerializeTupleVariant::serialize_field(), SerializeStruct::serialize_field(&'static str),
    SerializeStructVariant::serialize_field(&'static str),
}

struct Counted {
    state: u64,
    seen: u64,
}

impl Counted {
    #[inline(always)]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyFailed> {
        self.state = value.serialize(Hasher(self.state))?;
        Ok(())
    }

    #[inline(always)]
    fn finish(self) -> Result<u64, KeyFailed> {
        Ok(mix::word(self.state, self.seen))
    }
}

impl ser::SerializeSeq for Counted {
    type Ok = u64;
    type Error = KeyFailed;

    #[inline(always)]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyFailed> {
        self.seen += 1;
        self.item(value)
    }

    #[inline(always)]
    fn end(self) -> Result<u64, KeyFailed> {
        self.finish()
    }
}

impl ser::SerializeMap for Counted {
    type Ok = u64;
    type Error = KeyFailed;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), KeyFailed> {
        self.seen += 1;
        self.item(key)
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), KeyFailed> {
        self.item(value)
    }

    #[inline(always)]
    fn end(self) -> Result<u64, KeyFailed> {
        self.finish()
    }
}
