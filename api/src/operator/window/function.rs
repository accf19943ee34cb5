//! What is kept of the records of a window, and what is given out for it.

use std::marker::PhantomData;

use flott_runtime::batch::{Data, Key, Timestamp};

use crate::{
    function::{Collector, FunctionResult},
    operator::Fold,
    window::{ProcessWindowFunction, Window, WindowContext, WindowOpen},
};

/// How far a window has given out what it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fired {
    /// All of it.
    All,
    /// All of it, and nothing is left in the window.
    Emptied,
    /// About a batch of it: it goes on from here.
    Some(usize),
}

/// What a window does with records. A prototype lives in the plan.
pub(crate) trait PaneFunction<K, T, W>: Clone + Send + Sync + 'static {
    /// What is kept of them.
    type Contents: Data;
    /// Results.
    type Out: Data;
    /// Whether the context's states are used, so that key and window must be set there.
    const STATEFUL: bool;

    fn open(&mut self, ctx: &mut WindowOpen<'_, K, W>) -> FunctionResult;

    /// What is kept of a first record.
    fn first(&mut self, record: T, timestamp: Option<Timestamp>) -> Self::Contents;

    /// Adds a record.
    fn add(&mut self, contents: &mut Self::Contents, record: T, timestamp: Option<Timestamp>);

    /// Adds what is kept of a later window.
    fn merge(&mut self, into: &mut Self::Contents, other: Self::Contents);

    /// Gives out what the window comes to, from 0 on, or from where it was left.
    fn fire(
        &mut self,
        key: &K,
        window: &W,
        contents: &mut Self::Contents,
        from: usize,
        ctx: &mut WindowContext<'_, K, W, Self::Out>,
    ) -> FunctionResult<Fired>;

    /// The window is over.
    fn clear(&mut self, key: &K, window: &W, ctx: &mut WindowContext<'_, K, W, Self::Out>) -> FunctionResult;
}

/// What is given out for what the records of a window were folded into. A prototype lives in the plan.
pub(crate) trait Emit<K, W, R>: Clone + Send + Sync + 'static {
    /// Results.
    type Out: Data;
    /// As [`PaneFunction::STATEFUL`].
    const STATEFUL: bool;

    fn open(&mut self, _ctx: &mut WindowOpen<'_, K, W>) -> FunctionResult {
        Ok(())
    }

    fn emit(&mut self, key: &K, window: &W, result: R, ctx: &mut WindowContext<'_, K, W, Self::Out>) -> FunctionResult;

    fn clear(&mut self, _key: &K, _window: &W, _ctx: &mut WindowContext<'_, K, W, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

/// Records folded as they come.
#[derive(Clone)]
pub(crate) struct Folding<F, E> {
    pub fold: F,
    pub emit: E,
}

impl<K, T, W, F, E> PaneFunction<K, T, W> for Folding<F, E>
where
    K: Key,
    W: Window,
    F: Fold<K, T>,
    E: Emit<K, W, F::Running>,
{
    type Contents = F::Value;
    type Out = E::Out;
    const STATEFUL: bool = E::STATEFUL;

    fn open(&mut self, ctx: &mut WindowOpen<'_, K, W>) -> FunctionResult {
        self.emit.open(ctx)
    }

    #[inline(always)]
    fn first(&mut self, record: T, _: Option<Timestamp>) -> F::Value {
        self.fold.first(record)
    }

    #[inline(always)]
    fn add(&mut self, contents: &mut F::Value, record: T, _: Option<Timestamp>) {
        self.fold.add(contents, record);
    }

    fn merge(&mut self, into: &mut F::Value, other: F::Value) {
        self.fold.merge(into, other);
    }

    fn fire(
        &mut self,
        key: &K,
        window: &W,
        contents: &mut F::Value,
        _: usize,
        ctx: &mut WindowContext<'_, K, W, E::Out>,
    ) -> FunctionResult<Fired> {
        self.emit.emit(key, window, self.fold.running(contents), ctx)?;
        Ok(Fired::All)
    }

    fn clear(&mut self, key: &K, window: &W, ctx: &mut WindowContext<'_, K, W, E::Out>) -> FunctionResult {
        self.emit.clear(key, window, ctx)
    }
}

/// The result with its key, as without windows.
pub(crate) struct WithKey<T, F>(PhantomData<fn(T) -> F>);

impl<T, F> WithKey<T, F> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T, F> Clone for WithKey<T, F> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<K, T, W, F> Emit<K, W, F::Running> for WithKey<T, F>
where
    K: Key,
    T: 'static,
    W: Window,
    F: Fold<K, T>,
{
    type Out = F::Out;
    const STATEFUL: bool = false;

    fn emit(
        &mut self,
        key: &K,
        _: &W,
        result: F::Running,
        ctx: &mut WindowContext<'_, K, W, F::Out>,
    ) -> FunctionResult {
        ctx.emit(F::keyed(key.clone(), result));
        Ok(())
    }
}

/// The result by itself.
#[derive(Clone)]
pub(crate) struct Bare;

impl<K: Key, W: Window, R: Data> Emit<K, W, R> for Bare {
    type Out = R;
    const STATEFUL: bool = false;

    fn emit(&mut self, _: &K, _: &W, result: R, ctx: &mut WindowContext<'_, K, W, R>) -> FunctionResult {
        ctx.emit(result);
        Ok(())
    }
}

/// What a closure makes of key, window and result.
pub(crate) struct Closure<F, R> {
    closure: F,
    results: PhantomData<fn() -> R>,
}

impl<F, R> Closure<F, R> {
    pub fn new(closure: F) -> Self {
        Self { closure, results: PhantomData }
    }

    pub(super) fn call(&mut self, call: impl FnOnce(&mut F)) {
        call(&mut self.closure);
    }
}

impl<F: Clone, R> Clone for Closure<F, R> {
    fn clone(&self) -> Self {
        Self::new(self.closure.clone())
    }
}

impl<K, W, In, F, R> Emit<K, W, In> for Closure<F, R>
where
    K: Key,
    W: Window,
    R: Data,
    F: FnMut(&K, &W, In, &mut Collector<'_, R>) + Clone + Send + Sync + 'static,
{
    type Out = R;
    const STATEFUL: bool = false;

    fn emit(&mut self, key: &K, window: &W, result: In, ctx: &mut WindowContext<'_, K, W, R>) -> FunctionResult {
        (self.closure)(key, window, result, ctx.collector());
        Ok(())
    }
}

/// What a process function makes of the result.
#[derive(Clone)]
pub(crate) struct Processing<P>(pub P);

impl<P: ProcessWindowFunction> Emit<P::Key, P::Window, P::In> for Processing<P> {
    type Out = P::Out;
    const STATEFUL: bool = true;

    fn open(&mut self, ctx: &mut WindowOpen<'_, P::Key, P::Window>) -> FunctionResult {
        self.0.open(ctx)
    }

    fn emit(
        &mut self,
        key: &P::Key,
        window: &P::Window,
        result: P::In,
        ctx: &mut WindowContext<'_, P::Key, P::Window, P::Out>,
    ) -> FunctionResult {
        self.0.process(key, window, &[result], ctx)
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
