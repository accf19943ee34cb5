//! Checkpoints of all and of little, a rescale, a stop with a savepoint, a restore.

use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};

use super::{job::StateJob, now_us, seconds};
use crate::bench::{
    Bench, Workload,
    cluster::{Cluster, Shape},
    interrupt,
    rest::{Client, SHORT_PAUSE},
    runs::{FLOTT, Line, Run, median},
};

const SHAPE: Shape = Shape { workers: 1, slots: 4 };
const PARALLELISM: u32 = 2;
const RESCALED: u32 = 4;
/// Between two checkpoints, in which a hundredth of the values is replaced.
const BETWEEN: Duration = Duration::from_secs(1);
const INCREMENTS: usize = 5;
/// Less is refused.
const LEAST_ON_DISK: u64 = 1 << 20;
const FIRST_RECORD_TIMEOUT: Duration = Duration::from_secs(120);

/// Measures all of them, one after the other, on one job; the workload says where its state is.
pub fn measure(bench: &Bench, workload: Workload) -> anyhow::Result<()> {
    let mut line = Line::new(FLOTT, &workload.name(), PARALLELISM, bench.sizes.state_keys);
    let slots = u64::from(SHAPE.workers * SHAPE.slots);
    let memory = (bench.sizes.state_of_job() / 10 / slots).max(LEAST_ON_DISK);
    let memory = format!("state.backend.disk.memory.fixed-per-slot={memory} b");
    let backend: &[&str] = match workload {
        Workload::SnapshotsDisk => &["state.backend.type=disk", &memory],
        _ => &[],
    };
    for _ in 0..bench.repeat {
        line.add(run(bench, backend)?);
    }
    bench.print(&line, None);
    Ok(())
}

fn run(bench: &Bench, backend: &[&str]) -> anyhow::Result<Run> {
    let began = Instant::now();
    let memory = format!("taskmanager.memory.process.size={} b", bench.sizes.state_memory());
    let settings = [&["execution.checkpointing.interval=0", &memory], backend].concat();
    let cluster = Cluster::start_with(&bench.binaries, SHAPE, &settings)?;
    let client = cluster.client();
    let mut job = StateJob::start(bench, client, &cluster.folder().join("beats"), PARALLELISM)?;
    let mut run = Run::default();
    run.more.insert("fill_seconds", began.elapsed().as_secs_f64());

    let whole = checkpoint(client, &job)?;
    run.more.insert("whole_seconds", whole.seconds);
    run.more.insert("whole_bytes", whole.bytes);
    run.more.insert("whole_pause_seconds", whole.pause);
    run.more.insert("whole_longest_gap_seconds", whole.gap);
    let mut increments = Vec::new();
    for _ in 0..INCREMENTS {
        thread::sleep(BETWEEN);
        increments.push(checkpoint(client, &job)?);
    }
    let of = |figure: fn(&Checkpoint) -> f64| median(increments.iter().map(figure).collect());
    run.more.insert("increment_seconds", of(|taken| taken.seconds));
    run.more.insert("increment_bytes", of(|taken| taken.bytes));
    run.more.insert("increment_pause_seconds", of(|taken| taken.pause));
    run.more.insert("increment_longest_gap_seconds", of(|taken| taken.gap));

    let (pause, told) = rescale(client, &job)?;
    run.more.insert("rescale_pause_seconds", pause);
    run.more.insert("rescale_told_pause_seconds", told);

    let (stopped, savepoint) = stop(client, &job, &cluster.folder().join("savepoints").display().to_string())?;
    run.more.insert("stop_with_savepoint_seconds", stopped);

    let (running, first) = restore(client, &mut job, savepoint)?;
    run.more.insert("restore_seconds", running);
    run.more.insert("restore_first_record_seconds", first);
    client.cancel(&job.id)?;
    run.seconds = began.elapsed().as_secs_f64();
    Ok(run)
}

struct Checkpoint {
    /// From its trigger until it is complete, as REST tells.
    seconds: f64,
    /// Written for it.
    bytes: f64,
    /// The longest that a task stood still by its own account, in seconds.
    pause: f64,
    /// The longest that a task saw no record meanwhile, in seconds.
    gap: f64,
}

fn checkpoint(client: &Client, job: &StateJob) -> anyhow::Result<Checkpoint> {
    let from = now_us()?;
    let path = job.path("/checkpoints");
    let done = client.operation(&path, &path, &json!({}))?;
    let to = now_us()?;
    let id = done["checkpointId"].as_u64().context("the checkpoint has no number")?;
    let details = client.get(&format!("{path}/details/{id}"))?;
    let subtasks = client.get(&format!("{path}/details/{id}/subtasks/{}", job.vertex))?;
    let number = |value: &Value, name| value[name].as_f64().with_context(|| format!("the checkpoint has no {name}"));
    Ok(Checkpoint {
        seconds: number(&details, "end_to_end_duration")? / 1e3,
        bytes: number(&details, "checkpointed_size")?,
        pause: number(&subtasks["summary"]["checkpoint_duration"]["sync"], "max")? / 1e3,
        gap: job.beats.longest_gap(from, to)? as f64 / 1e6,
    })
}

/// From the last record before a rescale to the first one behind it, and what REST tells of it.
fn rescale(client: &Client, job: &StateJob) -> anyhow::Result<(f64, f64)> {
    let old = job.beats.attempts()?;
    let path = format!("/flott/v1{}", job.path("/rescales"));
    let done = client.operation(&path, &path, &json!({ "parallelism": RESCALED }))?;
    let told = done["pause-ms"].as_f64().context("the rescale tells no pause")? / 1e3;
    let first = first_record(job, &old, RESCALED)?;
    let all = job.beats.read()?;
    let last = all.iter().filter(|(attempt, _)| old.contains(*attempt)).filter_map(|(_, at)| at.last()).max();
    Ok((seconds(*last.context("no record was seen before the rescale")?, first), told))
}

fn first_record(job: &StateJob, old: &BTreeSet<String>, count: u32) -> anyhow::Result<u64> {
    let what = "the first records of all tasks";
    interrupt::wait_for(what, FIRST_RECORD_TIMEOUT, SHORT_PAUSE, || job.beats.first_of_others(old, count))
}

/// How long a stop takes until the job has ended, and its savepoint.
fn stop(client: &Client, job: &StateJob, folder: &str) -> anyhow::Result<(f64, String)> {
    let began = Instant::now();
    let outcomes = job.path("/savepoints");
    let done = client.operation(&job.path("/stop"), &outcomes, &json!({ "targetDirectory": folder }))?;
    client.finished(&job.id, SHORT_PAUSE, || ())?;
    let savepoint = done["location"].as_str().context("the savepoint has no place")?;
    Ok((began.elapsed().as_secs_f64(), savepoint.to_owned()))
}

/// From the submission until all tasks run, and until the first record is seen.
fn restore(client: &Client, job: &mut StateJob, savepoint: String) -> anyhow::Result<(f64, f64)> {
    // The job before has ended.
    job.beats.forget()?;
    let old = BTreeSet::new();
    job.program.from = Some(savepoint);
    let (began, from) = (Instant::now(), now_us()?);
    job.id = client.run(&job.program)?;
    job.all_run(client, PARALLELISM)?;
    let running = began.elapsed().as_secs_f64();
    Ok((running, seconds(from, first_record(job, &old, 1)?)))
}
