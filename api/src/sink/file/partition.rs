//! Which directory a record goes to.

use std::fmt::{self, Display, Write};

use chrono::{DateTime, Datelike, Timelike, Utc};
use flott_runtime::batch::Timestamp;

/// Bytes of a path. With all else that it says, the name of a staged file must not be longer than file systems allow.
const BYTES_MAX: usize = 200;

/// Directories within one another.
const SEGMENTS_MAX: usize = 16;

/// Bytes of an extension.
const EXTENSION_BYTES_MAX: usize = 32;

/// What a record has no value for: Hive's name for that.
const NO_VALUE: &str = "__HIVE_DEFAULT_PARTITION__";

/// The directory of a record within the output directory: what a function of
/// [`FileSink::partitioned_by`](super::FileSink::partitioned_by) fills in. Nothing is the output directory itself.
///
/// At most 200 bytes in 16 segments. A path that is no plain one fails the job when the record comes: an absolute one, one with
/// empty segments, with `.` or `..`, with control characters or `\`, or with a segment that begins with `.` or `_`, which
/// readers skip as hidden. [`key`](Self::key) makes plain ones of any value that is short enough.
#[derive(Debug, Clone, Default)]
pub struct PartitionPath {
    text: String,
    event_time: Option<Timestamp>,
    problem: Option<String>,
}

impl PartitionPath {
    /// Adds directories: one, or several with `/` between them.
    pub fn push(&mut self, path: impl Display) -> &mut Self {
        self.slash();
        let begin = self.text.len();
        self.write(format_args!("{path}"));
        if self.text.len() == begin {
            // Of the first nothing would be seen.
            self.problem.get_or_insert_with(|| "it has an empty segment".to_owned());
        }
        self
    }

    /// Adds the directory `key=value`, as Hive, Spark and DuckDB name the partitions of a table. What a directory's name
    /// should not hold is written as `%2F`; for an empty value stands `__HIVE_DEFAULT_PARTITION__`.
    pub fn key(&mut self, key: &str, value: impl Display) -> &mut Self {
        self.slash();
        if key.is_empty() {
            self.problem.get_or_insert_with(|| "a key is empty".to_owned());
        }
        self.write(format_args!("{}=", Escaped(key)));
        let begin = self.text.len();
        let mut escape = Escape(&mut self.text);
        if write!(escape, "{value}").is_err() {
            self.problem.get_or_insert_with(|| format!("the value of {key:?} cannot be shown"));
        }
        if self.text.len() == begin {
            self.text.push_str(NO_VALUE);
        }
        self
    }

    /// Adds the day of a time in milliseconds since 1970: `dt=2026-11-25`, by UTC.
    pub fn day(&mut self, at: Timestamp) -> &mut Self {
        if let Some(at) = self.time(at) {
            self.slash();
            self.write(format_args!("dt={:04}-{:02}-{:02}", at.year(), at.month(), at.day()));
        }
        self
    }

    /// Adds the day and the hour of a time in milliseconds since 1970: `dt=2026-11-25/hour=03`, by UTC.
    pub fn hour(&mut self, at: Timestamp) -> &mut Self {
        if let Some(at) = self.time(at) {
            self.day(at.timestamp_millis());
            self.slash();
            self.write(format_args!("hour={:02}", at.hour()));
        }
        self
    }

    /// The timestamp of the record, if it has one.
    pub fn event_time(&self) -> Option<Timestamp> {
        self.event_time
    }

    fn time(&mut self, at: Timestamp) -> Option<DateTime<Utc>> {
        let time = DateTime::from_timestamp_millis(at).filter(|time| (0..=9999).contains(&time.year()));
        if time.is_none() {
            self.problem.get_or_insert_with(|| format!("{at} ms since 1970 is in no year from 0 to 9999"));
        }
        time
    }

    fn slash(&mut self) {
        if !self.text.is_empty() {
            self.text.push('/');
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        if self.text.write_fmt(text).is_err() {
            self.problem.get_or_insert_with(|| "a value cannot be shown".to_owned());
        }
    }

    /// Begins the path of another record.
    pub(super) fn begin(&mut self, event_time: Option<Timestamp>) {
        self.text.clear();
        self.event_time = event_time;
        self.problem = None;
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is right as `other` is, and says the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.problem.is_none() && self.text == other.text
    }

    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        self.problem.clone().map_or(Ok(()), Err)?;
        check(&self.text)
    }
}

/// A text within a `key=value`.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escape(f).write_str(self.0)
    }
}

/// Writes what it is given with `%2F` for what is special.
struct Escape<'a, W>(&'a mut W);

