//! The table of values: made of `values.yaml`, in which the comment above a key says what it is for.
//!
//! A value that is a map or a list is one row with its keys below it only where one of those has a comment.

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key, with dots.
    pub key: String,
    /// What stands behind it, as in the file; a map in braces.
    pub default: String,
    /// The comment.
    pub description: String,
}

struct Line<'a> {
    indent: usize,
    comment: String,
    key: &'a str,
    value: &'a str,
}

/// The rows, in the file's order.
///
/// # Panics
/// For a key that no comment covers.
#[track_caller]
pub fn rows(values: &str) -> Vec<Row> {
    let lines = keyed(values);
    let mut rows = Vec::new();
    let mut above: Vec<(usize, &str)> = Vec::new();
    // Where a map began that is told of as a whole.
    let mut whole: Option<usize> = None;
    for (at, line) in lines.iter().enumerate() {
        above.retain(|(indent, _)| *indent < line.indent);
        if whole.is_some_and(|indent| line.indent > indent) {
            continue;
        }
        whole = None;
        let path = above.iter().map(|(_, key)| *key).chain([line.key]).collect::<Vec<_>>().join(".");
        above.push((line.indent, line.key));
        let inner: Vec<_> = lines[at + 1..].iter().take_while(|inner| inner.indent > line.indent).collect();
        let told_below = inner.iter().any(|inner| !inner.comment.is_empty());
        if line.comment.is_empty() && told_below {
            continue;
        }
        assert!(!line.comment.is_empty(), "values.yaml: nothing is said of {path}");
        let default =
            if line.value.is_empty() && !told_below { braced(&inner, line.indent) } else { line.value.to_owned() };
        if !told_below {
            whole = Some(line.indent);
        }
        rows.push(Row { key: path, default, description: line.comment.clone() });
    }
    rows
}

/// The table, in Markdown.
#[track_caller]
pub fn markdown(values: &str) -> String {
    let mut table = String::from("| Key | Default | Meaning |\n| --- | --- | --- |\n");
    for Row { key, default, description } in rows(values) {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        table.push_str(&format!("| `{key}` | {default} | {} |\n", description.replace('|', "\\|")));
    }
    table
}

/// Lines with a key, with the comment above each. List items belong to the value of their key.
fn keyed(values: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim());
        } else if text.is_empty() {
            comment.clear();
        } else if let Some((key, value)) = text.trim_start_matches("- ").split_once(':') {
            let comment = std::mem::take(&mut comment).join(" ");
            lines.push(Line { indent, comment, key, value: value.trim() });
        }
    }
    lines
}

/// A map without comments in one line: its first keys, since the file has the rest.
fn braced(inner: &[&Line<'_>], indent: usize) -> String {
    let Some(step) = inner.first().map(|first| first.indent) else { return String::new() };
    debug_assert!(step > indent);
    let own = inner.iter().filter(|line| line.indent == step);
    let pairs: Vec<_> =
        own.map(|line| {
            if line.value.is_empty() { format!("{}: …", line.key) } else { format!("{}: {}", line.key, line.value) }
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &str, expected: &[(&str, &str, &str)]) {
        let rows = rows(values);
        let found: Vec<_> = rows.iter().map(|row| (&*row.key, &*row.default, &*row.description)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn comments_describe_the_key_below() {
        check("# one\na: 1\nb:\n  # two,\n  # three\n  c: [x]\n", &[("a", "1", "one"), ("b.c", "[x]", "two, three")]);
    }

    #[test]
    fn a_comment_of_the_file_is_nobodys() {
        check("# file\n\n# one\na: 1\n", &[("a", "1", "one")]);
    }

    #[test]
    fn a_map_without_comments_is_one_row() {
        check("# all\na:\n  b: 1\n  c:\n    d: 2\n# next\ne: 3\n", &[("a", "{b: 1, c: …}", "all"), ("e", "3", "next")]);
        check("# all\na:\n  # first\n  b: 1\n", &[("a", "", "all"), ("a.b", "1", "first")]);
    }

    #[test]
    #[should_panic(expected = "nothing is said of a.c")]
    fn a_key_that_nothing_is_said_of_is_missed() {
        rows("a:\n  # first\n  b: 1\n  c: 2\n");
    }
}
