//! The same workloads on Flink, by a script: `up TASKMANAGERS SLOTS`, `run CLASS PARALLELISM ARGS…`, `cli ARGS…`, `down`.
//!
//! The script keeps what it built and the pids of what it started below the directory that the environment variable
//! `LAB` names.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{
    cluster::Shape,
    interrupt, process,
    rest::{Client, Program, SHORT_PAUSE},
    runs::Run,
    submit,
};

/// What Flink is called in lines.
pub const FLINK: &str = "flink-2.3.0";

/// The class that does next to nothing when it is told to make ten records.
pub const TRIVIAL: &str = "lab.MapFilter";

/// Where the script's clusters answer.
const ADDRESS: &str = "127.0.0.1:8081";
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(1800);
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// The script.
#[derive(Debug)]
pub struct Flink {
    script: PathBuf,
    lab: PathBuf,
}

impl Flink {
    /// The script in `folder`. What it needs must have been fetched and built.
    pub fn at(folder: &Path) -> anyhow::Result<Self> {
        let script = folder.join("flink.sh");
        ensure!(script.is_file(), "{} is not there", script.display());
        let lab = env::var_os("LAB").map_or_else(|| env::temp_dir().join("flink-lab"), PathBuf::from);
        let jar = lab.join("jobs.jar");
        ensure!(jar.is_file(), "{} is not there: run {} fetch, and build", jar.display(), script.display());
        Ok(Self { script, lab })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(arguments).env("LAB", &self.lab).stdin(Stdio::null());
        command
    }

    /// What the script prints.
    fn output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let (out, err) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
        let mut command = self.command(arguments);
        command.stdout(out.reopen()?).stderr(err.reopen()?);
        let mut child = command.spawn().with_context(|| format!("{} cannot be run", self.script.display()))?;
        let ended = interrupt::wait_for("Flink", SCRIPT_TIMEOUT, SHORT_PAUSE, || Ok(child.try_wait()?));
        let status = ended.inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        ensure!(status.success(), "flink.sh {}: {status}: {}", arguments.join(" "), fs::read_to_string(err.path())?);
        Ok(fs::read_to_string(out.path())?)
    }

    /// Starts a cluster.
    pub fn up(&self, shape: Shape) -> anyhow::Result<FlinkCluster<'_>> {
        ensure!(std::net::TcpStream::connect(ADDRESS).is_err(), "something answers at {ADDRESS} already; end it first");
        let before = process::descendants(std::process::id() as i32);
        let mut cluster = FlinkCluster { flink: self, all: BTreeSet::new(), start: Start::default() };
        let said = self.output(&["up", &shape.workers.to_string(), &shape.slots.to_string()]);
        cluster.all = process::descendants(std::process::id() as i32).difference(&before).copied().collect();
        let said = said?;
        let line = said.lines().last().unwrap_or_default();
        cluster.start = serde_json::from_str(line).with_context(|| format!("{line:?} has no times"))?;
        Ok(cluster)
    }
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
struct Start {
    first_rest_s: f64,
    all_workers_s: f64,
}

/// A Flink cluster; it ends when it is dropped.
pub struct FlinkCluster<'a> {
    flink: &'a Flink,
    all: BTreeSet<i32>,
    start: Start,
}

#[derive(Deserialize)]
struct Measured {
    state: String,
    seconds: f64,
    cpu_s: f64,
    jm_cpu_s: f64,
    peak_rss_mb: f64,
}

impl FlinkCluster<'_> {
    /// How long its start took.
    pub fn start_run(&self) -> Run {
        let Start { first_rest_s, all_workers_s } = self.start;
        let mut run = Run { seconds: all_workers_s, ..Run::default() };
        run.more.insert("first_rest_seconds", first_rest_s);
        run.more.insert("one_worker_seconds", all_workers_s);
        run
    }

    /// Runs a class of the lab, with object reuse.
    pub fn run(&self, class: &str, parallelism: u32, arguments: &[String]) -> anyhow::Result<Run> {
        let parallelism = parallelism.to_string();
        let mut words = vec!["run", class, parallelism.as_str()];
        words.extend(arguments.iter().map(String::as_str));
        words.extend(["--pipeline.object-reuse", "true"]);
        let said = self.flink.output(&words)?;
        let line = said.lines().last().unwrap_or_default();
        let measured: Measured = serde_json::from_str(line).with_context(|| format!("{line:?} has no figures"))?;
        ensure!(measured.state == "FINISHED", "Flink's job is {}", measured.state);
        Ok(Run {
            seconds: measured.seconds,
            cpu_seconds: measured.cpu_s,
            other_cpu_seconds: measured.jm_cpu_s,
            peak_rss_bytes: (measured.peak_rss_mb * 1024.0 * 1024.0) as u64,
            ..Run::default()
        })
    }

    /// Seconds that a command line takes.
    pub fn command_line(&self, arguments: &[&str]) -> anyhow::Result<f64> {
        submit::timed(self.flink.command(&[&["cli"], arguments].concat()), &self.flink.lab)
    }

    pub fn client(&self) -> anyhow::Result<Client> {
        Client::new(ADDRESS)
    }

    /// The file that holds the lab's classes.
    pub fn jar(&self) -> PathBuf {
        self.flink.lab.join("jobs.jar")
    }

    /// Uploads what does next to nothing.
    pub fn trivial(&self, client: &Client) -> anyhow::Result<Program> {
        let arguments = vec!["--n".to_owned(), "10".to_owned()];
        Ok(Program {
            jar: client.upload(&self.jar())?,
            entry: Some(TRIVIAL.to_owned()),
            arguments,
            parallelism: 1,
            from: None,
        })
    }

    /// Pids of one kind of daemon, `jm` or `tm`.
    pub fn pids(&self, kind: &str) -> anyhow::Result<Vec<i32>> {
        let mut pids = Vec::new();
        for entry in fs::read_dir(self.flink.lab.join("run"))? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with(kind) && name.ends_with(".pid") {
                let text = fs::read_to_string(&path)?;
                pids.push(text.trim().parse().with_context(|| format!("{} holds no pid", path.display()))?);
            }
        }
        Ok(pids)
    }
}

impl Drop for FlinkCluster<'_> {
    fn drop(&mut self) {
        // Not through `output`, which an interrupt would end at once.
        let down = self.flink.command(&["down"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !down.is_ok_and(|status| status.success()) || !process::gone(&self.all, END_TIMEOUT) {
            process::end(&self.all);
        }
    }
}
