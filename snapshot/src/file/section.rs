//! What a state file holds the entries of.

use std::fmt;

use flott_core::id::OperatorId;
use serde::{Deserialize, Serialize};

/// A section by its place in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SectionIndex(pub u32);

/// What a keyed state holds per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyedKind {
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
}

/// The time of timers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TimeDomain {
    /// What records say.
    Event,
    /// What the clock says.
    Processing,
}

/// How the elements of an operator list are spread over the subtasks of a restored job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Spread {
    /// Each element to one subtask.
    Split,
    /// All elements to each.
    Union,
    /// All subtasks had the same, and each gets those of one.
    Broadcast,
}

/// What the runtime remembers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EngineKind {
    /// Entries of keys. Its chunks are of one key group each.
    Entries,
    /// Entries of keys, of which a later file has only what has changed. Its chunks are of one key group each.
    Table,
    /// Elements apart from keys.
    Elements {
        /// Who gets them.
        spread: Spread,
    },
}

/// The sort of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SectionKind {
    /// Entries of keys. Its chunks are of one key group each.
    Keyed {
        /// What it holds per key.
        kind: KeyedKind,
        /// Whether entries say when they were last used.
        expires: bool,
    },
    /// Timers of keys. Its chunks are of one key group each.
    Timers {
        /// Of which time.
        domain: TimeDomain,
    },
    /// Elements apart from keys.
    OperatorList {
        /// Who gets them.
        spread: Spread,
    },
    /// What the runtime itself remembers.
    Engine {
        /// Of what form.
        kind: EngineKind,
    },
}

impl SectionKind {
    /// Whether each chunk is of one key group; otherwise none is.
    pub fn has_key_groups(self) -> bool {
        match self {
            Self::Keyed { .. }
            | Self::Timers { .. }
            | Self::Engine { kind: EngineKind::Entries | EngineKind::Table } => true,
            Self::OperatorList { .. } | Self::Engine { kind: EngineKind::Elements { .. } } => false,
        }
    }
}

/// One state of one operator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Section {
    /// The operator.
    pub operator: OperatorId,
    /// Name of the state.
    pub name: String,
    /// Its sort.
    pub kind: SectionKind,
    /// What its entries look like, as JSON, if anybody wrote that down.
    pub schema: Option<String>,
}

impl fmt::Display for Section {
    /// For messages: the state and its operator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start: String = self.name.chars().take(80).collect();
        write!(f, "state {start:?} of operator {}", self.operator)
    }
}
