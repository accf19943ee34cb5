//! Words of a text, counted.

use std::path::PathBuf;

use compact_str::CompactString;
use flott::{Environment, ExecutionMode};

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

/// Calls `each` with what lies between spaces. A plain loop: words are too short for a search to pay.
fn words(line: &str, mut each: impl FnMut(&str)) {
    let mut start = 0;
    for (at, byte) in line.bytes().enumerate() {
        if byte == b' ' {
            if at > start {
                each(&line[start..at]);
            }
            start = at + 1;
        }
    }
    if line.len() > start {
        each(&line[start..]);
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
