//! Functions of a stream and of another that every subtask sees all of: rules, settings, whatever is the same for all.
//!
//! What they know of the other stream is in states that have to be the same on all subtasks. So only the side of that stream
//! may write them, which is told by a reference: the other side has `&BroadcastStates`, and this side `&mut`. Contexts, which
//! both sides have, are a scope for lists and none for broadcast states.

use std::ops::{Deref, DerefMut};

use flott_runtime::{
    batch::{Data, Key},
    state::{
        BroadcastState, BroadcastStates, KeyHash, KeyScope, KeyedHandle, OperatorLists, OperatorScope, OperatorStates,
    },
    task::TaskInfo,
};

use super::{Context, FunctionResult, KeyedContext, KeyedOpen, OpenContext, Timer};

/// An [`OpenContext`] with broadcast states.
pub struct BroadcastOpen<'a> {
    context: OpenContext<'a>,
}

impl<'a> BroadcastOpen<'a> {
    pub(crate) fn new(states: &'a mut OperatorStates, task: &'a TaskInfo) -> Self {
        Self { context: OpenContext::new(states, task) }
    }

    /// The broadcast state `name`: a map that is the same on all subtasks.
    ///
    /// # Errors
    /// When the function uses the name with other types, or for a list.
    pub fn broadcast_state<K: Key, V: Data>(&mut self, name: &str) -> FunctionResult<BroadcastState<K, V>> {
        self.context.broadcast(name)
    }
}

impl OperatorScope for BroadcastOpen<'_> {
    fn lists(&self) -> &OperatorLists {
        self.context.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.context.lists_mut()
    }
}

impl<'a> Deref for BroadcastOpen<'a> {
    type Target = OpenContext<'a>;

    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl DerefMut for BroadcastOpen<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.context
    }
}

/// A [`KeyedOpen`] with broadcast states.
pub struct KeyedBroadcastOpen<'a, K> {
    keyed: KeyedOpen<'a, K>,
}

impl<'a, K: Key> KeyedBroadcastOpen<'a, K> {
    pub(crate) fn new(keyed: KeyedOpen<'a, K>) -> Self {
        Self { keyed }
    }

    /// The broadcast state `name`: a map that is the same on all subtasks.
    ///
    /// # Errors
    /// When the function uses the name with other types, or for a list.
    pub fn broadcast_state<BK: Key, V: Data>(&mut self, name: &str) -> FunctionResult<BroadcastState<BK, V>> {
        self.keyed.broadcast(name)
    }
}

impl<K> OperatorScope for KeyedBroadcastOpen<'_, K> {
    fn lists(&self) -> &OperatorLists {
        self.keyed.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.keyed.lists_mut()
    }
}

impl<'a, K> Deref for KeyedBroadcastOpen<'a, K> {
    type Target = KeyedOpen<'a, K>;

    fn deref(&self) -> &Self::Target {
        &self.keyed
    }
}

impl<K> DerefMut for KeyedBroadcastOpen<'_, K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.keyed
    }
}

/// A function of a stream and a broadcast one.
///
/// ```
/// use flott::{BroadcastOpen, BroadcastProcessFunction, BroadcastState, BroadcastStates, Context, FunctionResult};
///
/// /// Passes on the words that are not forbidden; a broadcast word is forbidden from then on.
/// #[derive(Clone, Default)]
/// struct Allowed {
///     forbidden: BroadcastState<String, ()>,
/// }
///
/// impl BroadcastProcessFunction for Allowed {
///     type In = String;
///     type Broadcast = String;
///     type Out = String;
///
///     fn open(&mut self, ctx: &mut BroadcastOpen<'_>) -> FunctionResult {
///         self.forbidden = ctx.broadcast_state("forbidden")?;
///         Ok(())
///     }
///
///     fn process(&mut self, word: String, states: &BroadcastStates, ctx: &mut Context<'_, String>) -> FunctionResult {
///         if !self.forbidden.contains(states, &word)? {
///             ctx.emit(word);
///         }
///         Ok(())
///     }
///
///     fn process_broadcast(
///         &mut self,
///         word: String,
///         states: &mut BroadcastStates,
///         _: &mut Context<'_, String>,
///     ) -> FunctionResult {
///         Ok(self.forbidden.insert(states, &word, ())?)
///     }
/// }
/// ```
///
/// Who is only shown the broadcast states cannot write them,
///
/// ```compile_fail,E0308
/// use flott::{BroadcastState, BroadcastStates, FunctionResult};
///
/// fn write(state: &BroadcastState<u8, u8>, states: &BroadcastStates) -> FunctionResult {
///     Ok(state.insert(states, &1, 1)?)
/// }
/// ```
///
/// nor by the context, which is there for operator lists:
///
/// ```compile_fail,E0308
/// use flott::{BroadcastState, Context, FunctionResult};
///
/// fn write(state: &BroadcastState<u8, u8>, ctx: &mut Context<'_, u8>) -> FunctionResult {
///     Ok(state.insert(ctx, &1, 1)?)
/// }
/// ```
pub trait BroadcastProcessFunction: Clone + Send + Sync + 'static {
    /// Records of the stream that is spread over the subtasks.
    type In: Data;
    /// Records of the stream that all subtasks see.
    type Broadcast: Data;
    /// Records out.
    type Out: Data;

    /// Called once per subtask, before the first record: the place to get state handles.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn open(&mut self, _ctx: &mut BroadcastOpen<'_>) -> FunctionResult {
        Ok(())
    }

    /// Called for each record.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process(
        &mut self,
        record: Self::In,
        states: &BroadcastStates,
        ctx: &mut Context<'_, Self::Out>,
    ) -> FunctionResult;

    /// Called for each broadcast record, on every subtask. What it writes must depend on nothing but these records, so that
    /// it is the same everywhere; they may come in another order elsewhere if there are several producers of them.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_broadcast(
        &mut self,
        record: Self::Broadcast,
        states: &mut BroadcastStates,
        ctx: &mut Context<'_, Self::Out>,
    ) -> FunctionResult;

    /// Called before a snapshot is taken, for a checkpoint or a savepoint: the place to give out, or to put into states, what
    /// the function holds in its fields, as these are not in a snapshot.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn before_snapshot(&mut self, _states: &BroadcastStates, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called when both inputs have ended.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn finish(&mut self, _states: &BroadcastStates, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

