//! The log itself: CSV files by day and minute, written exactly once.
//!
//! The suite's table is `fs_sink (…) PARTITIONED BY (dt, hm) WITH ('connector' = 'filesystem', 'format' = 'csv',
//! 'sink.rolling-policy.rollover-interval' = '1min', …)`. So a bid is a line `auction,bidder,price,dateTime,extra`, without a
//! header, in `dt=2015-07-15/hm=00%3A00/`: what the path says is not in the file. Files with the name `_SUCCESS`, which that
//! table puts into a minute that is over, are not written.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use flott::{Csv, FileSink, PartitionPath, Stream, StreamSink};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IntoDeserializer, value::StrDeserializer},
};
use thiserror::Error;

use super::Row;
use crate::event::{Extra, Time};

/// How long a file is written to at most.
const ROLL: Duration = Duration::from_secs(60);

/// A line of a file.
#[derive(Clone, Serialize, Deserialize)]
struct Line {
    auction: u64,
    bidder: u64,
    price: u64,
    date_time: Time,
    extra: Extra,
}

/// Writes `rows` to files below `directory`, which must hold none.
pub fn write(rows: &Stream<Row>, directory: impl Into<PathBuf>) -> StreamSink {
    let sink = FileSink::new(directory, Csv::new().header(false))
        .partitioned_by(|line: &Line, path: &mut PartitionPath| {
            path.key("dt", line.date_time.day()).key("hm", line.date_time.minute());
        })
        .roll_after(ROLL);
    let line = |Row { auction, bidder, price, date_time, extra, .. }| Line { auction, bidder, price, date_time, extra };
    rows.map(line).name("lines").write_files(sink)
}

/// Why a log cannot be read.
#[derive(Debug, Error)]
pub enum LogError {
    /// A file or a directory cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// A directory or file is not where those of a log are.
    #[error("{} is not of a log, which has directories like dt=2015-07-15/hm=00%3A00", .0.display())]
    NoPartition(PathBuf),
    /// A line is none of a bid.
    #[error("{} has a line that is no bid", .0.display())]
    NoLine(PathBuf, #[source] csv::Error),
}

/// The rows that a job has written to `directory`, in no order: a day and a minute are what the path says.
///
/// # Errors
/// When there is anything that such a job does not write.
pub fn read(directory: &Path) -> Result<Vec<Row>, LogError> {
    let mut rows = Vec::new();
    for day in visible(directory)? {
        let dt = partition(&day, "dt")?;
        for minute in visible(&day)? {
            let hm = partition(&minute, "hm")?;
            for path in visible(&minute)? {
                let no_line = |error| LogError::NoLine(path.clone(), error);
                let mut lines = csv::ReaderBuilder::new().has_headers(false).from_path(&path).map_err(no_line)?;
                for line in lines.deserialize() {
                    let Line { auction, bidder, price, date_time, extra } = line.map_err(no_line)?;
                    rows.push(Row { auction, bidder, price, date_time, extra, dt, hm });
                }
            }
        }
    }
    Ok(rows)
}

/// What is in a directory, but for what readers skip as hidden.
fn visible(directory: &Path) -> Result<Vec<PathBuf>, LogError> {
    let unreadable = |error| LogError::Unreadable(directory.to_owned(), error);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// The value of a directory that is named `key=value`.
fn partition<T: DeserializeOwned>(directory: &Path, key: &str) -> Result<T, LogError> {
    let name = directory.file_name().and_then(|name| name.to_str());
    let value = name.and_then(|name| name.strip_prefix(key)).and_then(|rest| rest.strip_prefix('='));
    let value = value.map(|value| value.replace("%3A", ":"));
    let parsed = value.and_then(|value| {
        let text: StrDeserializer<'_, serde::de::value::Error> = value.as_str().into_deserializer();
        T::deserialize(text).ok()
    });
    parsed.ok_or_else(|| LogError::NoPartition(directory.to_owned()))
}
