//! A cluster of release binaries: one JobManager and TaskManagers, each a child of this process.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{
    build::Binaries,
    interrupt, process,
    rest::{Client, SHORT_PAUSE},
};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Workers of a cluster.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub workers: u32,
    /// Slots of each.
    pub slots: u32,
}

/// A running cluster. Dropped, it ends with all that belongs to it.
pub struct Cluster {
    jobmanager: Daemon,
    /// The workers, those that were killed included, and slots of each.
    workers: (Vec<Daemon>, u32),
    client: Client,
    settings: Vec<String>,
    // Goes last: the daemons write into it.
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts it, and waits until all workers have registered.
    pub fn start(binaries: &Binaries, shape: Shape) -> anyhow::Result<Self> {
        Self::start_with(binaries, shape, &[])
    }

    /// The same with settings, as `key=value`, for all its processes.
    pub fn start_with(binaries: &Binaries, shape: Shape, settings: &[&str]) -> anyhow::Result<Self> {
        let folder = state_folder()?;
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let jobmanager = jobmanager_of(binaries, folder.path(), 0, &settings)?;
        let client = first_answer(&jobmanager, folder.path())?;
        let workers = (Vec::new(), shape.slots);
        let mut cluster = Self { jobmanager, workers, client, settings, folder };
        for _ in 0..shape.workers {
            cluster.add_worker(binaries)?;
        }
        cluster.all_registered()?;
        Ok(cluster)
    }

    /// Starts one more worker; it has not registered yet.
    pub fn add_worker(&mut self, binaries: &Binaries) -> anyhow::Result<()> {
        let number = self.workers.0.len() + 1;
        let worker = self.worker(binaries, number, self.workers.1)?;
        self.workers.0.push(worker);
        Ok(())
    }

    fn worker(&self, binaries: &Binaries, number: usize, slots: u32) -> anyhow::Result<Daemon> {
        let name = format!("tm{number}");
        let mut command = flott(binaries, self.folder.path());
        command.args(["taskmanager", "--jobmanager", self.client.address()]);
        command.arg("--work-dir").arg(self.folder.path().join(&name));
        command.args(["-D", &format!("taskmanager.numberOfTaskSlots={slots}")]);
        command.args(["-D", &format!("taskmanager.resource-id={name}")]);
        add_settings(&mut command, self.settings.iter().map(String::as_str));
        Daemon::start(command, self.folder.path(), &name)
    }

    /// Kills the worker of this name with all that is below it, as a host that fails would.
    pub fn kill_worker(&mut self, name: &str) -> anyhow::Result<()> {
        let worker = self.workers.0.iter_mut().find(|worker| worker.name == name);
        let worker = worker.with_context(|| format!("there is no TaskManager {name}"))?;
        let below = process::descendants(worker.pid());
        worker.kill();
        process::end(&below);
        Ok(())
    }

    /// Kills the JobManager, and starts another on the same state and port.
    pub fn restart_jobmanager(&mut self, binaries: &Binaries) -> anyhow::Result<()> {
        let port = self.client.address().rsplit(':').next().and_then(|port| port.parse().ok());
        self.jobmanager.kill();
        let port = port.context("the JobManager's address has no port")?;
        self.jobmanager = jobmanager_of(binaries, self.folder.path(), port, &self.settings)?;
        Ok(())
    }

    fn all_registered(&self) -> anyhow::Result<()> {
        let all = self.workers.0.len() as u64;
        interrupt::wait_for("the registration of all TaskManagers", START_TIMEOUT, SHORT_PAUSE, || {
            self.workers.0.iter().chain([&self.jobmanager]).try_for_each(Daemon::must_run)?;
            Ok((self.client.get("/overview")?["taskmanagers"].as_u64() == Some(all)).then_some(()))
        })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A folder that goes with the cluster.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn jobmanager_pid(&self) -> i32 {
        self.jobmanager.pid()
    }

    pub fn worker_pids(&self) -> Vec<i32> {
        self.workers.0.iter().map(Daemon::pid).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let daemons: BTreeSet<i32> = self.worker_pids().into_iter().chain([self.jobmanager.pid()]).collect();
        let all: BTreeSet<i32> =
            daemons.iter().flat_map(|pid| process::descendants(*pid)).chain(daemons.iter().copied()).collect();
        // A cluster that does not end in order is killed below.
        let _ = self.client.end_cluster();
        for worker in &mut self.workers.0 {
            worker.end();
        }
        self.jobmanager.end();
        process::end(&all);
    }
}

/// A directory for one cluster. Its name is short, as sockets lie below it.
pub fn state_folder() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("fb-").tempdir().context("no temporary directory")?;
    // Instead of the user's own.
    fs::write(folder.path().join("config.yaml"), "").context("no configuration file")?;
    Ok(folder)
}

