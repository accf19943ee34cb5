//! The timers of one operator.

use flott_core::failure::Failure;
use serde::{Deserialize, Serialize};

use super::queue::{Due, TimerQueue};
use crate::{
    batch::{Key, Timestamp},
    error::TaskResult,
};

/// The two kinds of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimeDomain {
    /// What records say.
    Event,
    /// What the clock says.
    Processing,
}

impl TimeDomain {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Event, Self::Processing];
}

/// Timers that fire while the input ends may set others, and these others again. So many may fire, and so many for each
/// that was there at the end, before it is taken that they will go on for ever.
const LAST_TIMERS_MAX: usize = 1_000_000;
const LAST_TIMERS_EACH: usize = 4;

/// Timers of an operator in both kinds of time, by key and namespace.
///
/// In event time a timer fires when the watermark has reached its time: before the watermark is passed on, and at once
/// with the next advance if its time had passed when it was set. In processing time it fires when the clock has reached
/// its time.
#[derive(Debug, Clone)]
pub struct Timers<K, N = ()> {
    /// In event time.
    pub event: TimerQueue<K, N>,
    /// In processing time.
    pub processing: TimerQueue<K, N>,
    /// How many more may fire at the final watermark.
    last: Option<usize>,
}

impl<K, N> Default for Timers<K, N> {
    fn default() -> Self {
        Self { event: TimerQueue::default(), processing: TimerQueue::default(), last: None }
    }
}

impl<K: Key, N: Key> Timers<K, N> {
    /// Those in one kind of time.
    pub fn in_domain(&mut self, domain: TimeDomain) -> &mut TimerQueue<K, N> {
        match domain {
            TimeDomain::Event => &mut self.event,
            TimeDomain::Processing => &mut self.processing,
        }
    }

    /// Takes out the next timer in event time that `watermark` has reached.
    ///
    /// # Errors
    /// When timers set each other for ever while the input ends.
    pub fn pop_event(&mut self, watermark: Timestamp) -> TaskResult<Option<Due<K, N>>> {
        let due = self.event.pop(watermark);
        if watermark == Timestamp::MAX && due.is_some() {
            let most = self.event.len().saturating_mul(LAST_TIMERS_EACH).saturating_add(LAST_TIMERS_MAX);
            let left = self.last.get_or_insert(most);
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return Err(endless()),
            }
        }
        Ok(due)
    }
}

#[cold]
fn endless() -> Box<Failure> {
    let message = format!(
        "timers set further timers without end after the input has ended (more than {LAST_TIMERS_MAX}): \
         a timer must not set itself again when the watermark is the final one"
    );
    Box::new(Failure::user(message).fatal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::KeyHash;

    #[test]
    fn timers_that_set_each_other_for_ever_are_an_error_at_the_end() {
        let mut timers = Timers::<u8>::default();
        timers.event.add(0, KeyHash::of(&1u8), &1, &());
        let mut fired = 0;
        let failure = loop {
            match timers.pop_event(Timestamp::MAX) {
                Ok(Some(due)) => {
                    fired += 1;
                    timers.event.add(due.at + 1, due.hash, &due.key, &());
                }
                Ok(None) => panic!("it was set again"),
                Err(failure) => break failure,
            }
        };
        assert_eq!(fired, LAST_TIMERS_MAX);
        assert!(failure.to_string().contains("without end"), "{failure}");
    }

    #[test]
    fn an_ordinary_watermark_has_no_such_bound() {
        let mut timers = Timers::<u8>::default();
        timers.event.add(0, KeyHash::of(&1u8), &1, &());
        assert_eq!(timers.pop_event(5).unwrap().map(|due| due.at), Some(0));
        assert_eq!(timers.pop_event(5).unwrap(), None);
        assert_eq!(timers.last, None);
    }
}
