//! From exec to the first answer, and to the first worker.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Bench, Workload,
    build::Binaries,
    cluster::{self, Daemon, Shape},
    flink, interrupt, process,
    rest::SHORT_PAUSE,
    runs::{FLOTT, Line, Run},
    submit::timed,
};

const WORKER_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts clusters, one after the other.
pub fn measure(bench: &Bench) -> anyhow::Result<()> {
    let name = Workload::ColdStart.name();
    let mut flott = Line::new(FLOTT, &name, 1, 1);
    let mut other = Line::new(flink::FLINK, &name, 1, 1);
    for _ in 0..bench.repeat {
        let mut run = start(&bench.binaries)?;
        run.more.insert("session_start_seconds", session(&bench.binaries)?);
        flott.add(run);
        if let Some(flink) = &bench.flink {
            other.add(flink.up(Shape { workers: 1, slots: 1 })?.start_run());
        }
    }
    bench.print(&flott, bench.flink.is_some().then_some(&other));
    Ok(())
}

/// A JobManager that has one worker started at once.
fn start(binaries: &Binaries) -> anyhow::Result<Run> {
    let folder = cluster::state_folder()?;
    let command = cluster::jobmanager(binaries, folder.path(), &["slotmanager.number-of-slots.min=1"]);
    let began = Instant::now();
    let jobmanager = Daemon::start(command, folder.path(), "jobmanager")?;
    let measured = first_worker(&jobmanager, folder.path(), began);
    end(jobmanager);
    measured
}

fn first_worker(jobmanager: &Daemon, folder: &Path, began: Instant) -> anyhow::Result<Run> {
    let client = cluster::first_answer(jobmanager, folder)?;
    let first_answer = began.elapsed().as_secs_f64();
    interrupt::wait_for("the first worker", WORKER_TIMEOUT, SHORT_PAUSE, || {
        jobmanager.must_run()?;
        Ok((client.get("/overview")?["taskmanagers"].as_u64() >= Some(1)).then_some(()))
    })?;
    let first_worker = began.elapsed().as_secs_f64();
    let below = process::cpu_below(jobmanager.pid())?;
    let peaks = process::descendants(jobmanager.pid()).into_iter().filter_map(process::peak_bytes);
    Ok(Run {
        seconds: first_worker,
        cpu_seconds: below,
        other_cpu_seconds: process::cpu_of_tree(jobmanager.pid())? - below,
        peak_rss_bytes: peaks.max().unwrap_or(0),
        more: BTreeMap::from([("first_rest_seconds", first_answer), ("one_worker_seconds", first_worker)]),
    })
}

/// Ends a JobManager, and the workers that it has started.
fn end(mut jobmanager: Daemon) {
    let all = process::descendants(jobmanager.pid());
    jobmanager.end();
    process::end(&all);
}

/// `flott session start` with a worker, as a user sees it: until the command returns.
fn session(binaries: &Binaries) -> anyhow::Result<f64> {
    let folder = cluster::state_folder()?;
    let command = |arguments: &[&str]| {
        let mut command = cluster::flott(binaries, folder.path());
        command.arg("session").args(arguments);
        command
    };
    let before = process::descendants(std::process::id() as i32);
    let started = timed(command(&["start", "-n", "1", "-s", "1", "-D", "rest.port=0"]), folder.path());
    let stopped = timed(command(&["stop"]), folder.path());
    let left = process::descendants(std::process::id() as i32).difference(&before).copied().collect();
    if !process::gone(&left, WORKER_TIMEOUT) {
        process::end(&left);
    }
    stopped.and(started)
}
