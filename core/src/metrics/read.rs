//! Reads a text of metrics, and refuses what a reader might put up with: it is there to find mistakes of whoever writes.

use std::collections::BTreeSet;

use super::format::Format;

/// A metric with its series.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadFamily {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `unknown`.
    pub kind: String,
    /// What it means.
    pub help: String,
    /// Its series, in their order.
    pub samples: Vec<ReadSample>,
}

/// A series.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadSample {
    /// Its labels, in their order.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl ReadSample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ReadError {
    /// Which line, from 1.
    pub line: usize,
    /// What.
    pub what: String,
}

/// Reads a text. Each family has one `HELP`, one `TYPE` and at least one series; no family and no series is there twice.
///
/// # Errors
/// For anything else.
pub fn read(text: &str, format: Format) -> Result<Vec<ReadFamily>, ReadError> {
    let wrong = |line, what: &str| ReadError { line, what: what.to_owned() };
    let count = text.lines().count();
    if !text.is_empty() && !text.ends_with('\n') {
        return Err(wrong(count, "it does not end in a line end"));
    }
    let lines: Vec<_> = text.split('\n').collect();
    let mut lines = &lines[..lines.len() - 1];
    if format == Format::OpenMetrics {
        let Some((&"# EOF", rest)) = lines.split_last() else {
            return Err(wrong(count, "it does not end in # EOF"));
        };
        lines = rest;
    }
    let (mut families, mut names, mut series) = (Vec::<ReadFamily>::new(), BTreeSet::new(), BTreeSet::new());
    let mut help: Option<(String, String)> = None;
    for (at, line) in lines.iter().enumerate() {
        let wrong = |what: String| ReadError { line: at + 1, what };
        if let Some(rest) = line.strip_prefix("# HELP ") {
            if help.is_some() || families.last().is_some_and(|family| family.samples.is_empty()) {
                return Err(wrong("the family before has no series".to_owned()));
            }
            let (name, text) = rest.split_once(' ').ok_or_else(|| wrong("a name without help".to_owned()))?;
            let text = unescape(text, format == Format::OpenMetrics).map_err(wrong)?;
            help = Some((name.to_owned(), text));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| wrong("a name without type".to_owned()))?;
            let known: &[&str] = match format {
                Format::Prometheus => &["counter", "gauge"],
                Format::OpenMetrics => &["unknown", "gauge"],
            };
            if !known.contains(&kind) {
                return Err(wrong(format!("type {kind:?}")));
            }
            let Some((_, help)) = help.take().filter(|(helped, _)| helped == name) else {
                return Err(wrong(format!("{name} has no help before its type")));
            };
            if !is_name(name, true) || !names.insert(name.to_owned()) {
                return Err(wrong(format!("{name} is no name, or is there twice")));
            }
            families.push(ReadFamily { name: name.to_owned(), kind: kind.to_owned(), help, samples: Vec::new() });
        } else {
            let (name, sample) = sample(line).map_err(wrong)?;
            let family = families.last_mut().filter(|family| family.name == name && help.is_none());
            let Some(family) = family else { return Err(wrong(format!("{name} is not the family at hand"))) };
            let mut sorted = sample.labels.clone();
            sorted.sort();
            if sorted.windows(2).any(|two| two[0].0 == two[1].0) {
                return Err(wrong("a label is there twice".to_owned()));
            }
            if !series.insert((name.to_owned(), sorted)) {
                return Err(wrong("the series is there twice".to_owned()));
            }
            family.samples.push(sample);
        }
    }
    if help.is_some() || families.last().is_some_and(|family| family.samples.is_empty()) {
        return Err(wrong(count, "the last family has no series"));
    }
    Ok(families)
}

fn is_name(text: &str, colons: bool) -> bool {
    let fits = |(at, char): (usize, char)| match char {
        'a'..='z' | 'A'..='Z' | '_' => true,
        '0'..='9' => at > 0,
        ':' => colons,
        _ => false,
    };
    !text.is_empty() && text.char_indices().all(fits)
}

/// `name{label="value",…} number`
fn sample(line: &str) -> Result<(&str, ReadSample), String> {
    let (name, mut rest) = line.split_once('{').ok_or("no labels")?;
    if !is_name(name, true) {
        return Err(format!("{name:?} is no name"));
    }
    let mut labels = Vec::new();
    while !rest.starts_with('}') {
        let (label, value) = rest.split_once("=\"").ok_or("a label without value")?;
        if !is_name(label, false) {
            return Err(format!("{label:?} is no name of a label"));
        }
        let end = end_of(value).ok_or("a value without end")?;
        labels.push((label.to_owned(), unescape(&value[..end], true)?));
        rest = &value[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) if !more.starts_with('}') => rest = more,
            _ if rest.starts_with('}') => {}
            _ => return Err("neither a comma nor an end behind a label".to_owned()),
        }
    }
    let number = rest.strip_prefix("} ").ok_or("no value")?;
    let value = match number {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        // Rust reads more than that.
        _ if number.chars().all(|char| matches!(char, '0'..='9' | '.' | '-' | 'e' | '+')) => {
            number.parse().map_err(|_| format!("{number:?} is no number"))?
        }
        _ => return Err(format!("{number:?} is no number")),
    };
    Ok((name, ReadSample { labels, value }))
}

/// The place of the first quote that is not escaped.
fn end_of(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str, quotes: bool) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('"') if quotes => '"',
                other => return Err(format!("an escape of {other:?}")),
            },
            other => other,
        });
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, format: Format, line: usize, what: &str) {
        let error = read(text, format).expect_err(text);
        assert!(error.line == line && error.what.contains(what), "{text:?}: {error}");
    }

    #[test]
    fn what_a_reader_might_put_up_with_is_refused() {
        use Format::{OpenMetrics, Prometheus};
        let head = "# HELP a b\n# TYPE a gauge\n";
        let with = |rest: &str| format!("{head}{rest}");
        refused(&with("a{} 1"), Prometheus, 3, "line end");
        refused(&with("a{} 1\n"), OpenMetrics, 3, "# EOF");
        refused("a{} 1\n", Prometheus, 1, "not the family");
        refused(&with("b{} 1\n"), Prometheus, 3, "not the family");
        refused(&with("a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 1\n"), Prometheus, 4, "series is there twice");
        refused(&with("a{x=\"1\",x=\"2\"} 1\n"), Prometheus, 3, "label is there twice");
        refused(&with(&format!("a{{}} 1\n{head}a{{x=\"\"}} 1\n")), Prometheus, 5, "is there twice");
        refused(head, Prometheus, 2, "no series");
        refused(&with("a{x=\"\\t\"} 1\n"), Prometheus, 3, "escape");
        refused(&with("a{x=\"1\"y=\"1\"} 1\n"), Prometheus, 3, "comma");
        refused(&with("a{x=\"1\",} 1\n"), Prometheus, 3, "comma");
        refused(&with("a{1x=\"\"} 1\n"), Prometheus, 3, "no name");
        refused(&with("a{} inf\n"), Prometheus, 3, "no number");
        refused(&with("a{} \n"), Prometheus, 3, "no number");
        refused(&with("\n"), Prometheus, 3, "no labels");
        refused("# HELP a b\n# TYPE a counter\na{} 1\n# EOF\n", OpenMetrics, 2, "type");
        refused("# TYPE a gauge\na{} 1\n", Prometheus, 1, "no help");
        assert_eq!(read("", Prometheus), Ok(Vec::new()));
        assert_eq!(read("# EOF\n", OpenMetrics), Ok(Vec::new()));
    }
}
