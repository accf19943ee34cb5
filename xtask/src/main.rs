//! Checks, generated references, generated input, benchmarks and chaos: `cargo xtask`.
//!
//! # Layout
//! - [`layers`]: whether the crates keep to the floors of the house
//! - [`docs`]: reference pages that are made from declarations
//! - [`words`]: synthetic text of any size
//! - [`mod@bench`]: workloads on real clusters, measured
//! - [`chaos`]: real clusters whose processes are killed by a plan
//! - [`kafka`]: a broker to try things with
//! - [`kubernetes`]: real Kubernetes control planes, by hand
//! - [`workspace`]: where the workspace is, and what Cargo says of it

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use flott_core::units::ByteSize;

mod bench;
mod chaos;
mod docs;
mod kafka;
mod kubernetes;
mod layers;
mod words;
mod workspace;

/// Checks, generated references, generated input and benchmarks.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check that the crates of the workspace depend on one another as the floors allow
    Layers,
    /// Write the generated reference pages
    Docs {
        /// Write nothing; fail if a page is not what would be written
        #[arg(long)]
        check: bool,
    },
    /// Write synthetic text: words of a Zipf distribution, ten to a line
    Words {
        /// File to write; it appears when it is whole
        #[arg(long)]
        out: PathBuf,
        /// Most bytes to write, as a number or as `100 mb`; the text ends with the last whole line below
        #[arg(long)]
        bytes: ByteSize,
        /// Another seed gives another text
        #[arg(long, default_value_t = words::SEED)]
        seed: u64,
    },
    /// Measure workloads on real clusters of release builds, and print a JSON line each
    Bench(bench::Options),
    /// Kill and stop processes of real clusters by plans that are drawn from seeds, and compare results with clean runs
    Chaos(chaos::Options),
    /// Start and stop a Kafka broker of this workspace, on loopback
    Kafka {
        #[command(subcommand)]
        task: kafka::Task,
    },
    /// Build, start and end a real Kubernetes with nodes that run containers as processes
    Kubernetes(kubernetes::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Layers => layers::run(),
        Task::Docs { check } => docs::run(check),
        Task::Words { out, bytes, seed } => words::run(&out, bytes, seed),
        Task::Bench(options) => bench::run(options),
        Task::Chaos(options) => chaos::run(&options),
        Task::Kafka { task } => kafka::run(&task),
        Task::Kubernetes(options) => kubernetes::run(options),
    }
}
