//! From a YAML text to flat settings with the lines they stand in.
//!
//! Nested maps become dotted keys; dotted keys may also be written flat, in one file with nested ones. Scalars are kept
//! as they are written: YAML would make `1.10` a number and lose the zero.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use super::{
    configuration::{ENTRIES_MAX, unknown_key},
    error::{ConfigError, Origin, shortened},
    registry,
    value::ConfigValue,
};

/// Most bytes of a configuration file.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Most maps within one another.
const DEPTH_MAX: usize = 32;
/// Most parser events, with those that aliases repeat. A setting takes two, a map two more.
const EVENTS_MAX: usize = 8 * ENTRIES_MAX;

/// One setting of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub key: String,
    pub value: String,
    pub line: u64,
}

/// Reads a file's text; `name` is for errors. Settings come in the file's order, each key once.
pub(super) fn settings(name: &str, text: &str) -> Result<Vec<Setting>, ConfigError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { what: format!("{} bytes in {name}", text.len()), max: FILE_BYTES_MAX });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX, max_events: EVENTS_MAX, max_nodes: EVENTS_MAX },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: EVENTS_MAX },
        emit_comments: false,
    };
    let root: Spanned<Node> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let message = error.without_snippet().to_string();
        let reason = shortened(message.lines().next().unwrap_or("no YAML"));
        ConfigError::Syntax { origin: origin(name, line), reason }
    })?;
    let mut flat = Flat { name, text, settings: Vec::new() };
    match root.value {
        Node::Null => {}
        Node::Map(entries) => flat.map("", entries)?,
        _ => return Err(flat.syntax(root.referenced.line(), "not a map of keys and values".to_owned())),
    }
    flat.each_once()
}

fn origin(name: &str, line: u64) -> Origin {
    Origin::File { name: name.to_owned(), line }
}

struct Flat<'t> {
    name: &'t str,
    text: &'t str,
    settings: Vec<Setting>,
}

impl Flat<'_> {
    fn map(&mut self, prefix: &str, entries: Vec<(Spanned<String>, Spanned<Node>)>) -> Result<(), ConfigError> {
        for (name, node) in entries {
            let key = if prefix.is_empty() { name.value } else { format!("{prefix}.{}", name.value) };
            let line = name.referenced.line();
            match node.value {
                Node::Map(entries) => self.map(&key, entries)?,
                // A line whose value, or whose whole section, is commented out.
                Node::Null if registry::find(&key).is_some() || registry::is_section(&key) => {}
                Node::Null => return Err(unknown_key(&key, &origin(self.name, line))),
                Node::List(items) => {
                    let items = items.iter().map(|item| self.scalar(item)).collect::<Option<Vec<String>>>();
                    let Some(items) = items else {
                        return Err(
                            self.syntax(line, format!("the list of {:?} holds more than texts", shortened(&key)))
                        );
                    };
                    self.settings.push(Setting { key, value: items.show(), line });
                }
                Node::Text(_) | Node::Plain(_) => {
                    let value = self.scalar(&node).unwrap_or_default();
                    self.settings.push(Setting { key, value, line });
                }
            }
        }
        Ok(())
    }

    /// The text of a scalar as it is written; `None` for what is none.
    fn scalar(&self, node: &Spanned<Node>) -> Option<String> {
        match &node.value {
            Node::Text(text) => Some(text.clone()),
            Node::Plain(shown) => {
                let span = node.defined.span();
                let start = span.byte_offset().and_then(|start| usize::try_from(start).ok());
                let len = span.byte_len().and_then(|len| usize::try_from(len).ok());
                let written = start.zip(len).and_then(|(start, len)| self.text.get(start..start.checked_add(len)?));
                let written =
                    written.map(str::trim).filter(|text| !text.is_empty() && !text.starts_with(['!', '&', '*']));
                Some(written.unwrap_or(shown).to_owned())
            }
            Node::Null | Node::Map(_) | Node::List(_) => None,
        }
    }

    fn each_once(self) -> Result<Vec<Setting>, ConfigError> {
        let mut by_key: Vec<&Setting> = self.settings.iter().collect();
        by_key.sort_by(|left, right| left.key.cmp(&right.key));
        for pair in by_key.windows(2) {
            if let [first, second] = pair
                && first.key == second.key
            {
                return Err(ConfigError::Twice {
                    key: shortened(&first.key),
                    file: self.name.to_owned(),
                    first: first.line,
                    second: second.line,
                });
            }
        }
        Ok(self.settings)
    }

    fn syntax(&self, line: u64, reason: String) -> ConfigError {
        ConfigError::Syntax { origin: origin(self.name, line), reason }
    }
}

