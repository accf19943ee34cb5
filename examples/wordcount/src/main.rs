//! Counts the words of a text.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use flott::{Collector, Environment, ExecutionMode, Stream, Text};

flott::allocator!();

#[derive(Parser)]
#[command(version, about = "Counts the words of a text: lines `word count`")]
struct Arguments {
    /// Files and directories to read; without any, a few lines of Faust
    #[arg(long, num_args = 1.., value_name = "PATH")]
    input: Vec<PathBuf>,

    /// Directory to write to; without one, the counts are printed
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Each running count as it comes, or one final count per word; without it, what the job is configured with
    #[arg(long)]
    mode: Option<Mode>,

    /// What stands between words
    #[arg(long, default_value = "words")]
    split: Split,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Streaming,
    Batch,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    /// Anything but letters, digits and `_` of ASCII; words in lower case
    Words,
    /// Single spaces; words as they are
    Space,
}

/// Goethe, Faust, the first lines of the night scene.
const TEXT: &str = "\
Habe nun, ach! Philosophie,
Juristerei und Medizin,
Und leider auch Theologie
Durchaus studiert, mit heißem Bemühn.
Da steh ich nun, ich armer Tor!
Und bin so klug als wie zuvor;
Heiße Magister, heiße Doktor gar
Und ziehe schon an die zehen Jahr
Herauf, herab und quer und krumm
Meine Schüler an der Nase herum";

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let env = Environment::new();
    match arguments.mode {
        Some(Mode::Streaming) => env.set_mode(ExecutionMode::Streaming),
        Some(Mode::Batch) => env.set_mode(ExecutionMode::Batch),
        None => {}
    }

    let lines: Stream<String> = if arguments.input.is_empty() {
        env.from_collection(TEXT.lines().map(str::to_owned).collect::<Vec<_>>()).name("faust")
    } else {
        env.read_text(&arguments.input).name("lines")
    };
    let words = match arguments.split {
        Split::Words => lines.flat_map(|mut line: String, out: &mut Collector<'_, Text>| {
            line.make_ascii_lowercase();
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            for_each_word(&line, is_word, |word| out.emit(word));
        }),
        Split::Space => lines.flat_map(|line: String, out: &mut Collector<'_, Text>| {
            out.emit_all(Text::pieces(&line, b' '));
        }),
    };
    let counts = words.name("tokenizer").key_by_ref(|word| word).count().name("counter");
    let lines = counts.map(|(word, count)| Line { word, count }).name("format");
    match &arguments.output {
        Some(directory) => lines.write_text(directory).name("counts"),
        None => lines.print().name("counts"),
    };
    env.execute("WordCount")?;
    Ok(())
}

/// Calls `each` with the longest runs of bytes that are of words. Only ASCII bytes may be of words, so that no run ends
/// within a character.
fn for_each_word(line: &str, is_word: impl Fn(u8) -> bool, mut each: impl FnMut(Text)) {
    let mut start = 0;
    for (at, byte) in line.bytes().enumerate() {
        if !is_word(byte) {
            if at > start {
                each(Text::cut(line, start..at));
            }
            start = at + 1;
        }
    }
    if start < line.len() {
        each(Text::cut(line, start..line.len()));
    }
}

/// A word and its count, as they are written.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Line {
    word: Text,
    count: u64,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.word, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, is_word: impl Fn(u8) -> bool, expected: &[&str]) {
        let mut words = Vec::new();
        for_each_word(line, is_word, |word| words.push(word));
        assert_eq!(words, expected);
    }

    #[test]
    fn words_are_split_as_in_flinks_example() {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        check("To be, or_not 2 be", is_word, &["To", "be", "or_not", "2", "be"]);
        check("heiße Schüler é", is_word, &["hei", "e", "Sch", "ler"]);
        check("", is_word, &[]);
        check(" ,", is_word, &[]);
    }
}
