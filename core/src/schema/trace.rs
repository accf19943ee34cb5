//! From a type to its schema, by watching its `Deserialize`.
//!
//! Each pass reads one made-up value; the schema is the same tree in all passes, and each fills in more of it: an enum
//! shows one of its variants at a time. A type that contains itself is cut where it would come for the third time: an enum
//! takes a variant there that does not contain it; else the optional, repeated or alternative thing around that is closed,
//! and left out from then on.

use std::{collections::BTreeMap, fmt};

use serde::{
    de::{
        self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
        Visitor, value::U32Deserializer,
    },
    forward_to_deserialize_any,
};

use super::Schema;

/// Passes after which a type is given up: it has more variants within variants than anyone looks at.
const PASSES_MAX: usize = 4_096;
/// How deep types may nest.
const DEPTH_MAX: usize = 64;
/// How often the same type may stand within itself.
const WITHIN_ITSELF_MAX: usize = 2;

pub(super) fn of<T: DeserializeOwned>() -> Schema {
    let (mut schema, mut watch) = (Schema::Unknown, Watch::default());
    for _ in 0..PASSES_MAX {
        watch = Watch { ends: watch.ends, ..Watch::default() };
        let read = T::deserialize(Probe { schema: &mut schema, watch: &mut watch });
        match read {
            Ok(_) if is_whole(&schema) => return schema,
            Ok(_) => {}
            Err(_) if watch.closed => {}
            Err(_) => break,
        }
    }
    Schema::Unknown
}

/// Whether every variant has been seen.
fn is_whole(schema: &Schema) -> bool {
    match schema {
        Schema::Option(inner) | Schema::Seq(inner) => is_whole(inner),
        Schema::Map(entry) => is_whole(&entry.0) && is_whole(&entry.1),
        Schema::Tuple(parts) | Schema::TupleStruct(_, parts) => parts.iter().all(is_whole),
        Schema::Struct(_, fields) => fields.iter().all(|(_, schema)| is_whole(schema)),
        Schema::Enum(_, variants) => variants.iter().all(|(_, schema)| schema.as_ref().is_some_and(is_whole)),
        Schema::Unknown => false,
        _ => true,
    }
}

/// Whether a type comes once more in it.
fn recurs(schema: &Schema) -> bool {
    match schema {
        Schema::Again(_) => true,
        Schema::Option(inner) | Schema::Seq(inner) => recurs(inner),
        Schema::Map(entry) => recurs(&entry.0) || recurs(&entry.1),
        Schema::Tuple(parts) | Schema::TupleStruct(_, parts) => parts.iter().any(recurs),
        Schema::Struct(_, fields) => fields.iter().any(|(_, schema)| recurs(schema)),
        Schema::Enum(_, variants) => variants.iter().any(|(_, schema)| schema.as_ref().is_some_and(recurs)),
        _ => false,
    }
}

/// A variant of which no value could be made. No type has no name.
fn given_up() -> Schema {
    Schema::Again(String::new())
}

/// A type, by its name and by the place of the names of its fields or variants.
type Type = (&'static str, usize);

#[derive(Default)]
struct Watch {
    around: Vec<Type>,
    /// Variants that do not contain their enum.
    ends: BTreeMap<Type, usize>,
    depth: usize,
    /// The name of a type that would come too often, until something around it is closed.
    again: Option<&'static str>,
    /// Something was closed in this pass.
    closed: bool,
}

#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type cannot be watched")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

struct Probe<'a> {
    schema: &'a mut Schema,
    watch: &'a mut Watch,
}

