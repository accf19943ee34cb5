//! Bounded waits with a name.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Long enough for any step of a start on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Long enough for anything that a cluster does which runs, on a loaded machine.
pub const LOOKS: Duration = Duration::from_secs(90);

/// Most looks start a kubectl, which costs as much time of a core.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until `check` says yes.
///
/// # Errors
/// After `bound`, and at once with an error of `check`.
pub fn until(what: &str, bound: Duration, mut check: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let deadline = Instant::now() + bound;
    while !check()? {
        if Instant::now() >= deadline {
            bail!("waited {} s for {what}", bound.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Looks until `check` gives something, for as long as [`LOOKS`].
///
/// # Panics
/// With what it found last, when the time is up.
#[track_caller]
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Result<T, String>) -> T {
    let (mut found, mut last) = (None, String::new());
    let waited = until(what, LOOKS, || {
        match check() {
            Ok(value) => found = Some(value),
            Err(error) => last = error,
        }
        Ok(found.is_some())
    });
    match (waited, found) {
        (Ok(()), Some(found)) => found,
        (waited, _) => {
            panic!("{}; found last: {last}", waited.err().map_or_else(String::new, |error| error.to_string()))
        }
    }
}
