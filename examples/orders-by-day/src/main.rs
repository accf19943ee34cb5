//! Writes orders to a directory for each day and country, as CSV, JSON lines or Parquet.
//!
//! Orders of a day and country go to one subtask, so that each directory has few files. With checkpoints they appear while the
//! job runs; each is there once, whatever fails.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use flott::{Environment, ExecutionMode, FileSink, GeneratorSource, PartitionPath, WatermarkStrategy};
use flott_parquet::Parquet;
use serde::{Deserialize, Serialize};

flott::allocator!();

#[derive(Parser)]
#[command(version, about = "Writes generated orders to files by day and country: dt=2026-11-25/country=de/part-…")]
struct Arguments {
    /// Directory to write to
    #[arg(long, value_name = "DIR")]
    output: PathBuf,

    /// How orders are written
    #[arg(long, default_value = "csv")]
    format: Format,

    /// How many orders
    #[arg(long, default_value_t = 10_000)]
    records: u64,

    /// Orders per second; as fast as can be without it
    #[arg(long)]
    rate: Option<f64>,

    /// Mebibytes at which a file is complete before the next checkpoint
    #[arg(long, value_name = "MIB", default_value_t = 128)]
    roll: u64,

    /// One result at the end, without checkpoints
    #[arg(long)]
    batch: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Json,
    Parquet,
}

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    number: u64,
    /// Milliseconds since 1970.
    placed: i64,
    country: String,
    cents: u64,
    note: Option<String>,
}

const COUNTRIES: [&str; 4] = ["de", "fr", "nl", "pl"];

/// 2026-11-23, 00:00 UTC.
const MONDAY: i64 = 1_795_392_000_000;

/// Milliseconds.
const DAY: i64 = 86_400_000;

/// Order `number`, one each minute.
fn order(number: u64) -> Order {
    Order {
        number,
        placed: MONDAY + number as i64 * 60_000,
        country: COUNTRIES[(number % 7 % 4) as usize].to_owned(),
        cents: 100 + number * 7_919 % 10_000,
        note: number.is_multiple_of(10).then(|| "gift, \"wrapped\"".to_owned()),
    }
}

fn main() -> anyhow::Result<()> {
    let Arguments { output, format, records, rate, roll, batch } = Arguments::parse();
    let env = Environment::new();
    if batch {
        env.set_mode(ExecutionMode::Batch);
    }
    let source = GeneratorSource::new(records, order);
    let source = rate.into_iter().fold(source, GeneratorSource::rate);
    let placed = WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|order: &Order| order.placed);
    let orders = env.generator(source).assign_timestamps_and_watermarks(placed).name("orders");

    let sink = match format {
        Format::Csv => FileSink::csv(output),
        Format::Json => FileSink::json_lines(output),
        Format::Parquet => FileSink::new(output, Parquet::new()?),
    };
    let sink = sink
        .partitioned_by(|order: &Order, path: &mut PartitionPath| {
            path.day(order.placed).key("country", &order.country);
        })
        .roll_at_bytes(roll << 20);
    // All orders of a directory to one subtask.
    let spread = orders.partition_custom(|order, subtasks| {
        let (day, country) = (order.placed.div_euclid(DAY), order.country.bytes().map(u64::from).sum::<u64>());
        ((day as u64).wrapping_add(country) % u64::from(subtasks)) as u32
    });
    spread.write_files(sink).name("files");
    env.execute("OrdersByDay")?;
    Ok(())
}
