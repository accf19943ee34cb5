/// Labels of a series, written once for all metrics of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    names: &'static [&'static str],
    text: String,
}

impl Labels {
    /// Of names, as a group declares them, with their values, which may be any text.
    pub fn new<const N: usize>(names: &'static [&'static str; N], values: [&str; N]) -> Self {
        let mut text = String::with_capacity(names.iter().chain(&values).map(|part| part.len() + 4).sum());
        for (name, value) in names.iter().zip(values) {
            push(&mut text, name, value);
        }
        Self { names, text }
    }

    /// Their names.
    pub(super) fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// As they stand between the braces.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// Adds a label to others.
pub(super) fn push(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() && !text.ends_with('{') {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    escape(text, value, true);
    text.push('"');
}

/// Adds a text in which line ends, backslashes and, where they would end it, quotes are escaped.
pub(super) fn escape(text: &mut String, value: &str, quotes: bool) {
    for part in value.split_inclusive(['\\', '\n', '"']) {
        let escaped = match part.as_bytes().last() {
            Some(b'\\') => r"\\",
            Some(b'\n') => r"\n",
            Some(b'"') if quotes => "\\\"",
            _ => {
                text.push_str(part);
                continue;
            }
        };
        text.push_str(&part[..part.len() - 1]);
        text.push_str(escaped);
    }
}
