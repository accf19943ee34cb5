//! What is kept of the windows of one key.

use std::{cmp::Ordering, collections::VecDeque, mem, ops::Range};

use flott_runtime::{batch::Timestamp, time::TimeDomain};
use serde::{Deserialize, Serialize};

use crate::window::{TriggerTimers, Window};

/// No timer of the window is in the queue. No timer can have this time: the first watermark is later.
const UNARMED: Timestamp = Timestamp::MIN;

/// A window of a key, with what it has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pane<W, C, S> {
    pub window: W,
    /// What its records came to; nothing when it is empty.
    pub contents: Option<C>,
    /// What the trigger remembers.
    pub state: S,
    /// What the trigger waits for.
    pub timers: TriggerTimers,
    /// The times for which the operator's queue has a timer. They may be earlier than anything that is waited for, as
    /// those of a session that has grown; when they come, the queue is given the right one.
    armed: Armed,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Armed {
    event: Timestamp,
    processing: Timestamp,
}

impl<W, C, S: Default> Pane<W, C, S> {
    pub fn new(window: W) -> Self {
        let armed = Armed { event: UNARMED, processing: UNARMED };
        Self { window, contents: None, state: S::default(), timers: TriggerTimers::None, armed }
    }
}

impl<W, C, S> Pane<W, C, S> {
    fn armed(&mut self, domain: TimeDomain) -> &mut Timestamp {
        match domain {
            TimeDomain::Event => &mut self.armed.event,
            TimeDomain::Processing => &mut self.armed.processing,
        }
    }

    /// Notes that the window waits for `at`. The time to put into the queue, if what is there comes too late.
    #[inline]
    pub fn arm(&mut self, domain: TimeDomain, at: Timestamp) -> Option<Timestamp> {
        let at = at.max(UNARMED + 1);
        let armed = self.armed(domain);
        if *armed != UNARMED && *armed <= at {
            return None;
        }
        *armed = at;
        Some(at)
    }

    /// The time for which the queue has a timer.
    pub fn armed_for(&self, domain: TimeDomain) -> Option<Timestamp> {
        let at = match domain {
            TimeDomain::Event => self.armed.event,
            TimeDomain::Processing => self.armed.processing,
        };
        (at != UNARMED).then_some(at)
    }

    /// Takes a timer out of the queue that was set for `at`. False if it is one that was replaced by an earlier one.
    pub fn disarm(&mut self, domain: TimeDomain, at: Timestamp) -> bool {
        let armed = self.armed(domain);
        let own = *armed == at;
        if own {
            *armed = UNARMED;
        }
        own
    }
}

/// The windows of a key in order.
///
/// Time goes on, so most records are for the latest window; it lies in the table of keys itself. Others, if there are any,
/// lie elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Panes<W, C, S> {
    last: Option<Pane<W, C, S>>,
    #[expect(clippy::box_collection, reason = "most keys have no others, and a pointer is a quarter of an empty list")]
    before: Option<Box<VecDeque<Pane<W, C, S>>>>,
}

impl<W, C, S> Default for Panes<W, C, S> {
    fn default() -> Self {
        Self { last: None, before: None }
    }
}

impl<W: Window, C, S: Default> Panes<W, C, S> {
    /// How many are not the last.
    #[inline]
    fn before(&self) -> usize {
        self.before.as_ref().map_or(0, |before| before.len())
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.before() + usize::from(self.last.is_some())
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        // There is a last one wherever there are any.
        self.last.is_none()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Pane<W, C, S>> {
        self.before.iter().flat_map(|before| before.iter()).chain(&self.last)
    }

    #[inline]
    fn get(&self, index: usize) -> Option<&Pane<W, C, S>> {
        match &self.before {
            Some(before) if index < before.len() => before.get(index),
            _ if index == self.before() => self.last.as_ref(),
            _ => None,
        }
    }

    #[inline]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Pane<W, C, S>> {
        let count = self.before();
        match &mut self.before {
            Some(before) if index < count => before.get_mut(index),
            _ if index == count => self.last.as_mut(),
            _ => None,
        }
    }

    /// Where `window` is, or else where it belongs.
    #[inline]
    pub fn place(&self, window: &W) -> Result<usize, usize> {
        let count = self.before();
        match self.last.as_ref().map(|last| last.window.cmp(window)) {
            None => Err(count),
            Some(Ordering::Less) => Err(count + 1),
            Some(Ordering::Equal) => Ok(count),
            Some(Ordering::Greater) => match &self.before {
                None => Err(0),
                Some(before) => before.binary_search_by(|pane| pane.window.cmp(window)),
            },
        }
    }

    /// The windows that belong together with `window`, and what they come to with it.
    pub fn reach(&self, window: &W) -> (Range<usize>, W) {
        let (Ok(place) | Err(place)) = self.place(window);
        let (mut reach, mut whole) = (place..place, window.clone());
        let merged = |index: usize, whole: &W| self.get(index).and_then(|pane| pane.window.merge(whole));
        loop {
            if let Some(before) = reach.start.checked_sub(1)
                && let Some(merged) = merged(before, &whole)
            {
                (reach.start, whole) = (before, merged);
            } else if let Some(merged) = merged(reach.end, &whole) {
                (reach.end, whole) = (reach.end + 1, merged);
            } else {
                return (reach, whole);
            }
        }
    }

    /// The place of the window that `window` has become part of.
    pub fn place_of_part(&self, window: &W) -> Option<usize> {
        let (Ok(place) | Err(place)) = self.place(window);
        [Some(place), place.checked_sub(1)].into_iter().flatten().find(|index| {
            self.get(*index).is_some_and(|pane| pane.window.merge(window).is_some_and(|whole| whole == pane.window))
        })
    }

    /// Puts a pane at a place that [`place`](Self::place) gave.
    pub fn insert(&mut self, index: usize, pane: Pane<W, C, S>) {
        match self.last.take() {
            None => self.last = Some(pane),
            Some(last) => {
                let before = self.before.get_or_insert_default();
                if index > before.len() {
                    before.push_back(last);
                    self.last = Some(pane);
                } else {
                    before.insert(index, pane);
                    self.last = Some(last);
                }
            }
        }
    }

    /// Takes a pane out.
    pub fn remove(&mut self, index: usize) -> Option<Pane<W, C, S>> {
        match &mut self.before {
            Some(before) if index < before.len() => before.remove(index),
            before => mem::replace(&mut self.last, before.as_mut().and_then(|before| before.pop_back())),
        }
    }
}

#[cfg(test)]
mod tests {
    use flott_core::codec;

    use super::*;
    use crate::window::TimeWindow;

    #[test]
    fn panes_can_be_written_down_and_read() {
        let mut panes = Panes::<TimeWindow, u64, Option<i64>>::default();
        for start in [20, 0, 10] {
            let mut pane = Pane::new(TimeWindow::new(start, start + 10));
            pane.contents = (start > 0).then_some(7);
            pane.state = Some(start);
            (0..start / 10).for_each(|at| pane.timers.add(TimeDomain::Event, at));
            pane.timers.add(TimeDomain::Processing, start);
            pane.arm(TimeDomain::Event, start);
            let (Ok(place) | Err(place)) = panes.place(&pane.window);
            panes.insert(place, pane);
        }
        let read: Panes<TimeWindow, u64, Option<i64>> = codec::decode(&codec::to_vec(&panes).unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{panes:?}"));
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn a_pane_is_small() {
        assert!(size_of::<(u64, Panes<TimeWindow, u64, ()>)>() <= 80);
    }
}
