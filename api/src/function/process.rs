//! Process functions: the primitive under everything else. A prototype lives in the plan; each subtask gets a clone,
//! opens it, and uses it from one thread at a time.

use flott_runtime::{
    batch::{Data, Key, Timestamp},
    time::TimeDomain,
};

use super::{Context, FunctionResult, KeyedContext, KeyedOpen, OpenContext};

/// A timer that has come due. In event time, what is given out has the timer's time for a timestamp; in processing time it
/// has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// What it was set for.
    pub at: Timestamp,
    /// In which kind of time.
    pub domain: TimeDomain,
}

/// A function of single records, with side outputs and operator lists.
///
/// ```
/// use flott::{Context, FunctionResult, ListOperatorState, OpenContext, ProcessFunction};
///
/// /// Gives out numbers by the hundred. Those that wait are in a state and not in the function, so that a snapshot has them.
/// #[derive(Clone, Default)]
/// struct Hundreds {
///     waiting: ListOperatorState<u64>,
/// }
///
/// impl ProcessFunction for Hundreds {
///     type In = u64;
///     type Out = Vec<u64>;
///
///     fn open(&mut self, ctx: &mut OpenContext<'_>) -> FunctionResult {
///         self.waiting = ctx.operator_list("waiting")?;
///         Ok(())
///     }
///
///     fn process(&mut self, number: u64, ctx: &mut Context<'_, Vec<u64>>) -> FunctionResult {
///         self.waiting.add(ctx, number)?;
///         if self.waiting.get(ctx)?.len() == 100 {
///             let hundred = self.waiting.take(ctx)?;
///             ctx.emit(hundred);
///         }
///         Ok(())
///     }
///
///     fn finish(&mut self, ctx: &mut Context<'_, Vec<u64>>) -> FunctionResult {
///         let rest = self.waiting.take(ctx)?;
///         ctx.emit(rest);
///         Ok(())
///     }
/// }
/// ```
pub trait ProcessFunction: Clone + Send + Sync + 'static {
    /// Records in.
    type In: Data;
    /// Records out.
    type Out: Data;

    /// Called once per subtask, before the first record: the place to get state handles.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn open(&mut self, _ctx: &mut OpenContext<'_>) -> FunctionResult {
        Ok(())
    }

    /// Called for each record.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process(&mut self, record: Self::In, ctx: &mut Context<'_, Self::Out>) -> FunctionResult;

    /// Called before a snapshot is taken, for a checkpoint or a savepoint: the place to give out, or to put into states, what
    /// the function holds in its fields, as these are not in a snapshot.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn before_snapshot(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called when the input has ended.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn finish(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

/// A function of records with a key, with state per key and side outputs.
///
/// ```
/// use flott::{FunctionResult, KeyedContext, KeyedOpen, KeyedProcessFunction, ValueState};
///
/// /// Passes on the first record of each key.
/// #[derive(Clone, Default)]
/// struct First {
///     seen: ValueState<bool>,
/// }
///
/// impl KeyedProcessFunction for First {
///     type Key = String;
///     type In = (String, u64);
///     type Out = (String, u64);
///
///     fn open(&mut self, ctx: &mut KeyedOpen<'_, String>) -> FunctionResult {
///         self.seen = ctx.value("seen")?;
///         Ok(())
///     }
///
///     fn process(&mut self, record: Self::In, ctx: &mut KeyedContext<'_, String, Self::Out>) -> FunctionResult {
///         if self.seen.get(ctx)?.is_none() {
///             self.seen.set(ctx, true)?;
///             ctx.emit(record);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait KeyedProcessFunction: Clone + Send + Sync + 'static {
    /// Keys.
    type Key: Key;
    /// Records in.
    type In: Data;
    /// Records out.
    type Out: Data;

    /// Called once per subtask, before the first record: the place to get state handles.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn open(&mut self, _ctx: &mut KeyedOpen<'_, Self::Key>) -> FunctionResult {
        Ok(())
    }

    /// Called for each record.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process(&mut self, record: Self::In, ctx: &mut KeyedContext<'_, Self::Key, Self::Out>) -> FunctionResult;

    /// Called when a timer of a key is due; the key is at hand. In event time timers are called in order of their times,
    /// before the watermark that they wait for is passed on.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn on_timer(&mut self, _timer: Timer, _ctx: &mut KeyedContext<'_, Self::Key, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called before a snapshot is taken, for a checkpoint or a savepoint: the place to give out, or to put into states, what
    /// the function holds in its fields, as these are not in a snapshot. There is no key at hand.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn before_snapshot(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called when the input has ended. There is no key at hand.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn finish(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

/// A function of the records of two streams.
pub trait CoProcessFunction: Clone + Send + Sync + 'static {
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

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_left(&mut self, record: Self::Left, ctx: &mut Context<'_, Self::Out>) -> FunctionResult;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_right(&mut self, record: Self::Right, ctx: &mut Context<'_, Self::Out>) -> FunctionResult;

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

/// A function of the records of two streams with the same keys; both sides see the same state.
pub trait KeyedCoProcessFunction: Clone + Send + Sync + 'static {
    /// Keys of both streams.
    type Key: Key;
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
    fn open(&mut self, _ctx: &mut KeyedOpen<'_, Self::Key>) -> FunctionResult {
        Ok(())
    }

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_left(&mut self, record: Self::Left, ctx: &mut KeyedContext<'_, Self::Key, Self::Out>) -> FunctionResult;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_right(
        &mut self,
        record: Self::Right,
        ctx: &mut KeyedContext<'_, Self::Key, Self::Out>,
    ) -> FunctionResult;

    /// Called when a timer of a key is due; the key is at hand. In event time timers are called in order of their times,
    /// before the watermark that they wait for is passed on.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn on_timer(&mut self, _timer: Timer, _ctx: &mut KeyedContext<'_, Self::Key, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called before a snapshot is taken, for a checkpoint or a savepoint: the place to give out, or to put into states, what
    /// the function holds in its fields, as these are not in a snapshot. There is no key at hand.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn before_snapshot(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called when both inputs have ended. There is no key at hand.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn finish(&mut self, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }
}
