//! Waiting for what other processes do: bounded, and with a name for what was waited for.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Long enough for anything that works, on a loaded machine with debug builds; whoever waits for so long has found a
/// fault.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// First pause between two looks; each is longer than the one before, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Looks until `check` gives something. What it finds instead is told when the time is up.
///
/// # Panics
/// After `bound`, with `what` was waited for and what was found last.
#[track_caller]
pub fn eventually<T, E: Display>(what: &str, bound: Duration, mut check: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + bound;
    let mut pause = PAUSE_MIN;
    loop {
        match check() {
            Ok(found) => return found,
            Err(found) if Instant::now() >= deadline => {
                panic!("waited {} s for {what}; found last: {found}", bound.as_secs_f64());
            }
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}
