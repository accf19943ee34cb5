//! Where results are noted: an operator at the end of the pipeline, and one for each side output that is read.

use std::{
    any::{Any, TypeId},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use flott_core::{id::OperatorId, job_graph::OperatorKind};
use flott_runtime::{
    batch::{Batch, Data, Timestamp},
    error::TaskResult,
    event::Event,
    output::{OperatorName, Output},
    task::{OneInputHead, TaskHead, TaskWiring},
};
use parking_lot::Mutex;

use crate::{
    environment::Environment,
    function::OutputTag,
    plan::{Body, Erased, Node, NodeIndex, OneInputBody, Origin, Outputs, PlainEdge, SideKind, into_output},
};

/// What came out of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emitted<T> {
    /// A record, with its timestamp if it has one.
    Record(T, Option<Timestamp>),
    /// No record with this timestamp or an earlier one follows, or else it is late.
    Watermark(Timestamp),
    /// Nothing comes for now, and the watermark does not count.
    Idle,
    /// Records come again.
    Active,
    /// Nothing follows.
    End,
}

/// What has come out and was not taken yet.
pub(super) struct Noted<T>(Arc<Mutex<Notes<T>>>);

struct Notes<T> {
    all: Vec<Emitted<T>>,
    /// How many of them came before the last barrier.
    before: usize,
}

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Self { all: Vec::new(), before: 0 }
    }
}

impl<T> Clone for Noted<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Noted<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Noted<T> {
    pub fn take(&self) -> Vec<Emitted<T>> {
        std::mem::take(&mut *self.0.lock()).all
    }

    /// Forgets what has come behind the last barrier.
    pub fn go_back(&self) {
        let Notes { all, before } = &mut *self.0.lock();
        all.truncate(*before);
    }

    pub fn take_records(&self) -> Vec<(T, Option<Timestamp>)> {
        let record = |emitted| match emitted {
            Emitted::Record(record, timestamp) => Some((record, timestamp)),
            Emitted::Watermark(_) | Emitted::Idle | Emitted::Active | Emitted::End => None,
        };
        self.take().into_iter().filter_map(record).collect()
    }
}

impl<T: Data> Noted<T> {
    /// Notes what `origins` give, in one subtask.
    pub fn attach(&self, env: &Environment, name: &str, origins: Vec<Origin>) {
        let body = Body::One(Arc::new(self.clone()));
        let mut node = Node::new(OperatorKind::Sink, "Probe", vec![origins], body);
        node.name = name.to_owned();
        node.parallelism = Some(1);
        env.add(node);
    }
}

impl<T: Data> OneInputBody for Noted<T> {
    fn chained(&self, name: OperatorName, _: Outputs, wiring: &TaskWiring) -> TaskResult<Erased> {
        let mut output: Box<dyn Output<T>> = Box::new(self.clone());
        for mut batch in wiring.chained_in_flight::<T>(name.id)? {
            output.collect(&mut batch)?;
        }
        Ok(Box::new(output))
    }

    fn head(&self, chain: Erased, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        let gate = wiring.input_gate::<T>(0)?;
        Ok(OneInputHead::new(gate, into_output::<T>(chain)?, wiring))
    }
}

impl<T: Send> Output<T> for Noted<T> {
    fn collect(&mut self, batch: &mut Batch<T>) -> TaskResult {
        let mut timestamps = batch.timestamps.drain(..);
        let records = batch.records.drain(..).map(|record| Emitted::Record(record, timestamps.next()));
        self.0.lock().all.extend(records);
        Ok(())
    }

    fn event(&mut self, event: Event) -> TaskResult {
        let mut notes = self.0.lock();
        let emitted = match event {
            Event::Watermark(watermark) => Emitted::Watermark(watermark),
            Event::Idle => Emitted::Idle,
            Event::Active => Emitted::Active,
            Event::Barrier(_) => {
                notes.before = notes.all.len();
                return Ok(());
            }
            Event::End => Emitted::End,
        };
        notes.all.push(emitted);
        Ok(())
    }

    fn poll_settle(&mut self, _: &mut Context<'_>) -> Poll<TaskResult> {
        Poll::Ready(Ok(()))
    }

    fn prepared(&mut self, _: &mut Vec<(OperatorId, Bytes)>) -> TaskResult {
        Ok(())
    }
}

/// A side output to be noted, whatever it carries.
pub(super) trait SideProbe: Send {
    /// Notes what any operator of the plan gives to it. What comes back is a `Noted<S>`.
    fn attach(&self, env: &Environment) -> (String, Box<dyn SideNotes>);
}

/// What was noted of a side output, whatever it carries.
pub(super) trait SideNotes: Send {
    /// A `Noted<S>`.
    fn any(&self) -> &dyn Any;
    fn go_back(&self);
}

impl<S: Data> SideNotes for Noted<S> {
    fn any(&self) -> &dyn Any {
        self
    }

    fn go_back(&self) {
        Noted::go_back(self);
    }
}

impl<S: Data> SideProbe for OutputTag<S> {
    fn attach(&self, env: &Environment) -> (String, Box<dyn SideNotes>) {
        let name: Arc<str> = self.name().into();
        let origins: Vec<_> = env.with_plan(|plan| {
            let operators = plan.nodes.iter_mut().enumerate().filter(|(_, node)| node.kind == OperatorKind::Operator);
            let readable = operators.filter_map(|(place, node)| {
                let side = node.sides.entry(name.clone()).or_insert_with(SideKind::<S>::body);
                (side.record().0 == TypeId::of::<S>()).then(|| Origin {
                    node: NodeIndex(place),
                    side: Some(name.clone()),
                    ship: None,
                    edge: PlainEdge::<S>::body(),
                })
            });
            readable.collect()
        });
        let noted = Noted::<S>::default();
        if !origins.is_empty() {
            noted.attach(env, self.name(), origins);
        }
        (self.name().to_owned(), Box::new(noted))
    }
}
