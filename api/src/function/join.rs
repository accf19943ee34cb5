//! Functions of pairs.

use std::ops::{Deref, DerefMut};

use flott_runtime::{
    batch::{Data, Timestamp},
    state::{OperatorLists, OperatorScope},
};

use super::{Context, FunctionResult, OpenContext};

/// A function of the pairs that an interval join finds.
///
/// ```
/// use flott::{FunctionResult, JoinContext, ProcessJoinFunction};
///
/// /// How long after an order its payment came.
/// #[derive(Clone)]
/// struct Delay;
///
/// impl ProcessJoinFunction for Delay {
///     type Left = String;
///     type Right = u64;
///     type Out = (String, i64);
///
///     fn process(&mut self, order: &String, _: &u64, ctx: &mut JoinContext<'_, Self::Out>) -> FunctionResult {
///         let delay = ctx.right_timestamp().saturating_sub(ctx.left_timestamp());
///         ctx.emit((order.clone(), delay));
///         Ok(())
///     }
/// }
/// ```
pub trait ProcessJoinFunction: Clone + Send + Sync + 'static {
    /// Records of the first stream.
    type Left: Data;
    /// Records of the second stream.
    type Right: Data;
    /// Records out.
    type Out: Data;

    /// Called once per subtask, before the first record: the place to get state handles.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn open(&mut self, _ctx: &mut OpenContext<'_>) -> FunctionResult {
        Ok(())
    }

    /// Called once for each pair. What it gives out has the later of the two timestamps.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process(
        &mut self,
        left: &Self::Left,
        right: &Self::Right,
        ctx: &mut JoinContext<'_, Self::Out>,
    ) -> FunctionResult;

    /// Called before a snapshot is taken, for a checkpoint or a savepoint: the place to give out, or to put into states, what
    /// the function holds in its fields, as these are not in a snapshot.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn before_snapshot(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called when both inputs have ended.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn finish(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

/// A [`Context`] with the timestamps of the pair at hand; [`timestamp`](Context::timestamp) is the later one.
pub struct JoinContext<'a, Out> {
    context: Context<'a, Out>,
    left: Timestamp,
    right: Timestamp,
}

impl<'a, Out> JoinContext<'a, Out> {
    pub(crate) fn new(context: Context<'a, Out>) -> Self {
        Self { context, left: Timestamp::MIN, right: Timestamp::MIN }
    }

    /// The pair at hand has these timestamps.
    #[inline]
    pub(crate) fn set_pair(&mut self, left: Timestamp, right: Timestamp) {
        (self.left, self.right) = (left, right);
        self.context.set_timestamp(Some(left.max(right)));
    }

    /// Gives out a result, with the later of the two timestamps.
    #[inline]
    pub fn emit(&mut self, record: Out) {
        self.context.emit(record);
    }

    /// The timestamp of the left record.
    pub fn left_timestamp(&self) -> Timestamp {
        self.left
    }

    /// The timestamp of the right record.
    pub fn right_timestamp(&self) -> Timestamp {
        self.right
    }
}

impl<Out> OperatorScope for JoinContext<'_, Out> {
    fn lists(&self) -> &OperatorLists {
        self.context.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.context.lists_mut()
    }
}

impl<'a, Out> Deref for JoinContext<'a, Out> {
    type Target = Context<'a, Out>;

    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl<Out> DerefMut for JoinContext<'_, Out> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.context
    }
}
