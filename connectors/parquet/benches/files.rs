//! CPU per record of file sinks, beside a sink that drops all: `cargo bench -p flott-parquet --bench files [-- SINK…]`.
//!
//! `FLOTT_BENCH_RECORDS` sets the records of a run, `FLOTT_BENCH_RUNS` the runs, of which the least CPU is printed. One subtask,
//! batch mode, so one flush to the disk for each file; CPU is that of the whole process by `getrusage`, kernel included, and
//! generator too: the line `discard` is that without a file.
//!
//! # The arithmetic
//! A record is a number, a text of some eight bytes, a float and a flag, some 40 bytes as CSV: on a core of 2.5 GHz a float takes
//! 50 to 80 ns to print, the integers 10 ns each, quoting a look at each byte. The kernel copies 40 bytes to its cache in 10 ns and a
//! page fault for each 4 KB of them is 5 ns. A partition that a record comes to is named (30 ns) and looked up (20 ns).

use std::{path::Path, time::Duration};

use flott::{Csv, Environment, ExecutionMode, FileSink, PartitionPath};
use flott_parquet::{Compression, Parquet};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

flott::allocator!();

#[derive(Clone, Serialize, Deserialize)]
struct Trade {
    number: u64,
    symbol: flott::Text,
    price: f64,
    is_sale: bool,
}

impl std::fmt::Display for Trade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { number, symbol, price, is_sale } = self;
        write!(f, "{number} {symbol} {price} {is_sale}")
    }
}

const SYMBOLS: [&str; 8] = ["AAA.X", "BBBB.X", "CCCCC.Y", "D.Y", "EE.Z", "FFFFFFF.Z", "GGG.X", "HHHHHHHH.Y"];

fn trade(number: u64) -> Trade {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    Trade {
        number,
        symbol: SYMBOLS[(mixed % 8) as usize].into(),
        price: (mixed % 1_000_000) as f64 / 100.0,
        is_sale: mixed & 1 == 0,
    }
}

type MakeSink = fn(&Path) -> FileSink<Trade>;

fn parquet(compression: Compression) -> Parquet<Trade> {
    Parquet::new().expect("a trade has columns").compression(compression)
}

fn by_symbol(trade: &Trade, path: &mut PartitionPath) {
    path.key("symbol", &trade.symbol);
}

const SINKS: [(&str, Option<MakeSink>); 9] = [
    ("discard", None),
    ("text", Some(|path| FileSink::text(path))),
    ("json", Some(|path| FileSink::json_lines(path))),
    ("csv", Some(|path| FileSink::csv(path))),
    ("csv-no-header", Some(|path| FileSink::new(path, Csv::new().header(false)))),
    ("csv-8-partitions", Some(|path| FileSink::csv(path).partitioned_by(by_symbol))),
    ("parquet", Some(|path| FileSink::new(path, parquet(Compression::None)))),
    ("parquet-snappy", Some(|path| FileSink::new(path, parquet(Compression::Snappy)))),
    ("parquet-8-partitions", Some(|path| FileSink::new(path, parquet(Compression::Snappy)).partitioned_by(by_symbol))),
];

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process's usage");
    let time =
        |time: nix::sys::time::TimeVal| Duration::from_micros(time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64);
    time(usage.user_time()) + time(usage.system_time())
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { bytes(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) })
        .sum()
}

fn run(records: u64, make: Option<MakeSink>) -> (Duration, u64) {
    let directory = tempfile::tempdir().expect("a directory for files");
    let env = Environment::local();
    env.set_mode(ExecutionMode::Batch);
    env.set_parallelism(1);
    let trades = env.generate(records, trade);
    match make {
        None => trades.discard(),
        Some(make) => trades.write_files(make(directory.path())),
    };
    let before = cpu();
    env.execute("files").expect("the job runs");
    (cpu() - before, bytes(directory.path()))
}

fn main() {
    let (records, runs) = (setting("FLOTT_BENCH_RECORDS", 5_000_000), setting("FLOTT_BENCH_RUNS", 3));
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    println!("{records} records, least CPU of {runs} runs");
    for (name, make) in SINKS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let (time, bytes) = (0..runs).map(|_| run(records, make)).min().expect("at least one run");
        let nanos = time.as_nanos() as f64 / records as f64;
        let megabytes = bytes as f64 / 1e6;
        println!(
            "{name:22} {nanos:8.1} ns/record {:6.1} bytes/record {:8.0} MB/s of CPU",
            bytes as f64 / records as f64,
            megabytes / time.as_secs_f64()
        );
    }
}
