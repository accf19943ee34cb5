//! Resident memory of daemons that do nothing, before and after some jobs; and the size of the binary.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use super::{
    Bench, Workload,
    cluster::{Cluster, Shape},
    flink::{self, FlinkCluster},
    interrupt, process,
    rest::{Client, PAUSE, Program, SHORT_PAUSE},
    runs::{FLOTT, Line, Run},
    submit::{timed, trivial},
    usage::Meter,
};

/// How long daemons are left alone before they are looked at.
const CALM: Duration = Duration::from_secs(2);
const SHAPE: Shape = Shape { workers: 1, slots: 1 };

/// Looks at one JobManager and one TaskManager.
pub fn measure(bench: &Bench) -> anyhow::Result<()> {
    let name = Workload::IdleMemory.name();
    let records = u64::from(bench.sizes.jobs);
    let mut flott = Line::new(FLOTT, &name, 1, records);
    let mut other = Line::new(flink::FLINK, &name, 1, records);
    for _ in 0..bench.repeat {
        let cluster = Cluster::start(&bench.binaries, SHAPE)?;
        let (client, pids) = (cluster.client(), (cluster.worker_pids(), vec![cluster.jobmanager_pid()]));
        let mut run = look(bench.sizes.jobs, client, pids, || Ok(trivial(client.upload(&bench.binaries.lab)?)))?;
        run.more.insert("flott_stripped_bytes", stripped(&bench.binaries.flott, cluster.folder())?);
        flott.add(run);
        if let Some(flink) = &bench.flink {
            other.add(on_flink(bench, &flink.up(SHAPE)?)?);
        }
    }
    bench.print(&flott, bench.flink.is_some().then_some(&other));
    Ok(())
}

fn on_flink(bench: &Bench, flink: &FlinkCluster<'_>) -> anyhow::Result<Run> {
    let client = flink.client()?;
    look(bench.sizes.jobs, &client, (flink.pids("tm")?, flink.pids("jm")?), || flink.trivial(&client))
}

/// Looks before anything is asked of them, and again after `jobs` runs of what `upload` gives.
fn look(
    jobs: u32,
    client: &Client,
    (workers, jobmanagers): (Vec<i32>, Vec<i32>),
    upload: impl FnOnce() -> anyhow::Result<Program>,
) -> anyhow::Result<Run> {
    let resident = |pids: &[i32]| -> anyhow::Result<f64> {
        pids.iter()
            .map(|pid| process::resident_bytes(*pid).map(|bytes| bytes as f64))
            .sum::<Option<f64>>()
            .context("a daemon has ended")
    };
    let began = Instant::now();
    let mut meter = Meter::start(workers.clone(), jobmanagers.clone())?;
    calm()?;
    let mut run = Run::default();
    run.more.insert("jobmanager_rss_bytes", resident(&jobmanagers)?);
    run.more.insert("taskmanager_rss_bytes", resident(&workers)?);
    let program = upload()?;
    for _ in 0..jobs {
        let job = client.run(&program)?;
        client.finished(&job, SHORT_PAUSE, || ())?;
        meter.look();
    }
    calm()?;
    run.more.insert("jobmanager_rss_after_jobs_bytes", resident(&jobmanagers)?);
    run.more.insert("taskmanager_rss_after_jobs_bytes", resident(&workers)?);
    let usage = meter.stop()?;
    run.seconds = began.elapsed().as_secs_f64();
    run.cpu_seconds = usage.cpu_seconds;
    run.other_cpu_seconds = usage.other_cpu_seconds;
    run.peak_rss_bytes = usage.peak_rss_bytes;
    Ok(run)
}

fn calm() -> anyhow::Result<()> {
    let until = Instant::now() + CALM;
    while Instant::now() < until {
        interrupt::check()?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Bytes of the binary without symbols.
fn stripped(binary: &Path, folder: &Path) -> anyhow::Result<f64> {
    let out = folder.join("stripped");
    let mut command = Command::new("strip");
    command.arg("-o").arg(&out).arg(binary);
    timed(command, folder)?;
    let bytes = fs::metadata(&out).with_context(|| format!("{} is not there", out.display()))?.len();
    ensure!(bytes > 0, "strip has left nothing");
    Ok(bytes as f64)
}
