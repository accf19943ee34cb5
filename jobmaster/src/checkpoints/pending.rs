//! A checkpoint that is under way.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Barrier, Behind, SnapshotKind, SubtaskState},
    id::{CheckpointId, OperatorId},
};

use crate::{index::ExecutionIndex, time::Millis};

/// What nobody had begun to read of a source when the barrier was sent. What was handed out before is in the reports of its
/// readers, and what is handed out later comes behind the barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceCut {
    /// The source.
    pub source: OperatorId,
    /// Whether its splits had been listed.
    pub known: bool,
    /// Splits that were not handed out, in order.
    pub unassigned: Vec<Bytes>,
}

/// What a snapshot was begun for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// It was time for a checkpoint.
    Periodic,
    /// The job is to go on from it with another parallelism.
    Rescale,
    /// A checkpoint was asked for.
    Checkpoint {
        /// By whom; the answer goes there.
        request: RequestId,
        /// Whether all state is stored anew.
        full: bool,
    },
    /// A savepoint was asked for.
    Savepoint {
        /// By whom.
        request: RequestId,
        /// Its directory, as a location.
        directory: String,
        /// Whether the job stops with it.
        behind: Behind,
    },
}

/// Who asked for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl Purpose {
    /// What is to be made.
    pub fn kind(&self) -> SnapshotKind {
        match self {
            Self::Periodic | Self::Rescale | Self::Checkpoint { .. } => SnapshotKind::Checkpoint,
            Self::Savepoint { .. } => SnapshotKind::Savepoint,
        }
    }

    /// What follows it.
    pub fn behind(&self) -> Behind {
        match self {
            Self::Periodic | Self::Rescale | Self::Checkpoint { .. } => Behind::GoOn,
            Self::Savepoint { behind, .. } => *behind,
        }
    }

    /// Who is to be answered.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::Periodic | Self::Rescale => None,
            Self::Checkpoint { request, .. } | Self::Savepoint { request, .. } => Some(*request),
        }
    }

    /// Whether it is a checkpoint that is to share no file with those before it.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Checkpoint { full: true, .. })
    }

    /// Where the files of a savepoint go.
    pub fn directory(&self) -> Option<&str> {
        match self {
            Self::Periodic | Self::Rescale | Self::Checkpoint { .. } => None,
            Self::Savepoint { directory, .. } => Some(directory),
        }
    }
}

/// A checkpoint whose tasks report.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its barrier.
    pub barrier: Barrier,
    /// What it is for.
    pub purpose: Purpose,
    /// When the barrier was sent.
    pub began: Millis,
    awaited: BTreeSet<ExecutionIndex>,
    /// What was reported.
    pub states: BTreeMap<ExecutionIndex, SubtaskState>,
    /// Tasks that had finished, and have nothing left.
    pub finished: BTreeSet<ExecutionIndex>,
    /// Of each source.
    pub sources: Vec<SourceCut>,
    /// Of a savepoint that a checkpoint has overtaken, which is complete: what this one holds of what is certain by then. Nothing more
    /// is: what came behind its barrier is none of its own.
    pub certain: Option<BTreeSet<(OperatorId, Bytes)>>,
    /// Whether a try to store its manifest has not said how it went: it may be there, whatever comes of later ones.
    pub may_be_there: bool,
}

impl Pending {
    pub(super) fn new(
        barrier: Barrier,
        purpose: Purpose,
        awaited: BTreeSet<ExecutionIndex>,
        finished: BTreeSet<ExecutionIndex>,
        sources: Vec<SourceCut>,
        began: Millis,
    ) -> Self {
        let states = BTreeMap::new();
        Self { barrier, purpose, began, awaited, states, finished, sources, certain: None, may_be_there: false }
    }

    /// Whether it was begun because it was time.
    pub fn is_periodic(&self) -> bool {
        self.purpose == Purpose::Periodic
    }

    /// Whether it is a savepoint.
    pub fn is_savepoint(&self) -> bool {
        self.barrier.kind == SnapshotKind::Savepoint
    }

    pub(super) fn awaits(&self, execution: ExecutionIndex) -> bool {
        self.awaited.contains(&execution)
    }

    pub(super) fn reported(&mut self, execution: ExecutionIndex, state: SubtaskState) {
        self.awaited.remove(&execution);
        self.states.insert(execution, state);
    }

    /// `execution` has finished; gives the checkpoint if it was awaited.
    pub(super) fn finished(&mut self, execution: ExecutionIndex) -> Option<CheckpointId> {
        if !self.awaited.remove(&execution) {
            return None;
        }
        self.finished.insert(execution);
        Some(self.barrier.checkpoint)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.awaited.is_empty()
    }

    pub(super) fn missing(&self) -> usize {
        self.awaited.len()
    }
}
