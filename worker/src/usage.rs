//! What this process and its job processes take, from `/proc`.

use std::{fs, time::Duration};

use flott_core::metrics::proc;
use nix::unistd::{SysconfVar, sysconf};

/// Resident bytes of a process; `None` when there is no such process.
pub(crate) fn resident_of(pid: u32) -> Option<u64> {
    proc::resident(&fs::read_to_string(format!("/proc/{pid}/statm")).ok()?, system(SysconfVar::PAGE_SIZE)?)
}

/// Bytes of a process that the kernel cannot take back: without pages of files, which processes share, and which a container's limit
/// drives out before it ends anybody. `None` when there is no such process.
pub(crate) fn held_by(pid: u32) -> Option<u64> {
    proc::held(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// CPU time of a process, user and system, all threads; also of one that has ended and is not reaped.
pub(crate) fn cpu_of(pid: u32) -> Option<Duration> {
    proc::cpu(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?, system(SysconfVar::CLK_TCK)?)
}

/// Threads of a process; `None` when there is no such process.
pub(crate) fn threads_of(pid: u32) -> Option<u64> {
    proc::threads(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_figures() {
        assert!(resident_of(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert!(held_by(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert!(threads_of(std::process::id()).is_some_and(|threads| threads > 0));
        assert!(cpu_of(std::process::id()).is_some());
        assert!(physical_memory() > 1 << 20);
        assert_eq!(resident_of(u32::MAX), None);
    }
}
