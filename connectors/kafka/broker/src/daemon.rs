//! A broker that outlives who has started it.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{Node, broker::wait_until_ready};

/// How long it may take to end by itself before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// The broker of a directory.
#[derive(Debug, Clone)]
pub struct Daemon {
    directory: PathBuf,
}

impl Daemon {
    /// The one that has, or is to have, its settings and data in `directory`.
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn pid_file(&self) -> PathBuf {
        self.directory.join("pid")
    }

    /// Its process, if it lives. A process of this number that is something else does not count.
    fn process(&self) -> Option<Pid> {
        let pid: i32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let settings = self.directory.join("server.properties");
        let own = command.split(|byte| *byte == 0).any(|word| word == settings.as_os_str().as_encoded_bytes());
        own.then(|| Pid::from_raw(pid))
    }

    /// `host:port`, if it runs.
    ///
    /// # Errors
    /// When its settings cannot be read.
    pub fn running(&self) -> anyhow::Result<Option<String>> {
        self.process().map(|_| Node::open(&self.directory).map(|node| node.servers())).transpose()
    }

    /// Starts it unless it runs: `host:port` when it answers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn up(&self) -> anyhow::Result<String> {
        if let Some(servers) = self.running()? {
            return Ok(servers);
        }
        let node = match Node::open(&self.directory) {
            Ok(node) => node,
            Err(_) => Node::create(&self.directory, "")?,
        };
        let process = node.command()?.process_group(0).spawn().context("cannot run java")?;
        fs::write(self.pid_file(), process.id().to_string())?;
        let ready = wait_until_ready(&node);
        if ready.is_err() {
            self.end()?;
        }
        ready.map(|()| node.servers())
    }

    /// Stops it if it runs; what it has stored goes unless it is to be kept.
    ///
    /// # Errors
    /// When it does not end, or its directory cannot be removed.
    pub fn down(&self, keep: bool) -> anyhow::Result<()> {
        self.end()?;
        if !keep && self.directory.exists() {
            // Nothing that is not a broker's is removed by a wrong path.
            Node::open(&self.directory)?;
            fs::remove_dir_all(&self.directory)?;
        }
        Ok(())
    }

    fn end(&self) -> anyhow::Result<()> {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let Some(pid) = self.process() else { break };
            let _ = kill(pid, signal);
            let began = Instant::now();
            while self.process().is_some() && began.elapsed() < END_TIMEOUT {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        ensure!(self.process().is_none(), "the broker does not end");
        if self.pid_file().exists() {
            fs::remove_file(self.pid_file())?;
        }
        Ok(())
    }
}
