//! Counts the words that come over a TCP connection, and prints each running count. Try it with `nc -lk 9000`.

use clap::Parser;
use flott::{Collector, Environment, Text};

flott::allocator!();

#[derive(Parser)]
#[command(version, about = "Counts the words that come over a TCP connection: lines `word count`")]
struct Arguments {
    /// Host to connect to
    #[arg(long, default_value = "localhost")]
    host: String,

    /// Port to connect to
    #[arg(long)]
    port: u16,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let env = Environment::new();
    env.socket(&arguments.host, arguments.port)
        .flat_map(|line: String, out: &mut Collector<'_, Text>| {
            out.emit_all(line.split_whitespace().map(Text::from));
        })
        .name("tokenizer")
        .key_by_ref(|word| word)
        .count()
        .name("counter")
        .map(|(word, count)| format!("{word} {count}"))
        .name("format")
        .print();
    env.execute("Socket WordCount")?;
    Ok(())
}
