//! When state files that no manifest names are looked for: it takes a listing of all files, so never where nothing has failed.

use std::time::Duration;

use tokio::time::Instant;

/// Least time between two looks, however often checkpoints fail.
const PAUSE: Duration = Duration::from_secs(60);
/// The same when looks fail, each time twice as long up to this: a manifest that cannot be read stays so until a person has moved it
/// away.
const PAUSE_MAX: Duration = Duration::from_secs(3600);
/// How long after a look it is looked once more, for what came late: uploads that were given up take minutes to end, and a
/// TaskManager that is cut off writes until it gives itself up (`taskmanager.registration.timeout`). What comes even later goes
/// with the next look, or with the job.
const LATE: Duration = Duration::from_secs(600);

/// What was looked for, and when it is to be looked again.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    not_before: Option<Instant>,
    again: Option<Instant>,
    /// Since looks fail: the pause, and why the last one has.
    failing: Option<(Duration, String)>,
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

    /// The look that began at `now` has failed. Says whether that is news.
    pub fn failed(&mut self, problem: &str, now: Instant) -> bool {
        let before = self.failing.take();
        let is_news = before.as_ref().is_none_or(|(_, before)| before != problem);
        let pause = before.map_or(PAUSE, |(pause, _)| (2 * pause).min(PAUSE_MAX));
        (self.not_before, self.again) = (Some(now + pause), Some(now + pause));
        self.failing = Some((pause, problem.to_owned()));
        is_news
    }

    /// All that was to be found was removed.
    pub fn succeeded(&mut self) {
        self.failing = None;
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

    #[test]
    fn looks_that_fail_become_rarer_and_are_told_of_once_for_each_problem() {
        let (mut sweeps, mut now) = (Sweeps::default(), Instant::now());
        let mut look = |sweeps: &mut Sweeps, suspected: bool, problem: Option<&str>| {
            let began = now;
            while !sweeps.is_due(suspected, now) {
                now += PAUSE;
            }
            sweeps.began(suspected, now);
            let is_news = match problem {
                Some(problem) => sweeps.failed(problem, now),
                None => {
                    sweeps.succeeded();
                    false
                }
            };
            ((now - began).as_secs() / PAUSE.as_secs(), is_news)
        };
        assert_eq!(look(&mut sweeps, true, Some("torn")), (0, true));
        let waits = [1, 2, 4, 8, 16, 32, 60, 60].map(|minutes| (minutes, false));
        assert_eq!(waits.map(|_| look(&mut sweeps, true, Some("torn"))), waits);
        assert_eq!(look(&mut sweeps, true, Some("another")), (60, true));
        // It is looked again though nothing new is suspected.
        assert_eq!(look(&mut sweeps, false, None), (60, false));
        assert_eq!(look(&mut sweeps, true, Some("another")), (1, true));
        assert_eq!(look(&mut sweeps, true, None), (1, false));
    }
}
