//! Finds what a program started and let go: processes that left its group, known by an environment variable that only
//! that job process had.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Kills every process of ours whose environment has `name=value`.
pub(super) fn kill_all(name: &str, value: &OsStr) {
    let wanted = [name.as_bytes(), b"=", value.as_bytes()].concat();
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(environment) = fs::read(process.path().join("environ")) else {
            continue;
        };
        if environment.split(|byte| *byte == 0).any(|variable| variable == wanted) {
            tracing::info!(pid, "killing a process that a job process has left behind");
            let _ = kill_one(pid); // It may be gone by now.
        }
    }
}

fn kill_one(pid: i32) -> nix::Result<()> {
    kill(Pid::from_raw(pid), Signal::SIGKILL)
}
