//! How operators are built at run time, behind type erasure.
//!
//! A chain is built from its tail to its head: each operator is given the outputs that its results go to, and becomes
//! an output itself. Types meet again by a downcast when a task is built, and never after that.

use std::{any::Any, marker::PhantomData, sync::Arc};

use bytes::Bytes;
use flott_core::{
    codec,
    failure::Failure,
    id::{JobId, OperatorId},
};
use flott_runtime::{
    batch::Data,
    error::TaskResult,
    output::{Chained, Operator, OperatorName, Output, Tee},
    source::Source,
    task::{OneInputHead, SourceHead, TaskHead, TaskInfo, TaskWiring, TwoInputHead, TwoInputOperator},
    time::WatermarkStrategy,
};
use parking_lot::Mutex;

use super::side::{SharedSides, SidePort, SidePorts, WithSides};
use crate::{operator::SinkOperator, sink::Sink};

/// A `Box<dyn Output<T>>` for some `T`.
pub(crate) type Erased = Box<dyn Any + Send>;

/// The output under `erased`, which must take `T`.
pub(crate) fn into_output<T: Data>(erased: Erased) -> TaskResult<Box<dyn Output<T>>> {
    match erased.downcast::<Box<dyn Output<T>>>() {
        Ok(output) => Ok(*output),
        Err(_) => {
            Err(Box::new(Failure::internal(format!("an output does not take {}", std::any::type_name::<T>())).fatal()))
        }
    }
}

/// Where the results of an operator go in one subtask.
#[derive(Default)]
pub(crate) struct Outputs {
    pub main: Vec<Erased>,
    pub sides: Vec<(Arc<str>, Box<dyn SidePort>)>,
}

/// What an operator is told when it is built.
pub(crate) struct Site {
    pub name: OperatorName,
    pub task: Arc<TaskInfo>,
    pub sides: Option<SharedSides>,
}

impl Outputs {
    pub(crate) fn typed<T: Data>(self) -> TaskResult<(Box<dyn Output<T>>, Option<SharedSides>)> {
        let main = Tee::of(self.main.into_iter().map(into_output::<T>).collect::<TaskResult<_>>()?);
        if self.sides.is_empty() {
            return Ok((main, None));
        }
        let sides = Arc::new(Mutex::new(SidePorts(self.sides)));
        Ok((Box::new(WithSides { main, sides: sides.clone() }), Some(sides)))
    }
}

/// How an operator is built, by the shape of its inputs.
#[derive(Clone)]
pub(crate) enum Body {
    Source(Arc<dyn SourceBody>),
    One(Arc<dyn OneInputBody>),
    Two(Arc<dyn TwoInputBody>),
}

pub(crate) trait SourceBody: Send + Sync {
    fn head(&self, name: OperatorName, outputs: Outputs, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>>;
    /// The splits, encoded.
    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<Bytes>>;
    /// The same source with a strategy, a `WatermarkStrategy` for its records.
    fn with_watermarks(&self, strategy: &dyn Any) -> Option<Arc<dyn SourceBody>>;
    /// The part of it that hears of checkpoints.
    fn commit(&self) -> Option<&dyn Commit> {
        None
    }
}

pub(crate) trait OneInputBody: Send + Sync {
    /// The operator as an output, open.
    fn chained(&self, name: OperatorName, outputs: Outputs, wiring: &TaskWiring) -> TaskResult<Erased>;
    /// The head of a task whose chain is `chain`.
    fn head(&self, chain: Erased, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>>;
    /// The part of it that commits, if it is a sink.
    fn commit(&self) -> Option<&dyn Commit> {
        None
    }
}

/// A sink's part in the end of a job, or a source's, whatever its records are.
pub(crate) trait Commit: Send + Sync {
    fn commit(&self, job: JobId, prepared: &[Bytes]) -> TaskResult<Vec<Failure>>;
    fn settle(&self, job: JobId, prepared: &[Bytes]) -> TaskResult;
    fn abort(&self, job: JobId, sink: OperatorId, kept: &[Bytes]) -> TaskResult;
}

pub(crate) trait TwoInputBody: Send + Sync {
    fn head(&self, name: OperatorName, outputs: Outputs, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>>;
}

/// A source.
pub(crate) struct SourceNode<S: Source> {
    source: Arc<S>,
    watermarks: Option<WatermarkStrategy<S::Item>>,
}

impl<S: Source> SourceNode<S> {
    pub fn body(source: S) -> Body {
        Body::Source(Arc::new(Self { source: Arc::new(source), watermarks: None }))
    }
}

impl<S: Source> SourceBody for SourceNode<S> {
    fn head(&self, name: OperatorName, outputs: Outputs, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        let (output, _) = outputs.typed::<S::Item>()?;
        SourceHead::new(self.source.clone(), name, self.watermarks.clone(), output, wiring)
    }

    fn enumerate(&self, parallelism: u32) -> TaskResult<Vec<Bytes>> {
        let encode = |split| match codec::to_vec(&split) {
            Ok(bytes) => Ok(Bytes::from(bytes)),
            Err(error) => Err(Box::new(Failure::user("a split cannot be encoded").caused_by(&error).fatal())),
        };
        self.source.enumerate(parallelism)?.into_iter().map(encode).collect()
    }

    fn with_watermarks(&self, strategy: &dyn Any) -> Option<Arc<dyn SourceBody>> {
        let strategy: &WatermarkStrategy<S::Item> = strategy.downcast_ref()?;
        Some(Arc::new(Self { source: self.source.clone(), watermarks: Some(strategy.clone()) }))
    }

