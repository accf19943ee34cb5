//! What a job process does to itself between `fork` and `exec`: a session of its own, limits, and a pact to die with
//! the TaskManager. The only unsafe code of this crate.

use std::{io, os::unix::process::CommandExt, process::Command};

use nix::{
    fcntl::{OFlag, open},
    sys::{
        prctl::{set_pdeathsig, set_thp_disable},
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
        stat::Mode,
    },
    unistd::{getpid, getppid, setsid, write},
};

/// More open files than the usual soft limit of 1,024, and no more than a table of this size costs.
const OPEN_FILES_MAX: u64 = 65_536;

/// When the machine is out of memory, job processes go before TaskManagers, which keep the default of 0.
const OOM_SCORE: &[u8] = b"500";

/// Confines what `command` starts. The death of the calling *thread*, not only of this process, kills it: spawn from a
/// thread that outlives it.
pub(super) fn confine(command: &mut Command, nice: i32) {
    let parent = getpid();
    let (files, files_hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((OPEN_FILES_MAX, OPEN_FILES_MAX));
    let files = files.max(OPEN_FILES_MAX.min(files_hard));
    let prepare = move || -> io::Result<()> {
        setsid()?;
        set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != parent {
            // The TaskManager died before the pact was made.
            return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
        }
        // Daemons do without huge pages, which would be most of their memory; tables of jobs gain by them.
        let _ = set_thp_disable(false); // A wish as well.
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        setrlimit(Resource::RLIMIT_NOFILE, files, files_hard)?;
        if let Ok(file) = open(c"/proc/self/oom_score_adj", OFlag::O_WRONLY, Mode::empty()) {
            let _ = write(&file, OOM_SCORE); // A wish, not a need: some containers forbid it.
        }
        if nice != 0 {
            // SAFETY: takes and returns plain integers.
            let _ = unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, nice) };
        }
        Ok(())
    };
    // SAFETY: the child of a threaded process may only do what is async-signal-safe until it execs. `prepare` makes
    // system calls on plain integers and static strings; it takes no lock and neither allocates nor frees memory
    // (`io::Error` made from an error number does not).
    unsafe { command.pre_exec(prepare) };
}
