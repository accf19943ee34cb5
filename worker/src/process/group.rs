//! The process group of a job process, for those who may signal it while someone else reaps it.
//!
//! A process id may be used again by the system as soon as it is reaped. So signals and the reaping exclude each other,
//! and no signal can reach a stranger.

use std::{io, sync::Mutex};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

#[derive(Debug, Default)]
pub(crate) struct Group {
    state: Mutex<GroupState>,
}

#[derive(Debug, Default, Clone, Copy)]
enum GroupState {
    #[default]
    Unborn,
    /// It was told to end before it began.
    Unwanted,
    Alive(Pid),
    Gone,
}

impl Group {
    /// Signals the group. One that has not been started never will be; for one that is gone nothing happens.
    pub(crate) fn signal(&self, signal: Signal) {
        let mut state = self.lock();
        match *state {
            GroupState::Unborn => *state = GroupState::Unwanted,
            GroupState::Alive(pid) => send(pid, signal),
            GroupState::Unwanted | GroupState::Gone => {}
        }
    }

    /// Its process id while it lives.
    pub(crate) fn pid(&self) -> Option<Pid> {
        match *self.lock() {
            GroupState::Alive(pid) => Some(pid),
            GroupState::Unborn | GroupState::Unwanted | GroupState::Gone => None,
        }
    }

    /// Starts the group's leader with `spawn`, unless it is no longer wanted (`None`).
    pub(super) fn begin<T>(&self, spawn: impl FnOnce() -> io::Result<(Pid, T)>) -> Option<io::Result<T>> {
        let mut state = self.lock();
        match *state {
            GroupState::Unborn => Some(spawn().map(|(pid, child)| {
                *state = GroupState::Alive(pid);
                child
            })),
            GroupState::Unwanted | GroupState::Alive(_) | GroupState::Gone => None,
        }
    }

    /// Kills what is left of the group, then lets `reap` free the process id of its leader, which has ended.
    pub(super) fn finish<T>(&self, reap: impl FnOnce() -> T) -> T {
        let mut state = self.lock();
        if let GroupState::Alive(pid) = *state {
            send(pid, Signal::SIGKILL);
        }
        *state = GroupState::Gone;
        reap()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, GroupState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn send(pid: Pid, signal: Signal) {
    // A group that has just emptied is no error; nothing else can go wrong with a group of our own.
    if let Err(error) = killpg(pid, signal)
        && error != nix::errno::Errno::ESRCH
    {
        tracing::warn!(%pid, %signal, %error, "job process could not be signalled");
    }
}
