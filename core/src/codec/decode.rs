//! The reading half: a serde deserializer over a byte slice.

use serde::de::value::U32Deserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};

use super::error::{CodecError, CodecErrorKind};
use super::{DEPTH_MAX, EMPTY_ELEMENTS_MAX};

/// What is left of the bytes, and of the allowance for elements that take none.
pub(super) struct Input<'de> {
    rest: &'de [u8],
    length: usize,
    empty_left: u32,
}

impl<'de> Input<'de> {
    #[inline(always)]
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, length: bytes.len(), empty_left: EMPTY_ELEMENTS_MAX }
    }

    #[inline(always)]
    pub(super) fn rest(&self) -> &'de [u8] {
        self.rest
    }

    #[inline(always)]
    pub(super) fn read<T: Deserialize<'de>>(&mut self) -> Result<T, CodecError> {
        match T::deserialize(Decoder { input: self, depth_left: DEPTH_MAX }) {
            Ok(value) => Ok(value),
            Err(error) => Err(error.at(self.length - self.rest.len())),
        }
    }

    /// `out` may hold part of the batch after an error.
    #[inline(always)]
    pub(super) fn read_batch<T: Deserialize<'de>>(&mut self, count: usize, out: &mut Vec<T>) -> Result<(), CodecError> {
        // The count is a claim. Values in memory are rarely more than four times as large as their bytes here; where
        // they are, the vector grows as they come.
        let plausible = (self.rest.len().saturating_mul(4) / size_of::<T>().max(1)).saturating_add(1);
        out.reserve(count.min(plausible));
        for _ in 0..count {
            let before = self.rest.len();
            out.push(self.read()?);
            if self.rest.len() == before {
                self.charge_empty().map_err(|error| error.at(self.length - before))?;
            }
        }
        self.finish()
    }

    #[inline(always)]
    pub(super) fn finish(&self) -> Result<(), CodecError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let error = CodecError::new(CodecErrorKind::LeftOver { left: self.rest.len() });
        Err(error.at(self.length - self.rest.len()))
    }

    #[inline(always)]
    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(truncated(N, self.rest.len())),
        }
    }

    #[inline(always)]
    fn take_count(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.take_array()?))
    }

    #[inline(always)]
    fn take_slice(&mut self) -> Result<&'de [u8], CodecError> {
        let length = self.take_count()? as usize;
        match self.rest.split_at_checked(length) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(truncated(length, self.rest.len())),
        }
    }

    #[inline(always)]
    fn take_binary(&mut self, what: &'static str) -> Result<bool, CodecError> {
        match self.take_array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [found] => Err(CodecError::new(CodecErrorKind::NotBinary { what, found })),
        }
    }

    #[inline(always)]
    fn charge_empty(&mut self) -> Result<(), CodecError> {
        match self.empty_left.checked_sub(1) {
            Some(left) => {
                self.empty_left = left;
                Ok(())
            }
            None => Err(CodecError::new(CodecErrorKind::TooManyEmpty)),
        }
    }
}

/// Not a method: a borrow of the input, even on this path only, would keep it from living in registers.
#[cold]
#[inline(never)]
fn truncated(needed: usize, left: usize) -> CodecError {
    CodecError::new(CodecErrorKind::Truncated { needed, left })
}

struct Decoder<'a, 'de> {
    input: &'a mut Input<'de>,
    depth_left: u32,
}

impl<'a, 'de> Decoder<'a, 'de> {
    #[inline(always)]
    fn deeper(self) -> Result<Self, CodecError> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { input: self.input, depth_left }),
            None => Err(CodecError::new(CodecErrorKind::TooDeep)),
        }
    }

    #[inline(always)]
    fn fields<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, CodecError> {
        let Decoder { input, depth_left } = self.deeper()?;
        visitor.visit_seq(Fields { input, depth_left, left: count })
    }

    /// A sequence or map that a type reads only in part would leave the rest to be taken for what follows.
    #[inline(always)]
    fn counted<T>(self, visit: impl FnOnce(&mut Counted<'_, 'de>) -> Result<T, CodecError>) -> Result<T, CodecError> {
        let left = self.input.take_count()?;
        let Decoder { input, depth_left } = self.deeper()?;
        let mut items = Counted { input, depth_left, left };
        let value = visit(&mut items)?;
        match items.left {
            0 => Ok(value),
            left => Err(CodecError::new(CodecErrorKind::Unread(left))),
        }
    }
}

macro_rules! fixed_width {
    ($($method:ident: $type:ty => $visit:ident),* $(,)?) => {$(
        #[inline(always)]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
            visitor.$visit(<$type>::from_le_bytes(self.input.take_array()?))
        }
    )*};
}

macro_rules! refused {
    ($($method:ident: $what:literal),* $(,)?) => {$(
        #[cold]
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, CodecError> {
            Err(CodecError::new(CodecErrorKind::NotSelfDescribing($what)))
        }
    )*};
}