    fn commit(&self) -> Option<&dyn Commit> {
        Some(self)
    }
}

impl<S: Source> Commit for SourceNode<S> {
    fn commit(&self, _: JobId, prepared: &[Bytes]) -> TaskResult<Vec<Failure>> {
        self.source.commit(prepared).map(|()| Vec::new())
    }

    fn settle(&self, _: JobId, _: &[Bytes]) -> TaskResult {
        Ok(())
    }

    fn abort(&self, _: JobId, _: OperatorId, _: &[Bytes]) -> TaskResult {
        Ok(())
    }
}

/// An operator with one input; `make` makes a fresh one for a subtask.
pub(crate) struct OneInput<In, Out, M> {
    make: M,
    types: PhantomData<fn(In) -> Out>,
}

impl<In, Out, M, Op> OneInput<In, Out, M>
where
    In: Data,
    Out: Data,
    M: Fn(&Site) -> Op + Send + Sync + 'static,
    Op: Operator<In, Out> + 'static,
{
    pub fn body(make: M) -> Body {
        Body::One(Arc::new(Self { make, types: PhantomData }))
    }
}

impl<In, Out, M, Op> OneInputBody for OneInput<In, Out, M>
where
    In: Data,
    Out: Data,
    M: Fn(&Site) -> Op + Send + Sync + 'static,
    Op: Operator<In, Out> + 'static,
{
    fn chained(&self, name: OperatorName, outputs: Outputs, wiring: &TaskWiring) -> TaskResult<Erased> {
        let (next, sides) = outputs.typed::<Out>()?;
        let site = Site { name, task: wiring.info().clone(), sides };
        let operator = (self.make)(&site);
        let in_flight = wiring.chained_in_flight::<In>(site.name.id)?;
        let chained = Chained::open(site.name, operator, next, &site.task)?.beginning_with(in_flight);
        let chained: Box<dyn Output<In>> = Box::new(chained);
        Ok(Box::new(chained))
    }

    fn head(&self, chain: Erased, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        let gate = wiring.input_gate::<In>(0)?;
        Ok(OneInputHead::new(gate, into_output::<In>(chain)?, wiring))
    }
}

/// A sink.
pub(crate) struct SinkNode<S>(Arc<S>);

impl<S: Sink> SinkNode<S> {
    pub fn body(sink: S) -> Body {
        Body::One(Arc::new(Self(Arc::new(sink))))
    }
}

impl<S: Sink> OneInputBody for SinkNode<S> {
    fn chained(&self, name: OperatorName, outputs: Outputs, wiring: &TaskWiring) -> TaskResult<Erased> {
        let (next, _) = outputs.typed::<()>()?;
        let operator = SinkOperator::new(self.0.clone(), name.clone());
        let in_flight = wiring.chained_in_flight::<S::Item>(name.id)?;
        let chained = Chained::open(name, operator, next, wiring.info())?.beginning_with(in_flight);
        let chained: Box<dyn Output<S::Item>> = Box::new(chained);
        Ok(Box::new(chained))
    }

    fn head(&self, chain: Erased, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        let gate = wiring.input_gate::<S::Item>(0)?;
        Ok(OneInputHead::new(gate, into_output::<S::Item>(chain)?, wiring))
    }

    fn commit(&self) -> Option<&dyn Commit> {
        Some(self)
    }
}

impl<S: Sink> Commit for SinkNode<S> {
    fn commit(&self, job: JobId, prepared: &[Bytes]) -> TaskResult<Vec<Failure>> {
        self.0.commit_telling(job, prepared)
    }

    fn settle(&self, job: JobId, prepared: &[Bytes]) -> TaskResult {
        self.0.settle(job, prepared)
    }

    fn abort(&self, job: JobId, sink: OperatorId, kept: &[Bytes]) -> TaskResult {
        self.0.abort(job, sink, kept)
    }
}

/// An operator with two inputs; `make` makes a fresh one for a subtask.
pub(crate) struct TwoInput<A, B, Out, M> {
    make: M,
    types: PhantomData<fn(A, B) -> Out>,
}

impl<A, B, Out, M, Op> TwoInput<A, B, Out, M>
where
    A: Data,
    B: Data,
    Out: Data,
    M: Fn(&Site) -> Op + Send + Sync + 'static,
    Op: TwoInputOperator<A, B, Out> + 'static,
{
    pub fn body(make: M) -> Body {
        Body::Two(Arc::new(Self { make, types: PhantomData }))
    }
}

impl<A, B, Out, M, Op> TwoInputBody for TwoInput<A, B, Out, M>
where
    A: Data,
    B: Data,
    Out: Data,
    M: Fn(&Site) -> Op + Send + Sync + 'static,
    Op: TwoInputOperator<A, B, Out> + 'static,
{
    fn head(&self, name: OperatorName, outputs: Outputs, wiring: &mut TaskWiring) -> TaskResult<Box<dyn TaskHead>> {
        let (next, sides) = outputs.typed::<Out>()?;
        let site = Site { name: name.clone(), task: wiring.info().clone(), sides };
        let operator = (self.make)(&site);
        let left = wiring.input_gate::<A>(0)?;
        let right = wiring.input_gate::<B>(1)?;
        TwoInputHead::new(left, right, name, operator, next, wiring)
    }
}
