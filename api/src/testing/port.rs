//! Where records come in: a source whose subtasks read what a test gives them.

use std::{any::Any, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use flott_core::job_graph::OperatorKind;
use flott_runtime::{
    batch::Data,
    channel::gate::{InputGate, LocalSender},
    error::TaskResult,
    output::OperatorName,
    task::{OneInputHead, TaskHead, TaskWiring},
};
use parking_lot::Mutex;

use crate::{
    environment::Environment,
    plan::{Body, Node, Outputs, SourceBody},
    stream::Stream,
};

/// An input of a pipeline.
pub(super) struct Port<T> {
    inlets: Inlets<T>,
    pub name: &'static str,
    /// The test has said that nothing comes for now.
    pub idle: bool,
    pub ended: bool,
    /// Where the next batch goes.
    pub turn: usize,
}

/// By subtask.
type Inlets<T> = Arc<Mutex<BTreeMap<u32, LocalSender<T>>>>;

impl<T: Data> Port<T> {
    /// A port, and the stream of what it is given.
    pub fn new(env: &Environment, name: &'static str, parallelism: u32) -> (Self, Stream<T>) {
        let inlets = Inlets::default();
        let body = Body::Source(Arc::new(Inlet(inlets.clone())));
        let mut node = Node::new(OperatorKind::Source, "Input", Vec::new(), body);
        node.name = name.to_owned();
        node.parallelism = Some(parallelism);
        let stream = Stream::of(env.clone(), env.add(node));
        (Self { inlets, name, idle: false, ended: false, turn: 0 }, stream)
    }

    /// Subtasks that read.
    pub fn width(&self) -> usize {
        self.inlets.lock().len()
    }

    /// Has `give` use the way to subtask `number`, if there is one.
    pub fn with<R>(&self, number: usize, give: impl FnOnce(&LocalSender<T>) -> R) -> Option<R> {
        self.inlets.lock().values().nth(number).map(give)
    }
}

struct Inlet<T>(Inlets<T>);

impl<T: Data> SourceBody for Inlet<T> {
    fn head(&self, _: OperatorName, outputs: Outputs, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        let (output, _) = outputs.typed::<T>()?;
        let gate = InputGate::new(1, wiring.info().clone());
        self.0.lock().insert(wiring.info().subtask(), gate.local_sender(0));
        Ok(OneInputHead::new(gate, output, wiring))
    }

    fn enumerate(&self, _: u32) -> TaskResult<Vec<Bytes>> {
        Ok(Vec::new())
    }

    /// There are no splits to have watermarks; the test gives them.
    fn with_watermarks(&self, _: &dyn Any) -> Option<Arc<dyn SourceBody>> {
        None
    }
}
