//! What a snapshot says about a state besides its entries.

use std::{fmt, sync::Arc};

use flott_core::failure::Failure;
use serde::{Deserialize, Serialize};

use super::schema::{self, StoredSchema};
use crate::{error::TaskResult, time::TimeDomain};

/// What a keyed state holds per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StateKind {
    /// One value.
    Value,
    /// A list.
    List,
    /// A map.
    Map,
    /// A value that others are reduced into.
    Reducing,
    /// The accumulator of an aggregation.
    Aggregating,
    /// The times at which the key has timers, in one kind of time.
    Timers,
}

impl StateKind {
    /// Whether a snapshot of what has changed has only that of it. Else all snapshots have all of it, and whoever restores
    /// some of them one after the other takes it from the last alone.
    pub fn is_incremental(self) -> bool {
        self != Self::Timers
    }
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "value",
            Self::List => "list",
            Self::Map => "map",
            Self::Reducing => "reducing",
            Self::Aggregating => "aggregating",
            Self::Timers => "timers",
        })
    }
}

/// Which keyed state entries belong to, and how they are stored. A user's state may have the name of the timers; the kind
/// tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateMeta {
    /// Its name.
    pub name: Arc<str>,
    /// What it holds per key.
    pub kind: StateKind,
    /// Whether it has a time-to-live: its entries then hold when they were last used.
    pub expires: bool,
    /// What its entries look like, if that is known.
    pub schema: StoredSchema,
}

impl StateMeta {
    /// What timers are in one kind of time.
    pub(crate) fn of_timers(domain: TimeDomain) -> Self {
        let name = match domain {
            TimeDomain::Event => "event time",
            TimeDomain::Processing => "processing time",
        };
        Self { name: name.into(), kind: StateKind::Timers, expires: false, schema: None }
    }

    /// Whether what was stored under `stored` differs in its types at most.
    pub(super) fn is_like(&self, stored: &Self) -> bool {
        (self.kind, self.expires) == (stored.kind, stored.expires)
    }

    /// Whether what was stored under `stored` can be restored here.
    pub(super) fn accept(&self, stored: &Self) -> TaskResult {
        let Self { name, kind, expires, schema } = self;
        let problem = if stored.kind != *kind {
            format!("was stored as {} state, and is {kind} state now", stored.kind)
        } else if stored.expires != *expires {
            let words = if *expires { ("without", "one") } else { ("with", "none") };
            format!("was stored {} a time-to-live, and has {} now", words.0, words.1)
        } else {
            let Some(difference) = schema::difference(&stored.schema, schema) else { return Ok(()) };
            let message = format!(
                "keyed state {name:?} cannot be taken up by this program: {difference}. Declare what becomes of it (`migrated_from`), give \
                 the state another name to begin it anew, or start with the program that wrote it"
            );
            return Err(Box::new(Failure::user(message).fatal()));
        };
        Err(Box::new(Failure::user(format!("keyed state {name:?} {problem}")).fatal()))
    }
}
