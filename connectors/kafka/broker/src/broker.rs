//! A broker that lives no longer than its owner.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Node, jars, ready, skipped};

/// How long a broker may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(100);

/// Says aloud that `what_for` is skipped where this machine cannot run a broker, and has it counted. `true` if it cannot.
pub fn missing(what_for: &str) -> bool {
    let Some(why) = why_missing() else { return false };
    skipped::aloud(&format!("SKIPPED {what_for}: it needs a Kafka broker, and {why}\n"));
    true
}

fn why_missing() -> Option<String> {
    let java = Command::new("java").arg("-version").stdin(Stdio::null()).output();
    match java {
        Err(error) => return Some(format!("java cannot be run: {error}")),
        Ok(output) if !output.status.success() => return Some(format!("java ends with {}", output.status)),
        Ok(_) => {}
    }
    jars::cached().is_none().then(|| "its jars are not there (cargo xtask kafka fetch)".to_owned())
}

/// A broker in a directory of its own. It is killed when this is dropped, and when the process that started it ends, however
/// it ends.
#[derive(Debug)]
pub struct Broker {
    node: Node,
    process: Option<Child>,
    _directory: TempDir,
}

impl Broker {
    /// Starts one; ready when it answers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with("")
    }

    /// As [`start`](Self::start), with more lines of `server.properties`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(settings: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("flott-kafka-").tempdir()?;
        let node = Node::create(directory.path(), settings)?;
        let mut broker = Self { node, process: None, _directory: directory };
        broker.resume()?;
        Ok(broker)
    }

    /// `host:port`, as clients take it; the same after a restart.
    pub fn servers(&self) -> String {
        self.node.servers()
    }

    /// Kills it, as a machine that is switched off does.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // The group is the watching shell's and the broker's alone.
        let group = Pid::from_raw(process.id().cast_signed());
        let _ = killpg(group, Signal::SIGKILL);
        let _ = process.wait();
    }

    /// Starts it again after [`kill`](Self::kill), with the data that it had.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "the broker runs");
        let broker = self.node.command()?;
        // The shell has the reading end of a pipe whose writing end is here alone. When this process is gone, the shell
        // reads the end, and kills the broker.
        let watching = "\"$@\" <&- & broker=$!; read -r nothing; kill -9 $broker";
        let log = std::fs::File::options().create(true).append(true).open(self.node.log())?;
        let process = Command::new("/bin/sh")
            .args(["-c", watching, "sh"])
            .arg(broker.get_program())
            .args(broker.get_args())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .context("cannot run sh")?;
        self.process = Some(process);
        wait_until_ready(&self.node)
    }
}

/// Waits until a broker that was started answers.
///
/// # Errors
/// When it does not in time.
pub(crate) fn wait_until_ready(node: &Node) -> anyhow::Result<()> {
    let began = Instant::now();
    while let Err(error) = ready::ask(node.address()) {
        if began.elapsed() > START_TIMEOUT {
            bail!(
                "the broker at {} does not answer: {error}; its log ends with\n{}",
                node.servers(),
                node.last_words()
            );
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}
