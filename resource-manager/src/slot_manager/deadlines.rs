//! What has to be looked at again, and when.
//!
//! Entries are never taken back: whoever looks at a thing whose time has come sees from the thing itself whether there
//! is anything to do, or sets a later time.

use std::collections::BTreeSet;

use flott_core::id::{JobId, SlotIndex, WorkerId};

use super::worker::WorkerNumber;
use crate::time::Time;

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A request about a slot may be unanswered, or a refused slot may be tried again.
    Slot(WorkerNumber, SlotIndex),
    /// A worker may not have come back.
    Grace(WorkerNumber),
    /// A worker may be idle.
    Idle(WorkerNumber),
    /// A worker has lived long enough to call its start a success.
    Stable(WorkerNumber),
    /// A started worker may not have registered.
    Start(WorkerId),
    /// A stopped worker may still be there.
    Stop(WorkerId),
    /// Why a worker has taken leave may not be known yet.
    Departed(WorkerId),
    /// Workers may be started again.
    Backoff,
    /// A job may have waited long enough not to be overtaken any more.
    Overtaken(JobId),
}

/// A queue of things to look at.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(Time, Due)>);

impl Deadlines {
    pub(super) fn set(&mut self, at: Time, due: Due) {
        self.0.insert((at, due));
    }

    /// The next thing whose time has come.
    pub(super) fn pop(&mut self, now: Time) -> Option<Due> {
        let (at, _) = self.0.first()?;
        if *at > now {
            return None;
        }
        self.0.pop_first().map(|(_, due)| due)
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.0.first().map(|(at, _)| *at)
    }
}
