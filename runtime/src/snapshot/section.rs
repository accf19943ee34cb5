//! Pieces of state.

use std::{fmt, sync::Arc};

use flott_core::key_group::KeyGroup;
use serde::{Deserialize, Serialize};

use crate::{
    state::{Spread, StateKind},
    time::TimeDomain,
};

/// What a piece of an operator's state is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Section {
    /// The name of the state; of what the engine keeps by itself, a name that it gives.
    pub name: Arc<str>,
    /// The sort of state.
    pub sort: SectionSort,
}

/// How a piece of state is stored, and who gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SectionSort {
    /// Entries of a keyed state, by key group.
    Keyed {
        /// What it holds per key.
        kind: StateKind,
        /// Whether its entries hold when they were last used.
        expires: bool,
    },
    /// Timers, by key group.
    Timers(TimeDomain),
    /// Elements of an operator state, of a whole subtask.
    Elements(Spread),
    /// What the engine keeps by itself, by key group.
    Own,
    /// What the engine keeps by itself, of a whole subtask.
    OwnElements(Spread),
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.sort {
            SectionSort::Keyed { kind, .. } => write!(f, "keyed {kind} state {name:?}"),
            SectionSort::Timers(_) => write!(f, "timers {name:?}"),
            SectionSort::Elements(spread) => write!(f, "{spread} {name:?}"),
            SectionSort::Own | SectionSort::OwnElements(_) => write!(f, "state {name:?} of the operator itself"),
        }
    }
}

/// Some entries of a piece of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Their key group; none where a subtask's state is not divided.
    pub group: Option<KeyGroup>,
    /// Whether these are keys that are not there any more, rather than entries.
    pub removed: bool,
    /// How many.
    pub count: usize,
    /// Encoded, one after the other.
    pub bytes: Vec<u8>,
}
