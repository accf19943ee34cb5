use std::{path::PathBuf, time::Duration};

use crate::units::{ByteSize, DurationText, parse_duration, parse_duration_bare_seconds};

/// A type that a configuration value can have.
///
/// `show` gives a text that `parse` reads back as the same value. Errors complete the sentence `"x" is …`: they say
/// what is wrong and what would be right.
pub trait ConfigValue: Sized + PartialOrd {
    /// The type in the reference page and in errors, as `byte size`.
    fn kind() -> String;

    /// Reads a value.
    ///
    /// # Errors
    /// Says what would have been right.
    fn parse(text: &str) -> Result<Self, String>;

    /// Shows a value so that `parse` reads it back.
    fn show(&self) -> String;

    /// What a key without a default gives when it is not set; `None` for types that cannot be absent.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether the type can be absent.
    const OPTIONAL: bool = false;
}

impl ConfigValue for bool {
    fn kind() -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Ok(true),
            text if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("neither true nor false".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl ConfigValue for $type {
            fn kind() -> String {
                "whole number".to_owned()
            }

            fn parse(text: &str) -> Result<Self, String> {
                text.trim()
                    .parse()
                    .map_err(|_| format!("not a whole number from {} to {}", <$type>::MIN, <$type>::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

whole_numbers!(u16, u32, u64);

impl ConfigValue for f64 {
    fn kind() -> String {
        "number".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().parse::<Self>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err("not a number like 1.5".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl ConfigValue for String {
    fn kind() -> String {
        "text".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("a text with control characters; leave them out".to_owned());
        }
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl ConfigValue for PathBuf {
    fn kind() -> String {
        "path".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("empty; write a path".to_owned()),
            text if text.contains('\0') => Err("a path with a NUL character; leave it out".to_owned()),
            text => Ok(Self::from(text)),
        }
    }

    fn show(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

impl ConfigValue for ByteSize {
    fn kind() -> String {
        "byte size".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("no byte size: it {}", clause(&error)))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl ConfigValue for Duration {
    fn kind() -> String {
        "duration".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        parse_duration(text).map_err(|error| format!("no duration: it {}", clause(&error)))
    }

    fn show(&self) -> String {
        DurationText(*self).to_string()
    }
}

fn clause(error: &crate::units::UnitError) -> String {
    match error {
        crate::units::UnitError::Empty { .. } => format!("is {error}"),
        _ => error.to_string(),
    }
}

/// A duration under a key for which Flink counts a bare number in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BareSeconds(pub Duration);

impl ConfigValue for BareSeconds {
    fn kind() -> String {
        "duration (a bare number is seconds)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        parse_duration_bare_seconds(text).map(Self).map_err(|error| format!("no duration: it {}", clause(&error)))
    }

    fn show(&self) -> String {
        DurationText(self.0).to_string()
    }
}

/// A port, or several in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last, not below the first.
    pub last: u16,
}

impl ConfigValue for PortRange {
    fn kind() -> String {
        "port, or range of ports".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let port =
            |text: &str| text.trim().parse().map_err(|_| "no port like 9249, and no range like 9250-9260".to_owned());
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(text)?, port(text)?),
        };
        if last < first {
            return Err("a range whose end is below its beginning".to_owned());
        }
        Ok(Self { first, last })
    }

    fn show(&self) -> String {
        if self.first == self.last { self.first.to_string() } else { format!("{}-{}", self.first, self.last) }
    }
}

/// A list of texts, separated by `;`. A text that holds `;` or quotes, or has blanks at its ends, stands in single
/// quotes, with `''` for a quote, as in Flink's lists.
impl ConfigValue for Vec<String> {
    fn kind() -> String {
        "list of texts, separated by `;`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::new());
        }
        let mut items = Self::new();
        let mut rest = text.trim();
        loop {
            let (item, after) = list_item(rest)?;
            items.push(String::parse(&item)?);
            match after {
                Some(after) => rest = after.trim_start(),
                None => return Ok(items),
            }
        }
    }

    fn show(&self) -> String {
        let quoted = self.iter().map(|item| {
            let plain = !item.is_empty() && !item.contains([';', '\'']) && item.trim() == item;
            if plain { item.clone() } else { format!("'{}'", item.replace('\'', "''")) }
        });
        quoted.collect::<Vec<_>>().join(";")
    }
}

/// One item of a list, and what follows its separator.
fn list_item(text: &str) -> Result<(String, Option<&str>), String> {
    let Some(quoted) = text.strip_prefix('\'') else {
        return Ok(match text.split_once(';') {
            Some((item, after)) => (item.trim().to_owned(), Some(after)),
            None => (text.trim().to_owned(), None),
        });
    };
    let mut item = String::new();
    let mut rest = quoted;
    loop {
        let (part, after) = rest.split_once('\'').ok_or("a list with an open quote; close it with '".to_owned())?;
        item.push_str(part);
        if let Some(after_escaped) = after.strip_prefix('\'') {
            item.push('\'');
            rest = after_escaped;
            continue;
        }
        let after = after.trim_start();
        return match after.strip_prefix(';') {
            Some(after) => Ok((item, Some(after))),
            None if after.is_empty() => Ok((item, None)),
            None => Err("a list with text after a closing quote; separate items with ;".to_owned()),
        };
    }
}

/// A value that may be absent: the type of keys without a default.
impl<T: ConfigValue> ConfigValue for Option<T> {
    const OPTIONAL: bool = true;

    fn kind() -> String {
        T::kind()
    }

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Declares an enum of configuration values: its names in the configuration, the first of each being the one shown.
macro_rules! config_enum {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $shown:literal $(| $synonym:literal)* ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$variant_meta])* $variant ),+ }

        impl $name {
            /// The name in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $shown ),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::config::ConfigValue for $name {
            fn kind() -> String {
                ["one of ", &[$( concat!("`", $shown, "`") ),+].join(", ")].concat()
            }

            fn parse(text: &str) -> Result<Self, String> {
                let lower = text.trim().to_lowercase();
                $( if lower == $shown.to_lowercase() $( || lower == $synonym )* { return Ok(Self::$variant); } )+
                Err(["not one of ", &[$( $shown ),+].join(", ")].concat())
            }

            fn show(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}
pub(super) use config_enum;

#[cfg(test)]
mod tests {
    use std::fmt;

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check<T: ConfigValue + fmt::Debug>(text: &str, expected: Result<T, &str>) {
        match expected {
            Ok(value) => assert_eq!(T::parse(text).as_ref().map_err(String::as_str), Ok(&value), "{text:?}"),
            Err(part) => {
                let message = T::parse(text).expect_err(text);
                assert!(message.contains(part), "{text:?}: {message}");
            }
        }
    }

    fn list(items: &[&str]) -> Vec<String> {
        items.iter().map(|&item| item.to_owned()).collect()
    }

    #[test]
    fn scalars_are_read_in_their_ranges() {
        check("True", Ok(true));
        check::<bool>("yes", Err("neither true nor false"));
        check("65535", Ok(u16::MAX));
        check::<u16>("65536", Err("from 0 to 65535"));
        check::<u32>("-1", Err("whole number"));
        check("1.5", Ok(1.5));
        check::<f64>("NaN", Err("number"));
        check::<String>("a\nb", Err("control characters"));
        check::<PathBuf>("", Err("empty"));
        check::<ByteSize>("1.5 gb", Err("no byte size: it has a fraction"));
        check::<Duration>("", Err("no duration: it is empty"));
        check("60", Ok(BareSeconds(Duration::from_secs(60))));
        check("60 ms", Ok(BareSeconds(Duration::from_millis(60))));
        check("9249", Ok(PortRange { first: 9249, last: 9249 }));
        check(" 9250 - 9260", Ok(PortRange { first: 9250, last: 9260 }));
        check::<PortRange>("9260-9250", Err("below its beginning"));
        check::<PortRange>("9250,9260", Err("no range like"));
        check::<PortRange>("65536", Err("no port like"));
    }

    #[test]
    fn lists_keep_separators_in_quotes() {
        check("", Ok(list(&[])));
        check("a;b ; c", Ok(list(&["a", "b", "c"])));
        check("'a;b';'it''s'; c", Ok(list(&["a;b", "it's", "c"])));
        check("a;", Ok(list(&["a", ""])));
        check::<Vec<String>>("'a", Err("open quote"));
        check::<Vec<String>>("'a'b", Err("after a closing quote"));
    }

    fn reads_back<T: ConfigValue + fmt::Debug + PartialEq>(value: T) {
        assert_eq!(T::parse(&value.show()), Ok(value));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = (bool::parse(&text), u16::parse(&text), f64::parse(&text), Vec::<String>::parse(&text));
            let _ = (String::parse(&text), PathBuf::parse(&text), BareSeconds::parse(&text));
        }

        #[test]
        fn shown_lists_read_back(items in prop::collection::vec("[a-c;' ]{0,5}", 0..5)) {
            reads_back(items);
        }

        #[test]
        fn shown_numbers_read_back(number in any::<f64>().prop_filter("finite", |n| n.is_finite()), count in any::<u64>()) {
            reads_back(number);
            reads_back(count);
        }
    }
}
