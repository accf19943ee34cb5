//! The `flott` command: client and daemons in one binary.
//!
//! # Layout
//! - [`arguments`]: what may be written on the command line, old spellings included
//! - [`exit`]: how the command ends, and with which code
//! - [`settings`]: the effective configuration of a command
//! - [`state_dir`]: where everything that outlives a command is kept
//! - [`rest`]: the JobManager's REST endpoint, seen from a client
//! - [`planner`]: runs a program in plan mode
//! - [`submission`]: sends a job graph and its program
//! - [`follow`]: watches a job to its end
//! - [`pending`]: why a job waits
//! - [`cluster`]: finds clusters, starts and ends them
//! - [`kubernetes`]: the same for clusters on Kubernetes
//! - [`ended`]: what the JobManager of one job leaves behind of it
//! - [`interrupt`]: the signals that end a client
//! - [`log`]: where daemons log
//! - [`output`]: what commands print
//! - [`command`]: one file per verb

mod arguments;
mod cluster;
mod command;
mod ended;
mod exit;
mod follow;
mod interrupt;
mod kubernetes;
mod log;
mod operation;
mod output;
mod pending;
mod planner;
mod rest;
mod restore;
mod resumable;
mod settings;
mod state_dir;
mod submission;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    // The allocator asks for huge pages where the kernel gives them on request, and a daemon that holds a few megabytes
    // would have fifty resident. The TaskManager undoes it for job processes. Without it there is only more memory used.
    let _ = nix::sys::prctl::set_thp_disable(true);
    let arguments = match arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(end) => return end.report(),
    };
    match command::run(arguments) {
        Ok(code) => code.into(),
        Err(end) => end.report(),
    }
}
