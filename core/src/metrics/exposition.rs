//! Writes metrics, piece by piece.

use std::fmt::Write;

use super::{
    family::{Family, Kind},
    format::Format,
    labels::{Labels, escape, push},
};

/// Bytes of a piece. The last line of one may go beyond.
const PIECE: usize = 64 << 10;

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A count.
    Whole(u64),
    /// A whole number that may be less than 0.
    Signed(i64),
    /// Any number.
    Real(f64),
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Whole(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// A text of metrics that is being written. Families come one after another, each once, with all its series.
///
/// Whole lines are handed to `sink` in pieces, so that a text of any length takes little memory. A sink that returns `false` gets
/// nothing more.
pub struct Exposition<S> {
    format: Format,
    sink: S,
    text: String,
    is_gone: bool,
}

impl<S: FnMut(String) -> bool> Exposition<S> {
    /// An empty one.
    pub fn new(format: Format, sink: S) -> Self {
        Self { format, sink, text: String::with_capacity(PIECE), is_gone: false }
    }

    /// Writes a family: each series by its labels, and, where the family has one more label, that one's value. Of none, nothing is
    /// written.
    ///
    /// # Panics
    /// In debug builds, for labels that are not those of the family.
    pub fn family<'a, V: Into<Value>>(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = (&'a Labels, Option<&'a str>, V)>,
    ) {
        let mut is_headed = false;
        for (labels, by, value) in series {
            debug_assert_eq!((labels.names(), by.is_some()), (family.labels, family.by.is_some()), "{}", family.name);
            if self.is_gone {
                return;
            }
            if !std::mem::replace(&mut is_headed, true) {
                self.head(family);
            }
            let text = &mut self.text;
            text.push_str(family.name);
            text.push('{');
            text.push_str(labels.text());
            if let (Some(name), Some(by)) = (family.by, by) {
                push(text, name, by);
            }
            text.push_str("} ");
            number(text, value.into());
            text.push('\n');
            if self.text.len() >= PIECE {
                self.hand_over();
            }
        }
    }

    /// As [`family`](Self::family), for one that has no label but those of its group.
    pub fn plain<'a, V: Into<Value>>(&mut self, family: &Family, series: impl IntoIterator<Item = (&'a Labels, V)>) {
        self.family(family, series.into_iter().map(|(labels, value)| (labels, None, value)));
    }

    /// Ends the text. `false` when the sink did not take all of it.
    pub fn finish(mut self) -> bool {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        if !self.text.is_empty() {
            self.hand_over();
        }
        !self.is_gone
    }

    fn head(&mut self, family: &Family) {
        let kind = match (family.kind, self.format) {
            (Kind::Gauge, _) => "gauge",
            (Kind::Counter, Format::Prometheus) => "counter",
            (Kind::Counter, Format::OpenMetrics) => "unknown",
        };
        let text = &mut self.text;
        for part in ["# HELP ", family.name, " "] {
            text.push_str(part);
        }
        escape(text, family.help.trim(), self.format == Format::OpenMetrics);
        for part in ["\n# TYPE ", family.name, " ", kind, "\n"] {
            text.push_str(part);
        }
    }

    fn hand_over(&mut self) {
        let piece = std::mem::replace(&mut self.text, String::with_capacity(PIECE));
        self.is_gone = self.is_gone || !(self.sink)(piece);
    }
}

fn number(text: &mut String, value: Value) {
    // A `String` takes all that is written to it.
    let _ = match value {
        Value::Whole(value) => write!(text, "{value}"),
        Value::Signed(value) => write!(text, "{value}"),
        Value::Real(value) if value.is_nan() => write!(text, "NaN"),
        Value::Real(value) if value.is_infinite() => write!(text, "{}Inf", if value > 0.0 { '+' } else { '-' }),
        Value::Real(value) => write!(text, "{value}"),
    };
}

#[cfg(test)]
mod tests;