impl<W: Write> Write for Escape<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_special) {
            self.0.write_str(&rest[..at])?;
            let special = rest[at..].chars().next().unwrap_or_default();
            let mut bytes = [0; 4];
            for byte in special.encode_utf8(&mut bytes).bytes() {
                write!(self.0, "%{byte:02X}")?;
            }
            rest = &rest[at + special.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// What Hive escapes, and whatever else controls a terminal.
fn is_special(char: char) -> bool {
    // Asked of each character of each record's path.
    matches!(char, '"' | '#' | '%' | '\'' | '*' | '/' | ':' | '=' | '?' | '\\' | '{' | '}' | '[' | ']' | '^')
        || char.is_control()
}

/// Whether `path` is a plain relative one; empty is.
pub(in crate::sink) fn check(path: &str) -> Result<(), String> {
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > BYTES_MAX {
        return Err(format!("it has {} bytes, and at most {BYTES_MAX} may be", path.len()));
    }
    if let Some(odd) = path.chars().find(|char| char.is_control() || *char == '\\') {
        return Err(format!("{odd:?} is in it"));
    }
    let mut segments = 0;
    for segment in path.split('/') {
        segments += 1;
        if segment.is_empty() {
            return Err("it has an empty segment".to_owned());
        }
        if segment.starts_with(['.', '_']) {
            return Err(format!("{segment:?} begins with {:?}", &segment[..1]));
        }
    }
    if segments > SEGMENTS_MAX {
        return Err(format!("it has {segments} segments, and at most {SEGMENTS_MAX} may be"));
    }
    Ok(())
}

/// Whether `extension` can be one; empty is none.
pub(in crate::sink) fn check_extension(extension: &str) -> Result<(), String> {
    let plain = |piece: &str| !piece.is_empty() && piece.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if extension.is_empty() || (extension.len() <= EXTENSION_BYTES_MAX && extension.split('.').all(plain)) {
        return Ok(());
    }
    Err(format!(
        "the extension {extension:?} of a file format is not one like \"csv\" or \"csv.gz\" of at most {EXTENSION_BYTES_MAX} bytes"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn path(fill: impl FnOnce(&mut PartitionPath)) -> Result<String, String> {
        let mut path = PartitionPath::default();
        path.push("left from another");
        path.begin(Some(7));
        fill(&mut path);
        path.check().map(|()| path.text().to_owned())
    }

    #[test]
    fn plain_paths_are_taken_as_they_are() {
        for plain in ["", "a", "a/b", "dt=2026-11-25/hour=03", "Ä ö", "a.b", "..a".trim_start_matches('.')] {
            assert_eq!(check(plain), Ok(()), "{plain}");
        }
        assert_eq!(path(|path| _ = path.push("a").push(7).push("b/c")), Ok("a/7/b/c".to_owned()));
    }

    #[test]
    fn hostile_paths_are_refused() {
        let (long, deep) = ("x".repeat(201), "a/".repeat(16) + "a");
        for (hostile, problem) in [
            ("/etc", "empty segment"),
            ("a/", "empty segment"),
            ("a//b", "empty segment"),
            ("..", "begins with \".\""),
            ("a/../../b", "begins with \".\""),
            (".", "begins with \".\""),
            (".hidden", "begins with \".\""),
            ("a/_hidden", "begins with \"_\""),
            ("a\0b", "'\\0' is in it"),
            ("a\nb", "'\\n' is in it"),
            ("a\u{1f}b", "'\\u{1f}' is in it"),
            ("a\\b", "'\\\\' is in it"),
            (&long, "201 bytes"),
            (&deep, "17 segments"),
        ] {
            let told = check(hostile).unwrap_err();
            assert!(told.contains(problem), "{hostile:?}: {told}");
        }
        // Nothing is no segment.
        assert!(path(|path| _ = path.push("a").push("").push("b")).unwrap_err().contains("empty segment"));
        assert!(path(|path| _ = path.push("").push("b")).unwrap_err().contains("empty segment"));
        assert!(path(|path| _ = path.push("")).unwrap_err().contains("empty segment"));
        assert!(path(|path| _ = path.push("/a")).is_err());
    }

    #[test]
    fn keys_take_any_value() {
        for (value, expected) in [
            ("de", "country=de"),
            ("", "country=__HIVE_DEFAULT_PARTITION__"),
            ("../../etc", "country=..%2F..%2Fetc"),
            ("50% = a:b", "country=50%25 %3D a%3Ab"),
            ("a\nb\\", "country=a%0Ab%5C"),
            ("Österreich", "country=Österreich"),
        ] {
            assert_eq!(path(|path| _ = path.key("country", value)).as_deref(), Ok(expected));
        }
        assert_eq!(path(|path| _ = path.key("a", 1).key("b/c", 2.5)).as_deref(), Ok("a=1/b%2Fc=2.5"));
        assert!(path(|path| _ = path.key("", 1)).is_err());
        assert!(path(|path| _ = path.key("a", "x".repeat(200))).is_err());
    }

    #[test]
    fn times_are_days_and_hours_of_utc() {
        for (at, expected) in [
            (0, "dt=1970-01-01/hour=00"),
            (-1, "dt=1969-12-31/hour=23"),
            (1_795_584_600_000, "dt=2026-11-25/hour=05"),
            (951_782_400_000, "dt=2000-02-29/hour=00"),
        ] {
            assert_eq!(path(|path| _ = path.hour(at)).as_deref(), Ok(expected));
            assert_eq!(path(|path| _ = path.day(at)).as_deref(), Ok(&expected[..13]));
        }
        for at in [Timestamp::MIN, Timestamp::MAX, 253_402_300_800_000] {
            assert!(path(|path| _ = path.day(at)).unwrap_err().contains("no year"), "{at}");
            assert!(path(|path| _ = path.hour(at)).is_err());
        }
        assert_eq!(path(|path| _ = path.push(path.event_time().unwrap_or(0))).as_deref(), Ok("7"));
    }

    #[test]
    fn extensions_are_plain() {
        for extension in ["", "csv", "csv.gz", "parquet"] {
            assert_eq!(check_extension(extension), Ok(()));
        }
        for extension in [".csv", "csv.", "a/b", "a@b", "a~b", "é", "csv..gz", &"x".repeat(33)] {
            check_extension(extension).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn values_of_keys_stay_one_directory(key in "\\PC{1,10}", value in any::<String>()) {
            if let Ok(path) = path(|path| _ = path.key(&key, &value)) {
                prop_assert_eq!(path.split('/').count(), 1);
                prop_assert_eq!(path.matches('=').count(), 1);
            }
        }
    }
}
