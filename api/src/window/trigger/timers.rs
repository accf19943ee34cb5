//! The timers of a window, as its trigger has set them.
//!
//! Most windows have one timer, and sessions move theirs with every record. So they are kept with the window, where
//! setting one is a comparison, and only the earliest of a window is in the operator's queue of timers.

use flott_runtime::{batch::Timestamp, time::TimeDomain};
use serde::{Deserialize, Serialize};

/// Timers in both kinds of time, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TriggerTimers {
    /// None at all.
    #[default]
    None,
    /// One in event time.
    Event(Timestamp),
    /// One in processing time.
    Processing(Timestamp),
    /// Any others.
    Many(Box<Many>),
}

/// In order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Many {
    event: Vec<Timestamp>,
    processing: Vec<Timestamp>,
}

impl Many {
    fn of(&mut self, domain: TimeDomain) -> &mut Vec<Timestamp> {
        match domain {
            TimeDomain::Event => &mut self.event,
            TimeDomain::Processing => &mut self.processing,
        }
    }
}

impl TriggerTimers {
    fn one(domain: TimeDomain, at: Timestamp) -> Self {
        match domain {
            TimeDomain::Event => Self::Event(at),
            TimeDomain::Processing => Self::Processing(at),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::None
    }

    /// The earliest in one kind of time.
    #[inline]
    pub fn next(&self, domain: TimeDomain) -> Option<Timestamp> {
        match (self, domain) {
            (Self::Event(at), TimeDomain::Event) | (Self::Processing(at), TimeDomain::Processing) => Some(*at),
            (Self::None | Self::Event(_) | Self::Processing(_), _) => None,
            (Self::Many(many), TimeDomain::Event) => many.event.first().copied(),
            (Self::Many(many), TimeDomain::Processing) => many.processing.first().copied(),
        }
    }

    /// Sets one, unless it is set already.
    #[inline]
    pub fn add(&mut self, domain: TimeDomain, at: Timestamp) {
        match self {
            Self::None => *self = Self::one(domain, at),
            Self::Event(known) if domain == TimeDomain::Event && *known == at => {}
            Self::Processing(known) if domain == TimeDomain::Processing && *known == at => {}
            _ => self.add_further(domain, at),
        }
    }

    #[cold]
    fn add_further(&mut self, domain: TimeDomain, at: Timestamp) {
        let mut many = match std::mem::take(self) {
            Self::None => Box::default(),
            Self::Event(known) => Box::new(Many { event: vec![known], processing: Vec::new() }),
            Self::Processing(known) => Box::new(Many { event: Vec::new(), processing: vec![known] }),
            Self::Many(many) => many,
        };
        let timers = many.of(domain);
        if let Err(place) = timers.binary_search(&at) {
            timers.insert(place, at);
        }
        *self = Self::Many(many);
    }

    /// Takes one back.
    pub fn remove(&mut self, domain: TimeDomain, at: Timestamp) {
        if let Self::Many(many) = self {
            let timers = many.of(domain);
            if let Ok(place) = timers.binary_search(&at) {
                timers.remove(place);
            }
            self.shrink();
        } else if *self == Self::one(domain, at) {
            *self = Self::None;
        }
    }

    /// Takes out the earliest whose time is `until` or earlier.
    #[inline]
    pub fn pop(&mut self, domain: TimeDomain, until: Timestamp) -> Option<Timestamp> {
        let at = self.next(domain).filter(|at| *at <= until)?;
        self.remove(domain, at);
        Some(at)
    }

    /// Takes out all in one kind of time, in order.
    pub fn take(&mut self, domain: TimeDomain) -> Vec<Timestamp> {
        let mut all = Vec::new();
        while let Some(at) = self.pop(domain, Timestamp::MAX) {
            all.push(at);
        }
        all
    }

    /// Few again: the list goes.
    fn shrink(&mut self) {
        let Self::Many(many) = self else { return };
        match (many.event.as_slice(), many.processing.as_slice()) {
            ([], []) => *self = Self::None,
            ([at], []) => *self = Self::Event(*at),
            ([], [at]) => *self = Self::Processing(*at),
            _ => {}
        }
    }
}
