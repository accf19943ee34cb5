//! Whether what was written by one type can be read by another.

use std::fmt;

use super::Schema;

/// Where two schemas part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The way there from the outside in: fields, variants, or what else leads there.
    pub path: Vec<String>,
    /// What was stored.
    pub stored: String,
    /// What the type is now.
    pub now: String,
}

impl Difference {
    fn new(stored: impl Into<String>, now: impl Into<String>) -> Self {
        Self { path: Vec::new(), stored: stored.into(), now: now.into() }
    }

    /// The same, seen from further out.
    #[must_use]
    pub fn within(mut self, step: impl Into<String>) -> Self {
        self.path.insert(0, step.into());
        self
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, stored, now } = self;
        if !path.is_empty() {
            write!(f, "{}: ", path.join("."))?;
        }
        write!(f, "{stored} was stored, and the program has {now} now")
    }
}

pub(super) fn accept(stored: &Schema, now: &Schema) -> Result<(), Difference> {
    use Schema::{Again, Enum, Map, Option, Seq, Struct, Tuple, TupleStruct, Unknown};
    match (stored, now) {
        // What nobody knows is not refused. A name once more was compared where it came first.
        (Unknown, _) | (_, Unknown) | (Again(_), _) | (_, Again(_)) => Ok(()),
        (Option(stored), Option(now)) => accept(stored, now),
        (Seq(stored), Seq(now)) => accept(stored, now).map_err(|difference| difference.within("elements")),
        (Map(stored), Map(now)) => {
            accept(&stored.0, &now.0).map_err(|difference| difference.within("keys"))?;
            accept(&stored.1, &now.1).map_err(|difference| difference.within("values"))
        }
        (Struct(name, stored), Struct(name_now, now)) => fields((name, stored), (name_now, now)),
        // A type with one field and no name for it is encoded as the field is.
        (TupleStruct(_, stored), now) if stored.len() == 1 && !matches!(now, TupleStruct(..)) => {
            accept(&stored[0], now)
        }
        (stored, TupleStruct(_, now)) if now.len() == 1 && !matches!(stored, TupleStruct(..)) => {
            accept(stored, &now[0])
        }
        (Tuple(left) | TupleStruct(_, left), Tuple(right) | TupleStruct(_, right)) => {
            if left.len() != right.len() {
                return Err(Difference::new(counted(left.len()), counted(right.len())));
            }
            left.iter().zip(right).enumerate().try_for_each(|(place, (stored, now))| {
                accept(stored, now).map_err(|difference| difference.within(place.to_string()))
            })
        }
        (Enum(_, stored), Enum(name, now)) => variants(stored, name, now),
        (stored, now) if stored == now => Ok(()),
        (stored, now) => Err(Difference::new(stored.to_string(), now.to_string())),
    }
}

fn counted(fields: usize) -> String {
    format!("{fields} {}", if fields == 1 { "field" } else { "fields" })
}

type Fields<'a> = (&'a str, &'a [(String, Schema)]);

fn fields((stored_name, stored): Fields<'_>, (now_name, now): Fields<'_>) -> Result<(), Difference> {
    for (place, (name, schema)) in stored.iter().enumerate() {
        let found = now.iter().position(|(other, _)| other == name);
        if found.is_none() {
            return Err(Difference::new(format!("a field {name:?}: {schema}"), format!("{now_name} without it")));
        }
        if found != Some(place) {
            let now = format!("it elsewhere in {now_name}");
            return Err(Difference::new(format!("the field {name:?} as number {place} of {stored_name}"), now));
        }
        accept(schema, &now[place].1).map_err(|difference| difference.within(name))?;
    }
    match now.get(stored.len()) {
        None => Ok(()),
        Some((name, schema)) => {
            Err(Difference::new(format!("{stored_name} without {name:?}"), format!("a field {name:?}: {schema}")))
        }
    }
}

/// Variants may be added behind the others: what was stored has none of them.
fn variants(
    stored: &[(String, Option<Schema>)],
    name: &str,
    now: &[(String, Option<Schema>)],
) -> Result<(), Difference> {
    for (place, (variant, schema)) in stored.iter().enumerate() {
        match now.get(place) {
            Some((same, now)) if same == variant => {
                if let (Some(stored), Some(now)) = (schema, now) {
                    accept(stored, now).map_err(|difference| difference.within(variant))?;
                }
            }
            other => {
                let now = other.map_or_else(|| "none there".to_owned(), |(other, _)| format!("{other} there"));
                return Err(Difference::new(format!("variant {variant} as number {place} of {name}"), now));
            }
        }
    }
    Ok(())
}
