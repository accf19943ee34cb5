//! Settings of the operator at hand.

use flott_runtime::batch::Data;

use super::{Stream, StreamSink};
use crate::{
    environment::Environment,
    error::PlanError,
    plan::{Chaining, Node, NodeIndex},
};

fn set(env: &Environment, operator: Option<NodeIndex>, setting: &'static str, change: impl FnOnce(&mut Node)) {
    match operator {
        Some(operator) => env.change(operator, change),
        None => env.problem(PlanError::NoOperator { setting }),
    }
}

macro_rules! settings {
    ($(#[$attribute:meta])*) => {
        /// Names the operator, for people.
        $(#[$attribute])*
        pub fn name(self, name: impl Into<String>) -> Self {
            set(&self.env, self.operator, "name", |node| node.name = name.into());
            self
        }

        /// Gives the operator an identity that stays when the program changes around it.
        $(#[$attribute])*
        pub fn uid(self, uid: impl Into<String>) -> Self {
            set(&self.env, self.operator, "uid", |node| node.uid = Some(uid.into()));
            self
        }

        /// Sets the number of subtasks, 1 to 32768.
        $(#[$attribute])*
        pub fn parallelism(self, subtasks: u32) -> Self {
            set(&self.env, self.operator, "parallelism", |node| node.parallelism = Some(subtasks));
            self
        }

        /// Sets the number of key groups, 1 to 32768: the most subtasks that the operator's state can be spread over.
        $(#[$attribute])*
        pub fn max_parallelism(self, key_groups: u32) -> Self {
            set(&self.env, self.operator, "max_parallelism", |node| node.max_parallelism = Some(key_groups));
            self
        }

        /// Puts the operator into a slot sharing group: one subtask of each operator of a group may share a slot.
        /// Operators without a group have that of their inputs, or else `default`.
        $(#[$attribute])*
        pub fn slot_sharing_group(self, group: impl Into<String>) -> Self {
            set(&self.env, self.operator, "slot_sharing_group", |node| node.slot_sharing_group = Some(group.into()));
            self
        }

        /// Runs the operator in a task of its own.
        $(#[$attribute])*
        pub fn disable_chaining(self) -> Self {
            set(&self.env, self.operator, "disable_chaining", |node| node.chaining = Chaining::Never);
            self
        }

        /// Begins a new task with the operator.
        $(#[$attribute])*
        pub fn start_new_chain(self) -> Self {
            set(&self.env, self.operator, "start_new_chain", |node| node.chaining = Chaining::Head);
            self
        }
    };
}

impl<T: Data> Stream<T> {
    settings!(#[must_use]);
}

// The sink is in the plan whether or not it is configured further.
impl StreamSink {
    settings!();
}
