//! Workloads that run as fast as they can: chain, word counts, keyed sum, shuffle.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{
    Bench, Workload,
    cluster::{Cluster, Shape},
    flink,
    rest::{PAUSE, Program},
    runs::{FLOTT, Line, Run},
    text,
    usage::Meter,
};

/// How long the processes of a job that has finished may take to be gone.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// For programs that say themselves whether they want checkpoints; and what runs twice is no measurement.
pub const ONCE: [&str; 2] = ["execution.checkpointing.interval=0", "restart-strategy.type=none"];

/// A job on both engines.
pub struct Job {
    pub name: String,
    pub shape: Shape,
    pub parallelism: u32,
    pub records: u64,
    /// Arguments of `lab`.
    pub arguments: Vec<String>,
    pub flink: FlinkJob,
}

/// The same on Flink.
pub struct FlinkJob {
    pub class: &'static str,
    pub records: u64,
    pub arguments: Vec<String>,
}

/// Measures at each of the workload's parallelisms.
pub fn measure(bench: &Bench, workload: Workload) -> anyhow::Result<()> {
    let own: &[u32] = match workload {
        Workload::KeyedSum => &[1, 2],
        _ => &[2],
    };
    let chosen = bench.parallelism.map(|parallelism| vec![parallelism]);
    for parallelism in chosen.unwrap_or_else(|| own.to_vec()) {
        match workload {
            Workload::WindowSum => {
                for keys in [bench.sizes.keys, bench.sizes.keys / 100] {
                    compare(bench, &window_sum(bench, keys, parallelism))?;
                }
            }
            Workload::CheckpointCost => {
                compare(bench, &checkpointed(bench, None, parallelism))?;
                compare(bench, &checkpointed(bench, Some("1 s"), parallelism))?;
            }
            Workload::WindowSliding => {
                for slide_ms in [1_000, HOUR_MS] {
                    compare(bench, &window_sliding(bench, slide_ms, parallelism))?;
                }
            }
            _ => compare(bench, &job(bench, workload, parallelism)?)?,
        }
    }
    Ok(())
}

const HOUR_MS: u64 = 3_600_000;

/// Sums of a million keys in windows, with checkpoints at an interval or with none.
fn checkpointed(bench: &Bench, interval: Option<&str>, parallelism: u32) -> Job {
    let mut job = window_sum(bench, bench.sizes.keys, parallelism);
    job.name = format!("window-sum-checkpoints-{}", interval.map_or("none", |_| "every-second"));
    let key = "execution.checkpointing.interval";
    // By default there are some.
    job.arguments.splice(0..0, ["-D".to_owned(), format!("{key}={}", interval.unwrap_or("0"))]);
    if let Some(interval) = interval {
        job.flink.arguments.extend([format!("--{key}"), interval.to_owned()]);
    }
    job
}

fn window_sum(bench: &Bench, keys: u64, parallelism: u32) -> Job {
    let (records, n, keys) = (bench.sizes.window_records, bench.sizes.window_records.to_string(), keys.to_string());
    Job {
        name: format!("window-sum-{keys}-keys"),
        shape: Shape { workers: 1, slots: parallelism },
        parallelism,
        records,
        arguments: strings(["window-sum", "--records", &n, "--keys", &keys]),
        flink: FlinkJob { class: "WindowSum", records, arguments: strings(["--n", &n, "--keys", &keys]) },
    }
}

