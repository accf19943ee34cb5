//! What a job must have written, and what it has.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    binaries::text,
    book::{lines_in, nothing_hidden_in},
};

/// How often each line is there, by the directory of its sink.
#[derive(Debug, PartialEq, Eq)]
pub struct Output(BTreeMap<String, BTreeMap<String, i64>>);

impl Output {
    /// What is visible in these output directories together.
    pub fn read(directories: &[impl AsRef<Path>]) -> Self {
        let mut output = Self(BTreeMap::new());
        for directory in directories {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let sink = output.0.entry(entry.file_name().to_string_lossy().into_owned()).or_default();
                lines_in(&text(&entry.path())).into_iter().for_each(|line| *sink.entry(line).or_default() += 1);
            }
        }
        // A sink of a job that was stopped early may have shown nothing yet.
        output.0.retain(|_, lines| !lines.is_empty());
        output
    }

    /// That of one sink.
    pub fn of(lines: impl IntoIterator<Item = String>) -> Self {
        let mut counted = Lines::new();
        lines.into_iter().for_each(|line| *counted.entry(line).or_default() += 1);
        Self([("sink".to_owned(), counted)].into())
    }

    /// How many lines there are.
    pub fn lines(&self) -> i64 {
        self.0.values().flat_map(BTreeMap::values).sum()
    }

    /// What is missing here and what is too much, beside what is expected. Nothing, if it is the same.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let sinks = self.0.keys().chain(expected.0.keys().filter(|sink| !self.0.contains_key(*sink)));
        sinks.filter_map(|sink| differences(sink, self.0.get(sink), expected.0.get(sink))).collect()
    }
}

type Lines = BTreeMap<String, i64>;

fn differences(sink: &str, found: Option<&Lines>, expected: Option<&Lines>) -> Option<String> {
    let none = Lines::new();
    let (found, expected) = (found.unwrap_or(&none), expected.unwrap_or(&none));
    let beyond = |these: &Lines, those: &Lines| -> (i64, Vec<String>) {
        let more = |(line, count): (&String, &i64)| {
            let more = count - those.get(line).copied().unwrap_or_default();
            (more > 0).then(|| (line.clone(), more))
        };
        let lines: Vec<_> = these.iter().filter_map(more).collect();
        let shown = lines.iter().take(8).map(|(line, count)| format!("{count}×{line:?}")).collect();
        (lines.iter().map(|(_, count)| count).sum(), shown)
    };
    let ((missing, not_there), (surplus, too_much)) = (beyond(expected, found), beyond(found, expected));
    (missing > 0 || surplus > 0).then(|| {
        format!(
            "{sink}: {missing} lines are missing, for example {}; {surplus} are too much, for example {}",
            not_there.join(" "),
            too_much.join(" ")
        )
    })
}

/// Wants an output directory to hold nothing but whole parts of `job` and of no other, and nothing hidden.
#[track_caller]
pub fn check_names(directory: &Path, job: &str) {
    for sink in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = sink.path();
        nothing_hidden_in(&text(&path));
        for part in fs::read_dir(&path).into_iter().flatten().flatten() {
            let name = part.file_name().to_string_lossy().into_owned();
            let pieces: Vec<_> = name.split('-').collect();
            let is_number = |text: &str| text.parse::<u32>().is_ok();
            let is_right = match pieces.as_slice() {
                ["part", subtask] => is_number(subtask),
                ["part", subtask, of, writer, number] => {
                    is_number(subtask) && of.len() == 8 && job.starts_with(of) && is_number(writer) && is_number(number)
                }
                _ => false,
            };
            assert!(is_right, "{} is no part of job {job}", part.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(lines: &[&str]) -> Output {
        Output::of(lines.iter().map(|&line| line.to_owned()))
    }

    #[test]
    fn lines_that_are_missing_and_lines_that_are_there_twice_are_told() {
        assert_eq!(output(&["a", "b"]).differences(&output(&["b", "a"])), [""; 0]);
        let found = output(&["a", "a", "c"]).differences(&output(&["a", "b", "c"]));
        let expected = "sink: 1 lines are missing, for example 1×\"b\"; 1 are too much, for example 1×\"a\"";
        assert_eq!(found, [expected]);
    }
}
