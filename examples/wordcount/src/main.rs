//! Counts the words of a text.

use std::{io, path::PathBuf};

use clap::{Parser, ValueEnum};
use compact_str::CompactString;
use flott::{Collector, Environment, ExecutionMode, Stream};

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
        env.read_text(arguments.input.iter().map(absolute).collect::<io::Result<Vec<_>>>()?).name("lines")
    };
    let words = match arguments.split {
        Split::Words => lines.flat_map(words),
        Split::Space => lines.flat_map(|line: String, out: &mut Collector<'_, CompactString>| {
            out.emit_all(line.split(' ').filter(|word| !word.is_empty()).map(CompactString::new));
        }),
    };
    let counts = words.name("tokenizer").key_by(|word| word.clone()).count().name("counter");
    let lines = counts.map(|(word, count)| Line { word, count }).name("format");
    match &arguments.output {
        Some(directory) => lines.write_text(absolute(directory)?).name("counts"),
        None => lines.print().name("counts"),
    };
    env.execute("WordCount")?;
    Ok(())
}

/// Job processes have working directories of their own.
fn absolute(path: &PathBuf) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

/// The words of a line, in lower case.
fn words(line: String, out: &mut Collector<'_, CompactString>) {
    let between = |letter: char| !(letter.is_ascii_alphanumeric() || letter == '_');
    for word in line.split(between).filter(|word| !word.is_empty()) {
        let mut word = CompactString::new(word);
        word.make_ascii_lowercase();
        out.emit(word);
    }
}

/// A word and its count, as they are written.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Line {
    word: CompactString,
    count: u64,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.word, self.count)
    }
}
