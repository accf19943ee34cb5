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
    workers: Vec<Daemon>,
    client: Client,
    // Goes last: the daemons write into it.
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts it, and waits until all workers have registered.
    pub fn start(binaries: &Binaries, shape: Shape) -> anyhow::Result<Self> {
        let folder = state_folder()?;
        let jobmanager = Daemon::start(
            jobmanager(binaries, folder.path(), &["cluster.backend=standalone"]),
            folder.path(),
            "jobmanager",
        )?;
        let mut cluster =
            Self { client: first_answer(&jobmanager, folder.path())?, jobmanager, workers: Vec::new(), folder };
        for number in 1..=shape.workers {
            let worker = cluster.worker(binaries, number, shape.slots)?;
            cluster.workers.push(worker);
        }
        cluster.all_registered()?;
        Ok(cluster)
    }

    fn worker(&self, binaries: &Binaries, number: u32, slots: u32) -> anyhow::Result<Daemon> {
        let name = format!("tm{number}");
        let mut command = flott(binaries, self.folder.path());
        command.args(["taskmanager", "--jobmanager", self.client.address()]);
        command.arg("--work-dir").arg(self.folder.path().join(&name));
        command.args(["-D", &format!("taskmanager.numberOfTaskSlots={slots}")]);
        Daemon::start(command, self.folder.path(), &name)
    }

    fn all_registered(&self) -> anyhow::Result<()> {
        let all = self.workers.len() as u64;
        interrupt::wait_for("the registration of all TaskManagers", START_TIMEOUT, SHORT_PAUSE, || {
            self.workers.iter().chain([&self.jobmanager]).try_for_each(Daemon::must_run)?;
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
        self.workers.iter().map(Daemon::pid).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let daemons: BTreeSet<i32> = self.worker_pids().into_iter().chain([self.jobmanager.pid()]).collect();
        let all: BTreeSet<i32> =
            daemons.iter().flat_map(|pid| process::descendants(*pid)).chain(daemons.iter().copied()).collect();
        // A cluster that does not end in order is killed below.
        let _ = self.client.end_cluster();
        for worker in &mut self.workers {
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
    let mut command = flott(binaries, folder);
    command.arg("jobmanager").arg("--cluster-dir").arg(cluster_dir(folder)).args(["-D", "rest.port=0"]);
    for setting in settings {
        command.args(["-D", setting]);
    }
    command
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
