//! A place of its own for one test: state directory, home, configuration, and all processes that come out of it.
//!
//! When a test ends, nothing of its sandbox may be running. What is, is killed, and fails the test.
//!
//! # Layout
//! - [`processes`]: who runs
//! - `session`: a session cluster, and JobManagers by themselves

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub mod processes;
mod session;

pub use session::Session;

use crate::{
    binaries::{binary, text},
    command::{Outcome, Running},
    eventually::{PATIENCE, eventually},
};
use processes::{Process, Role, mentioning};

/// What all clusters of tests are set to: quick to notice, never on a fixed port. Loss of a connection is noticed at
/// once; the heartbeat timeout is long, so that a machine that is busy with other tests does not look like a dead one.
const CONFIGURATION: &str = "\
rest.port: 0
heartbeat.interval: 200 ms
heartbeat.timeout: 20 s
taskmanager.registration.timeout: 30 s
cluster.connection-grace: 1 s
taskmanager.memory.process.size: 512 mb
task.cancellation.timeout: 2 s
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 10
restart-strategy.fixed-delay.delay: 20 ms
";

/// How long processes may take to go once their cluster has ended.
const LEFTOVER_GRACE: Duration = Duration::from_secs(10);

/// Set to anything, directories of failed tests are kept.
const KEEP: &str = "FLOTT_TESTS_KEEP";

/// The place.
#[derive(Debug)]
pub struct Sandbox {
    dir: Option<TempDir>,
    path: PathBuf,
    commands: AtomicU32,
    keep: bool,
    /// What its processes have in their environment besides.
    variables: Vec<(String, String)>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A new one.
    pub fn new() -> Self {
        Self::with("")
    }

    /// A new one, with more lines in its configuration file.
    pub fn with(lines: &str) -> Self {
        let dir =
            tempfile::Builder::new().prefix("flott-test-").tempdir().expect("there is a directory for temporary files");
        let path = fs::canonicalize(dir.path()).expect("a new directory is there");
        for name in ["state", "conf", "home", "printed"] {
            fs::create_dir(path.join(name)).expect("a new directory can be written to");
        }
        let sandbox = Self {
            dir: Some(dir),
            path,
            commands: AtomicU32::new(0),
            keep: std::env::var_os(KEEP).is_some(),
            variables: Vec::new(),
        };
        sandbox.configure(lines);
        sandbox
    }

    /// Keeps the directory if the test fails, whatever the environment says.
    #[must_use]
    pub fn kept_if_it_fails(mut self) -> Self {
        self.keep = true;
        self
    }

    /// Gives all processes of it a variable in their environment.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Sets what the configuration file has beyond the common lines. A key that is in both is taken from `lines`.
    pub fn configure(&self, lines: &str) {
        let key = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        let given: Vec<_> = lines.lines().map(key).collect();
        let common = CONFIGURATION.lines().filter(|line| !given.contains(&key(line)));
        let all: Vec<_> = common.chain(lines.lines()).collect();
        self.write("conf/config.yaml", all.join("\n") + "\n");
    }

    /// A path in the sandbox.
    pub fn at(&self, name: &str) -> String {
        text(&self.path.join(name))
    }

    /// The sandbox's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state directory.
    pub fn state(&self) -> String {
        self.at("state")
    }

    /// Writes a file; gives its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path.join(name);
        fs::write(&path, content).expect("the sandbox can be written to");
        text(&path)
    }

    /// The command line `program arguments…` in this sandbox's environment, in which nothing of the machine's Flott is
    /// left.
    pub fn command<A: AsRef<str>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("FLOTT_") || name.starts_with("XDG_")) {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.path.join("home")).env("FLOTT_CONF_DIR", self.path.join("conf"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(&self.path);
        command.args(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        command
    }

    /// `flott arguments…`, which is not started yet.
    pub fn flott_command<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let given = ["--state-dir".to_owned(), self.state()];
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        self.command(&binary("flott"), given.into_iter().chain(arguments))
    }

    /// Starts a command.
    #[track_caller]
    pub fn start(&self, command: Command) -> Running {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        Running::start(command, &self.at(&format!("printed/{number}")))
    }

    /// Starts `flott arguments…`.
    #[track_caller]
    pub fn start_flott<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        self.start(self.flott_command(arguments))
    }

    /// Runs `flott arguments…` to its end.
    #[track_caller]
    pub fn flott<A: AsRef<str>>(&self, arguments: impl IntoIterator<Item = A>) -> Outcome {
        self.start_flott(arguments).end()
    }

    /// Runs a program by itself to its end.
    #[track_caller]
    pub fn program<A: AsRef<str>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Outcome {
        self.start(self.command(program, arguments)).end()
    }

    /// What runs.
    pub fn processes(&self) -> Vec<Process> {
        mentioning(&self.path)
    }

    /// What runs of one role.
    pub fn running(&self, role: Role) -> Vec<Process> {
        self.processes().into_iter().filter(|process| process.role == role).collect()
    }

    /// Waits until there are `count` processes of `role`.
    #[track_caller]
    pub fn until_running(&self, role: Role, count: usize) -> Vec<Process> {
        eventually(&format!("{count} processes of role {role:?}"), PATIENCE, || {
            let found = self.running(role);
            if found.len() == count { Ok(found) } else { Err(shown(&self.processes())) }
        })
    }

    /// Waits until nothing runs any more.
    #[track_caller]
    pub fn until_empty(&self) {
        eventually("all processes of the sandbox to be gone", PATIENCE, || {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(shown(&left)) }
        });
    }

    /// What daemons and job processes have written beside their results.
    pub fn log_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        gather(&self.path.join("state"), &mut files);
        files
    }

    /// The ends of the daemons' logs.
    pub fn logs(&self) -> String {
        let mut report = String::new();
        for path in self.log_files() {
            let content = fs::read(&path).unwrap_or_default();
            let lines: Vec<_> = content.split(|byte| *byte == b'\n').collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            let tail: Vec<_> = tail.iter().map(|line| String::from_utf8_lossy(&line[..line.len().min(400)])).collect();
            let name = path.strip_prefix(&self.path).unwrap_or(&path).display();
            report.push_str(&format!("==> {name} <==\n{}\n", tail.join("\n").trim_end()));
        }
        report
    }
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => gather(&path, files),
            Some("log" | "out") => files.push(path),
            _ => {}
        }
    }
    files.sort();
}

/// Processes as text, one a line.
pub fn shown(processes: &[Process]) -> String {
    let lines: Vec<_> = processes.iter().map(Process::to_string).collect();
    if lines.is_empty() { "no processes".to_owned() } else { lines.join("\n") }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        let deadline = Instant::now() + if failed { Duration::ZERO } else { LEFTOVER_GRACE };
        let mut left = self.processes();
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
            left = self.processes();
        }
        // One that is killed may be starting another just now.
        let mut rest = left.clone();
        for _ in 0..1000 {
            if rest.is_empty() {
                break;
            }
            Process::kill_all(&rest);
            std::thread::sleep(Duration::from_millis(5));
            rest = self.processes();
        }
        if failed || !left.is_empty() {
            eprintln!("processes at the end of the test:\n{}\n{}", shown(&left), self.logs());
            if self.keep
                && let Some(dir) = self.dir.take()
            {
                eprintln!("the directory is kept: {}", dir.keep().display());
            }
        }
        assert!(failed || left.is_empty(), "the test has left processes running:\n{}", shown(&left));
    }
}