/// A function of a stream with keys and a broadcast one, with state and timers per key.
pub trait KeyedBroadcastProcessFunction: Clone + Send + Sync + 'static {
    /// Keys of the stream that is spread over the subtasks.
    type Key: Key;
    /// Its records.
    type In: Data;
    /// Records of the stream that all subtasks see.
    type Broadcast: Data;
    /// Records out.
    type Out: Data;

    /// Called once per subtask, before the first record: the place to get state handles.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn open(&mut self, _ctx: &mut KeyedBroadcastOpen<'_, Self::Key>) -> FunctionResult {
        Ok(())
    }

    /// Called for each record with a key.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process(
        &mut self,
        record: Self::In,
        states: &BroadcastStates,
        ctx: &mut KeyedContext<'_, Self::Key, Self::Out>,
    ) -> FunctionResult;

    /// Called for each broadcast record, on every subtask, as
    /// [`BroadcastProcessFunction::process_broadcast`]. There is no key at hand;
    /// [`apply_to_keyed_state`](KeyedBroadcastContext::apply_to_keyed_state) goes through all.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn process_broadcast(
        &mut self,
        record: Self::Broadcast,
        states: &mut BroadcastStates,
        ctx: &mut KeyedBroadcastContext<'_, Self::Key, Self::Out>,
    ) -> FunctionResult;

    /// Called when a timer of a key is due; the key is at hand. In event time timers are called in order of their times,
    /// before the watermark that they wait for is passed on.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn on_timer(
        &mut self,
        _timer: Timer,
        _states: &BroadcastStates,
        _ctx: &mut KeyedContext<'_, Self::Key, Self::Out>,
    ) -> FunctionResult {
        Ok(())
    }

    /// Called before a snapshot is taken, for a checkpoint or a savepoint: the place to give out, or to put into states, what
    /// the function holds in its fields, as these are not in a snapshot. There is no key at hand.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn before_snapshot(&mut self, _states: &BroadcastStates, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }

    /// Called when both inputs have ended. There is no key at hand.
    ///
    /// # Errors
    /// Those of the user; they fail the task.
    fn finish(&mut self, _states: &BroadcastStates, _ctx: &mut Context<'_, Self::Out>) -> FunctionResult {
        Ok(())
    }
}

/// A [`Context`] of a broadcast record beside streams with keys: no key is at hand, and all can be gone through.
pub struct KeyedBroadcastContext<'a, K, Out> {
    context: KeyedContext<'a, K, Out>,
}

impl<'a, K: Key, Out> KeyedBroadcastContext<'a, K, Out> {
    pub(crate) fn new(context: KeyedContext<'a, K, Out>) -> Self {
        Self { context }
    }

    /// Calls `function` for each key of this subtask that has something in `state`, in no order, with the key at hand. It
    /// may read and write all states of the key, set timers, and give out records with the broadcast record's timestamp.
    /// Keys are copied before the first call; what they have given out is under back pressure when all have been called.
    ///
    /// # Errors
    /// When `state` is not bound, or `function` fails.
    pub fn apply_to_keyed_state(
        &mut self,
        state: &impl KeyedHandle,
        mut function: impl FnMut(&mut KeyedContext<'a, K, Out>) -> FunctionResult,
    ) -> FunctionResult {
        for key in state.held_keys(self.context.states())? {
            self.context.set_key(KeyHash::of(&key), key);
            function(&mut self.context)?;
        }
        Ok(())
    }
}

impl<K, Out> OperatorScope for KeyedBroadcastContext<'_, K, Out> {
    fn lists(&self) -> &OperatorLists {
        self.context.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.context.lists_mut()
    }
}

impl<'a, K, Out> Deref for KeyedBroadcastContext<'a, K, Out> {
    type Target = Context<'a, Out>;

    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl<K, Out> DerefMut for KeyedBroadcastContext<'_, K, Out> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.context
    }
}
