//! Processes of a sandbox, found in `/proc`: whatever mentions its directory in its command line, its environment, its
//! working directory or its executable.

use std::{fmt, fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::eventually::{PATIENCE, eventually};

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A command that a person would type.
    Client,
    /// `flott jobmanager`
    JobManager,
    /// `flott taskmanager`
    TaskManager,
    /// A program that hosts tasks.
    JobProcess,
    /// A program that is being planned.
    Planner,
    /// Something else, for example a child of a program.
    Other,
}

/// A process that lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// What it is.
    pub role: Role,
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {}", self.role, self.pid, self.command)
    }
}

impl Process {
    /// Sends it a signal. That it is gone already is no error.
    pub fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.pid), signal);
    }

    /// SIGKILL; waits until it has let go of its files, its locks and its ports, which takes the kernel a moment.
    #[track_caller]
    pub fn kill(&self) {
        Self::kill_all(std::slice::from_ref(self));
    }

    /// The same with all of these at once.
    #[track_caller]
    pub fn kill_all(processes: &[Self]) {
        processes.iter().for_each(|process| process.signal(Signal::SIGKILL));
        for process in processes {
            eventually(&format!("the end of {process}"), PATIENCE, || {
                if process.is_gone() { Ok(()) } else { Err("it ends") }
            });
        }
    }

    /// A variable of its environment.
    pub fn variable(&self, name: &str) -> Option<String> {
        let environment = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let mut variables =
            environment.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
        variables.find_map(|variable| Some(variable.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
    }

    /// Whether it is gone, or dead and only waits for its parent to notice.
    pub fn is_gone(&self) -> bool {
        is_dead(self.pid)
    }
}

/// All threads: the first may be dead before those that end with it.
fn is_dead(pid: i32) -> bool {
    let threads = || fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    state(pid).is_none_or(|state| matches!(state, 'Z' | 'X') && threads() <= 1)
}

/// One letter, as in `/proc/PID/stat`, after the name in parentheses.
fn state(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Every live process that mentions `directory`, by role. Processes come and go while this looks.
pub fn mentioning(directory: &Path) -> Vec<Process> {
    let own = std::process::id().cast_signed();
    let entries = fs::read_dir("/proc").expect("end-to-end tests need /proc");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let mut found: Vec<Process> = pids.filter(|pid| *pid != own).filter_map(|pid| look(pid, directory)).collect();
    found.sort();
    found
}

fn look(pid: i32, directory: &Path) -> Option<Process> {
    let of = |name: &str| format!("/proc/{pid}/{name}");
    let command = fs::read(of("cmdline")).ok()?;
    let environment = fs::read(of("environ")).unwrap_or_default();
    let needle = directory.as_os_str().as_encoded_bytes();
    let is_below = |link: &str| fs::read_link(of(link)).is_ok_and(|path| path.starts_with(directory));
    let mentioned = contains(&command, needle) || contains(&environment, needle) || is_below("cwd") || is_below("exe");
    if !mentioned || is_dead(pid) {
        return None;
    }
    let words: Vec<_> = command.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let is_verb =
        |verb: &str| words.first().is_some_and(|name| name.ends_with("flott")) && words.iter().any(|w| w == verb);
    // A child of a program has the program's environment, but is another executable.
    let is_program = is_below("exe");
    let mode = |mode: &str| environment.split(|byte| *byte == 0).any(|variable| variable == mode.as_bytes());
    let role = match () {
        () if is_verb("jobmanager") => Role::JobManager,
        () if is_verb("taskmanager") => Role::TaskManager,
        () if words.first().is_some_and(|name| name.ends_with("flott")) => Role::Client,
        () if mode("FLOTT_MODE=host") && is_program => Role::JobProcess,
        () if mode("FLOTT_MODE=plan") => Role::Planner,
        () => Role::Other,
    };
    Some(Process { role, pid, command: words.join(" ").trim().to_owned() })
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|window| window == needle)
}
