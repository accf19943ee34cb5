//! Words of a text, counted.

use std::{iter, path::PathBuf};

use compact_str::CompactString;
use flott::{Environment, ExecutionMode};
use memchr::memchr_iter;

/// Lines of `input` split at spaces, pairs of word and one, their sum per word, discard.
pub fn plan(env: &Environment, input: PathBuf, mode: ExecutionMode) {
    env.set_mode(mode);
    env.read_text([input])
        .flat_map(|line: String, out| words(&line, |word| out.emit((CompactString::new(word), 1_u64))))
        .name("tokenizer")
        .key_by(|(word, _)| word.clone())
        .sum(|(_, one)| *one)
        .name("counter")
        .discard();
}

/// Calls `each` with what lies between spaces.
///
/// A search of many bytes at once, as words are so short that in a loop over bytes the processor guesses the end of each
/// wrongly: that took half as long again.
fn words(line: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    for end in memchr_iter(b' ', line.as_bytes()).chain(iter::once(line.len())) {
        if end > start {
            each(&line[start..end]);
        }
        start = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[track_caller]
    fn check(line: &str, expected: &[&str]) {
        let mut found = Vec::new();
        words(line, |word| found.push(word.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn words_lie_between_spaces() {
        check("to be or", &["to", "be", "or"]);
        check("  to  bé ", &["to", "bé"]);
        check("", &[]);
        check(" ", &[]);
    }
}
