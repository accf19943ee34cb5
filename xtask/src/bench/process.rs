//! What /proc says of processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::{Pid, SysconfVar, sysconf},
};

/// How long what was killed may take to be gone, and the time between two looks.
const END_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE_AT_THE_END: Duration = Duration::from_millis(5);

/// One look at a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: i32,
    /// Clock ticks of the process itself.
    own: u64,
    /// Clock ticks of its children that are no more, and of theirs.
    reaped: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name in parentheses may hold anything, so fields are counted from its end.
fn parse(line: &str) -> Option<Stat> {
    let (_, fields) = line.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, own: ticks(11)? + ticks(12)?, reaped: ticks(13)? + ticks(14)? })
}

fn seconds(ticks: u64) -> anyhow::Result<f64> {
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the system does not say how long a clock tick is")?;
    Ok(ticks as f64 / per_second as f64)
}

/// All processes below `root`, without itself.
pub fn descendants(root: i32) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(pid) = pid
            && let Some(stat) = stat(pid)
        {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let (mut found, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

/// CPU seconds of `root` and of everything below it, living or not.
pub fn cpu_of_tree(root: i32) -> anyhow::Result<f64> {
    let all = descendants(root).into_iter().chain([root]).filter_map(stat);
    seconds(all.map(|stat| stat.own + stat.reaped).sum())
}

/// CPU seconds of everything below `root`, as long as it lives or its parent has not reaped it.
pub fn cpu_below(root: i32) -> anyhow::Result<f64> {
    seconds(descendants(root).into_iter().filter_map(stat).map(|stat| stat.own + stat.reaped).sum())
}

/// The most memory that was resident at once, in bytes, since the process began or [`forget_peak`].
pub fn peak_bytes(pid: i32) -> Option<u64> {
    status_bytes(pid, "VmHWM:")
}

/// The memory that is resident now, in bytes.
pub fn resident_bytes(pid: i32) -> Option<u64> {
    status_bytes(pid, "VmRSS:")
}

fn status_bytes(pid: i32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Begins peaks anew.
pub fn forget_peak(pid: i32) -> anyhow::Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").with_context(|| format!("the peak of process {pid} stays"))
}

/// Makes orphans of what is started here children of this process, so that none is lost from sight.
pub fn adopt_orphans() -> anyhow::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).context("orphans cannot be adopted")
}

/// Waits a while until `pids` are gone, reaping those that are children of this process; whether they are.
pub fn gone(pids: &BTreeSet<i32>, timeout: Duration) -> bool {
    let own = std::process::id() as i32;
    let deadline = Instant::now() + timeout;
    loop {
        for pid in pids {
            // Not every one is a child of ours, or not yet.
            let _ = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
        }
        if descendants(own).is_disjoint(pids) {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE_AT_THE_END);
    }
}

/// Kills those of `pids` that still are below this process, and waits until they are gone.
pub fn end(pids: &BTreeSet<i32>) {
    let own = std::process::id() as i32;
    for pid in descendants(own).intersection(pids) {
        // It may just have ended by itself. Until it is reaped its id is nobody else's.
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    if !gone(pids, END_TIMEOUT) {
        eprintln!("warning: some of the processes {pids:?} are left");
    }
}

/// Kills whatever is left below this process.
pub fn sweep() {
    end(&descendants(std::process::id() as i32));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_blanks_and_parentheses_are_no_fields() {
        let line = "42 (a) b (c)) S 7 42 42 0 -1 4194560 10 0 0 0 150 50 30 20 20 0 1 0 100 1000 10";
        assert_eq!(parse(line), Some(Stat { parent: 7, own: 200, reaped: 50 }));
        assert_eq!(parse("42 (cut"), None);
        assert_eq!(parse("42 (cut) S 7"), None);
    }

    #[test]
    fn this_process_is_seen() {
        let own = std::process::id() as i32;
        assert!(cpu_of_tree(own).is_ok());
        assert!(peak_bytes(own) >= resident_bytes(own).map(|bytes| bytes / 2));
        assert!(descendants(1).contains(&own) || own == 1 || descendants(0).contains(&own));
    }
}