impl Probe<'_> {
    /// Notes what the type asks for.
    fn note(&mut self, schema: Schema) {
        if *self.schema == Schema::Unknown {
            *self.schema = schema;
        }
    }

    fn inside<R>(watch: &mut Watch, look: impl FnOnce(&mut Watch) -> Result<R, Stop>) -> Result<R, Stop> {
        if watch.depth == DEPTH_MAX {
            return Err(Stop);
        }
        watch.depth += 1;
        let looked = look(watch);
        watch.depth -= 1;
        looked
    }

    /// Begins a type with a name, unless it has come too often: then something around it is to be closed.
    fn enter(&mut self, this: Type) -> Result<(), Stop> {
        if self.comes_too_often(this) {
            self.watch.again = Some(this.0);
            return Err(Stop);
        }
        self.watch.around.push(this);
        Ok(())
    }

    fn comes_too_often(&mut self, this: Type) -> bool {
        let too_often = self.watch.around.iter().filter(|around| **around == this).count() >= WITHIN_ITSELF_MAX;
        if too_often {
            *self.schema = Schema::Again(this.0.to_owned());
        }
        too_often
    }

    /// What may be left out is from now on, if a type would else come too often within it.
    fn close<R>(schema: &mut Schema, watch: &mut Watch, looked: Result<R, Stop>) -> Result<R, Stop> {
        if looked.is_err()
            && let Some(name) = watch.again.take()
        {
            *schema = Schema::Again(name.to_owned());
            watch.closed = true;
        }
        looked
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $schema:expr;)+) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
            self.note($schema);
            // Not 0, which some numbers cannot be.
            visitor.$visit(1 as _)
        }
    )+};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stop;

    numbers! {
        deserialize_i8 visit_i8 Schema::Int(8);
        deserialize_i16 visit_i16 Schema::Int(16);
        deserialize_i32 visit_i32 Schema::Int(32);
        deserialize_i64 visit_i64 Schema::Int(64);
        deserialize_i128 visit_i128 Schema::Int(128);
        deserialize_u8 visit_u8 Schema::Uint(8);
        deserialize_u16 visit_u16 Schema::Uint(16);
        deserialize_u32 visit_u32 Schema::Uint(32);
        deserialize_u64 visit_u64 Schema::Uint(64);
        deserialize_u128 visit_u128 Schema::Uint(128);
        deserialize_f32 visit_f32 Schema::Float(32);
        deserialize_f64 visit_f64 Schema::Float(64);
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Bool);
        visitor.visit_bool(false)
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Char);
        visitor.visit_char('a')
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::String);
        visitor.visit_str("")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Bytes);
        visitor.visit_bytes(&[])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Unit);
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Option(Box::new(Schema::Unknown)));
        let Self { schema: Schema::Option(inner), watch } = self else { return Err(Stop) };
        if matches!(**inner, Schema::Again(_)) {
            return visitor.visit_none();
        }
        let looked = Self::inside(watch, |watch| visitor.visit_some(Probe { schema: &mut *inner, watch }));
        Self::close(inner, watch, looked)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(mut self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::TupleStruct(name.to_owned(), vec![Schema::Unknown]));
        let Self { schema: Schema::TupleStruct(_, parts), watch } = self else { return Err(Stop) };
        let Some(inner) = parts.first_mut() else { return Err(Stop) };
        Self::inside(watch, |watch| visitor.visit_newtype_struct(Probe { schema: inner, watch }))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Seq(Box::new(Schema::Unknown)));
        let Self { schema: Schema::Seq(inner), watch } = self else { return Err(Stop) };
        let schemas = if matches!(**inner, Schema::Again(_)) { &mut [] } else { std::slice::from_mut(&mut **inner) };
        let looked = Self::inside(watch, |watch| visitor.visit_seq(Parts { left: schemas.iter_mut(), watch }));
        Self::close(inner, watch, looked)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Map(Box::new((Schema::Unknown, Schema::Unknown))));
        let Self { schema: Schema::Map(entry), watch } = self else { return Err(Stop) };
        let (key, value) = &mut **entry;
        let closed = matches!(key, Schema::Again(_)) || matches!(value, Schema::Again(_));
        let looked = Self::inside(watch, |watch| {
            visitor.visit_map(Entry { key: (!closed).then_some(&mut *key), value: &mut *value, watch })
        });
        Self::close(value, watch, looked)
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, count: usize, visitor: V) -> Result<V::Value, Stop> {
        self.note(Schema::Tuple(vec![Schema::Unknown; count]));
        let Self { schema: Schema::Tuple(parts), watch } = self else { return Err(Stop) };
        Self::inside(watch, |watch| visitor.visit_seq(Parts { left: parts.iter_mut(), watch }))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.note(Schema::TupleStruct(name.to_owned(), vec![Schema::Unknown; count]));
        let Self { schema: Schema::TupleStruct(_, parts), watch } = self else { return Err(Stop) };
        Self::inside(watch, |watch| visitor.visit_seq(Parts { left: parts.iter_mut(), watch }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.enter((name, fields.as_ptr() as usize))?;
        let unknown = fields.iter().map(|field| ((*field).to_owned(), Schema::Unknown));
        self.note(Schema::Struct(name.to_owned(), unknown.collect()));
        let Self { schema: Schema::Struct(_, known), watch } = self else { return Err(Stop) };
        let known = known.iter_mut().map(|(_, schema)| schema);
        let looked = Self::inside(watch, |watch| visitor.visit_seq(Parts { left: known, watch }));
        watch.around.pop();
        looked
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let this = (name, variants.as_ptr() as usize);
        if let Some(index) = self.watch.ends.get(&this).copied()
            && self.comes_too_often(this)
        {
            let (mut scratch, watch) = (Schema::Unknown, self.watch);
            return visitor.visit_enum(Variant { index: index as u32, schema: &mut scratch, watch });
        }
        self.enter(this)?;
        let unseen = variants.iter().map(|variant| ((*variant).to_owned(), None));
        self.note(Schema::Enum(name.to_owned(), unseen.collect()));
        let Self { schema: Schema::Enum(_, known), watch } = self else { return Err(Stop) };
        // One of which something is still to be seen, or could be now that there is an end; else any that is not closed.
        let has_end = watch.ends.contains_key(&this);
        let is_given_up = |schema: &Schema| *schema == given_up();
        let open = |(_, schema): &(String, Option<Schema>)| match schema {
            Some(schema) => !is_whole(schema) || (has_end && is_given_up(schema)),
            None => true,
        };
        let usable = |(_, schema): &(String, Option<Schema>)| !matches!(schema, Some(Schema::Again(_)));
        let place = known.iter().position(open).or_else(|| known.iter().position(usable)).ok_or(Stop)?;
        let schema = known[place].1.get_or_insert(Schema::Unknown);
        if is_given_up(schema) {
            *schema = Schema::Unknown;
        }
        let looked = Self::inside(watch, |watch| {
            visitor.visit_enum(Variant { index: place as u32, schema: &mut *schema, watch })
        });
        watch.around.pop();
        if looked.is_ok() && is_whole(schema) && !recurs(schema) {
            watch.ends.entry(this).or_insert(place);
        }
        looked.inspect_err(|_| {
            // A variant with one field is that type once more; of one with several the others are not known.
            if watch.again.take().is_some() {
                watch.closed = true;
                if !matches!(schema, Schema::Again(_)) {
                    *schema = given_up();
                }
            }
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(Stop)
    }

    forward_to_deserialize_any! { identifier ignored_any }
}

struct Parts<'a, I> {
    left: I,
    watch: &'a mut Watch,
}

impl<'de, 'a, I: Iterator<Item = &'a mut Schema>> SeqAccess<'de> for Parts<'_, I> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        let watch = &mut *self.watch;
        self.left.next().map(|schema| seed.deserialize(Probe { schema, watch })).transpose()
    }
}

struct Entry<'a> {
    key: Option<&'a mut Schema>,
    value: &'a mut Schema,
    watch: &'a mut Watch,
}

impl<'de> MapAccess<'de> for Entry<'_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        let watch = &mut *self.watch;
        self.key.take().map(|schema| seed.deserialize(Probe { schema, watch })).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(Probe { schema: self.value, watch: self.watch })
    }
}

struct Variant<'a> {
    index: u32,
    schema: &'a mut Schema,
    watch: &'a mut Watch,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Stop> {
        let index: U32Deserializer<Stop> = de::IntoDeserializer::into_deserializer(self.index);
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        *self.schema = Schema::Unit;
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(Probe { schema: self.schema, watch: self.watch })
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Stop> {
        Probe { schema: self.schema, watch: self.watch }.deserialize_tuple(count, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        Probe { schema: self.schema, watch: self.watch }.deserialize_struct("", fields, visitor)
    }
}
