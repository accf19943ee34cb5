//! What can be set about a harness.

use std::collections::BTreeMap;

use flott_core::{config::keys::checkpointing, job_graph::ExecutionMode};
use flott_runtime::batch::{Data, Timestamp};

use super::{Snapshot, probe::SideProbe};
use crate::{environment::Environment, function::OutputTag};

/// How a pipeline is tested: [`Harness::with`](super::Harness::with) and [`Harness2::with`](super::Harness2::with).
pub struct HarnessOptions {
    configuration: BTreeMap<String, String>,
    mode: ExecutionMode,
    parallelism: u32,
    pub(super) inputs: Option<u32>,
    pub(super) seed: Option<u64>,
    pub(super) start: Timestamp,
    pub(super) sides: Vec<Box<dyn SideProbe>>,
    pub(super) snapshot: Option<Snapshot>,
}

impl Default for HarnessOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl HarnessOptions {
    /// Streaming, one subtask of each operator, a clock that stands at 0.
    pub fn new() -> Self {
        Self {
            configuration: BTreeMap::new(),
            mode: ExecutionMode::Streaming,
            parallelism: 1,
            inputs: None,
            seed: None,
            start: 0,
            sides: Vec::new(),
            snapshot: None,
        }
    }

    /// Sets a configuration key of the job.
    #[must_use]
    pub fn configure(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configuration.insert(key.into(), value.into());
        self
    }

    /// Has snapshots taken as with `execution.checkpointing.unaligned.enabled`: records that are under way are part of them, and not
    /// processed before. That is of interest where something is under way, as it is if the harness is
    /// [`interleaved`](Self::interleaved).
    #[must_use]
    pub fn unaligned(self) -> Self {
        self.configure(checkpointing::UNALIGNED.key(), "true")
    }

    pub(super) fn is_unaligned(&self) -> bool {
        self.configuration.get(checkpointing::UNALIGNED.key()).is_some_and(|value| value == "true")
    }

    /// Streaming, or batch: one final result per key.
    #[must_use]
    pub fn mode(mut self, mode: ExecutionMode) -> Self {
        self.mode = mode;
        self
    }

    /// What the clock says at first, in milliseconds.
    #[must_use]
    pub fn start_at(mut self, now: Timestamp) -> Self {
        self.start = now;
        self
    }

    /// Has operators begin with what those of another harness remembered, and sets the clock to what it said there. The
    /// pipeline must be the same one; how many subtasks its operators have may be another number. What has come out already
    /// does not come again, and inputs go on with what comes next.
    #[must_use]
    pub fn from_snapshot(mut self, snapshot: &Snapshot) -> Self {
        self.start = snapshot.0.now;
        self.snapshot = Some(snapshot.clone());
        self
    }

    /// Notes what operators give to the side output `tag`, for [`Pipeline::side`](super::Pipeline::side).
    #[must_use]
    pub fn side<S: Data>(mut self, tag: &OutputTag<S>) -> Self {
        self.sides.push(Box::new(tag.clone()));
        self
    }

    /// Subtasks of the inputs, and of operators that set none. Records are given to the subtasks of an input in turn;
    /// watermarks and idleness are given to all.
    #[must_use]
    pub fn parallelism(mut self, subtasks: u32) -> Self {
        self.parallelism = subtasks;
        self
    }

    /// Subtasks of the inputs alone. With one of them, records of a key keep their order up to the operator that they are
    /// sent to by key.
    #[must_use]
    pub fn input_parallelism(mut self, subtasks: u32) -> Self {
        self.inputs = Some(subtasks);
        self
    }

    /// Has `seed` decide what a job leaves to chance: which subtask of an input gets a batch, how much is done before the
    /// next one is given, and which task is next. So inputs overtake each other and batches are cut and joined in ways
    /// that change with the seed, and are the same for the same one.
    ///
    /// What was given may then still be under way when a method returns: call [`settle`](super::Pipeline::settle) or
    /// `end` before results are taken.
    #[must_use]
    pub fn interleaved(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// An environment with these settings.
    pub(super) fn environment(&self) -> Environment {
        let env = Environment::local();
        env.set_mode(self.mode);
        env.set_parallelism(self.parallelism);
        for (key, value) in &self.configuration {
            env.configure(key, value);
        }
        env
    }

    pub(super) fn input_subtasks(&self) -> u32 {
        self.inputs.unwrap_or(self.parallelism)
    }
}
