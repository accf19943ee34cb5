//! The shape of a job: parallelism, chaining, parameters.

use std::time::Duration;

use crate::config::option::{ConfigMap, key, section};

section! {
    "Pipeline",
    "The shape of a job. What a program sets in its code is stronger.";

    /// Subtasks of an operator that sets no parallelism.
    DEFAULT_PARALLELISM: u32 = key("parallelism.default").default("1").range("1", "32768");

    /// Name of the job for people. Unset, the program gives it one.
    NAME: Option<String> = key("pipeline.name");

    /// Number of key groups, and so the most subtasks that a keyed operator can ever have. It is part of the state of a
    /// job and cannot change later. Unset, it is derived from the parallelism.
    MAX_PARALLELISM: Option<u32> = key("pipeline.max-parallelism").range("1", "32768");

    /// Whether operators connected by a forward edge run as one task. Off, each runs alone, which helps to find where
    /// time goes.
    OPERATOR_CHAINING: bool =
        key("pipeline.operator-chaining.enabled").default("true").fallback(&["pipeline.operator-chaining"]);

    /// Longest time from one watermark of a busy task to the next. A task that has nothing else to do gives its watermark
    /// at once, and a busy one also after some tens of thousands of records. 0 gives one after each batch of records.
    AUTO_WATERMARK_INTERVAL: Duration = key("pipeline.auto-watermark-interval").default("200 ms").range("0 ms", "1 d");
}

/// Parameters for the program itself, one key each: `pipeline.global-job-parameters.threshold: 5`. Flott does not read
/// them; they are shown with the job's configuration.
pub static GLOBAL_JOB_PARAMETERS: ConfigMap = ConfigMap::new(
    "pipeline.global-job-parameters",
    "Parameters for the program itself, one key each: `pipeline.global-job-parameters.threshold: 5`. Flott does not read \
     them; they are shown with the job's configuration.",
);
