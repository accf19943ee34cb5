//! From the line and column of a JSON error to the name of the field, for every kind of document.

use std::{
    fmt::{self, Write},
    ops::Range,
};

/// Bytes of a key that a path shows.
const KEY_SHOWN_MAX: usize = 64;
/// Characters of a problem that are shown; serde quotes what it does not like at any length.
const PROBLEM_SHOWN_MAX: usize = 500;
/// Levels that a path shows.
const LEVELS_SHOWN_MAX: usize = 8;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// Path of the field, as `graph.vertices[3].name`; empty where there is none.
    pub field: String,
    /// What is wrong. Short, whatever it quotes.
    pub problem: String,
    /// Line in the document, from 1.
    pub line: usize,
    /// Column in that line in bytes, from 1; 0 where the document ended just after a line break.
    pub column: usize,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, problem, line, column } = self;
        if !field.is_empty() {
            write!(f, "{field}: ")?;
        }
        write!(f, "{problem} (line {line}, column {column})")
    }
}

/// Says where in `document` an error in reading `part` of it lies.
pub fn locate(document: &[u8], part: Range<usize>, error: &serde_json::Error) -> Misplaced {
    let at = part.start + offset(document.get(part).unwrap_or_default(), error.line(), error.column());
    let before = document.get(..at).unwrap_or(document);
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    let full = error.to_string();
    let full = full.strip_suffix(&suffix).unwrap_or(&full);
    let mut problem: String = full.chars().take(PROBLEM_SHOWN_MAX).collect();
    if problem.len() < full.len() {
        problem.push('…');
    }
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    Misplaced {
        field: path(before),
        problem,
        line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
        column: before.len() - line_start,
    }
}

/// Bytes before and with the one that line and column name; both count from 1.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let newlines = text.iter().enumerate().filter(|&(_, &byte)| byte == b'\n').map(|(at, _)| at + 1);
    let line_start = std::iter::once(0).chain(newlines).nth(line.saturating_sub(1)).unwrap_or(text.len());
    line_start.saturating_add(column).min(text.len())
}

/// An object or array that is still open.
enum Open<'a> {
    Object { key: Option<&'a [u8]>, value: bool },
    Array { index: usize },
}

/// The field that `text`, the beginning of a JSON document, breaks off in.
fn path(text: &[u8]) -> String {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match (byte, open.last_mut()) {
            (b'{', _) => open.push(Open::Object { key: None, value: false }),
            (b'[', _) => open.push(Open::Array { index: 0 }),
            (b'}' | b']', _) => drop(open.pop()),
            (b':', Some(Open::Object { value, .. })) => *value = true,
            (b',', Some(Open::Object { value, .. })) => *value = false,
            (b',', Some(Open::Array { index })) => *index += 1,
            (b'"', top) => {
                let start = at;
                while text.get(at).is_some_and(|&byte| byte != b'"') {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Open::Object { key, value: false }) = top {
                    *key = text.get(start..at);
                }
                at += 1;
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for level in open.iter().take(LEVELS_SHOWN_MAX) {
        match level {
            Open::Array { index } => write!(path, "[{index}]").expect("a string takes any text"),
            Open::Object { key: Some(key), .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(&key[..key.len().min(KEY_SHOWN_MAX)]));
            }
            Open::Object { key: None, .. } => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::path;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(path(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn the_innermost_open_field_is_named() {
        check("", "");
        check("{", "");
        check(r#"{"a"#, "a");
        check(r#"{"a":1"#, "a");
        check(r#"{"a":1,"b":[{"c":2},{"d":"x"#, "b[1].d");
        check(r#"{"a":{"b":1}"#, "a");
        check(r#"{"a":{"b":1},"c":[1,[2,3"#, "c[1][1]");
    }

    #[test]
    fn text_in_quotes_does_not_count() {
        check(r#"{"a\"{[":"\\","b":"}]{,:\"#, "b");
        check(r#"{"a":"\"#, "a");
    }

    #[test]
    fn long_paths_are_cut() {
        check(&"[".repeat(100_000), &"[0]".repeat(8));
        check(&format!("{{\"{}\":", "k".repeat(1000)), &"k".repeat(64));
    }
}
