//! The steps by which something is removed, each tried until it is done, after pauses that grow.
//!
//! # Contract
//! - A step that is done is not done again for the sake of a later one: while the note alone cannot be written, nothing is removed.
//!   Whoever begins anew, as the next JobManager does, begins with the first.
//! - Dropped at any moment, it has done what it has done, and the note is there unless all was.
//! - A failure that goes on is told of once.

use std::time::Duration;

use flott_core::failure::Failure;
use tokio::time::sleep;

use crate::stores::Leftover;

/// Pauses between two tries of a step: the first, and the longest.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// What has become of something that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removed {
    /// It is not there.
    Gone,
    /// It is to stay.
    Spared,
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is removed, and once more so long after it, if some of it may come late.
    Remove { again_after: Option<Duration> },
    /// It is waited for what comes late.
    Wait(Duration),
    /// The note goes that says that it is to be removed.
    Note,
}

/// Something to be removed. Both may be asked for again, whether they were done or not.
pub(super) trait Removal: Sync {
    fn leftover(&self) -> &Leftover;

    fn remove(&self) -> impl Future<Output = Result<Removed, Failure>> + Send;

    fn note(&self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Goes on with `step`, which `failure` has kept the last try from, until all is done.
pub(super) async fn patiently(removal: &impl Removal, mut step: Step, mut failure: Option<Failure>) {
    let (mut pause, mut told) = (PAUSE, None);
    loop {
        if let Some(failure) = failure.take() {
            if told.as_ref() != Some(&failure) {
                tracing::warn!(leftover = ?removal.leftover(), %failure, "what is left of a job is not removed; trying again until it is");
            }
            told = Some(failure);
            sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
        }
        let next = match step {
            Step::Remove { again_after } => removal.remove().await.map(|removed| match (removed, again_after) {
                (Removed::Gone, Some(late)) => Some(Step::Wait(late)),
                (Removed::Gone, None) | (Removed::Spared, _) => Some(Step::Note),
            }),
            Step::Wait(late) => {
                sleep(late).await;
                Ok(Some(Step::Remove { again_after: None }))
            }
            Step::Note => removal.note().await.map(|()| None),
        };
        match next {
            Ok(Some(next)) => (step, pause) = (next, PAUSE),
            Ok(None) => return,
            Err(next) => failure = Some(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use flott_core::id::JobId;
    use parking_lot::Mutex;
    use tokio::time::Instant;

    use super::*;
    use crate::stores::Left;

    const LATE: Duration = Duration::from_secs(900);

    /// What was asked for, and after how many seconds.
    type Asked = Vec<(&'static str, u64)>;

    /// Gives these answers, and good ones behind them.
    struct Scripted {
        leftover: Leftover,
        removals: Mutex<Vec<Result<Removed, Failure>>>,
        notes: Mutex<Vec<Result<(), Failure>>>,
        began: Instant,
        asked: Mutex<Asked>,
    }

    impl Scripted {
        fn ask<T>(&self, what: &'static str, answers: &Mutex<Vec<T>>, good: T) -> T {
            self.asked.lock().push((what, self.began.elapsed().as_secs()));
            answers.lock().pop().unwrap_or(good)
        }
    }

    impl Removal for Scripted {
        fn leftover(&self) -> &Leftover {
            &self.leftover
        }

        async fn remove(&self) -> Result<Removed, Failure> {
            self.ask("remove", &self.removals, Ok(Removed::Gone))
        }

        async fn note(&self) -> Result<(), Failure> {
            self.ask("note", &self.notes, Ok(()))
        }
    }

    /// Answers in order.
    async fn check(
        step: Step,
        failure: Option<Failure>,
        removals: &[Result<Removed, Failure>],
        notes: &[Result<(), Failure>],
        expected: &[(&'static str, u64)],
    ) {
        let what = Left::Savepoint { directory: "/savepoint".to_owned() };
        let scripted = Scripted {
            leftover: Leftover { job: JobId::from_bytes([1; 16]), what },
            removals: Mutex::new(removals.iter().rev().cloned().collect()),
            notes: Mutex::new(notes.iter().rev().cloned().collect()),
            began: Instant::now(),
            asked: Mutex::default(),
        };
        patiently(&scripted, step, failure).await;
        assert_eq!(*scripted.asked.lock(), expected);
    }

    fn away() -> Failure {
        Failure::environment("the store is away")
    }

    const ONCE: Step = Step::Remove { again_after: None };
    const TWICE: Step = Step::Remove { again_after: Some(LATE) };

    #[tokio::test(start_paused = true)]
    async fn it_is_tried_until_it_is_gone_after_pauses_that_grow() {
        let away = [(); 11].map(|()| Err(away()));
        let removals = [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1623].map(|at| ("remove", at));
        check(ONCE, None, &away, &[], &[&removals[..], &[("note", 1623)]].concat()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_is_not_removed_again_because_the_note_cannot_be_written() {
        let full = [Err(away()), Err(away())];
        check(ONCE, None, &[], &full, &[("remove", 0), ("note", 0), ("note", 1), ("note", 3)]).await;
        check(Step::Note, Some(away()), &[], &full[..1], &[("note", 1), ("note", 3)]).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_come_late_is_removed_once_more_before_it_is_noted() {
        let late = LATE.as_secs();
        check(TWICE, None, &[], &[], &[("remove", 0), ("remove", late), ("note", late)]).await;
        let removals = [Err(away()), Ok(Removed::Gone), Err(away())];
        let expected = [("remove", 1), ("remove", 3), ("remove", 3 + late), ("remove", 4 + late), ("note", 4 + late)];
        check(TWICE, Some(away()), &removals, &[], &expected).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_to_stay_is_let_alone() {
        check(TWICE, None, &[Ok(Removed::Spared)], &[], &[("remove", 0), ("note", 0)]).await;
    }
}
