//! Windows that keep all their records.

use flott_runtime::batch::{Data, Key, Timestamp};

use super::function::{Closure, Emit, Fired, Folding, PaneFunction, Processing};
use crate::{
    function::{Collector, FunctionResult},
    operator::Fold,
    window::{AnyEvictor, EvictorContext, ProcessWindowFunction, Window, WindowContext, WindowElements, WindowOpen},
};

/// What is given out for all records of a window. A prototype lives in the plan.
pub(crate) trait Whole<K, T, W>: Clone + Send + Sync + 'static {
    /// Results.
    type Out: Data;
    /// As [`PaneFunction::STATEFUL`].
    const STATEFUL: bool;

    fn open(&mut self, _ctx: &mut WindowOpen<'_, K, W>) -> FunctionResult {
        Ok(())
    }

    fn fire(
        &mut self,
        key: &K,
        window: &W,
        records: &[T],
        ctx: &mut WindowContext<'_, K, W, Self::Out>,
    ) -> FunctionResult;

    fn clear(&mut self, _key: &K, _window: &W, _ctx: &mut WindowContext<'_, K, W, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

impl<P: ProcessWindowFunction> Whole<P::Key, P::In, P::Window> for Processing<P> {
    type Out = P::Out;
    const STATEFUL: bool = true;

    fn open(&mut self, ctx: &mut WindowOpen<'_, P::Key, P::Window>) -> FunctionResult {
        self.0.open(ctx)
    }

    fn fire(
        &mut self,
        key: &P::Key,
        window: &P::Window,
        records: &[P::In],
        ctx: &mut WindowContext<'_, P::Key, P::Window, P::Out>,
    ) -> FunctionResult {
        self.0.process(key, window, records, ctx)
    }

    fn clear(
        &mut self,
        key: &P::Key,
        window: &P::Window,
        ctx: &mut WindowContext<'_, P::Key, P::Window, P::Out>,
    ) -> FunctionResult {
        self.0.clear(key, window, ctx)
    }
}

impl<K, T, W, F, R> Whole<K, T, W> for Closure<F, R>
where
    K: Key,
    W: Window,
    R: Data,
    F: FnMut(&K, &W, &[T], &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
{
    type Out = R;
    const STATEFUL: bool = false;

    fn fire(&mut self, key: &K, window: &W, records: &[T], ctx: &mut WindowContext<'_, K, W, R>) -> FunctionResult {
        self.call(|closure| closure(key, window, records, ctx.collector()));
        Ok(())
    }
}

/// Records folded when the window fires.
impl<K, T, W, F, E> Whole<K, T, W> for Folding<F, E>
where
    K: Key,
    T: Data,
    W: Window,
    F: Fold<K, T>,
    E: Emit<K, W, F::Running>,
{
    type Out = E::Out;
    const STATEFUL: bool = E::STATEFUL;

    fn open(&mut self, ctx: &mut WindowOpen<'_, K, W>) -> FunctionResult {
        self.emit.open(ctx)
    }

    fn fire(
        &mut self,
        key: &K,
        window: &W,
        records: &[T],
        ctx: &mut WindowContext<'_, K, W, E::Out>,
    ) -> FunctionResult {
        let mut records = records.iter().cloned();
        let Some(first) = records.next() else { return Ok(()) };
        let mut value = self.fold.first(first);
        records.for_each(|record| self.fold.add(&mut value, record));
        self.emit.emit(key, window, self.fold.running(&value), ctx)
    }

    fn clear(&mut self, key: &K, window: &W, ctx: &mut WindowContext<'_, K, W, E::Out>) -> FunctionResult {
        self.emit.clear(key, window, ctx)
    }
}

/// Records kept as they are.
#[derive(Clone)]
pub(crate) struct Gathering<F>(pub F);

impl<K, T, W, F> PaneFunction<K, T, W> for Gathering<F>
where
    K: Key,
    T: Data,
    W: Window,
    F: Whole<K, T, W>,
{
    type Contents = Vec<T>;
    type Out = F::Out;
    const STATEFUL: bool = F::STATEFUL;

    fn open(&mut self, ctx: &mut WindowOpen<'_, K, W>) -> FunctionResult {
        self.0.open(ctx)
    }

    fn first(&mut self, record: T, _: Option<Timestamp>) -> Vec<T> {
        vec![record]
    }

    fn add(&mut self, records: &mut Vec<T>, record: T, _: Option<Timestamp>) {
        records.push(record);
    }

    fn merge(&mut self, into: &mut Vec<T>, mut other: Vec<T>) {
        into.append(&mut other);
    }

    fn fire(
        &mut self,
        key: &K,
        window: &W,
        records: &mut Vec<T>,
        _: usize,
        ctx: &mut WindowContext<'_, K, W, F::Out>,
    ) -> FunctionResult<Fired> {
        self.0.fire(key, window, records, ctx)?;
        Ok(Fired::All)
    }

    fn clear(&mut self, key: &K, window: &W, ctx: &mut WindowContext<'_, K, W, F::Out>) -> FunctionResult {
        self.0.clear(key, window, ctx)
    }
}

/// Records kept with their timestamps, some of which are taken out when the window fires.
pub(crate) struct Evicting<T, W, F> {
    pub function: F,
    pub evictor: AnyEvictor<T, W>,
}

impl<T, W, F: Clone> Clone for Evicting<T, W, F> {
    fn clone(&self) -> Self {
        Self { function: self.function.clone(), evictor: self.evictor.clone() }
    }
}

impl<K, T, W, F> PaneFunction<K, T, W> for Evicting<T, W, F>
where
    K: Key,
    T: Data,
    W: Window,
    F: Whole<K, T, W>,
{
    type Contents = WindowElements<T>;
    type Out = F::Out;
    const STATEFUL: bool = F::STATEFUL;

    fn open(&mut self, ctx: &mut WindowOpen<'_, K, W>) -> FunctionResult {
        self.function.open(ctx)
    }

    fn first(&mut self, record: T, timestamp: Option<Timestamp>) -> WindowElements<T> {
        let mut elements = WindowElements::default();
        elements.push(record, timestamp);
        elements
    }

    fn add(&mut self, elements: &mut WindowElements<T>, record: T, timestamp: Option<Timestamp>) {
        elements.push(record, timestamp);
    }

    fn merge(&mut self, into: &mut WindowElements<T>, other: WindowElements<T>) {
        into.append(other);
    }

    fn fire(
        &mut self,
        key: &K,
        window: &W,
        elements: &mut WindowElements<T>,
        _: usize,
        ctx: &mut WindowContext<'_, K, W, F::Out>,
    ) -> FunctionResult<Fired> {
        let times = EvictorContext::new(ctx.times());
        self.evictor.before(elements, window, &times)?;
        self.function.fire(key, window, elements.records(), ctx)?;
        self.evictor.after(elements, window, &times)?;
        Ok(if elements.is_empty() { Fired::Emptied } else { Fired::All })
    }

    fn clear(&mut self, key: &K, window: &W, ctx: &mut WindowContext<'_, K, W, F::Out>) -> FunctionResult {
        self.function.clear(key, window, ctx)
    }
}
