//! Settings of the job as a whole.

use std::collections::BTreeMap;

use flott_core::{
    config::{
        Configuration, Loader,
        keys::{execution, pipeline},
    },
    job_graph::{ExecutionMode, RestartPolicy, RestartStrategy},
};

use flott_runtime::time::Clock;

use super::Environment;
use crate::{error::PlanError, graph::JobSettings};

/// What the program has set; it goes before the configuration.
#[derive(Debug, Default)]
pub(super) struct Settings {
    mode: Option<ExecutionMode>,
    parallelism: Option<u32>,
    max_parallelism: Option<u32>,
    no_chaining: bool,
    restart: Option<RestartStrategy>,
    configuration: BTreeMap<String, String>,
}

impl Settings {
    /// What holds, over the configuration that the job was submitted with. `directory`
    /// is where relative paths start, `bounded` is whether all sources end.
    ///
    /// # Errors
    /// When a key is unknown, or a value does not fit its key.
    pub fn resolve(
        self,
        submitted: &BTreeMap<String, String>,
        directory: Option<String>,
        bounded: bool,
    ) -> Result<(JobSettings, Configuration), PlanError> {
        let loaded = Loader::new().job(submitted).job(&self.configuration).load()?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let config = loaded.config;
        let mode = self.mode.unwrap_or_else(|| match config.get(&execution::RUNTIME_MODE) {
            execution::RuntimeMode::Streaming => ExecutionMode::Streaming,
            execution::RuntimeMode::Batch => ExecutionMode::Batch,
            execution::RuntimeMode::Automatic if bounded => ExecutionMode::Batch,
            execution::RuntimeMode::Automatic => ExecutionMode::Streaming,
        });
        let named = config.is_set(&pipeline::DEFAULT_PARALLELISM).then(|| config.get(&pipeline::DEFAULT_PARALLELISM));
        let settings = JobSettings {
            mode,
            directory,
            parallelism: self.parallelism.or(named),
            max_parallelism: self.max_parallelism.or_else(|| config.get(&pipeline::MAX_PARALLELISM)),
            chaining: !self.no_chaining && config.get(&pipeline::OPERATOR_CHAINING),
            restart: self.restart.map_or_else(|| config.restart_policy(), RestartPolicy::Own),
            configuration: config.entries().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        };
        Ok((settings, config))
    }
}

impl Environment {
    fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.state.lock().settings);
    }

    /// Streaming (results as they come) or batch (one final result per key). Without it the configuration decides, by
    /// `execution.runtime-mode`, and streaming is the default.
    pub fn set_mode(&self, mode: ExecutionMode) {
        self.set(|settings| settings.mode = Some(mode));
    }

    /// Subtasks of operators that set none, 1 to 32768. Without it the configuration decides, by `parallelism.default`;
    /// a job that runs by itself then uses all cores.
    pub fn set_parallelism(&self, subtasks: u32) {
        self.set(|settings| settings.parallelism = Some(subtasks));
    }

    /// Key groups of operators that set none, 1 to 32768. Without it the configuration decides, by
    /// `pipeline.max-parallelism`, or else it follows from the parallelism.
    pub fn set_max_parallelism(&self, key_groups: u32) {
        self.set(|settings| settings.max_parallelism = Some(key_groups));
    }

    /// What a failure does. Without it the configuration decides, by `restart-strategy.type`.
    pub fn set_restart_strategy(&self, strategy: RestartStrategy) {
        self.set(|settings| settings.restart = Some(strategy));
    }

    /// Runs every operator in a task of its own.
    pub fn disable_operator_chaining(&self) {
        self.set(|settings| settings.no_chaining = true);
    }

    /// Where processing time comes from when the job runs within this process: for tests that drive it.
    pub fn set_clock(&self, clock: Clock) {
        self.shared.state.lock().clock = clock;
    }

    /// Sets a configuration key of the job. It goes before what the job is submitted with. A program's own parameters
    /// have keys that begin with `pipeline.global-job-parameters.`.
    pub fn configure(&self, key: impl Into<String>, value: impl Into<String>) {
        self.set(|settings| {
            settings.configuration.insert(key.into(), value.into());
        });
    }

    /// The value of a configuration key: what the program has set, else what the job is submitted with.
    pub fn configuration(&self, key: &str) -> Option<String> {
        let own = self.shared.state.lock().settings.configuration.get(key).cloned();
        own.or_else(|| self.shared.launch.configuration().ok()?.get(key).cloned())
    }
}
