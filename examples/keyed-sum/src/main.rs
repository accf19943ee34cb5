//! A running sum per key over generated records.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use flott::{Environment, ExecutionMode, GeneratorSource};

flott::allocator!();

#[derive(Parser)]
#[command(version, about = "Sums generated numbers per key: record n adds n to key n modulo the number of keys")]
struct Arguments {
    /// How many records
    #[arg(long, default_value_t = 10_000_000)]
    records: u64,

    /// How many keys
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,

    /// Records per second, all subtasks together; without it, as many as can be
    #[arg(long)]
    rate: Option<f64>,

    /// Directory for lines `key sum`; without one, results are dropped
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Each running sum, or one final sum per key; without it, what the job is configured with
    #[arg(long)]
    mode: Option<Mode>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Streaming,
    Batch,
}

fn main() -> anyhow::Result<()> {
    let Arguments { records, keys, rate, output, mode } = Arguments::parse();
    let env = Environment::new();
    match mode {
        Some(Mode::Streaming) => env.set_mode(ExecutionMode::Streaming),
        Some(Mode::Batch) => env.set_mode(ExecutionMode::Batch),
        None => {}
    }
    let mut generator = GeneratorSource::new(records, move |number| (number % keys, number));
    if let Some(rate) = rate {
        anyhow::ensure!(rate.is_finite() && rate > 0.0, "--rate must be a positive number, not {rate}");
        generator = generator.rate(rate);
    }
    let sums = env.generator(generator).key_by(|(key, _)| *key).sum(|(_, number)| *number).name("sum");
    match output {
        Some(directory) => sums.map(|(key, sum)| format!("{key} {sum}")).name("format").write_text(directory),
        None => sums.discard(),
    };
    env.execute("Keyed Sum")?;
    Ok(())
}
