//! When state files that no manifest names are looked for: it takes a listing of all files, so never where nothing has failed.

use std::time::Duration;

use tokio::time::Instant;

/// Least time between two looks, however often checkpoints fail.
const PAUSE: Duration = Duration::from_secs(60);
/// How long after a look it is looked once more, for what came late: uploads that were given up take minutes to end, and a
/// TaskManager that is cut off writes until it gives itself up (`taskmanager.registration.timeout`). What comes even later goes
/// with the next look, or with the job.
const LATE: Duration = Duration::from_secs(600);

/// What was looked for, and when it is to be looked again.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    not_before: Option<Instant>,
    again: Option<Instant>,
}

impl Sweeps {
    /// Whether it is time to look, after a checkpoint was committed; `suspects` says whether there may be something.
    pub fn is_due(&self, suspects: bool, now: Instant) -> bool {
        let is_late = self.again.is_some_and(|again| again <= now);
        (suspects || is_late) && self.not_before.is_none_or(|at| at <= now)
    }

    /// It is looked now, because something was suspected or for what came late.
    pub fn began(&mut self, suspected: bool, now: Instant) {
        self.not_before = Some(now + PAUSE);
        self.again = suspected.then_some(now + LATE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_when_something_is_suspected_and_once_more_later() {
        let (mut sweeps, began) = (Sweeps::default(), Instant::now());
        assert!(!sweeps.is_due(false, began), "nothing has failed");
        assert!(sweeps.is_due(true, began));
        sweeps.began(true, began);
        let soon = began + Duration::from_secs(1);
        assert!(!sweeps.is_due(true, soon) && !sweeps.is_due(false, began + PAUSE));
        assert!(sweeps.is_due(true, began + PAUSE));
        let later = began + LATE;
        assert!(sweeps.is_due(false, later));
        sweeps.began(false, later);
        assert!(!sweeps.is_due(false, later + LATE));
    }
}
