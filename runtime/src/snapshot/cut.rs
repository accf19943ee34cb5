//! All that a task gives at one barrier.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use flott_core::{checkpoint::Barrier, failure::Failure, id::OperatorId};
use tokio::time::Instant;

use super::{Chunk, Section};
use crate::state::Extent;

/// Some of the state of an operator.
pub type Piece = (OperatorId, Section, Chunk);

/// A snapshot of a task, but for the state of its operators, which is given piece by piece.
#[derive(Debug)]
pub struct Cut {
    /// The barrier.
    pub barrier: Barrier,
    /// Whether it has all keyed state, or what has changed since the cut before.
    pub extent: Extent,
    /// Operators that have begun to give their state in steps, and have more.
    pub(super) open: BTreeSet<(OperatorId, Arc<str>)>,
    /// What sources have left of the splits that they read.
    pub splits: Vec<(OperatorId, Vec<Bytes>)>,
    /// What sinks have prepared since the last barrier.
    pub prepared: Vec<(OperatorId, Bytes)>,
    /// Why it is of no use: an operator could not give its state.
    pub failure: Option<Box<Failure>>,
    /// How long the first input waited for the last.
    pub alignment: Duration,
    /// When the barrier came to the chain.
    pub began: Instant,
    /// How long it took to go through it.
    pub sync: Duration,
    /// Whether its barrier has overtaken anything, or was to.
    pub unaligned: bool,
    /// Bytes of records that it has overtaken.
    pub persisted: u64,
    /// Bytes of them that were processed before the last barrier had come.
    pub processed: u64,
    /// Gates and writers that may have more of them to give.
    pub(super) streams: usize,
}

impl Cut {
    /// One of which nothing has been given.
    pub fn new(barrier: Barrier, extent: Extent, alignment: Duration) -> Self {
        Self {
            barrier,
            extent,
            open: BTreeSet::new(),
            splits: Vec::new(),
            prepared: Vec::new(),
            failure: None,
            alignment,
            began: Instant::now(),
            sync: Duration::ZERO,
            unaligned: false,
            persisted: 0,
            processed: 0,
            streams: 0,
        }
    }
}
