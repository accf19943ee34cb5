//! How long state is kept.

use std::{fmt, time::Duration};

use crate::batch::Timestamp;

/// Places of a table that are looked at per access, unless a state says otherwise.
const CLEANUP_DEFAULT: u32 = 10;

/// With fewer places per access than this, a table that only grows could outrun the search.
const CLEANUP_LEAST: u32 = 5;

/// A time-to-live of state, in processing time: Flink's `StateTtlConfig`.
///
/// A value lives from the moment it was last written; in a list each element does so by itself, in a map each entry.
/// What has expired is not given out any more. It is dropped when it is come across, and a search that goes on with each
/// batch of records finds what nobody asks for.
///
/// The moments are stored with the values, in milliseconds. So a state can be restored with a longer or shorter
/// time-to-live, but not without one where it had one, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateTtl {
    millis: i64,
    reads_count: bool,
    shows_expired: bool,
    cleanup: u32,
}

impl StateTtl {
    /// Values live for `ttl`, rounded up to milliseconds, from when they were last written.
    pub fn new(ttl: Duration) -> Self {
        let millis = i64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
        Self { millis, reads_count: false, shows_expired: false, cleanup: CLEANUP_DEFAULT }
    }

    /// Reading starts the time anew, as writing does: Flink's `OnReadAndWrite`.
    #[must_use]
    pub fn update_on_read(mut self) -> Self {
        self.reads_count = true;
        self
    }

    /// What has expired is given out until it is cleaned up: Flink's `ReturnExpiredIfNotCleanedUp`. Reading does not
    /// bring it back to life.
    #[must_use]
    pub fn return_expired(mut self) -> Self {
        self.shows_expired = true;
        self
    }

    /// The search looks at `places` of the table for each access, by default 10. A table has about two places for each
    /// key. Less than 5 count as 5, with which no key of a growing table is missed.
    #[must_use]
    pub fn cleanup(mut self, places: u32) -> Self {
        self.cleanup = places.max(CLEANUP_LEAST);
        self
    }

    /// There is no search: what nobody asks for stays for ever.
    #[must_use]
    pub fn no_cleanup(mut self) -> Self {
        self.cleanup = 0;
        self
    }

    /// Whether there is any time to live.
    pub(super) fn is_zero(self) -> bool {
        self.millis == 0
    }

    /// Places to look at for each access.
    pub(super) fn places(self) -> usize {
        self.cleanup as usize
    }

    /// What it means at `now`.
    pub(super) fn at(self, now: Timestamp) -> Moment {
        Moment { ttl: self, now }
    }
}

impl fmt::Display for StateTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { millis, reads_count, shows_expired, cleanup } = *self;
        write!(f, "{millis} ms from each write")?;
        if reads_count {
            f.write_str(" and read")?;
        }
        if shows_expired {
            f.write_str(", given out until cleaned up")?;
        }
        match cleanup {
            CLEANUP_DEFAULT => Ok(()),
            0 => f.write_str(", without a search"),
            places => write!(f, ", with {places} places searched per access"),
        }
    }
}

/// A time-to-live at one moment. All sums saturate: what would expire beyond the end of time does not expire before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    ttl: StateTtl,
    /// The moment.
    pub now: Timestamp,
}

impl Moment {
    /// Whether what was last used at `used` has had its time.
    #[inline]
    pub fn expired(self, used: Timestamp) -> bool {
        used.saturating_add(self.ttl.millis) <= self.now
    }

    /// Whether what was last used at `used` is not given out any more.
    #[inline]
    pub fn hides(self, used: Timestamp) -> bool {
        !self.ttl.shows_expired && self.expired(used)
    }

    /// Whether the time of what was last used at `used` is over by a sixteenth. A search that goes through a large list
    /// or map for each part that expires would take forever; this way it does so sixteen times in each part's life.
    pub fn overdue(self, used: Timestamp) -> bool {
        used.saturating_add(self.ttl.millis).saturating_add(self.ttl.millis / 16) <= self.now
    }

    /// Whether what has expired is given out until it is cleaned up.
    #[inline]
    pub fn shows_expired(self) -> bool {
        self.ttl.shows_expired
    }

    /// Reading: when it was used last, after what was last used at `used` is read now.
    #[inline]
    pub fn after_read(self, used: Timestamp) -> Timestamp {
        if self.ttl.reads_count && !self.expired(used) { self.now } else { used }
    }

    /// Whether reading starts the time anew.
    #[inline]
    pub fn reads_count(self) -> bool {
        self.ttl.reads_count
    }
}
