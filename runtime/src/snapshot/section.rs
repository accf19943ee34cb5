//! Pieces of state.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use flott_core::{failure::Failure, id::OperatorId, key_group::KeyGroup};
use flott_snapshot::{self as stored, EngineKind};
use serde::{Deserialize, Serialize};

use crate::{
    error::TaskResult,
    state::{Spread, StateKind, StateMeta, schema::StoredSchema},
    time::TimeDomain,
};

/// What a piece of an operator's state is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Section {
    /// The name of the state; of what the engine keeps by itself, a name that it gives.
    pub name: Arc<str>,
    /// The sort of state.
    pub sort: SectionSort,
    /// What its entries look like, if that is known.
    pub schema: StoredSchema,
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
    /// A table that the engine keeps by itself, by key group.
    OwnTable,
    /// What the engine keeps by itself, of a whole subtask.
    OwnElements(Spread),
}

impl Section {
    /// A keyed state.
    pub(crate) fn of_state(StateMeta { name, kind, expires, schema }: &StateMeta) -> TaskResult<Self> {
        if *kind != StateKind::Timers {
            let sort = SectionSort::Keyed { kind: *kind, expires: *expires };
            return Ok(Self { name: Arc::clone(name), sort, schema: schema.clone() });
        }
        let mut domains = TimeDomain::ALL.into_iter();
        let domain = domains.find(|domain| StateMeta::of_timers(*domain).name == *name);
        Ok(Self::of_timers(domain.ok_or_else(|| Failure::internal(format!("there are no timers {name:?}")))?))
    }

    /// Whether a cut of what has changed has only that of it, and those before it count too. Others are whole in each cut.
    pub fn is_incremental(&self) -> bool {
        matches!(self.sort, SectionSort::Keyed { .. } | SectionSort::OwnTable)
    }

    /// Timers.
    pub(crate) fn of_timers(domain: TimeDomain) -> Self {
        Self { name: StateMeta::of_timers(domain).name, sort: SectionSort::Timers(domain), schema: None }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.sort {
            SectionSort::Keyed { kind, .. } => write!(f, "keyed {kind} state {name:?}"),
            SectionSort::Timers(_) => write!(f, "timers {name:?}"),
            SectionSort::Elements(spread) => write!(f, "{spread} {name:?}"),
            SectionSort::Own | SectionSort::OwnTable | SectionSort::OwnElements(_) => {
                write!(f, "state {name:?} of the operator itself")
            }
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
    pub bytes: Bytes,
}

fn stored_spread(spread: Spread) -> stored::Spread {
    match spread {
        Spread::Split => stored::Spread::Split,
        Spread::Union => stored::Spread::Union,
        Spread::Broadcast => stored::Spread::Broadcast,
    }
}

fn known_spread(spread: stored::Spread) -> Spread {
    match spread {
        stored::Spread::Split => Spread::Split,
        stored::Spread::Union => Spread::Union,
        stored::Spread::Broadcast => Spread::Broadcast,
    }
}

/// As files of state say it.
pub(crate) fn to_stored(operator: OperatorId, section: &Section) -> stored::Section {
    let kind = match section.sort {
        SectionSort::Keyed { kind, expires } => stored::SectionKind::Keyed {
            kind: match kind {
                // Timers are a sort of their own.
                StateKind::Value | StateKind::Timers => stored::KeyedKind::Value,
                StateKind::List => stored::KeyedKind::List,
                StateKind::Map => stored::KeyedKind::Map,
                StateKind::Reducing => stored::KeyedKind::Reducing,
                StateKind::Aggregating => stored::KeyedKind::Aggregating,
            },
            expires,
        },
        SectionSort::Timers(domain) => stored::SectionKind::Timers {
            domain: match domain {
                TimeDomain::Event => stored::TimeDomain::Event,
                TimeDomain::Processing => stored::TimeDomain::Processing,
            },
        },
        SectionSort::Elements(spread) => stored::SectionKind::OperatorList { spread: stored_spread(spread) },
        SectionSort::Own => stored::SectionKind::Engine { kind: EngineKind::Entries },
        SectionSort::OwnTable => stored::SectionKind::Engine { kind: EngineKind::Table },
        SectionSort::OwnElements(spread) => {
            stored::SectionKind::Engine { kind: EngineKind::Elements { spread: stored_spread(spread) } }
        }
    };
    stored::Section {
        operator,
        name: section.name.to_string(),
        kind,
        schema: section.schema.as_deref().map(str::to_owned),
    }
}

/// The other way round.
pub(crate) fn of_stored(section: &stored::Section) -> Section {
    let sort = match section.kind {
        stored::SectionKind::Keyed { kind, expires } => SectionSort::Keyed {
            kind: match kind {
                stored::KeyedKind::Value => StateKind::Value,
                stored::KeyedKind::List => StateKind::List,
                stored::KeyedKind::Map => StateKind::Map,
                stored::KeyedKind::Reducing => StateKind::Reducing,
                stored::KeyedKind::Aggregating => StateKind::Aggregating,
            },
            expires,
        },
        stored::SectionKind::Timers { domain } => SectionSort::Timers(match domain {
            stored::TimeDomain::Event => TimeDomain::Event,
            stored::TimeDomain::Processing => TimeDomain::Processing,
        }),
        stored::SectionKind::OperatorList { spread } => SectionSort::Elements(known_spread(spread)),
        stored::SectionKind::Engine { kind } => match kind {
            EngineKind::Entries => SectionSort::Own,
            EngineKind::Table => SectionSort::OwnTable,
            EngineKind::Elements { spread } => SectionSort::OwnElements(known_spread(spread)),
        },
    };
    Section { name: section.name.as_str().into(), sort, schema: section.schema.as_deref().map(Into::into) }
}
