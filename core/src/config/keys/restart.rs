//! Restart strategies.

use std::time::Duration;

use crate::config::{
    option::{key, section},
    value::config_enum,
};

config_enum! {
    /// When and how often failed tasks are restarted.
    RestartStrategyType {
        /// Never.
        None = "none" | "off" | "disable",
        /// A number of times.
        FixedDelay = "fixed-delay" | "fixeddelay",
        /// As long as failures are rare.
        FailureRate = "failure-rate" | "failurerate",
        /// After waits that grow.
        ExponentialDelay = "exponential-delay" | "exponentialdelay",
    }
}

section! {
    "Restart strategy",
    "What happens to the tasks that stop when one fails. A job that sets `restart-strategy.type` has its own; one that \
     does not has the cluster's. Unset in both, a job that takes checkpoints is restarted for ever, after waits that begin with \
     50 ms, double to a minute, and start over after five minutes without a failure; one that takes none is restarted three \
     times, one second apart: a restarted region starts over from its sources, and its sinks show nothing of the attempt \
     that failed.";

    /// `none` (also `off`, `disable`): the first failure ends the job. `fixed-delay`: a number of restarts.
    /// `failure-rate`: restarts as long as failures are rare. `exponential-delay`: restarts after waits that grow with each failure.
    TYPE: Option<RestartStrategyType> = key("restart-strategy.type").fallback(&["restart-strategy"]);

    /// Restarts before a job fails.
    FIXED_DELAY_ATTEMPTS: u32 = key("restart-strategy.fixed-delay.attempts").default("1").range("0", "2147483647");

    /// Wait before each restart.
    FIXED_DELAY_DELAY: Duration = key("restart-strategy.fixed-delay.delay").default("1 s").range("0 ms", "365 d");

    /// Failures allowed within an interval; one more ends the job.
    FAILURE_RATE_MAX_FAILURES: u32 =
        key("restart-strategy.failure-rate.max-failures-per-interval").default("1").range("1", "2147483647");

    /// Interval in which failures are counted.
    FAILURE_RATE_INTERVAL: Duration =
        key("restart-strategy.failure-rate.failure-rate-interval").default("1 min").range("1 ms", "365 d");

    /// Wait before each restart.
    FAILURE_RATE_DELAY: Duration = key("restart-strategy.failure-rate.delay").default("1 s").range("0 ms", "365 d");

    /// Wait before the first restart.
    EXPONENTIAL_INITIAL_BACKOFF: Duration =
        key("restart-strategy.exponential-delay.initial-backoff").default("1 s").range("1 ms", "365 d");

    /// Longest wait before a restart; at least the first wait.
    EXPONENTIAL_MAX_BACKOFF: Duration =
        key("restart-strategy.exponential-delay.max-backoff").default("1 min").range("1 ms", "365 d");

    /// Factor by which the wait grows with each failure.
    EXPONENTIAL_MULTIPLIER: f64 =
        key("restart-strategy.exponential-delay.backoff-multiplier").default("1.5").range("1", "1000");

    /// Time without failure after which the wait starts over.
    EXPONENTIAL_RESET_THRESHOLD: Duration =
        key("restart-strategy.exponential-delay.reset-backoff-threshold").default("1 h").range("1 ms", "365 d");

    /// Random part of a wait, as a fraction of it, so that jobs which failed together do not restart together.
    EXPONENTIAL_JITTER: f64 =
        key("restart-strategy.exponential-delay.jitter-factor").default("0.1").range("0", "1");

    /// Restarts allowed before the wait starts over; one more failure ends the job. Unset, there is no limit.
    EXPONENTIAL_ATTEMPTS: Option<u32> =
        key("restart-strategy.exponential-delay.attempts-before-reset-backoff").range("0", "2147483647");
}
