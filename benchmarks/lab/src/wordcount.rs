//! Words of a text, counted.

use std::path::PathBuf;

use flott::{Environment, ExecutionMode, Text};

/// Lines of `input` split at spaces, pairs of word and one, their sum per word, discard.
pub fn plan(env: &Environment, input: PathBuf, mode: ExecutionMode) {
    env.set_mode(mode);
    env.read_text([input])
        .flat_map(|line: String, out| out.emit_all(Text::pieces(&line, b' ').map(|word| (word, 1_u64))))
        .name("tokenizer")
        .key_by_ref(|(word, _)| word)
        .sum(|(_, one)| *one)
        .name("counter")
        .discard();
}
