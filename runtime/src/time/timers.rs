//! The timers of one operator.

use flott_core::failure::Failure;
use serde::{Deserialize, Serialize};

use super::{
    last_timers::{LAST_TIMERS_MAX, LastTimers},
    queue::{Due, TimerQueue},
};
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
    last: LastTimers,
}

impl<K, N> Default for Timers<K, N> {
    fn default() -> Self {
        Self { event: TimerQueue::default(), processing: TimerQueue::default(), last: LastTimers::default() }
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

    /// Records with these timestamps have come: as far as they go, timers that set others come to an end. A pass over a column
    /// that is about to be used takes about a third of a nanosecond for each.
    pub fn hear(&mut self, timestamps: &[Timestamp]) {
        timestamps.iter().max().into_iter().for_each(|at| self.last.hear(*at));
    }

    /// The greatest time that was heard of, if there is any: a snapshot has it, as the records up to it do not come again.
    pub fn heard(&self) -> Option<Timestamp> {
        self.last.heard()
    }

    /// A timer that the queue does not know fires at `at`, at the final watermark, and there are `others`. False if there have
    /// been too many, as for [`pop_event`](Self::pop_event).
    pub fn count_last(&mut self, at: Timestamp, others: usize) -> bool {
        self.last.count(at, others)
    }

    /// Takes out the next timer in event time that `watermark` has reached.
    ///
    /// # Errors
    /// When timers set each other for ever while the input ends.
    pub fn pop_event(&mut self, watermark: Timestamp) -> TaskResult<Option<Due<K, N>>> {
        let Some(due) = self.event.pop(watermark) else { return Ok(None) };
        if watermark < Timestamp::MAX {
            self.last.hear(watermark);
        } else if !self.last.count(due.at, self.event.len()) {
            return Err(endless());
        }
        Ok(Some(due))
    }
}

#[cold]
fn endless() -> Box<Failure> {
    let message = format!(
        "timers set further timers without end after the input has ended (more than {LAST_TIMERS_MAX}, beyond the \
         timestamps of all records): a timer must stop setting itself again when the watermark is the final one"
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
    fn timers_go_on_as_far_as_records_and_watermarks_have_come() {
        let mut timers = Timers::<u8>::default();
        timers.hear(&[5, 700_000, 6]);
        timers.event.add(0, KeyHash::of(&1u8), &1, &());
        let mut last = 0;
        while let Some(due) = timers.pop_event(if last < 800_000 { 800_000 } else { Timestamp::MAX }).unwrap() {
            last = due.at;
            if last < 1_800_000 {
                timers.event.add(last + 1, due.hash, &due.key, &());
            }
        }
        assert_eq!(last, 1_800_000);
    }

    #[test]
    fn keys_that_set_further_timers_come_to_an_end() {
        // In batch mode the final watermark is the only one: a timer for each hour of a day.
        let (keys, hours) = (60_000u32, 24);
        let mut timers = Timers::<u32>::default();
        (0..keys).for_each(|key| assert!(timers.event.add(1, KeyHash::of(&key), &key, &())));
        let mut fired = 0;
        while let Some(due) = timers.pop_event(Timestamp::MAX).unwrap() {
            fired += 1;
            if due.at < hours {
                timers.event.add(due.at + 1, due.hash, &due.key, &());
            }
        }
        assert_eq!(fired, i64::from(keys) * hours);
    }
}
