//! Runs one of the workloads: `lab chain --records 1000000`.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};
use flott::{Environment, ExecutionMode};
use flott_lab::{chain, churn, keyed_sum, latency, shuffle, state, trivial, window_sum, wordcount};

flott::allocator!();

/// The workloads of docs/performance.md.
#[derive(Parser)]
#[command(name = "lab")]
struct Arguments {
    /// Sets a configuration key of the job
    #[arg(short = 'D', value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Subcommand)]
enum Workload {
    /// Generator, map, filter, map, discard
    Chain {
        #[arg(long, default_value_t = 100_000_000)]
        records: u64,
    },
    /// Words of a text, split at spaces and counted
    Wordcount {
        /// File or directory
        #[arg(long)]
        input: PathBuf,
        #[arg(long, value_enum, default_value_t = Mode::Streaming)]
        mode: Mode,
    },
    /// A running sum per key over a generator
    KeyedSum {
        #[arg(long, default_value_t = 50_000_000)]
        records: u64,
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        keys: u64,
    },
    /// Generator, by key to all subtasks, discard
    Shuffle {
        #[arg(long, default_value_t = 50_000_000)]
        records: u64,
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        keys: u64,
    },
    /// Age of records behind a hop by key
    Latency {
        /// Records per second
        #[arg(long, default_value_t = 50_000)]
        rate: u64,
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
        keys: u64,
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// Seconds that do not count
        #[arg(long, default_value_t = 10)]
        warm_up: u64,
        /// Directory for the histogram
        #[arg(long)]
        output: PathBuf,
    },
    /// A sum per key and window of event time over a generator
    WindowSum {
        #[arg(long, default_value_t = 20_000_000)]
        records: u64,
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        keys: u64,
        /// Records in a millisecond of event time
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
        per_ms: u64,
        /// Milliseconds of a window
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
        size: u64,
        /// Milliseconds from one window to the next; that of a window if it is not given
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
        slide: Option<u64>,
    },
    /// Keys that come and go, under what holds state per key
    Churn {
        #[arg(long, value_enum)]
        shape: churn::Shape,
        #[arg(long, default_value_t = 10_000_000)]
        records: u64,
        /// Keys that live at the same time
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
        keys: u64,
        /// Records of a key, on average
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
        per_key: u64,
    },
    /// A value of some bytes per key, for what snapshots and restarts cost; runs until it is ended
    State {
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        keys: u64,
        /// Bytes of each value
        #[arg(long, default_value_t = 1_000)]
        bytes: usize,
        /// Values that are replaced in a second
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
        rate: u64,
        /// Directory for lines that tell when records were seen
        #[arg(long)]
        beats: PathBuf,
    },
    /// Ten numbers
    Trivial,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Streaming,
    Batch,
}

impl From<Mode> for ExecutionMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Streaming => Self::Streaming,
            Mode::Batch => Self::Batch,
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

fn main() -> anyhow::Result<()> {
    let Arguments { settings, workload } = Arguments::parse();
    let env = Environment::new();
    for (key, value) in settings {
        env.configure(key, value);
    }
    let name = match workload {
        Workload::Chain { records } => {
            chain::plan(&env, records);
            "chain"
        }
        Workload::Wordcount { input, mode } => {
            wordcount::plan(&env, input, mode.into());
            "wordcount"
        }
        Workload::KeyedSum { records, keys } => {
            keyed_sum::plan(&env, records, keys);
            "keyed sum"
        }
        Workload::Shuffle { records, keys } => {
            shuffle::plan(&env, records, keys);
            "shuffle"
        }
        Workload::Latency { rate, keys, seconds, warm_up, output } => {
            let (duration, warm_up) = (Duration::from_secs(seconds), Duration::from_secs(warm_up));
            latency::plan(&env, latency::Options { rate, keys, duration, warm_up, output });
            "latency"
        }
        Workload::WindowSum { records, keys, per_ms, size, slide } => {
            let slide = Duration::from_millis(slide.unwrap_or(size));
            let size = Duration::from_millis(size);
            window_sum::plan(&env, window_sum::Options { records, keys, per_ms, size, slide });
            "window sum"
        }
        Workload::Churn { shape, records, keys, per_key } => {
            churn::plan(&env, churn::Options { records, keys, per_key, shape });
            "churn"
        }
        Workload::State { keys, bytes, rate, beats } => {
            state::plan(&env, state::Options { keys, bytes, rate, beats });
            "state"
        }
        Workload::Trivial => {
            trivial::plan(&env);
            "trivial"
        }
    };
    env.execute(name)?;
    Ok(())
}
