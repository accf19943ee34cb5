//! What can be wrong with a value or with bytes.

use std::fmt;

use super::DEPTH_MAX;

/// A value that cannot be encoded, or bytes that cannot be decoded.
///
/// It is one pointer wide, so that the results of the record path stay in registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodecError(Box<Report>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    kind: CodecErrorKind,
    offset: Option<usize>,
}

/// The kinds of [`CodecError`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecErrorKind {
    /// The input ends inside the value.
    #[error("input ends too early: {needed} more bytes expected, {left} left")]
    Truncated {
        /// Bytes that the next item takes.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// The value is complete, but the input goes on.
    #[error("{left} bytes left over after the value")]
    LeftOver {
        /// Bytes that were left.
        left: usize,
    },
    /// A byte that should say yes or no says something else.
    #[error("{what} is {found}, expected 0 or 1")]
    NotBinary {
        /// What the byte stands for: a boolean, or the presence of an option.
        what: &'static str,
        /// The byte.
        found: u8,
    },
    /// A number that is no Unicode scalar value.
    #[error("{0:#x} is not a character")]
    NotChar(u32),
    /// A string that is not UTF-8.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// The value, or what the input claims to be one, nests too deeply.
    #[error("value nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// More elements or bytes than a `u32` counts.
    #[error("{0} elements in one sequence, expected at most 4294967295")]
    TooLong(usize),
    /// The input claims implausibly many elements that take no bytes.
    #[error("too many elements without content")]
    TooManyEmpty,
    /// The type took fewer elements than the sequence or map has.
    #[error("{0} elements were left unread by the type")]
    Unread(u32),
    /// The type asks the format what comes next, or leaves fields out by name.
    #[error("{0} needs a self-describing format")]
    NotSelfDescribing(&'static str),
    /// The type's own code refused.
    #[error("{0}")]
    Custom(String),
}

impl CodecError {
    #[cold]
    #[inline(never)]
    pub(super) fn new(kind: CodecErrorKind) -> Self {
        Self(Box::new(Report { kind, offset: None }))
    }

    /// Serde creates errors where the position is not known; whoever runs the decoding adds it.
    #[cold]
    #[inline(never)]
    pub(super) fn at(mut self, offset: usize) -> Self {
        self.0.offset = Some(offset);
        self
    }

    /// What is wrong.
    pub fn kind(&self) -> &CodecErrorKind {
        &self.0.kind
    }

    /// Where decoding stopped, in bytes from the start of its input; nothing for errors of encoding.
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.offset {
            Some(offset) => write!(f, "{} (at byte {offset})", self.0.kind),
            None => self.0.kind.fmt(f),
        }
    }
}

impl std::error::Error for CodecError {}

impl serde::ser::Error for CodecError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(CodecErrorKind::Custom(message.to_string()))
    }
}

impl serde::de::Error for CodecError {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(CodecErrorKind::Custom(message.to_string()))
    }
}
