//! A serde serializer that writes to the front of a slice and returns what is left of it.

use std::fmt;
use std::mem::MaybeUninit;

use serde::ser::{self, Serialize, Serializer};

use super::Stop;
use crate::codec::error::{CodecError, CodecErrorKind};
use crate::codec::{DEPTH_MAX, EMPTY_ELEMENTS_MAX};

/// Room that is still to be written.
///
/// Passed by value, so that its words live in registers and the depth of a type that does not recurse is a constant.
pub(super) struct Window<'a> {
    room: &'a mut [MaybeUninit<u8>],
    depth_left: u32,
}

/// What is left after a value.
pub(super) struct Rest<'a>(&'a mut [MaybeUninit<u8>]);

impl<'a> Rest<'a> {
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// For the next value.
    #[inline(always)]
    pub(super) fn into_window(self) -> Window<'a> {
        Window::new(self.0)
    }
}

type Written<'a> = Result<Rest<'a>, Stop>;

#[cold]
#[inline(never)]
fn failed<T>(kind: CodecErrorKind) -> Result<T, Stop> {
    Err(Stop::Failed(CodecError::new(kind)))
}

#[inline(always)]
fn initialised<const N: usize>(bytes: [u8; N]) -> [MaybeUninit<u8>; N] {
    bytes.map(MaybeUninit::new)
}

impl<'a> Window<'a> {
    #[inline(always)]
    pub(super) fn new(room: &'a mut [MaybeUninit<u8>]) -> Self {
        Self { room, depth_left: DEPTH_MAX }
    }

    #[inline(always)]
    fn put<const N: usize>(self, bytes: [u8; N]) -> Written<'a> {
        match self.room.split_first_chunk_mut::<N>() {
            Some((head, rest)) => {
                *head = initialised(bytes);
                Ok(Rest(rest))
            }
            None => Err(Stop::Full),
        }
    }

    #[inline(always)]
    fn put_slice(self, bytes: &[u8]) -> Written<'a> {
        let Ok(length) = u32::try_from(bytes.len()) else {
            return failed(CodecErrorKind::TooLong(bytes.len()));
        };
        let Rest(room) = self.put(length.to_le_bytes())?;
        match room.split_at_mut_checked(bytes.len()) {
            Some((head, rest)) => {
                head.write_copy_of_slice(bytes);
                Ok(Rest(rest))
            }
            None => Err(Stop::Full),
        }
    }

    #[inline(always)]
    fn deeper(self) -> Result<Self, Stop> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { room: self.room, depth_left }),
            None => failed(CodecErrorKind::TooDeep),
        }
    }

    /// What follows a variant's index or an option's tag.
    #[inline(always)]
    fn deeper_after<const N: usize>(self, tag: [u8; N]) -> Result<Self, Stop> {
        let depth_left = self.depth_left;
        let Rest(room) = self.put(tag)?;
        Self { room, depth_left }.deeper()
    }

    #[inline(always)]
    fn fields(self) -> Result<Fields<'a>, Stop> {
        let Self { room, depth_left } = self.deeper()?;
        Ok(Fields { room: Some(room), depth_left })
    }

    #[inline(always)]
    fn variant_fields(self, index: u32) -> Result<Fields<'a>, Stop> {
        let Self { room, depth_left } = self.deeper_after(index.to_le_bytes())?;
        Ok(Fields { room: Some(room), depth_left })
    }

    /// The count is written at the end: what the type says beforehand may be nothing, or wrong.
    #[inline(always)]
    fn counted(self) -> Result<Counted<'a>, Stop> {
        let Self { room, depth_left } = self.deeper()?;
        match room.split_first_chunk_mut::<4>() {
            Some((count, room)) => {
                let room_at_start = room.len();
                Ok(Counted { count, items: Fields { room: Some(room), depth_left }, room_at_start, seen: 0 })
            }
            None => Err(Stop::Full),
        }
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Seen only by a value's own `Serialize`, if it looks at the errors it passes on.
impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the buffer is full, and will be grown"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Stop {}

impl ser::Error for Stop {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Failed(ser::Error::custom(message))
    }
}

macro_rules! fixed_width {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        #[inline(always)]
        fn $method(self, value: $type) -> Written<'a> {
            self.put(value.to_le_bytes())
        }
    )*};
}

