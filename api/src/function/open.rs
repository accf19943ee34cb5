//! Where functions get their state handles from.

use std::ops::{Deref, DerefMut};

use flott_runtime::{
    batch::{Data, Key},
    state::{
        Aggregate, AggregatingState, BroadcastState, KeyedStates, ListOperatorState, ListState, MapState,
        OperatorLists, OperatorScope, OperatorStates, ReducingState, StateDescriptor, States, ValueState,
    },
    task::TaskInfo,
};

use super::FunctionResult;

/// What a function has when it is opened: its task, and handles of operator lists, which take it as their scope.
pub struct OpenContext<'a> {
    states: &'a mut OperatorStates,
    task: &'a TaskInfo,
}

impl<'a> OpenContext<'a> {
    pub(crate) fn new(states: &'a mut OperatorStates, task: &'a TaskInfo) -> Self {
        Self { states, task }
    }

    /// The operator state `name`: a list that each subtask has by itself, whatever the keys of its records. When the job
    /// starts from a snapshot, the elements that all subtasks had are split among them.
    ///
    /// # Errors
    /// When the function uses the name with another type, or for operator state that is spread in another way.
    pub fn operator_list<V: Data>(&mut self, name: &str) -> FunctionResult<ListOperatorState<V>> {
        Ok(self.states.list(name)?)
    }

    /// As [`operator_list`](Self::operator_list), but when the job starts from a snapshot, each subtask gets the elements that
    /// all of them had.
    ///
    /// # Errors
    /// As [`operator_list`](Self::operator_list).
    pub fn operator_union_list<V: Data>(&mut self, name: &str) -> FunctionResult<ListOperatorState<V>> {
        Ok(self.states.union_list(name)?)
    }

    pub(super) fn broadcast<K: Key, V: Data>(&mut self, name: &str) -> FunctionResult<BroadcastState<K, V>> {
        Ok(self.states.broadcast(name)?)
    }

    /// The subtask that the function runs in.
    pub fn task(&self) -> &TaskInfo {
        self.task
    }
}

impl OperatorScope for OpenContext<'_> {
    fn lists(&self) -> &OperatorLists {
        self.states.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.states.lists_mut()
    }
}

/// An [`OpenContext`] of a keyed function, with the states that it has per key.
pub struct KeyedOpen<'a, K> {
    context: OpenContext<'a>,
    states: &'a mut KeyedStates<K>,
}

impl<'a, K: Key> KeyedOpen<'a, K> {
    pub(crate) fn new(states: &'a mut States<K>, task: &'a TaskInfo) -> Self {
        let States { keyed, operator } = states;
        keyed.keep_in(&task.backend);
        Self { context: OpenContext::new(operator, task), states: keyed }
    }

    /// Begins to describe the state `name`. Where there is no more to say than the kind, the methods below are shorter.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use flott::{FunctionResult, KeyedOpen, MapState, StateTtl};
    ///
    /// /// The pages that a user has looked at in the last hour.
    /// fn pages(ctx: &mut KeyedOpen<'_, String>) -> FunctionResult<MapState<String, u64>> {
    ///     let hour = StateTtl::new(Duration::from_secs(3600));
    ///     Ok(ctx.state("pages").ttl(hour).map()?)
    /// }
    /// ```
    pub fn state<'b>(&'b mut self, name: &'b str) -> StateDescriptor<'b, K> {
        self.states.state(name)
    }

    /// The state `name`, with one value per key.
    ///
    /// # Errors
    /// When the function uses the name with another kind or type; so it is with all states.
    pub fn value<V: Data>(&mut self, name: &str) -> FunctionResult<ValueState<V>> {
        Ok(self.states.value(name)?)
    }

    /// The state `name`, with a list per key.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn list<V: Data>(&mut self, name: &str) -> FunctionResult<ListState<V>> {
        Ok(self.states.list(name)?)
    }

    /// The state `name`, with a map per key.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn map<MK: Key, MV: Data>(&mut self, name: &str) -> FunctionResult<MapState<MK, MV>> {
        Ok(self.states.map(name)?)
    }

    /// The state `name`, with a value per key that others are reduced into: `reduce` puts the second into the first.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn reducing<V: Data>(
        &mut self,
        name: &str,
        reduce: impl Fn(&mut V, V) + Send + Sync + 'static,
    ) -> FunctionResult<ReducingState<V>> {
        Ok(self.states.reducing(name, reduce)?)
    }

    /// The state `name`, with an aggregation per key.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn aggregating<A: Aggregate>(&mut self, name: &str, aggregate: A) -> FunctionResult<AggregatingState<A>> {
        Ok(self.states.aggregating(name, aggregate)?)
    }
}

impl<K> OperatorScope for KeyedOpen<'_, K> {
    fn lists(&self) -> &OperatorLists {
        self.context.lists()
    }

    fn lists_mut(&mut self) -> &mut OperatorLists {
        self.context.lists_mut()
    }
}

impl<'a, K> Deref for KeyedOpen<'a, K> {
    type Target = OpenContext<'a>;

    fn deref(&self) -> &Self::Target {
        &self.context
    }
}

impl<K> DerefMut for KeyedOpen<'_, K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.context
    }
}
