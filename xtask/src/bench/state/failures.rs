//! SIGKILL of a TaskManager, with room on another and with a replacement, and of the JobManager.

use std::{collections::BTreeSet, thread, time::Duration};

use anyhow::{Context, ensure};

use super::{job::StateJob, now_us, seconds};
use crate::bench::{
    Bench, Workload,
    cluster::{Cluster, Shape},
    interrupt,
    rest::{PAUSE, SHORT_PAUSE},
    runs::{FLOTT, Line, Run},
};

const PARALLELISM: u32 = 2;
const TIMEOUT: Duration = Duration::from_secs(120);
/// How long the job runs before something is killed: some checkpoints.
const CALM: Duration = Duration::from_secs(3);

/// Measures each of the deaths on a cluster of its own.
pub fn measure(bench: &Bench) -> anyhow::Result<()> {
    let mut line = Line::new(FLOTT, &Workload::Failures.name(), PARALLELISM, bench.sizes.state_keys);
    for _ in 0..bench.repeat {
        let mut run = Run::default();
        // Twice as many slots as are needed, all on two TaskManagers; and just as many.
        let room = taskmanager(bench, Shape { workers: 2, slots: PARALLELISM })?;
        let none = taskmanager(bench, Shape { workers: 2, slots: PARALLELISM / 2 })?;
        run.more.insert("taskmanager_killed_first_record_seconds", room);
        run.more.insert("taskmanager_replaced_first_record_seconds", none);
        let (running, gap) = jobmanager(bench)?;
        run.more.insert("jobmanager_killed_running_seconds", running);
        run.more.insert("jobmanager_killed_longest_gap_seconds", gap);
        run.seconds = room;
        line.add(run);
    }
    bench.print(&line, None);
    Ok(())
}

/// A job that runs and takes a checkpoint every second, and its cluster.
fn running(bench: &Bench, shape: Shape) -> anyhow::Result<(Cluster, StateJob)> {
    let memory = format!("taskmanager.memory.process.size={} b", bench.sizes.state_memory());
    let cluster = Cluster::start_with(&bench.binaries, shape, &["execution.checkpointing.interval=1s", &memory])?;
    let job = StateJob::start(bench, cluster.client(), &cluster.folder().join("beats"), PARALLELISM)?;
    thread::sleep(CALM);
    interrupt::wait_for("a checkpoint", TIMEOUT, PAUSE, || {
        let taken = cluster.client().get(&job.path("/checkpoints"))?;
        Ok((taken["counts"]["completed"].as_u64() > Some(1)).then_some(()))
    })?;
    Ok((cluster, job))
}

/// From SIGKILL of a TaskManager with a task of the vertex until a task that has taken its place sees a record.
fn taskmanager(bench: &Bench, shape: Shape) -> anyhow::Result<f64> {
    let (mut cluster, job) = running(bench, shape)?;
    let vertex = cluster.client().get(&job.path(&format!("/vertices/{}", job.vertex)))?;
    let worker = vertex["subtasks"][0]["taskmanager-id"].as_str().context("the subtask is on no TaskManager")?;
    let old = job.beats.attempts()?;
    let killed = now_us()?;
    cluster.kill_worker(worker)?;
    if shape.slots < PARALLELISM {
        cluster.add_worker(&bench.binaries)?;
    }
    let first = interrupt::wait_for("the first records behind the death", TIMEOUT, SHORT_PAUSE, || {
        job.beats.first_of_others(&old, 1)
    })?;
    Ok(seconds(killed, first))
}

/// From SIGKILL of the JobManager until the one that is started at once says that all tasks run, and the longest that a
/// task saw no record meanwhile.
fn jobmanager(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    let (mut cluster, job) = running(bench, Shape { workers: 1, slots: PARALLELISM })?;
    let old: BTreeSet<String> = job.beats.attempts()?;
    let killed = now_us()?;
    cluster.restart_jobmanager(&bench.binaries)?;
    job.all_run(cluster.client(), PARALLELISM)?;
    let runs = now_us()?;
    thread::sleep(CALM);
    ensure!(job.beats.attempts()? == old, "tasks were started again");
    Ok((seconds(killed, runs), job.beats.longest_gap(killed, now_us()?)? as f64 / 1e6))
}