impl<'a> Serializer for Window<'a> {
    type Ok = Rest<'a>;
    type Error = Stop;
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
    fn serialize_bool(self, value: bool) -> Written<'a> {
        self.put([u8::from(value)])
    }

    #[inline(always)]
    fn serialize_char(self, value: char) -> Written<'a> {
        self.put(u32::from(value).to_le_bytes())
    }

    #[inline(always)]
    fn serialize_str(self, value: &str) -> Written<'a> {
        self.put_slice(value.as_bytes())
    }

    #[inline(always)]
    fn serialize_bytes(self, value: &[u8]) -> Written<'a> {
        self.put_slice(value)
    }

    #[inline(always)]
    fn serialize_none(self) -> Written<'a> {
        self.put([0])
    }

    #[inline(always)]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<'a> {
        value.serialize(self.deeper_after([1])?)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Written<'a> {
        Ok(Rest(self.room))
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Written<'a> {
        Ok(Rest(self.room))
    }

    #[inline(always)]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Written<'a> {
        self.put(index.to_le_bytes())
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<'a> {
        value.serialize(self.deeper()?)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Written<'a> {
        value.serialize(self.deeper_after(index.to_le_bytes())?)
    }

    #[inline(always)]
    fn serialize_seq(self, _: Option<usize>) -> Result<Counted<'a>, Stop> {
        self.counted()
    }

    #[inline(always)]
    fn serialize_map(self, _: Option<usize>) -> Result<Counted<'a>, Stop> {
        self.counted()
    }

    #[inline(always)]
    fn serialize_tuple(self, _: usize) -> Result<Fields<'a>, Stop> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Stop> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'a>, Stop> {
        self.fields()
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields<'a>, Stop> {
        self.variant_fields(index)
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Fields<'a>, Stop> {
        self.variant_fields(index)
    }

    #[inline(always)]
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The fields of something whose type says how many there are.
pub(super) struct Fields<'a> {
    /// Nothing after an error: then nothing can be ended.
    room: Option<&'a mut [MaybeUninit<u8>]>,
    depth_left: u32,
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        let Some(room) = self.room.take() else {
            return goes_on_after_error();
        };
        let Rest(rest) = value.serialize(Window { room, depth_left: self.depth_left })?;
        self.room = Some(rest);
        Ok(())
    }

    #[inline(always)]
    fn finish(self) -> Written<'a> {
        match self.room {
            Some(rest) => Ok(Rest(rest)),
            None => goes_on_after_error(),
        }
    }
}

/// It may have been no more than a full window. One that is taken for full for ever would be grown for ever, so this is
/// an error of the type.
#[cold]
#[inline(never)]
fn goes_on_after_error<T>() -> Result<T, Stop> {
    failed(CodecErrorKind::Custom("the value's Serialize goes on after an error".to_owned()))
}

macro_rules! unnamed_fields {
    ($($trait:ident::$method:ident),* $(,)?) => {$(
        impl<'a> ser::$trait for Fields<'a> {
            type Ok = Rest<'a>;
            type Error = Stop;

            #[inline(always)]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
                self.field(value)
            }

            #[inline(always)]
            fn end(self) -> Written<'a> {
                self.finish()
            }
        }
    )*};
}

macro_rules! named_fields {
    ($($trait:ident),* $(,)?) => {$(
        impl<'a> ser::$trait for Fields<'a> {
            type Ok = Rest<'a>;
            type Error = Stop;

            #[inline(always)]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Stop> {
                self.field(value)
            }

            /// Called for `skip_serializing_if`: the reader could not know that the field is missing.
            fn skip_field(&mut self, field: &'static str) -> Result<(), Stop> {
                failed(CodecErrorKind::NotSelfDescribing(field))
            }

            #[inline(always)]
            fn end(self) -> Written<'a> {
                self.finish()
            }
        }
    )*};
}

unnamed_fields! {
    SerializeTuple::serialize_element, SerializeTupleStruct::serialize_field, SerializeTupleVariant::serialize_field,
}
named_fields! { SerializeStruct, SerializeStructVariant }

/// The elements of a sequence or the entries of a map, whose count stands in front of them.
pub(super) struct Counted<'a> {
    count: &'a mut [MaybeUninit<u8>; 4],
    items: Fields<'a>,
    room_at_start: usize,
    seen: usize,
}

impl<'a> Counted<'a> {
    #[inline(always)]
    fn finish(self) -> Written<'a> {
        let rest = self.items.finish()?;
        if rest.len() == self.room_at_start && self.seen > EMPTY_ELEMENTS_MAX as usize {
            return failed(CodecErrorKind::TooManyEmpty);
        }
        let Ok(seen) = u32::try_from(self.seen) else {
            return failed(CodecErrorKind::TooLong(self.seen));
        };
        *self.count = initialised(seen.to_le_bytes());
        Ok(rest)
    }
}

impl<'a> ser::SerializeSeq for Counted<'a> {
    type Ok = Rest<'a>;
    type Error = Stop;

    #[inline(always)]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.seen += 1;
        self.items.field(value)
    }

    #[inline(always)]
    fn end(self) -> Written<'a> {
        self.finish()
    }
}

impl<'a> ser::SerializeMap for Counted<'a> {
    type Ok = Rest<'a>;
    type Error = Stop;

    #[inline(always)]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stop> {
        self.seen += 1;
        self.items.field(key)
    }

    #[inline(always)]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.items.field(value)
    }

    #[inline(always)]
    fn end(self) -> Written<'a> {
        self.finish()
    }
}
