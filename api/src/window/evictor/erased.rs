//! Evictors of any type: they are called once per firing, and hold no state of windows.

use super::{Evictor, EvictorContext};
use crate::{
    function::FunctionResult,
    window::{Window, WindowElements},
};

trait Erased<T, W>: Send + Sync {
    fn before(&mut self, elements: &mut WindowElements<T>, window: &W, ctx: &EvictorContext) -> FunctionResult;
    fn after(&mut self, elements: &mut WindowElements<T>, window: &W, ctx: &EvictorContext) -> FunctionResult;
    fn describe(&self) -> String;
    fn copy(&self) -> Box<dyn Erased<T, W>>;
}

impl<T, W: Window, E: Evictor<T, W>> Erased<T, W> for E {
    fn before(&mut self, elements: &mut WindowElements<T>, window: &W, ctx: &EvictorContext) -> FunctionResult {
        self.evict_before(elements, window, ctx)
    }

    fn after(&mut self, elements: &mut WindowElements<T>, window: &W, ctx: &EvictorContext) -> FunctionResult {
        self.evict_after(elements, window, ctx)
    }

    fn describe(&self) -> String {
        Evictor::describe(self)
    }

    fn copy(&self) -> Box<dyn Erased<T, W>> {
        Box::new(self.clone())
    }
}

/// An evictor of any type.
pub(crate) struct AnyEvictor<T, W>(Box<dyn Erased<T, W>>);

impl<T, W> Clone for AnyEvictor<T, W> {
    fn clone(&self) -> Self {
        Self(self.0.copy())
    }
}

impl<T, W: Window> AnyEvictor<T, W> {
    pub fn new(evictor: impl Evictor<T, W>) -> Self {
        Self(Box::new(evictor))
    }

    pub fn before(&mut self, elements: &mut WindowElements<T>, window: &W, ctx: &EvictorContext) -> FunctionResult {
        self.0.before(elements, window, ctx)
    }

    pub fn after(&mut self, elements: &mut WindowElements<T>, window: &W, ctx: &EvictorContext) -> FunctionResult {
        self.0.after(elements, window, ctx)
    }

    pub fn describe(&self) -> String {
        self.0.describe()
    }
}
