//! What is kept of the windows of one key.

use std::{collections::VecDeque, mem, ops::Range};

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

/// The windows of a key in order. Most keys have one at a time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) enum Panes<W, C, S> {
    #[default]
    Empty,
    One(Pane<W, C, S>),
    Many(VecDeque<Pane<W, C, S>>),
}

impl<W: Window, C, S: Default> Panes<W, C, S> {
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::One(_) => 1,
            Self::Many(panes) => panes.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn get(&self, index: usize) -> Option<&Pane<W, C, S>> {
        match self {
            Self::One(pane) if index == 0 => Some(pane),
            Self::Empty | Self::One(_) => None,
            Self::Many(panes) => panes.get(index),
        }
    }

    pub fn get_mut(&mut self, index: usize) -> Option<&mut Pane<W, C, S>> {
        match self {
            Self::One(pane) if index == 0 => Some(pane),
            Self::Empty | Self::One(_) => None,
            Self::Many(panes) => panes.get_mut(index),
        }
    }

    /// Where `window` is, or else where it belongs.
    #[inline]
    pub fn place(&self, window: &W) -> Result<usize, usize> {
        match self {
            Self::Empty => Err(0),
            Self::One(pane) => match pane.window.cmp(window) {
                std::cmp::Ordering::Less => Err(1),
                std::cmp::Ordering::Equal => Ok(0),
                std::cmp::Ordering::Greater => Err(0),
            },
            // Time goes on: most records are for the latest window, or for a new one.
            Self::Many(panes) => match panes.back().map(|last| last.window.cmp(window)) {
                None | Some(std::cmp::Ordering::Less) => Err(panes.len()),
                Some(std::cmp::Ordering::Equal) => Ok(panes.len() - 1),
                Some(std::cmp::Ordering::Greater) => panes.binary_search_by(|pane| pane.window.cmp(window)),
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
        let around = [Some(place), place.checked_sub(1)].into_iter().flatten();
        around.into_iter().find(|index| {
            self.get(*index).is_some_and(|pane| pane.window.merge(window).is_some_and(|whole| whole == pane.window))
        })
    }

    /// Puts a pane at a place that [`place`](Self::place) gave.
    pub fn insert(&mut self, index: usize, pane: Pane<W, C, S>) -> &mut Pane<W, C, S> {
        match mem::take(self) {
            Self::Empty => *self = Self::One(pane),
            Self::One(known) => {
                let panes = if index == 0 { [pane, known] } else { [known, pane] };
                *self = Self::Many(VecDeque::from(panes));
            }
            Self::Many(mut panes) => {
                panes.insert(index, pane);
                *self = Self::Many(panes);
            }
        }
        match self.get_mut(index) {
            Some(pane) => pane,
            None => unreachable!("a pane is where it was put"),
        }
    }

    /// Takes a pane out.
    pub fn remove(&mut self, index: usize) -> Option<Pane<W, C, S>> {
        match self {
            Self::Empty => None,
            Self::One(_) => match mem::take(self) {
                Self::One(pane) => Some(pane),
                Self::Empty | Self::Many(_) => None,
            },
            Self::Many(panes) => panes.remove(index),
        }
    }
}
