use std::marker::PhantomData;

use super::value::ConfigValue;

/// A configuration key: its name, type, default, range and doc. All of them stand in [`super::keys`].
///
/// ```
/// use flott_core::config::{Configuration, keys};
///
/// let config = Configuration::default();
/// assert_eq!(config.get(&keys::rest::PORT), 8081);
/// ```
#[derive(Debug)]
pub struct ConfigOption<T> {
    declaration: Declaration,
    value: PhantomData<fn() -> T>,
}

/// What is known of a key without its type.
#[derive(Debug)]
pub(super) struct Declaration {
    pub key: &'static str,
    /// Other names of the same setting; the first of [`key`](Self::key) and these that is set counts.
    pub fallback_keys: &'static [&'static str],
    /// Old names, accepted with a warning.
    pub deprecated_keys: &'static [&'static str],
    pub default: Option<&'static str>,
    /// Smallest and largest value, both allowed.
    pub range: Option<(&'static str, &'static str)>,
    pub secret: bool,
    /// Paragraph from the doc comment.
    pub doc: &'static str,
    pub kind: fn() -> String,
    /// Whether a text is a value of this key, and if not, what would be right.
    pub check: fn(&Declaration, &str) -> Result<(), String>,
}

impl<T: ConfigValue> ConfigOption<T> {
    pub(super) const fn new(key: &'static str) -> Self {
        let declaration = Declaration {
            key,
            fallback_keys: &[],
            deprecated_keys: &[],
            default: None,
            range: None,
            secret: false,
            doc: "",
            kind: T::kind,
            check: check::<T>,
        };
        Self { declaration, value: PhantomData }
    }

    pub(super) const fn default(mut self, text: &'static str) -> Self {
        self.declaration.default = Some(text);
        self
    }

    pub(super) const fn range(mut self, min: &'static str, max: &'static str) -> Self {
        self.declaration.range = Some((min, max));
        self
    }

    pub(super) const fn fallback(mut self, keys: &'static [&'static str]) -> Self {
        self.declaration.fallback_keys = keys;
        self
    }

    pub(super) const fn deprecated(mut self, keys: &'static [&'static str]) -> Self {
        self.declaration.deprecated_keys = keys;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.declaration.secret = true;
        self
    }

    /// Ends a declaration. It is evaluated by the compiler, and so is the check.
    pub(super) const fn doc(mut self, doc: &'static str) -> Self {
        assert!(T::OPTIONAL || self.declaration.default.is_some(), "a key without default needs an Option type");
        self.declaration.doc = doc;
        self
    }

    /// The key.
    pub const fn key(&self) -> &'static str {
        self.declaration.key
    }

    /// The default as it is written in a configuration; `None` if there is none.
    pub const fn default_text(&self) -> Option<&'static str> {
        self.declaration.default
    }

    pub(super) const fn declaration(&self) -> &Declaration {
        &self.declaration
    }
}

/// Reads a text as a `T` within the declared range.
pub(super) fn read<T: ConfigValue>(declaration: &Declaration, text: &str) -> Result<T, String> {
    let value = T::parse(text)?;
    if let Some((min, max)) = declaration.range {
        // A bound that does not parse is a mistake in the declaration, which a test of the registry finds.
        let above = T::parse(min).is_ok_and(|min| value >= min);
        let below = T::parse(max).is_ok_and(|max| value <= max);
        if !(above && below) {
            return Err(format!("out of range; write a {} from {min} to {max}", T::kind()));
        }
    }
    Ok(value)
}

fn check<T: ConfigValue>(declaration: &Declaration, text: &str) -> Result<(), String> {
    read::<T>(declaration, text).map(drop)
}

/// A family of keys under one prefix, the rest of the key being free: a map.
#[derive(Debug)]
pub struct ConfigMap {
    pub(super) prefix: &'static str,
    pub(super) doc: &'static str,
}

impl ConfigMap {
    pub(super) const fn new(prefix: &'static str, doc: &'static str) -> Self {
        Self { prefix, doc }
    }

    /// What the keys begin with, without the dot.
    pub const fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// The free part of a key of this map.
    pub fn entry_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(self.prefix)?.strip_prefix('.').filter(|entry| !entry.is_empty())
    }
}

/// Keys of one theme, in the order of the reference page.
#[derive(Debug)]
pub(super) struct Section {
    pub title: &'static str,
    pub intro: &'static str,
    pub options: &'static [&'static Declaration],
}

/// Declares the keys of one theme: each a doc comment, `NAME: Type = key("…")…;`, and the `SECTION` of them all.
macro_rules! section {
    (
        $title:literal, $intro:literal;
        $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $option:expr; )+
    ) => {
        $(
            $(#[doc = $doc])+
            pub static $name: $crate::config::ConfigOption<$type> = $option.doc(concat!($($doc, "\n"),+));
        )+

        pub(in crate::config) static SECTION: $crate::config::option::Section = $crate::config::option::Section {
            title: $title,
            intro: $intro,
            options: &[$( $name.declaration() ),+],
        };
    };
}
pub(super) use section;

/// Begins the declaration of a key.
pub(super) const fn key<T: ConfigValue>(key: &'static str) -> ConfigOption<T> {
    ConfigOption::new(key)
}
