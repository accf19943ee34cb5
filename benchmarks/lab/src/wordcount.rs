//! Words of a text, counted.

use std::path::PathBuf;

use compact_str::CompactString;
use flott::{Environment, ExecutionMode};

/// Lines of `input` split at spaces, pairs of word and one, their sum per word, discard.
pub fn plan(env: &Environment, input: PathBuf, mode: ExecutionMode) {
    env.set_mode(mode);
    env.read_text([input])
        .flat_map(|line: String, out| {
            out.emit_all(line.split(' ').filter(|word| !word.is_empty()).map(|word| (CompactString::new(word), 1_u64)));
        })
        .name("tokenizer")
        .key_by(|(word, _)| word.clone())
        .sum(|(_, one)| *one)
        .name("counter")
        .discard();
}
