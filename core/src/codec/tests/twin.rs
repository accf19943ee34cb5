//! The safe twin of the encoder: it appends to a vector, one checked write after the other.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

use crate::codec::{CodecError, CodecErrorKind, DEPTH_MAX, EMPTY_ELEMENTS_MAX};

pub(super) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut out = Vec::new();
    value.serialize(Encoder { out: &mut out, depth_left: DEPTH_MAX })?;
    Ok(out)
}

/// Passed by value, so that its two words live in registers and the depth of a type that does not recurse is a constant.
struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    depth_left: u32,
}

impl<'a> Encoder<'a> {
    #[inline(always)]
    fn put<const N: usize>(self, bytes: [u8; N]) -> Result<(), CodecError> {
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    #[inline(always)]
    fn deeper(self) -> Result<Self, CodecError> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { out: self.out, depth_left }),
            None => Err(CodecError::new(CodecErrorKind::TooDeep)),
        }
    }

    #[inline(always)]
    fn put_slice(self, bytes: &[u8]) -> Result<(), CodecError> {
        let length = count(bytes.len())?;
        self.out.reserve(4 + bytes.len());
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn counted(self, declared: Option<usize>) -> Result<Counted<'a>, CodecError> {
        let encoder = self.deeper()?;
        let at = encoder.out.len();
        // A count that the type does not know yet, or gets wrong, is put right at the end.
        let written = declared.and_then(|declared| u32::try_from(declared).ok()).unwrap_or(0);
        encoder.out.extend_from_slice(&written.to_le_bytes());
        Ok(Counted { out: encoder.out, depth_left: encoder.depth_left, at, written, seen: 0 })
    }

    #[inline]
    fn fields(self) -> Result<Fields<'a>, CodecError> {
        let encoder = self.deeper()?;
        Ok(Fields { out: encoder.out, depth_left: encoder.depth_left })
    }

    #[inline]
    fn variant(self, index: u32) -> Result<Self, CodecError> {
        self.out.extend_from_slice(&index.to_le_bytes());
        self.deeper()
    }
}

#[inline(always)]
fn count(elements: usize) -> Result<u32, CodecError> {
    u32::try_from(elements).map_err(|_| CodecError::new(CodecErrorKind::TooLong(elements)))
}

macro_rules! fixed_width {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        #[inline(always)]
        fn $method(self, value: $type) -> Result<(), CodecError> {
            self.put(value.to_le_bytes())
        }
    )*};
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Counted<'a>;
    type SerializeTuple = Fields<'a>;
    type SerializeTupleStruct = Fields<'a>;
    type SerializeTupleVariant = Fields<'a>;
    type SerializeMap = Counted<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    fixed_width! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
        serialize_f32: f32, serialize_f64: f64,
    }

    #[inline(always)]
    fn serialize_bool(self, value: bool) -> Result<(), CodecError> {
        self.put([u8::from(value)])
    }

    #[inline(always)]
    fn serialize_char(self, value: char) -> Result<(), CodecError> {
        self.put(u32::from(value).to_le_bytes())
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Result<(), CodecError> {
        self.put_slice(value.as_bytes())
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), CodecError> {
        self.put_slice(value)
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<(), CodecError> {
        self.put([0])
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        let encoder = self.deeper()?;
        encoder.out.push(1);
        value.serialize(encoder)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<(), CodecError> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), CodecError> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), CodecError> {
        self.put(index.to_le_bytes())
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), CodecError> {
        value.serialize(self.deeper()?)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), CodecError> {
        value.serialize(self.variant(index)?)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Counted<'a>, CodecError> {
        self.counted(length)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Counted<'a>, CodecError> {
        self.counted(length)
    }

    #[inline(always)]
    fn serialize_tuple(self, _: usize) -> Result<Fields<'a>, CodecError> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, CodecError> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, CodecError> {
        self.fields()
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields<'a>, CodecError> {
        let encoder = self.variant(index)?;
        Ok(Fields { out: encoder.out, depth_left: encoder.depth_left })
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        fields: usize,
    ) -> Result<Fields<'a>, CodecError> {
        self.serialize_tuple_variant(name, index, variant, fields)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), CodecError> {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        let mut text = Text(self.out);
        if fmt::write(&mut text, format_args!("{value}")).is_err() {
            return Err(ser::Error::custom("the value's Display failed"));
        }
        let length = count(text.0.len() - at - 4)?;
        text.0[at..at + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// The fields of something whose type says how many there are.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    depth_left: u32,
}

impl Fields<'_> {
    #[inline(always)]
    fn field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        value.serialize(Encoder { out: self.out, depth_left: self.depth_left })
    }
}

macro_rules! unnamed_fields {
    ($($trait:ident::$method:ident),* $(,)?) => {$(
        impl ser::$trait for Fields<'_> {
            type Ok = ();
            type Error = CodecError;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
                self.field(value)
            }

            #[inline(always)]
            fn end(self) -> Result<(), CodecError> {
                Ok(())
            }
        }
    )*};
}

macro_rules! named_fields {
    ($($trait:ident),* $(,)?) => {$(
        impl ser::$trait for Fields<'_> {
            type Ok = ();
            type Error = CodecError;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), CodecError> {
                self.field(value)
            }

            /// Called for `skip_serializing_if`: the reader could not know that the field is missing.
            fn skip_field(&mut self, field: &'static str) -> Result<(), CodecError> {
                Err(CodecError::new(CodecErrorKind::NotSelfDescribing(field)))
            }

            #[inline(always)]
            fn end(self) -> Result<(), CodecError> {
                Ok(())
            }
        }
    )*};
}

unnamed_fields! {
    SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field, SerializeTupleVariant::serialize_field,
}
named_fields! { SerializeStruct, SerializeStructVariant }

/// The elements of a sequence or the entries of a map, whose count stands in front of them.
struct Counted<'a> {
    out: &'a mut Vec<u8>,
    depth_left: u32,
    at: usize,
    written: u32,
    seen: usize,
}

impl Counted<'_> {
    #[inline(always)]
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        value.serialize(Encoder { out: self.out, depth_left: self.depth_left })
    }

    #[inline]
    fn finish(self) -> Result<(), CodecError> {
        if self.out.len() == self.at + 4 && self.seen > EMPTY_ELEMENTS_MAX as usize {
            return Err(CodecError::new(CodecErrorKind::TooManyEmpty));
        }
        if self.seen != self.written as usize {
            let seen = count(self.seen)?;
            self.out[self.at..self.at + 4].copy_from_slice(&seen.to_le_bytes());
        }
        Ok(())
    }
}

impl ser::SerializeSeq for Counted<'_> {
    type Ok = ();
    type Error = CodecError;

    #[inline(always)]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.seen += 1;
        self.item(value)
    }

    #[inline]
    fn end(self) -> Result<(), CodecError> {
        self.finish()
    }
}

impl ser::SerializeMap for Counted<'_> {
    type Ok = ();
    type Error = CodecError;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), CodecError> {
        self.seen += 1;
        self.item(key)
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        self.item(value)
    }

    #[inline]
    fn end(self) -> Result<(), CodecError> {
        self.finish()
    }
}
