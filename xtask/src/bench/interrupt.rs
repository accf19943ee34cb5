//! Ctrl-C: a flag that every wait looks at, so that what was started is ended in order.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: i32) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Takes SIGINT and SIGTERM from now on.
pub fn watch() -> anyhow::Result<()> {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler stores into an atomic and does nothing else.
        unsafe { sigaction(signal, &action) }.with_context(|| format!("{signal} cannot be taken"))?;
    }
    Ok(())
}

/// An error once one of them has come.
pub fn check() -> anyhow::Result<()> {
    ensure!(!INTERRUPTED.load(Ordering::Relaxed), "interrupted");
    Ok(())
}

/// Asks until there is an answer, with pauses, for as long as `timeout`; `what` says what did not come.
pub fn wait_for<T>(
    what: &str,
    timeout: Duration,
    pause: Duration,
    mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        check()?;
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("{what} took more than {} s", timeout.as_secs());
        }
        std::thread::sleep(pause);
    }
}
