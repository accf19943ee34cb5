//! A trivial job: from its submission to its end, over REST and by command line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, ensure};

use super::{
    Bench, Workload,
    build::Binaries,
    cluster::{self, Cluster, Shape},
    flink::{self, FlinkCluster},
    interrupt, process,
    rest::{Client, Program, SHORT_PAUSE},
    runs::{FLOTT, Line, Run, median},
    usage::Meter,
};

const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a cluster of one job may take to be gone after the job.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(30);
const SHAPE: Shape = Shape { workers: 1, slots: 1 };

type Figures = BTreeMap<&'static str, f64>;

/// Runs trivial jobs in every way that there is. The line's own figures are those of the jobs over REST, all together.
pub fn measure(bench: &Bench) -> anyhow::Result<()> {
    let (name, jobs) = (Workload::Submit.name(), bench.sizes.jobs);
    let mut flott = Line::new(FLOTT, &name, 1, u64::from(jobs));
    {
        let cluster = Cluster::start(&bench.binaries, SHAPE)?;
        let jar = cluster.client().upload(&bench.binaries.lab)?;
        let program = trivial(jar);
        let pids = (cluster.worker_pids(), vec![cluster.jobmanager_pid()]);
        let mut run = over_rest(cluster.client(), &program, jobs, pids)?;
        prepared(bench, &cluster, &mut run.more)?;
        by_command(bench, &cluster, &mut run.more)?;
        run.more.insert("cluster_detached_seconds", own_clusters(&bench.binaries, bench.repeat)?);
        flott.add(run);
    }
    let mut other = Line::new(flink::FLINK, &name, 1, u64::from(jobs));
    if let Some(flink) = &bench.flink {
        other.add(on_flink(bench, &flink.up(SHAPE)?)?);
    }
    bench.print(&flott, bench.flink.is_some().then_some(&other));
    Ok(())
}

/// The program that does next to nothing.
pub fn trivial(jar: String) -> Program {
    Program { jar, entry: None, arguments: vec!["trivial".to_owned()], parallelism: 1, from: None }
}

/// Runs an uploaded program again and again, one job at a time.
fn over_rest(
    client: &Client,
    program: &Program,
    jobs: u32,
    (workers, others): (Vec<i32>, Vec<i32>),
) -> anyhow::Result<Run> {
    let mut meter = Meter::start(workers, others)?;
    let (mut running, mut finished) = (Vec::new(), Vec::new());
    for _ in 0..jobs {
        let (epoch, began) = (epoch_ms(), Instant::now());
        let job = client.run(program)?;
        let details = client.finished(&job, SHORT_PAUSE, || ())?;
        finished.push(began.elapsed().as_secs_f64());
        let entered = details["timestamps"]["RUNNING"].as_f64().context("the job does not say when it ran")?;
        running.push((entered - epoch) / 1e3);
        meter.look();
    }
    let usage = meter.stop()?;
    let first = finished.first().copied().unwrap_or(f64::NAN);
    let seconds = finished.iter().sum();
    let more = BTreeMap::from([
        ("rest_running_seconds", median(running)),
        ("rest_finished_seconds", median(finished)),
        ("rest_first_finished_seconds", first),
    ]);
    Ok(Run {
        seconds,
        cpu_seconds: usage.cpu_seconds,
        other_cpu_seconds: usage.other_cpu_seconds,
        peak_rss_bytes: usage.peak_rss_bytes,
        more,
    })
}

fn epoch_ms() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// Job graphs that were planned before, sent as they are, each with the program.
fn prepared(bench: &Bench, cluster: &Cluster, more: &mut Figures) -> anyhow::Result<()> {
    let program = fs::read(&bench.binaries.lab).context("the workloads cannot be read")?;
    let mut finished = Vec::new();
    for number in 0..bench.sizes.jobs {
        let path = cluster.folder().join(format!("{number}.graph"));
        let mut plan = cluster::flott(&bench.binaries, cluster.folder());
        plan.args(["plan", "-o"]).arg(&path).arg(&bench.binaries.lab).arg("trivial");
        timed(plan, cluster.folder())?;
        let document = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let (job, program) = (job_id(&document)?, program.clone());
        let began = Instant::now();
        cluster.client().submit(document, program)?;
        cluster.client().finished(&job, SHORT_PAUSE, || ())?;
        finished.push(began.elapsed().as_secs_f64());
    }
    more.insert("graph_finished_seconds", median(finished));
    Ok(())
}

