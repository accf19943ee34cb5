//! An operator with its settings.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use flott_core::job_graph::{OperatorKind, ShipStrategy};

use super::{body::Body, edge::EdgeBody, side::SideBody};

/// Place of an operator in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeIndex(pub usize);

/// Whether an operator may run in one task with those before and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chaining {
    /// With both.
    Always,
    /// Only with those after it.
    Head,
    /// With neither.
    Never,
}

/// Where records of an input come from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub node: NodeIndex,
    /// Side output by name; none is the main output.
    pub side: Option<Arc<str>>,
    /// `None` is forward where both sides have as many subtasks, else rebalance.
    pub ship: Option<ShipStrategy>,
    pub edge: Arc<dyn EdgeBody>,
}

/// What an operator becomes in batch mode: a local pre-aggregation before the shuffle, and the rest of it after.
pub(crate) struct BatchForm {
    /// The input before it is partitioned by key.
    pub inputs: Vec<Origin>,
    pub combine: Body,
    pub edge: Arc<dyn EdgeBody>,
    pub finish: Body,
}

/// An operator as declared.
pub(crate) struct Node {
    pub name: String,
    pub uid: Option<String>,
    pub kind: OperatorKind,
    /// What it does, as `map`: part of its identity where it has no uid.
    pub operation: &'static str,
    /// What else must be equal when the program is planned again: types, paths, numbers.
    pub detail: String,
    pub parallelism: Option<u32>,
    /// It makes no sense with more than one subtask.
    pub single: bool,
    /// It is known to end by itself.
    pub bounded: bool,
    pub max_parallelism: Option<u32>,
    pub slot_sharing_group: Option<String>,
    pub chaining: Chaining,
    pub inputs: Vec<Vec<Origin>>,
    pub body: Body,
    pub batch: Option<BatchForm>,
    /// The body in batch mode, where it is another.
    pub batch_body: Option<Body>,
    pub sides: BTreeMap<Arc<str>, Arc<dyn SideBody>>,
    /// The directory that a sink alone may write to.
    pub directory: Option<PathBuf>,
}

impl Node {
    pub fn new(kind: OperatorKind, operation: &'static str, inputs: Vec<Vec<Origin>>, body: Body) -> Self {
        Self {
            name: operation.to_owned(),
            uid: None,
            kind,
            operation,
            detail: String::new(),
            parallelism: None,
            single: false,
            bounded: false,
            max_parallelism: None,
            slot_sharing_group: None,
            chaining: Chaining::Always,
            inputs,
            body,
            batch: None,
            batch_body: None,
            sides: BTreeMap::new(),
            directory: None,
        }
    }

    /// The name with what kind of operator it is, as Flink shows it.
    pub fn shown_name(&self) -> String {
        match self.kind {
            OperatorKind::Source => format!("Source: {}", self.name),
            OperatorKind::Operator => self.name.clone(),
            OperatorKind::Sink => format!("Sink: {}", self.name),
        }
    }
}
