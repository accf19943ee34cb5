//! What this process and its job processes take, from `/proc`.

use std::{fs, time::Duration};

use nix::unistd::{SysconfVar, sysconf};

/// Resident bytes of a process; `None` when there is no such process.
pub(crate) fn resident_of(pid: u32) -> Option<u64> {
    resident_in(&fs::read_to_string(format!("/proc/{pid}/statm")).ok()?, system(SysconfVar::PAGE_SIZE)?)
}

/// Bytes of a process that the kernel cannot take back: without pages of files, which processes share, and which a container's limit
/// drives out before it ends anybody. `None` when there is no such process.
pub(crate) fn held_by(pid: u32) -> Option<u64> {
    held_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// CPU time of a process, user and system, all threads; also of one that has ended and is not reaped.
pub(crate) fn cpu_of(pid: u32) -> Option<Duration> {
    cpu_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, system(SysconfVar::CLK_TCK)?)
}

/// Physical memory of the machine in bytes; 0 when it cannot be told.
pub(crate) fn physical_memory() -> u64 {
    let pages = system(SysconfVar::_PHYS_PAGES).unwrap_or(0);
    pages.saturating_mul(system(SysconfVar::PAGE_SIZE).unwrap_or(0))
}

/// Cores that this process may use.
pub(crate) fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

fn system(variable: SysconfVar) -> Option<u64> {
    sysconf(variable).ok()??.try_into().ok()
}

fn resident_in(statm: &str, page_bytes: u64) -> Option<u64> {
    statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(page_bytes)
}

/// A process that has ended and is not reaped has none of these lines.
fn held_in(status: &str) -> Option<u64> {
    let kibibytes = |name: &str| {
        let (_, value) = status.lines().filter_map(|line| line.split_once(':')).find(|(found, _)| *found == name)?;
        value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()
    };
    kibibytes("RssAnon")?.checked_add(kibibytes("RssShmem")?)?.checked_mul(1024)
}

/// Fields 14 and 15, counted after the command name, which is in parentheses and may hold anything.
fn cpu_in(stat: &str, ticks_per_second: u64) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    let millis = user.checked_add(system)?.checked_mul(1000)?.checked_div(ticks_per_second)?;
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_hostile_names() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 5 1000 10";
        assert_eq!(cpu_in(stat, 100), Some(Duration::from_secs(3)));
        assert_eq!(cpu_in("7 (a", 100), None);
        assert_eq!(resident_in("100 20 3 1 0 5 0", 4096), Some(81920));
        assert_eq!(resident_in("", 4096), None);
        let status =
            "Name:\tRssAnon: 1 kB\nVmRSS:\t   90 kB\nRssAnon:\t   50 kB\nRssFile:\t   30 kB\nRssShmem:\t   10 kB\n";
        assert_eq!(held_in(status), Some(60 << 10));
        assert_eq!(held_in("Name:\ta\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn this_process_has_figures() {
        assert!(resident_of(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert!(held_by(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert!(cpu_of(std::process::id()).is_some());
        assert!(physical_memory() > 1 << 20);
        assert_eq!(resident_of(u32::MAX), None);
    }
}
