use std::fmt;

use thiserror::Error;

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the configuration file, from 1; 0 when the line is not known.
    File {
        /// The file, as the user named it.
        name: String,
        /// The line.
        line: u64,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// `-D key=value`.
    CommandLine,
    /// The program, or a document that holds its configuration.
    Job,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: 0 } => write!(f, "in {name}"),
            Self::File { name, line } => write!(f, "at {name}:{line}"),
            Self::Environment { variable } => write!(f, "in environment variable {variable}"),
            Self::CommandLine => f.write_str("in -D"),
            Self::Job => f.write_str("in the job's configuration"),
        }
    }
}

/// Why a configuration is refused. Every message is one line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// No such key.
    #[error("unknown key {key:?} {origin}{}", did_you_mean(.nearest.as_deref()))]
    UnknownKey {
        /// The key, shortened.
        key: String,
        /// Where it stood.
        origin: Origin,
        /// The known key that it is most like, if there is one.
        nearest: Option<String>,
    },
    /// A `FLOTT_*` variable that is meant as a key but is none.
    #[error("unknown environment variable {variable}{}", did_you_mean(.nearest.as_deref()))]
    UnknownVariable {
        /// Its name, shortened.
        variable: String,
        /// The variable that it is most like, if there is one.
        nearest: Option<String>,
    },
    /// A value that does not fit its key.
    #[error("value {value:?} of {key:?} {origin} is {reason}")]
    BadValue {
        /// The key.
        key: String,
        /// The value, shortened; masked when it is a secret.
        value: String,
        /// Where it stood.
        origin: Origin,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A key of Flink's whose meaning would be lost if it were ignored.
    #[error("key {key:?} {origin} is not supported: {reason}")]
    Unsupported {
        /// The key.
        key: String,
        /// Where it stood.
        origin: Origin,
        /// What it belongs to.
        reason: &'static str,
    },
    /// The same setting twice in one place.
    #[error("key {key:?} is set twice in {file}: in lines {first} and {second}; leave one out")]
    Twice {
        /// The key.
        key: String,
        /// The file.
        file: String,
        /// Line of the first setting.
        first: u64,
        /// Line of the second setting.
        second: u64,
    },
    /// `-D` without a `=`.
    #[error("-D wants key=value, but got {text:?}")]
    NoPair {
        /// What was given, shortened.
        text: String,
    },
    /// A configuration file that is not a map of settings in YAML.
    #[error("configuration {origin} is not readable: {reason}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
    /// More than a configuration may hold.
    #[error("configuration is too large: {what}; the most is {max}")]
    TooLarge {
        /// What there is too much of, with its amount.
        what: String,
        /// The bound.
        max: usize,
    },
    /// Two settings that do not fit together.
    #[error("{0}")]
    Conflict(String),
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(" (did you mean {nearest:?}?)")).unwrap_or_default()
}

/// Cuts a text from outside to what fits a one-line message.
pub(super) fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 120;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// What is accepted, but deserves a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A key that has no effect here.
    NoEffect {
        /// The key.
        key: String,
        /// Where it stood.
        origin: Origin,
        /// Why it has none.
        reason: &'static str,
    },
    /// An old name of a key.
    Deprecated {
        /// The name used.
        key: String,
        /// Where it stood.
        origin: Origin,
        /// Today's name.
        instead: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEffect { key, origin, reason } => write!(f, "key {key:?} {origin} has no effect: {reason}"),
            Self::Deprecated { key, origin, instead } => {
                write!(f, "key {key:?} {origin} is an old name; write {instead:?}")
            }
        }
    }
}
