//! Records of one stream joined with what another said last.

use std::marker::PhantomData;

use flott_runtime::{
    batch::{Data, Key},
    state::ValueState,
};

use super::Deletes;
use crate::function::{FunctionResult, KeyedCoProcessFunction, KeyedContext, KeyedOpen};

/// A temporal join in processing time: a left record is given out at once, with the version that is known of its key.
pub(crate) struct LatestJoin<K, A, B, G, U> {
    function: G,
    deletes: Deletes<B>,
    latest: ValueState<B>,
    types: PhantomData<fn(K, A) -> U>,
}

impl<K, A, B, G, U> LatestJoin<K, A, B, G, U> {
    pub fn new(function: G, deletes: Deletes<B>) -> Self {
        Self { function, deletes, latest: ValueState::default(), types: PhantomData }
    }
}

impl<K, A, B, G: Clone, U> Clone for LatestJoin<K, A, B, G, U> {
    fn clone(&self) -> Self {
        let Self { function, deletes, latest, types } = self;
        Self { function: function.clone(), deletes: deletes.clone(), latest: latest.clone(), types: *types }
    }
}

impl<K, A, B, G, U> KeyedCoProcessFunction for LatestJoin<K, A, B, G, U>
where
    K: Key,
    A: Data,
    B: Data,
    U: Data,
    G: FnMut(A, Option<&B>) -> Option<U> + Clone + Send + Sync + 'static,
{
    type Key = K;
    type Left = A;
    type Right = B;
    type Out = U;

    fn open(&mut self, ctx: &mut KeyedOpen<'_, K>) -> FunctionResult {
        self.latest = ctx.value("temporal-join")?;
        Ok(())
    }

    fn process_left(&mut self, record: A, ctx: &mut KeyedContext<'_, K, U>) -> FunctionResult {
        if let Some(result) = (self.function)(record, self.latest.get(ctx)?) {
            ctx.emit(result);
        }
        Ok(())
    }

    fn process_right(&mut self, record: B, ctx: &mut KeyedContext<'_, K, U>) -> FunctionResult {
        if self.deletes.as_ref().is_some_and(|deletes| deletes(&record)) {
            Ok(self.latest.clear(ctx)?)
        } else {
            Ok(self.latest.set(ctx, record)?)
        }
    }
}
