//! Jobs that go after the slots there are.

use std::time::Duration;

use crate::config::{
    option::{key, section},
    value::config_enum,
};

config_enum! {
    /// How a job is scheduled.
    SchedulerMode {
        /// It has as many subtasks as there are slots for.
        Reactive = "REACTIVE",
    }
}

section! {
    "Adaptive scheduling",
    "Jobs that may have more or fewer subtasks go after the slots there are: those whose vertices were given bounds \
     (`resource-requirements`), and those in reactive mode.";

    /// `REACTIVE`: every vertex without a parallelism of its own has as many subtasks as there are slots, up to its maximum
    /// parallelism. For streaming jobs on a cluster of their own, which takes every slot that comes.
    SCHEDULER_MODE: Option<SchedulerMode> = key("scheduler-mode");

    /// How long a job that runs is left alone after it was rescaled. Unset: 30 s.
    COOLDOWN: Option<Duration> = key("jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling")
        .range("0 ms", "1 d")
        .deprecated(&["jobmanager.adaptive-scheduler.scaling-interval.min"]);

    /// How long more slots are waited for before those that have come are used; once all that could be used are there, it is
    /// not waited. Unset: 60 s, in reactive mode 1 s.
    EXECUTING_STABILIZATION: Option<Duration> =
        key("jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout")
            .range("0 ms", "1 d")
            .deprecated(&["jobmanager.adaptive-scheduler.scaling-interval.max"]);

    /// How long slots that a job misses are waited for before it makes do with those that it has. Unset: 10 s, in reactive
    /// mode 1 s.
    SUBMISSION_STABILIZATION: Option<Duration> =
        key("jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout")
            .range("0 ms", "1 d")
            .deprecated(&["jobmanager.adaptive-scheduler.resource-stabilization-timeout"]);

    /// How long a job waits for the fewest slots that it can run with; then it fails. Unset: `slot.request.timeout`, in
    /// reactive mode for ever.
    SUBMISSION_WAIT: Option<Duration> = key("jobmanager.adaptive-scheduler.submission.resource-wait-timeout")
        .range("1 ms", "36500 d")
        .deprecated(&["jobmanager.adaptive-scheduler.resource-wait-timeout"]);
}
