//! Limits that a child sets on itself between fork and exec.

#![allow(unsafe_code, reason = "pre_exec is the only way to set limits that hold from the first instruction on")]

use std::time::Duration;

use flott_core::job_graph::document;
use nix::sys::{
    prctl,
    resource::{Resource, setrlimit},
    signal::Signal,
};
use tokio::process::Command;

/// Address space of a planning child in bytes.
const MEMORY: u64 = 4 << 30;
/// Open files of a planning child.
const FILES: u64 = 256;

/// Bounds CPU time to `time`, and memory, open files and file sizes to what planning can need; without core dumps. The
/// child is killed when the thread that started it ends, so also when this process is killed.
pub(super) fn apply(command: &mut Command, time: Duration) {
    let seconds = time.as_secs().saturating_add(1);
    let file_size = document::SIZE_MAX as u64 * 2;
    let set = move || {
        for (resource, limit) in [
            (Resource::RLIMIT_CPU, seconds),
            (Resource::RLIMIT_AS, MEMORY),
            (Resource::RLIMIT_NOFILE, FILES),
            (Resource::RLIMIT_FSIZE, file_size),
            (Resource::RLIMIT_CORE, 0),
        ] {
            setrlimit(resource, limit, limit)?;
        }
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls may be made. The closure makes system calls with
    // values that it holds by copy: it neither allocates nor takes locks, and nix's errors are plain numbers.
    unsafe {
        command.pre_exec(set);
    }
}
