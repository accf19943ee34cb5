//! How far windows by the clock have been given out.
//!
//! A clock may be set back, and that of the machine where a job starts over may be behind. What slices that have closed come
//! to has been put together by then, and no record can get in between any more; so for these windows time stands still at the
//! end of the last one that was given out, until the clock is there again.
//!
//! Subtasks come to a barrier at different times. One that takes over the key groups of several goes on from the latest of
//! their windows. Those that some of them had not given out yet are given out, but not once more for the keys of the others.

use flott_core::key_group::KeyGroupRange;
use flott_runtime::{
    batch::{Key, Timestamp},
    error::TaskResult,
    snapshot::{Restored, StateSink},
    state::{GroupSpace, KeyHash, Spread},
};
use serde::{Deserialize, Serialize};

/// What it is called in a snapshot.
const GIVEN: &str = "windows given out";

/// The last timestamp of the latest window that was given out for these key groups, if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Until {
    groups: KeyGroupRange,
    last: Option<Timestamp>,
}

/// Last timestamps of windows.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// Of the latest window that was given out for any key group.
    floor: Option<Timestamp>,
    /// Of the latest one that was given out for all of them.
    all: Option<Timestamp>,
    /// Where some are further than others.
    further: Vec<Until>,
}

impl Given {
    /// What time it is if the clock says `now`.
    pub fn time(&self, now: Timestamp) -> Timestamp {
        self.floor.map_or(now, |floor| now.max(floor.saturating_add(1)))
    }

    /// All windows up to those with this last timestamp have been given out.
    pub fn advance(&mut self, last: Timestamp) {
        self.all = self.all.max(Some(last));
        self.floor = self.floor.max(self.all);
        if self.all == self.floor {
            self.further.clear();
        }
    }

    /// Whether windows with this last timestamp were given out before for this key.
    pub fn has<K: Key>(&self, last: Timestamp, key: &K, groups: GroupSpace) -> bool {
        let mut further = self.further.iter().filter(|until| Some(last) <= until.last);
        further.any(|until| until.groups.contains(KeyHash::of(key).group(groups.max)))
    }

    /// The last timestamp up to which all windows have been given out; [`Timestamp::MIN`] if there were none.
    pub fn until(&self) -> Timestamp {
        self.all.unwrap_or(Timestamp::MIN)
    }

    /// Stores it for a subtask that holds `groups`.
    pub fn store(&self, groups: GroupSpace, into: &mut StateSink<'_>) -> TaskResult {
        let own = [Until { groups: groups.held, last: self.all }];
        let all = if self.further.is_empty() { &own[..] } else { &self.further };
        let until = |until: &Until| Until { last: until.last.max(self.all), ..*until };
        into.own_elements(GIVEN, Spread::Union, all.iter().map(until))
    }

    /// Goes on from what those had stored whose groups are now held; whether anybody had stored any.
    pub fn put_back(&mut self, groups: GroupSpace, from: &Restored) -> TaskResult<bool> {
        let (mut any, further) = (false, &mut self.further);
        from.own_elements(GIVEN, |until: Until| {
            any = true;
            let held = until.groups.intersection(groups.held);
            further.extend(held.map(|groups| Until { groups, ..until }));
        })?;
        let lasts = || self.further.iter().map(|until| until.last);
        (self.all, self.floor) = (lasts().min().flatten(), lasts().max().flatten());
        if self.all == self.floor {
            self.further.clear();
        }
        Ok(any)
    }
}
