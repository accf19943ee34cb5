//! Whether the answers of the queries are those of the model.
//!
//! Equality of the multisets of rows is asked for, not of their number: a row too many and another too few would go
//! unnoticed. Of a table that changes, the last row of each key counts.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flott::{Batch, Environment, RestartStrategy, Sink, SinkTask, SinkWriter, Stream, TaskResult};
use parking_lot::Mutex;
use thiserror::Error;

use crate::{
    event::Event,
    generator::Generator,
    queries::{
        Row,
        q10::{self, log::LogError},
    },
    query::{Query, Take},
    source::NexmarkSource,
};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum CheckError {
    /// The job failed.
    #[error(transparent)]
    Job(#[from] flott::Error),
    /// A row cannot be written as JSON.
    #[error("a row cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The log of q10 cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What was written of an answer cannot be read.
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// A line is no row of the answer.
    #[error("{} has the line {line:?}, which is no row of the answer", path.display())]
    NoRow {
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
        /// What is wrong with it.
        #[source]
        error: serde_json::Error,
    },
}

/// The answer of `query` to the events of `generator`, by a job within this process: rows as JSON, sorted.
///
/// # Errors
/// When there is none.
pub fn answer(query: Query, generator: &Generator, parallelism: u32) -> Result<Vec<String>, CheckError> {
    let env = local(parallelism);
    let events = env.from_source(NexmarkSource::new(generator.clone()), "Nexmark");
    run(query, &env, &events, generator.options().out_of_order())
}

/// The answer of `query` to `events`, which are no more than `out_of_order` behind the latest before them: as
/// [`answer`]. Each subtask has as many of them in a row as the others.
///
/// # Errors
/// When there is none.
pub fn answer_to(
    query: Query,
    events: &[Event],
    out_of_order: Duration,
    parallelism: u32,
) -> Result<Vec<String>, CheckError> {
    let env = local(parallelism);
    let events = env.from_collection(events).parallelism(parallelism);
    run(query, &env, &events, out_of_order)
}

fn local(parallelism: u32) -> Environment {
    let env = Environment::local();
    env.set_parallelism(parallelism);
    env.set_restart_strategy(RestartStrategy::None);
    env
}

fn run(
    query: Query,
    env: &Environment,
    events: &Stream<Event>,
    out_of_order: Duration,
) -> Result<Vec<String>, CheckError> {
    let gathered = query.plan(events, out_of_order, Gather);
    env.execute(&query.to_string())?;
    Ok(gathered()?)
}

/// Gives what has been gathered, once the job has ended.
type Gathered = Box<dyn FnOnce() -> serde_json::Result<Vec<String>>>;

struct Gather;

impl Take for Gather {
    type Out = Gathered;

    fn take<R: Row>(self, rows: &Stream<R>) -> Gathered {
        let gathered = Arc::new(Mutex::new(Vec::new()));
        rows.sink(Gatherer(gathered.clone()));
        Box::new(move || {
            let mut settled = R::settled(&gathered.lock())?;
            settled.sort_unstable();
            Ok(settled)
        })
    }
}

/// The answer of `query` that a job has written to `directory` with `--sink json`: rows as JSON, sorted.
///
/// # Errors
/// When there is none, or it is that of another query.
pub fn written(query: Query, directory: &Path) -> Result<Vec<String>, CheckError> {
    // It is never run: it only knows what the rows of a query are.
    let env = Environment::local();
    let events = env.from_collection(Vec::<Event>::new());
    query.plan(&events, Duration::ZERO, Written(directory))
}

struct Written<'a>(&'a Path);

impl Take for Written<'_> {
    type Out = Result<Vec<String>, CheckError>;

    fn take<R: Row>(self, rows: &Stream<R>) -> Self::Out {
        rows.clone().discard();
        let mut rows: Vec<R> = Vec::new();
        for path in parts(self.0).map_err(|error| CheckError::Unreadable(self.0.to_owned(), error))? {
            let text = fs::read_to_string(&path).map_err(|error| CheckError::Unreadable(path.clone(), error))?;
            for line in text.lines() {
                let no_row = |error| CheckError::NoRow { path: path.clone(), line: line.to_owned(), error };
                rows.push(serde_json::from_str(line).map_err(no_row)?);
            }
        }
        let mut settled = R::settled(&rows)?;
        settled.sort_unstable();
        Ok(settled)
    }
}

