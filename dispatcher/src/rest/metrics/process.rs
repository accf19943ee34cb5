use std::{fs, time::Duration};

use flott_core::metrics::proc;
use nix::unistd::{SysconfVar, sysconf};

/// Figures of this process; what cannot be told is left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process {
    pub resident_bytes: Option<u64>,
    pub cpu: Option<Duration>,
    pub threads: Option<u64>,
}

impl Process {
    pub fn read() -> Self {
        let text = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).ok();
        let system = |variable| u64::try_from(sysconf(variable).ok()??).ok();
        Self {
            resident_bytes: text("statm").and_then(|statm| proc::resident(&statm, system(SysconfVar::PAGE_SIZE)?)),
            cpu: text("stat").and_then(|stat| proc::cpu(&stat, system(SysconfVar::CLK_TCK)?)),
            threads: text("status").and_then(|status| proc::threads(&status)),
        }
    }
}
