//! A checkpoint that is under way.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use flott_core::{
    checkpoint::{Barrier, SubtaskState},
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

/// A checkpoint whose tasks report.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Its barrier.
    pub barrier: Barrier,
    /// When the barrier was sent.
    pub began: Millis,
    awaited: BTreeSet<ExecutionIndex>,
    /// What was reported.
    pub states: BTreeMap<ExecutionIndex, SubtaskState>,
    /// Tasks that had finished, and have nothing left.
    pub finished: BTreeSet<ExecutionIndex>,
    /// Of each source.
    pub sources: Vec<SourceCut>,
}

impl Pending {
    pub(super) fn new(
        barrier: Barrier,
        awaited: BTreeSet<ExecutionIndex>,
        finished: BTreeSet<ExecutionIndex>,
        sources: Vec<SourceCut>,
        began: Millis,
    ) -> Self {
        Self { barrier, began, awaited, states: BTreeMap::new(), finished, sources }
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