fn job_id(document: &[u8]) -> anyhow::Result<String> {
    let graph = flott_core::job_graph::document::read(document).context("the planned graph cannot be read")?;
    Ok(graph.job_id.to_string())
}

fn by_command(bench: &Bench, cluster: &Cluster, more: &mut Figures) -> anyhow::Result<()> {
    let address = cluster.client().address();
    let command = |arguments: &[&str], program: bool| {
        let mut command = cluster::flott(&bench.binaries, cluster.folder());
        command.args(arguments);
        if program {
            command.arg(&bench.binaries.lab).arg("trivial");
        }
        command
    };
    let ways: [(&str, &[&str], bool); 3] = [
        ("attached_seconds", &["run", "-m", address], true),
        ("detached_seconds", &["run", "-m", address, "-d"], true),
        ("list_seconds", &["list", "-a", "-m", address], false),
    ];
    for (name, arguments, program) in ways {
        let mut times = Vec::new();
        for _ in 0..bench.sizes.jobs.min(10) {
            times.push(timed(command(arguments, program), cluster.folder())?);
        }
        more.insert(name, median(times));
    }
    Ok(())
}

/// `flott run -m cluster -d`, until the client returns; its cluster ends by itself.
fn own_clusters(binaries: &Binaries, repeat: u32) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..repeat {
        let folder = cluster::state_folder()?;
        let before = process::descendants(std::process::id() as i32);
        let mut command = cluster::flott(binaries, folder.path());
        command.args(["run", "-m", "cluster", "-d"]).arg(&binaries.lab).arg("trivial");
        let time = timed(command, folder.path());
        let left: BTreeSet<i32> =
            process::descendants(std::process::id() as i32).difference(&before).copied().collect();
        if !process::gone(&left, LEAVE_TIMEOUT) {
            process::end(&left);
            anyhow::bail!("the cluster of a finished job was still there after {} s", LEAVE_TIMEOUT.as_secs());
        }
        times.push(time?);
    }
    Ok(median(times))
}

fn on_flink(bench: &Bench, flink: &FlinkCluster<'_>) -> anyhow::Result<Run> {
    let client = flink.client()?;
    let program = flink.trivial(&client)?;
    let mut run = over_rest(&client, &program, bench.sizes.jobs, (flink.pids("tm")?, flink.pids("jm")?))?;
    let jar = flink.jar().to_str().context("LAB is not UTF-8")?.to_owned();
    let job = ["-m", client.address(), "-c", flink::TRIVIAL, &jar, "--n", "10"];
    let ways: [(&str, Vec<&str>); 3] = [
        ("attached_seconds", [&["run"][..], &job[..]].concat()),
        ("detached_seconds", [&["run", "-d"][..], &job[..]].concat()),
        ("list_seconds", vec!["list", "-a", "-m", client.address()]),
    ];
    for (name, arguments) in ways {
        let mut times = Vec::new();
        for _ in 0..bench.repeat {
            times.push(flink.command_line(&arguments)?);
        }
        run.more.insert(name, median(times));
    }
    Ok(run)
}

/// Runs a command that must succeed; seconds until it has ended. What it prints is in `folder` for as long as it runs.
pub fn timed(command: Command, folder: &Path) -> anyhow::Result<f64> {
    run(command, folder).map(|(seconds, _)| seconds)
}

/// Runs a command that must succeed; what it prints.
pub fn captured(command: Command, folder: &Path) -> anyhow::Result<String> {
    run(command, folder).map(|(_, said)| said)
}

fn run(mut command: Command, folder: &Path) -> anyhow::Result<(f64, String)> {
    let output = tempfile::NamedTempFile::new_in(folder)?;
    let file: File = output.reopen()?;
    command.stdout(file.try_clone()?).stderr(file).stdin(Stdio::null());
    let shown = command.get_program().to_string_lossy().into_owned();
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{shown} cannot be run"))?;
    let ended = interrupt::wait_for(&shown, COMMAND_TIMEOUT, SHORT_PAUSE, || Ok(child.try_wait()?));
    let seconds = began.elapsed().as_secs_f64();
    let status = ended.inspect_err(|_| {
        // Not reaped yet, so still ours.
        let _ = child.kill();
        let _ = child.wait();
    })?;
    let said = fs::read_to_string(output.path())?;
    ensure!(status.success(), "{shown} {:?}: {status}: {said}", command.get_args().collect::<Vec<_>>());
    Ok((seconds, said))
}