/// A YAML node, as far as settings need it.
#[derive(Debug)]
enum Node {
    Null,
    /// A scalar that is a text to YAML.
    Text(String),
    /// A scalar that YAML takes for a number or a boolean, as YAML shows it.
    Plain(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<String>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map, a list or a text")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str, u64)]) {
        let settings = settings("config.yaml", text).expect(text);
        let got: Vec<_> = settings.iter().map(|s| (s.key.as_str(), s.value.as_str(), s.line)).collect();
        assert_eq!(got, expected, "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let message = settings("config.yaml", text).expect_err(text).to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }

    #[test]
    fn nested_and_flat_keys_mean_the_same() {
        check(
            "rest:\n  port: 8081\n  address: localhost\npipeline.name: words\n\ntaskmanager:\n  memory.process:\n    size: 1g\n",
            &[
                ("rest.port", "8081", 2),
                ("rest.address", "localhost", 3),
                ("pipeline.name", "words", 4),
                ("taskmanager.memory.process.size", "1g", 8),
            ],
        );
        check("", &[]);
        check("# only a comment\n", &[]);
        check("{rest.port: 1, pipeline: {name: x}}", &[("rest.port", "1", 1), ("pipeline.name", "x", 1)]);
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        let key = "pipeline.name";
        for (written, value) in [
            ("1.10", "1.10"),
            ("0x10", "0x10"),
            ("007", "007"),
            ("1e3", "1e3"),
            ("yes", "yes"),
            ("True  # why", "True"),
            ("'1.10'", "1.10"),
            ("\"a b\"", "a b"),
            ("ä 1.0", "ä 1.0"),
            ("!!str 5", "5"),
            ("-1", "-1"),
            ("''", ""),
        ] {
            check(&format!("# ü\n{key}: {written}\n"), &[(key, value, 2)]);
        }
        check("pipeline.name: &n 1.50\ncluster.id: *n\n", &[(key, "1.50", 1), ("cluster.id", "1.50", 2)]);
    }

    #[test]
    fn lists_are_joined() {
        check("cluster.id: [a, 'b;c', 1.0]\n", &[("cluster.id", "a;'b;c';1.0", 1)]);
        check_error("cluster.id: [a, [b]]", "the list of \"cluster.id\" holds more than texts");
    }

    #[test]
    fn empty_values_are_commented_out_settings() {
        check("rest:\n#  port: 1\nenv:\n  java:\npipeline.name:\ncluster.id: x\n", &[("cluster.id", "x", 6)]);
        check_error("nosuch:\n", "unknown key \"nosuch\" at config.yaml:1");
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_line() {
        check_error("rest.port: 1\nrest:\n  port: 2\n", "\"rest.port\" is set twice in config.yaml: in lines 1 and 3");
        check_error("rest.port: 1\nrest.port: 2\n", "config.yaml:2");
        check_error("- a\n- b\n", "not a map");
        check_error("just text", "not a map");
        check_error("rest: [\n", "config.yaml");
        check_error("a: 1\n---\nb: 2\n", "config.yaml");
        check_error("rest:\n\tport: 1\n", "config.yaml:2");
        check_error(&"a: ".repeat(100), "config.yaml");
        check_error(&format!("a{}", ": {a".repeat(1000)), "config.yaml");
        check_error(&" ".repeat(FILE_BYTES_MAX + 1), "too large");
        let bomb: String =
            (1..12).map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","))).collect();
        check_error(&format!("a0: &a0 [x]\n{bomb}"), "config.yaml");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn any_text_is_read_or_refused(text in "([a-z.]{0,4}|[-:&*!|>'\"{}\\[\\],#%@\n\t 0-9~<.?]|\\PC){0,60}") {
            let _ = settings("f", &text);
        }
    }
}
