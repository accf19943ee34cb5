//! Word counts, counted the plain way: what the word count programs are measured by.

use std::{collections::BTreeMap, fs, path::Path};

use crate::binaries::shipped;

/// Words and how often they stand in a text.
pub type Counts = BTreeMap<String, u64>;

/// The book that comes with the project.
pub fn book() -> String {
    shipped("data/opticks.txt")
}

/// Words of the book as Flink's example counts them: lower-cased, split at non-word characters (of ASCII).
pub fn words_of(text: &str) -> Counts {
    count(text.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
}

/// Words between spaces, as they stand.
pub fn spaced_words_of(text: &str) -> Counts {
    count(text.lines().flat_map(|line| line.split(' ')))
}

fn count<'a>(words: impl Iterator<Item = &'a str>) -> Counts {
    let mut counts = Counts::new();
    for word in words.filter(|word| !word.is_empty()) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

/// The lines of all visible files in a directory, files in order of their names.
#[track_caller]
pub fn lines_in(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a directory can be listed").path()).collect();
    files.retain(|path| !is_hidden(path));
    files.sort_by_cached_key(|path| in_order(path));
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends within a line", file.display());
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

/// Parts of one writer are numbered in the order in which they were written: 9 comes before 10.
fn in_order(path: &Path) -> Vec<(u64, String)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.split('-').map(|piece| (piece.parse().unwrap_or_default(), piece.to_owned())).collect()
}

/// Wants nothing to be visible in a directory, and nothing hidden to be left.
#[track_caller]
pub fn nothing_in(directory: &str) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    assert!(names.is_empty(), "{directory} holds {names:?}");
}

/// Wants nothing hidden to be left in a directory.
#[track_caller]
pub fn nothing_hidden_in(directory: &str) {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{directory}: {error}"));
    let hidden: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| is_hidden(path)).collect();
    assert!(hidden.is_empty(), "{hidden:?} are left");
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Reads `word count`.
#[track_caller]
pub fn word_and_count(line: &str) -> (String, u64) {
    let (word, count) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is no word with its count"));
    (word.to_owned(), count.parse().unwrap_or_else(|_| panic!("{line:?} has no count")))
}

/// Wants `lines` to be exactly one final count per word, as batch mode gives.
#[track_caller]
pub fn check_final(lines: &[String], expected: &Counts) {
    let mut counts = Counts::new();
    for line in lines {
        let (word, count) = word_and_count(line);
        let before = counts.insert(word, count);
        assert!(before.is_none(), "a second result in {line:?}");
    }
    assert_same(&counts, expected);
}

/// Wants `lines` to be a running count per word, from 1 to its final count, each number once: streaming mode.
#[track_caller]
pub fn check_running(lines: &[String], expected: &Counts) {
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in lines {
        let (word, count) = word_and_count(line);
        numbers.entry(word).or_default().push(count);
    }
    let last = numbers.iter().map(|(word, counts)| (word.clone(), *counts.last().expect("every word has a count")));
    assert_same(&last.collect(), expected);
    for (word, counts) in numbers {
        assert!(counts.iter().copied().eq(1..=expected[&word]), "running counts of {word:?} are {counts:?}");
    }
}

#[track_caller]
fn assert_same(counts: &Counts, expected: &Counts) {
    if counts == expected {
        return;
    }
    let words: std::collections::BTreeSet<_> = counts.keys().chain(expected.keys()).collect();
    let differing = words.into_iter().filter(|word| counts.get(*word) != expected.get(*word));
    let shown: Vec<_> = differing
        .take(10)
        .map(|word| format!("{word:?}: {:?} instead of {:?}", counts.get(word), expected.get(word)))
        .collect();
    panic!("counts differ, for example {}", shown.join(", "));
}
