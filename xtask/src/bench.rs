//! Workloads on real clusters of release builds, a JSON line each: `cargo xtask bench [NAME…]`.
//!
//! Every cluster is a JobManager and TaskManagers of its own, on free ports, in a state directory that goes when the run
//! ends, however it ends. What is measured is written in docs/performance.md.
//!
//! # Layout
//! - [`Workload`]: what can be measured
//! - `sizes`: how much of it
//! - `build`: the binaries
//! - `cluster`, `rest`: a cluster, and what it is asked
//! - `process`, `usage`: what processes have used
//! - `runs`: repeated runs, their medians, the line
//! - `state`: snapshots and failures of a job with much state
//! - `throughput`, `nexmark`, `latency`, `cold_start`, `submit`, `idle`, `deploy`: the workloads
//! - `flink`: the same on Flink, beside
//! - `text`: the input of word counts
//! - `interrupt`: Ctrl-C

mod build;
mod cluster;
mod cold_start;
mod deploy;
mod flink;
mod idle;
mod interrupt;
mod latency;
mod machine;
mod nexmark;
mod process;
mod rest;
mod runs;
mod sizes;
mod state;
mod submit;
mod text;
mod throughput;
mod usage;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use self::{build::Binaries, flink::Flink, runs::Line, sizes::Sizes};

/// What is measured, how much of it, and beside what.
#[derive(Args)]
pub struct Options {
    /// Workloads; all when none is named
    #[arg(value_name = "NAME")]
    workloads: Vec<Workload>,
    /// Size of the workloads: 1 for figures that count, 0.01 for a look whether all works
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Runs of each workload; the line has the medians
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Subtasks, instead of each workload's own choice
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    parallelism: Option<u32>,
    /// Nexmark queries, as q0; all when none is named
    #[arg(short, long = "query", value_name = "QUERY")]
    queries: Vec<String>,
    /// Measures the release builds that are there, whatever they were built from
    #[arg(long)]
    no_build: bool,
    /// Runs each workload on this engine too, in turn, and prints the ratio
    #[arg(long, value_enum, requires = "flink_lab")]
    against: Option<Engine>,
    /// Directory of the script `flink.sh` and its jobs; the environment variable LAB says where they are built
    #[arg(long, value_name = "DIR")]
    flink_lab: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Engine {
    Flink,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// Map, filter, map over a generator
    Chain,
    /// Words of a generated text, running counts
    Wordcount,
    /// Words of a generated text, final counts
    WordcountBatch,
    /// Running sum over a million keys
    KeyedSum,
    /// Records by key between two TaskManagers
    Shuffle,
    /// Sums per key in windows of ten seconds of event time, of a million and of ten thousand keys
    WindowSum,
    /// The same in windows of an hour that slide by a second, and in windows that do not slide
    WindowSliding,
    /// Sums per key in windows, without checkpoints and with one every second
    CheckpointCost,
    /// Checkpoints, rescale, stop with a savepoint and restore of a gigabyte
    Snapshots,
    /// The same with the state on disk, and a tenth of it in memory
    SnapshotsDisk,
    /// SIGKILL of TaskManagers and of the JobManager, a gigabyte of state
    Failures,
    /// The Nexmark queries
    Nexmark,
    /// Age of records behind a hop by key
    Latency,
    /// From exec to the first answer, and to the first worker
    ColdStart,
    /// A trivial job, from its submission to its end
    Submit,
    /// Resident memory of daemons that do nothing
    IdleMemory,
    /// Ten thousand subtasks in the simulation
    #[value(name = "deploy-10k")]
    Deploy10k,
}

/// What all workloads get.
struct Bench {
    binaries: Binaries,
    sizes: Sizes,
    repeat: u32,
    parallelism: Option<u32>,
    queries: Vec<String>,
    flink: Option<Flink>,
}

/// Builds, measures, prints.
pub fn run(options: Options) -> anyhow::Result<()> {
    ensure!(options.scale.is_finite() && options.scale > 0.0, "--scale must be a positive number");
    interrupt::watch()?;
    process::adopt_orphans()?;
    let root = crate::workspace::root()?;
    let flink = match (options.against, options.flink_lab) {
        (Some(Engine::Flink), Some(lab)) => Some(Flink::at(&lab)?),
        _ => None,
    };
    let workloads = if options.workloads.is_empty() { Workload::value_variants() } else { &options.workloads };
    let parts = build::Parts {
        simulation: workloads.contains(&Workload::Deploy10k),
        nexmark: workloads.contains(&Workload::Nexmark),
    };
    if !options.no_build {
        build::release(&root, parts)?;
    }
    let binaries = build::present(&root, parts)?;
    eprintln!("{}", machine::describe(&root));
    let sizes = Sizes::scaled(options.scale);
    let bench = Bench {
        binaries,
        sizes,
        repeat: options.repeat,
        parallelism: options.parallelism,
        queries: options.queries,
        flink,
    };
    let outcome = bench.all(workloads);
    // Only what a failure has left; what went well has ended what it started.
    process::sweep();
    outcome
}

impl Workload {
    /// The name on the command line and in the lines.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Bench {
    fn all(&self, workloads: &[Workload]) -> anyhow::Result<()> {
        let mut failed = Vec::new();
        for workload in workloads {
            let name = workload.name();
            eprintln!("{name} …");
            let measured = self.measure(*workload);
            // A workload that cannot be measured does not keep the others from it; an interrupt does.
            interrupt::check()?;
            if let Err(error) = measured.with_context(|| name.clone()) {
                eprintln!("error: {error:#}");
                failed.push(name);
            }
        }
        ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
        Ok(())
    }

    fn measure(&self, workload: Workload) -> anyhow::Result<()> {
        match workload {
            Workload::Chain
            | Workload::Wordcount
            | Workload::WordcountBatch
            | Workload::KeyedSum
            | Workload::Shuffle
            | Workload::WindowSum
            | Workload::WindowSliding
            | Workload::CheckpointCost => throughput::measure(self, workload),
            Workload::Snapshots | Workload::SnapshotsDisk => state::snapshots::measure(self, workload),
            Workload::Failures => state::failures::measure(self),
            Workload::Nexmark => nexmark::measure(self),
            Workload::Latency => latency::measure(self),
            Workload::ColdStart => cold_start::measure(self),
            Workload::Submit => submit::measure(self),
            Workload::IdleMemory => idle::measure(self),
            Workload::Deploy10k => deploy::measure(self),
        }
    }

    /// Prints the lines of one configuration of a workload, and their ratio where there are two.
    fn print(&self, flott: &Line, other: Option<&Line>) {
        println!("{}", flott.json());
        if let Some(other) = other {
            println!("{}", other.json());
            println!("{}", runs::ratio(flott, other));
        }
    }
}