/// The answer of q10 that a job has written to `directory` with `--sink files`: rows as JSON, sorted.
///
/// # Errors
/// When there is none, or something else.
pub fn logged(directory: &Path) -> Result<Vec<String>, CheckError> {
    let mut settled = q10::Row::settled(&q10::log::read(directory)?)?;
    settled.sort_unstable();
    Ok(settled)
}

/// Visible files, those of one writer in the order in which they were written: their names end in numbers, and 9 comes before 10.
fn parts(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut parts = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    parts.retain(|path| !name(path).starts_with('.'));
    parts.sort_by_cached_key(|path| (name(path).len(), name(path)));
    Ok(parts)
}

/// All rows in the order in which they came, those of one subtask in theirs.
struct Gatherer<R>(Arc<Mutex<Vec<R>>>);

impl<R: Row> Sink for Gatherer<R> {
    type Item = R;

    fn open(&self, _: &SinkTask) -> TaskResult<Box<dyn SinkWriter<R>>> {
        Ok(Box::new(Self(self.0.clone())))
    }
}

impl<R: Row> SinkWriter<R> for Gatherer<R> {
    fn write(&mut self, batch: &mut Batch<R>) -> TaskResult {
        self.0.lock().append(&mut batch.records);
        Ok(())
    }
}

/// How an answer differs from the one that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Rows that should be there.
    pub missing: Vec<String>,
    /// Rows that should not.
    pub unexpected: Vec<String>,
}

/// Rows of each kind that are shown.
const SHOWN: usize = 3;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows are missing and {} unexpected", self.missing.len(), self.unexpected.len())?;
        for (what, rows) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            rows.iter().take(SHOWN).try_for_each(|row| write!(f, "\n  {what}: {row}"))?;
        }
        Ok(())
    }
}

/// How `found` differs from `expected`; both are sorted.
pub fn difference(expected: &[String], found: &[String]) -> Option<Difference> {
    let (mut missing, mut unexpected) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (expected.iter().peekable(), found.iter().peekable());
    loop {
        let side = match (left.peek(), right.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(left), Some(right)) => left.cmp(right),
        };
        let (take_left, take_right) = (side.is_le(), side.is_ge());
        let (expected, found) = (left.next_if(|_| take_left), right.next_if(|_| take_right));
        if side.is_ne() {
            missing.extend(expected.cloned());
            unexpected.extend(found.cloned());
        }
    }
    (!missing.is_empty() || !unexpected.is_empty()).then_some(Difference { missing, unexpected })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: &[&str], found: &[&str], differ: Option<(&[&str], &[&str])>) {
        let owned = |rows: &[&str]| rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
        let differ =
            differ.map(|(missing, unexpected)| Difference { missing: owned(missing), unexpected: owned(unexpected) });
        assert_eq!(difference(&owned(expected), &owned(found)), differ);
    }

    #[test]
    fn multisets_are_compared() {
        check(&["a", "b"], &["a", "b"], None);
        check(&[], &[], None);
        check(&["a", "a", "b"], &["a", "b"], Some((&["a"], &[])));
        check(&["a", "c"], &["a", "b", "c", "c"], Some((&[], &["b", "c"])));
        check(&["a"], &["b"], Some((&["a"], &["b"])));
    }

    #[test]
    fn few_of_many_rows_are_shown() {
        let rows: Vec<String> = (0..9).map(|row| row.to_string()).collect();
        let text = difference(&rows, &[]).unwrap().to_string();
        assert_eq!(text, "9 rows are missing and 0 unexpected\n  missing: 0\n  missing: 1\n  missing: 2");
    }
}
