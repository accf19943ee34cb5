//! Measures the deployment of ten thousand subtasks in the simulation; prints one JSON line.

use anyhow::{Context, Result, anyhow};
use flott_tests::simulation::{Deployed, deploy_10k};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

fn main() -> Result<()> {
    let Deployed { subtasks, workers, seconds, simulated_ms, happenings } = deploy_10k().map_err(|why| anyhow!(why))?;
    let usage = getrusage(UsageWho::RUSAGE_SELF).context("cannot read the usage of this process")?;
    let cpu_seconds = (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6;
    let line = serde_json::json!({
        "workload": "deploy-10k",
        "parallelism": subtasks / 2,
        "records": subtasks,
        "seconds": seconds,
        "records_per_second": f64::from(subtasks) / seconds,
        // The registration of the workers included.
        "cpu_seconds": cpu_seconds,
        "cpu_us_per_record": cpu_seconds * 1e6 / f64::from(subtasks),
        "peak_rss_bytes": usage.max_rss() * 1024,
        "workers": workers,
        "simulated_ms": simulated_ms,
        "happenings": happenings,
    });
    println!("{line}");
    Ok(())
}
