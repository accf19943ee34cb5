//! Ten thousand subtasks deployed in the simulation of a cluster, by the program of that name.

use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{
    Bench, Workload, cluster,
    runs::{FLOTT, Line, Run},
    submit::captured,
};

/// What the program prints.
#[derive(Deserialize)]
struct Deployed {
    parallelism: u32,
    records: u64,
    seconds: f64,
    cpu_seconds: f64,
    peak_rss_bytes: u64,
}

/// Runs the simulation; there are no workers, so CPU and memory are those of its one process.
pub fn measure(bench: &Bench) -> anyhow::Result<()> {
    let folder = cluster::state_folder()?;
    let mut line: Option<Line> = None;
    for _ in 0..bench.repeat {
        let said = captured(Command::new(&bench.binaries.deploy), folder.path())?;
        let last = said.lines().last().unwrap_or_default();
        let deployed: Deployed = serde_json::from_str(last).with_context(|| format!("{last:?} has no figures"))?;
        let Deployed { parallelism, records, seconds, cpu_seconds, peak_rss_bytes } = deployed;
        ensure!(records > 0, "the simulation has deployed nothing");
        let line = line.get_or_insert_with(|| Line::new(FLOTT, &Workload::Deploy10k.name(), parallelism, records));
        line.add(Run { seconds, cpu_seconds, peak_rss_bytes, ..Run::default() });
    }
    let line = line.context("no run")?;
    bench.print(&line, None);
    Ok(())
}