/// A thousand keys over two hours, each more than ten times in a second: windows of 3,600 slices that are all in use.
fn window_sliding(bench: &Bench, slide_ms: u64, parallelism: u32) -> Job {
    let records = bench.sizes.window_records;
    let keys = (bench.sizes.keys / 1_000).to_string();
    let per_ms = (records / (2 * HOUR_MS)).max(1).to_string();
    let (n, size, slide) = (records.to_string(), HOUR_MS.to_string(), slide_ms.to_string());
    Job {
        name: if slide_ms == HOUR_MS { "window-hour".to_owned() } else { "window-hour-by-second".to_owned() },
        shape: Shape { workers: 1, slots: parallelism },
        parallelism,
        records,
        arguments: strings([
            "window-sum",
            "--records",
            &n,
            "--keys",
            &keys,
            "--per-ms",
            &per_ms,
            "--size",
            &size,
            "--slide",
            &slide,
        ]),
        // The lab has no sliding window for Flink; this is its tumbling one.
        flink: FlinkJob {
            class: "WindowSum",
            records,
            arguments: strings(["--n", &n, "--keys", &keys, "--per-ms", &per_ms, "--win", &size]),
        },
    }
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn job(bench: &Bench, workload: Workload, parallelism: u32) -> anyhow::Result<Job> {
    let sizes = &bench.sizes;
    let one_worker = Shape { workers: 1, slots: parallelism };
    let keys = sizes.keys.to_string();
    Ok(match workload {
        Workload::Wordcount | Workload::WordcountBatch => {
            let text = text::of(sizes.text_bytes, &bench.binaries.cache)?;
            let input = text.path.to_str().context("the path of the text is not UTF-8")?;
            let (mode, flink_mode) =
                if workload == Workload::Wordcount { ("streaming", "STREAMING") } else { ("batch", "BATCH") };
            Job {
                name: workload.name(),
                shape: one_worker,
                parallelism,
                records: text.words,
                arguments: strings(["wordcount", "--mode", mode, "--input", input]),
                flink: FlinkJob {
                    class: "WordCount",
                    records: text.words,
                    arguments: strings(["--mode", flink_mode, "--input", input]),
                },
            }
        }
        Workload::KeyedSum => {
            // The nearest that the lab has for Flink is a sum per window, of other records.
            let (records, flink_records) = (sizes.keyed_records, (sizes.keyed_records * 2 / 5).max(1));
            let (n, flink_n) = (records.to_string(), flink_records.to_string());
            Job {
                name: workload.name(),
                shape: one_worker,
                parallelism,
                records,
                arguments: strings(["keyed-sum", "--records", &n, "--keys", &keys]),
                flink: FlinkJob {
                    class: "WindowSum",
                    records: flink_records,
                    arguments: strings(["--n", &flink_n, "--keys", &keys]),
                },
            }
        }
        Workload::Shuffle => {
            let (records, n) = (sizes.shuffle_records, sizes.shuffle_records.to_string());
            Job {
                name: workload.name(),
                shape: Shape { workers: parallelism, slots: 1 },
                parallelism,
                records,
                arguments: strings(["shuffle", "--records", &n, "--keys", &keys]),
                flink: FlinkJob { class: "Shuffle", records, arguments: strings(["--n", &n, "--keys", &keys]) },
            }
        }
        _ => {
            let (records, n) = (sizes.chain_records, sizes.chain_records.to_string());
            Job {
                name: workload.name(),
                shape: one_worker,
                parallelism,
                records,
                arguments: strings(["chain", "--records", &n]),
                flink: FlinkJob { class: "MapFilter", records, arguments: strings(["--n", &n]) },
            }
        }
    })
}

fn compare(bench: &Bench, job: &Job) -> anyhow::Result<()> {
    let name = &job.name;
    let mut flott = Line::new(FLOTT, name, job.parallelism, job.records);
    let cluster = Cluster::start_with(&bench.binaries, job.shape, &ONCE)?;
    let jar = cluster.client().upload(&bench.binaries.lab)?;
    let program =
        Program { jar, entry: None, arguments: job.arguments.clone(), parallelism: job.parallelism, from: None };
    let beside = bench.flink.as_ref().map(|flink| flink.up(job.shape)).transpose()?;
    let mut other = Line::new(flink::FLINK, name, job.parallelism, job.flink.records);
    for _ in 0..bench.repeat {
        flott.add(run(&cluster, &program)?);
        if let Some(flink) = &beside {
            other.add(flink.run(job.flink.class, job.parallelism, &job.flink.arguments)?);
        }
    }
    bench.print(&flott, beside.is_some().then_some(&other));
    Ok(())
}

/// Runs a job to its end, and until its processes are gone; the time is that of the job by itself.
pub fn run(cluster: &Cluster, program: &Program) -> anyhow::Result<Run> {
    let mut meter = Meter::start(cluster.worker_pids(), vec![cluster.jobmanager_pid()])?;
    let job = cluster.client().run(program)?;
    let details = cluster.client().finished(&job, PAUSE, || meter.look())?;
    let deadline = Instant::now() + LEAVE_TIMEOUT;
    while meter.is_busy() && Instant::now() < deadline {
        super::interrupt::check()?;
        std::thread::sleep(PAUSE);
    }
    let milliseconds = details["duration"].as_f64().context("the job has no duration")?;
    let usage = meter.stop()?;
    Ok(Run {
        seconds: milliseconds / 1e3,
        cpu_seconds: usage.cpu_seconds,
        other_cpu_seconds: usage.other_cpu_seconds,
        peak_rss_bytes: usage.peak_rss_bytes,
        ..Run::default()
    })
}
