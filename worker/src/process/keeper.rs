//! The thread that starts a job process, waits for its end, and reaps it.
//!
//! One thread per process, because the kernel ends a child that asked for it (see [`super::confine`]) with the *thread*
//! that forked it: no thread of a pool lives long enough for certain. It sleeps in `waitid` and costs a small stack.

use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::wait::{Id, WaitPidFlag, waitid},
    unistd::Pid,
};
use tokio::sync::oneshot;

use super::{confine::confine, group::Group, output::Output, strays};
use crate::usage;

/// A write handle that another thread's child has inherited keeps a fresh program busy until that child has exec'd,
/// which is over in a moment.
const BUSY_RETRIES: u32 = 100;
const BUSY_PAUSE: Duration = Duration::from_millis(10);

const STACK_BYTES: usize = 256 << 10;

/// A program to run.
pub(super) struct Plan {
    pub executable: PathBuf,
    pub name: OsString,
    pub arguments: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// One of `environment`, by whose value processes that left the group are found.
    pub marker: (&'static str, OsString),
    pub directory: PathBuf,
    pub output: Output,
    pub nice: i32,
}

/// How a process ended.
#[derive(Debug)]
pub(super) struct Exit {
    pub status: ExitStatus,
    /// The last few KiB of its standard error.
    pub last_words: String,
    pub cpu: Duration,
}

/// How the start went.
#[derive(Debug)]
pub(super) enum Begun {
    Running(Pid),
    /// The group was told to end before.
    Unwanted,
    Failed(io::Error),
}

/// Starts `plan` in `group`. The second receiver gets the end of what the first one reports as running.
pub(super) fn keep(
    plan: Plan,
    group: Arc<Group>,
) -> io::Result<(oneshot::Receiver<Begun>, oneshot::Receiver<io::Result<Exit>>)> {
    let (begun, on_begun) = oneshot::channel();
    let (ended, on_ended) = oneshot::channel();
    thread::Builder::new().name("job-process".into()).stack_size(STACK_BYTES).spawn(move || {
        match spawn(&plan, &group) {
            None => drop(begun.send(Begun::Unwanted)),
            Some(Err(error)) => drop(begun.send(Begun::Failed(error))),
            Some(Ok(child)) => {
                // Nobody there to hear it is fine: whoever lets go of the receiver has killed the group.
                let _ = begun.send(Begun::Running(pid_of(&child)));
                let _ = ended.send(watch(child, plan, &group));
            }
        }
    })?;
    Ok((on_begun, on_ended))
}

fn spawn(plan: &Plan, group: &Group) -> Option<io::Result<Child>> {
    let mut command = Command::new(&plan.executable);
    command
        .arg0(&plan.name)
        .args(&plan.arguments)
        .env_clear()
        .envs(plan.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&plan.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    confine(&mut command, plan.nice);
    for _ in 0..BUSY_RETRIES {
        match group.begin(|| command.spawn().map(|child| (pid_of(&child), child)))? {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => thread::sleep(BUSY_PAUSE),
            result => return Some(result),
        }
    }
    Some(Err(io::ErrorKind::ExecutableFileBusy.into()))
}

fn watch(mut child: Child, plan: Plan, group: &Group) -> io::Result<Exit> {
    let pid = pid_of(&child);
    let output = plan.output.start(child.stdout.take(), child.stderr.take());
    // Without reaping: until the group is told that its leader is gone, the process id must stay taken.
    while let Err(Errno::EINTR) = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {}
    let cpu = usage::cpu_of(pid.as_raw().unsigned_abs()).unwrap_or_default();
    let status = group.finish(|| child.wait());
    let (name, value) = &plan.marker;
    strays::kill_all(name, value);
    let last_words = output?.finish();
    Ok(Exit { status: status.unwrap_or_else(|_| ExitStatus::from_raw(0)), last_words, cpu })
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}