impl<'de> Deserializer<'de> for Decoder<'_, 'de> {
    type Error = CodecError;

    fixed_width! {
        deserialize_i8: i8 => visit_i8, deserialize_i16: i16 => visit_i16, deserialize_i32: i32 => visit_i32,
        deserialize_i64: i64 => visit_i64, deserialize_i128: i128 => visit_i128,
        deserialize_u8: u8 => visit_u8, deserialize_u16: u16 => visit_u16, deserialize_u32: u32 => visit_u32,
        deserialize_u64: u64 => visit_u64, deserialize_u128: u128 => visit_u128,
        deserialize_f32: f32 => visit_f32, deserialize_f64: f64 => visit_f64,
    }

    refused! {
        deserialize_any: "a value of unknown type",
        deserialize_ignored_any: "an ignored value",
        deserialize_identifier: "a field name",
    }

    #[inline(always)]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_bool(self.input.take_binary("a boolean")?)
    }

    #[inline(always)]
    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        let scalar = self.input.take_count()?;
        match char::from_u32(scalar) {
            Some(char) => visitor.visit_char(char),
            None => Err(CodecError::new(CodecErrorKind::NotChar(scalar))),
        }
    }

    #[inline(always)]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match std::str::from_utf8(self.input.take_slice()?) {
            Ok(text) => visitor.visit_borrowed_str(text),
            Err(_) => Err(CodecError::new(CodecErrorKind::NotUtf8)),
        }
    }

    #[inline(always)]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_str(visitor)
    }

    #[inline(always)]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_borrowed_bytes(self.input.take_slice()?)
    }

    #[inline(always)]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.deserialize_bytes(visitor)
    }

    #[inline(always)]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        match self.input.take_binary("the presence of an option")? {
            false => visitor.visit_none(),
            true => visitor.visit_some(self.deeper()?),
        }
    }

    #[inline(always)]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_unit()
    }

    #[inline(always)]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecError> {
        visitor.visit_newtype_struct(self.deeper()?)
    }

    #[inline(always)]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.counted(|items| visitor.visit_seq(items))
    }

    #[inline(always)]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecError> {
        self.counted(|items| visitor.visit_map(items))
    }

    #[inline(always)]
    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.fields(length, visitor)
    }

    #[inline(always)]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(length, visitor)
    }

    #[inline(always)]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(fields.len(), visitor)
    }

    #[inline(always)]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        visitor.visit_enum(self)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

impl<'de> de::EnumAccess<'de> for Decoder<'_, 'de> {
    type Error = CodecError;
    type Variant = Self;

    #[inline(always)]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), CodecError> {
        let index: U32Deserializer<CodecError> = self.input.take_count()?.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Decoder<'_, 'de> {
    type Error = CodecError;

    #[inline(always)]
    fn unit_variant(self) -> Result<(), CodecError> {
        Ok(())
    }

    #[inline(always)]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, CodecError> {
        seed.deserialize(self.deeper()?)
    }

    #[inline(always)]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, CodecError> {
        self.fields(length, visitor)
    }

    #[inline(always)]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecError> {
        self.fields(fields.len(), visitor)
    }
}

/// The fields of something whose type says how many there are.
struct Fields<'a, 'de> {
    input: &'a mut Input<'de>,
    depth_left: u32,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Fields<'_, 'de> {
    type Error = CodecError;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Decoder { input: self.input, depth_left: self.depth_left }).map(Some)
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The elements of a sequence or the entries of a map, as many as the input claims.
struct Counted<'a, 'de> {
    input: &'a mut Input<'de>,
    depth_left: u32,
    left: u32,
}

impl<'de> Counted<'_, 'de> {
    #[inline(always)]
    fn item<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, CodecError> {
        let before = self.input.rest.len();
        let value = seed.deserialize(Decoder { input: self.input, depth_left: self.depth_left })?;
        if self.input.rest.len() == before {
            self.input.charge_empty()?;
        }
        Ok(value)
    }

    /// Types reserve memory by this, so the claim counts only as far as there are bytes for it.
    #[inline(always)]
    fn plausible(&self) -> Option<usize> {
        Some((self.left as usize).min(self.input.rest.len()))
    }
}

impl<'de> de::SeqAccess<'de> for &mut Counted<'_, 'de> {
    type Error = CodecError;

    #[inline(always)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, CodecError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.item(seed).map(Some)
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        self.plausible()
    }
}

impl<'de> de::MapAccess<'de> for &mut Counted<'_, 'de> {
    type Error = CodecError;

    #[inline(always)]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, CodecError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.item(seed).map(Some)
    }

    #[inline(always)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, CodecError> {
        // The entry's key has been paid for, with bytes or out of the allowance.
        seed.deserialize(Decoder { input: self.input, depth_left: self.depth_left })
    }

    #[inline(always)]
    fn size_hint(&self) -> Option<usize> {
        self.plausible()
    }
}
