//! A process that cannot be mistaken for a later one with the same id.

use std::{fs, io, thread, time::Duration};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

/// A process id with when the process started, in clock ticks after which boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessIdentity {
    pid: i32,
    started_at_ticks: u64,
    boot: String,
}

impl ProcessIdentity {
    /// The process that has this id now; `None` when there is none or it has ended.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Self::read(pid).filter(|(state, _)| !matches!(state, 'Z' | 'X' | 'x')).map(|(_, identity)| identity)
    }

    /// A child of this process that was not waited for, so that it has its id even if it has ended.
    pub(super) fn of_child(pid: i32) -> Option<Self> {
        Self::read(pid).map(|(_, identity)| identity)
    }

    fn read(pid: i32) -> Option<(char, Self)> {
        let (state, started_at_ticks) = state_and_start(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        Some((state, Self { pid, started_at_ticks, boot: boot_id().ok()? }))
    }

    /// Whether the very process is still running.
    pub(super) fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Signals the process; says whether it was there. A process that has ended is none.
    pub(super) fn signal(&self, signal: Signal) -> Result<bool, Errno> {
        self.is_alive().then(|| kill(Pid::from_raw(self.pid), signal)).map_or(Ok(false), found)
    }

    /// Kills the process and what is left of its group.
    pub(super) fn kill_group(&self) -> Result<bool, Errno> {
        self.is_alive().then(|| killpg(Pid::from_raw(self.pid), Signal::SIGKILL)).map_or(Ok(false), found)
    }
}

fn found(signalled: Result<(), Errno>) -> Result<bool, Errno> {
    match signalled {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Fields 3 and 22 of `/proc/PID/stat`. Field 2, the name, is in parentheses and may hold anything, parentheses and
/// spaces included.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// How often, and with what pauses, the environment of a process that is in the midst of `execve` is read again.
const EXEC_LOOKS: u32 = 40;
const EXEC_PAUSE: Duration = Duration::from_millis(5);

/// The process that carries `variable=value` in its environment. Only this user's processes can be looked into.
pub(super) fn find_marked(variable: &str, value: &str) -> Option<ProcessIdentity> {
    // The mark is inherited: of a worker and its children the worker is the one that started first.
    marked(variable, value).min_by_key(|identity| identity.started_at_ticks)
}

/// Kills every process that carries `variable=value` in its environment. Blocks for as long as a look at all processes
/// takes.
pub(super) fn kill_marked(variable: &str, value: &str) {
    for identity in marked(variable, value) {
        tracing::info!(pid = identity.pid, "killing a process that a worker has left behind");
        if let Err(error) = identity.signal(Signal::SIGKILL) {
            tracing::warn!(pid = identity.pid, %error, "a process that a worker has left behind cannot be killed");
        }
    }
}

fn marked(variable: &str, value: &str) -> impl Iterator<Item = ProcessIdentity> {
    let wanted = format!("{variable}={value}");
    let processes = fs::read_dir("/proc").into_iter().flatten();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let mut found = Vec::new();
    let mut rest: Vec<i32> = pids.collect();
    for look in 0..EXEC_LOOKS {
        if look > 0 {
            thread::sleep(EXEC_PAUSE);
        }
        rest.retain(|pid| {
            // Asked first: what is past it now has its environment when that is read.
            let executing = is_executing(*pid);
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            found.extend(holds(&environment, &wanted).then_some(*pid));
            executing && environment.is_empty()
        });
        if rest.is_empty() {
            break;
        }
    }
    found.into_iter().filter_map(ProcessIdentity::of)
}

fn holds(environment: &[u8], entry: &str) -> bool {
    environment.split(|byte| *byte == 0).any(|other| other == entry.as_bytes())
}

/// Whether a process is in the midst of `execve`, which shows the new executable, and lets the parent go on, a little
/// before it shows the arguments and the environment. Threads of the kernel have neither, and no executable.
fn is_executing(pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
        && fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| arguments.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_names_do_not_shift_the_fields() {
        let stat = "42 (a) b) (c) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1";
        assert_eq!(state_and_start(stat), Some(('S', 987_654)));
        assert_eq!(state_and_start("42 (x) S 1"), None);
        assert_eq!(state_and_start(""), None);
    }

    #[test]
    fn a_process_is_found_the_moment_it_exists() {
        for round in 0..50 {
            let mark = format!("{}/{round}", std::process::id());
            let mut child =
                std::process::Command::new("sleep").arg("60").env("FLOTT_TEST_MARK", &mark).spawn().unwrap();
            let found = find_marked("FLOTT_TEST_MARK", &mark);
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(found.map(|identity| identity.pid), Some(child.id() as i32), "in round {round}");
        }
    }

    #[test]
    fn another_process_of_the_same_id_is_not_taken_for_it() {
        let own = ProcessIdentity::of(std::process::id() as i32).unwrap();
        assert!(own.is_alive());
        let earlier = ProcessIdentity { started_at_ticks: own.started_at_ticks - 1, ..own.clone() };
        assert!(!earlier.is_alive());
        assert_eq!(earlier.signal(Signal::SIGKILL), Ok(false));
        assert_eq!(earlier.kill_group(), Ok(false));
        let other_boot = ProcessIdentity { boot: "another".into(), ..own };
        assert!(!other_boot.is_alive());
    }
}