/// The command with its state in `folder`, and with no settings of the user's.
pub fn flott(binaries: &Binaries, folder: &Path) -> Command {
    let mut command = Command::new(&binaries.flott);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLOTT_") {
            command.env_remove(name);
        }
    }
    command.env("FLOTT_CONF_DIR", folder).arg("--state-dir").arg(folder).stdin(Stdio::null());
    command
}

/// A JobManager on a free port.
pub fn jobmanager(binaries: &Binaries, folder: &Path, settings: &[&str]) -> Command {
    let mut command = jobmanager_at(binaries, folder, 0);
    add_settings(&mut command, settings.iter().copied());
    command
}

fn jobmanager_at(binaries: &Binaries, folder: &Path, port: u16) -> Command {
    let mut command = flott(binaries, folder);
    command.arg("jobmanager").arg("--cluster-dir").arg(cluster_dir(folder)).args(["-D", &format!("rest.port={port}")]);
    command
}

/// A JobManager that starts no workers.
fn jobmanager_of(binaries: &Binaries, folder: &Path, port: u16, settings: &[String]) -> anyhow::Result<Daemon> {
    let mut command = jobmanager_at(binaries, folder, port);
    add_settings(&mut command, ["cluster.backend=standalone"]);
    add_settings(&mut command, settings.iter().map(String::as_str));
    Daemon::start(command, folder, "jobmanager")
}

fn add_settings<'a>(command: &mut Command, settings: impl IntoIterator<Item = &'a str>) {
    for setting in settings {
        command.args(["-D", setting]);
    }
}

fn cluster_dir(folder: &Path) -> PathBuf {
    folder.join("session")
}

/// Waits for the first answer of a JobManager.
pub fn first_answer(jobmanager: &Daemon, folder: &Path) -> anyhow::Result<Client> {
    let address = cluster_dir(folder).join("jobmanager.address");
    interrupt::wait_for("the JobManager's first answer", START_TIMEOUT, SHORT_PAUSE, || {
        jobmanager.must_run()?;
        let Ok(address) = fs::read_to_string(&address) else { return Ok(None) };
        if !address.ends_with('\n') && !address.contains(':') {
            return Ok(None);
        }
        let client = Client::new(address.trim())?;
        Ok(client.try_get("/overview").map(|_| client))
    })
}

/// A child process with its output in a file.
pub struct Daemon {
    name: String,
    output: PathBuf,
    child: std::cell::RefCell<Child>,
}

impl Daemon {
    pub fn start(mut command: Command, folder: &Path, name: &str) -> anyhow::Result<Self> {
        let output = folder.join(format!("{name}.out"));
        let file = File::create(&output).with_context(|| format!("{} cannot be written", output.display()))?;
        command.stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name: name.to_owned(), output, child: child.into() })
    }

    pub fn pid(&self) -> i32 {
        self.child.borrow().id() as i32
    }

    /// An error with its last words if it has ended.
    pub fn must_run(&self) -> anyhow::Result<()> {
        let Some(status) = self.child.borrow_mut().try_wait()? else { return Ok(()) };
        let said = fs::read_to_string(&self.output).unwrap_or_default();
        let said: Vec<&str> = said.lines().rev().take(5).collect();
        bail!("{} has ended ({status}): {}", self.name, said.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// Kills it at once.
    fn kill(&mut self) {
        let child = self.child.get_mut();
        // One that has ended already is as good.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Asks it to end, and waits a while.
    pub fn end(&mut self) {
        let child = self.child.get_mut();
        if matches!(child.try_wait(), Ok(None)) {
            // It is our child and not reaped, so the id is its own.
            let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        }
        let deadline = std::time::Instant::now() + END_TIMEOUT;
        while matches!(child.try_wait(), Ok(None)) {
            if std::time::Instant::now() >= deadline {
                eprintln!("warning: {} had to be killed", self.name);
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
