use std::time::Duration;

use super::{
    Configuration,
    keys::restart::{self, RestartStrategyType},
};
use crate::job_graph::{RestartPolicy, RestartStrategy};

/// Restarts of a job that names no strategy, in a cluster that names none either.
const DEFAULT_ATTEMPTS: u32 = 3;

/// The strategy of a job that takes checkpoints, and names none, in a cluster that names none either. As in Flink it restarts for
/// ever, after waits that grow to a minute. The first wait is short, as a restart is a matter of milliseconds, and a
/// TaskManager that is lost is not likely to be lost again.
const DEFAULT_CHECKPOINTED: RestartStrategy = RestartStrategy::ExponentialDelay {
    initial_backoff_ms: 50,
    max_backoff_ms: 60_000,
    multiplier: 2.0,
    reset_threshold_ms: 300_000,
    jitter: 0.1,
    attempts_max: None,
};

impl Configuration {
    /// The strategy of a job that names none, in a cluster of this configuration.
    pub fn restart_strategy_for(&self, takes_checkpoints: bool) -> RestartStrategy {
        match self.restart_strategy_type() {
            None if takes_checkpoints => DEFAULT_CHECKPOINTED,
            Some(_) | None => self.restart_strategy(),
        }
    }

    /// The restart strategy that is set here, else the default: three restarts, one second apart.
    ///
    /// Flink's default without checkpoints is none, because its sinks may then show records twice. Flott's show nothing
    /// of an attempt that failed, so a restart is safe.
    pub fn restart_strategy(&self) -> RestartStrategy {
        match self.restart_strategy_type() {
            Some(kind) => self.restart_strategy_of(kind),
            None => RestartStrategy::FixedDelay {
                attempts: DEFAULT_ATTEMPTS,
                delay_ms: millis(self.get(&restart::FIXED_DELAY_DELAY)),
            },
        }
    }

    /// The strategy of a job with this configuration: its own if it names one, else the cluster's.
    pub fn restart_policy(&self) -> RestartPolicy {
        match self.restart_strategy_type() {
            Some(kind) => RestartPolicy::Own(self.restart_strategy_of(kind)),
            None => RestartPolicy::Cluster,
        }
    }

    /// The kind that is set. A number of restarts alone asks for that many: fixed delay is the default kind.
    fn restart_strategy_type(&self) -> Option<RestartStrategyType> {
        let alone = || self.is_set(&restart::FIXED_DELAY_ATTEMPTS).then_some(RestartStrategyType::FixedDelay);
        self.get(&restart::TYPE).or_else(alone)
    }

    fn restart_strategy_of(&self, kind: RestartStrategyType) -> RestartStrategy {
        match kind {
            RestartStrategyType::None => RestartStrategy::None,
            RestartStrategyType::FixedDelay => RestartStrategy::FixedDelay {
                attempts: self.get(&restart::FIXED_DELAY_ATTEMPTS),
                delay_ms: millis(self.get(&restart::FIXED_DELAY_DELAY)),
            },
            RestartStrategyType::FailureRate => RestartStrategy::FailureRate {
                failures_per_interval_max: self.get(&restart::FAILURE_RATE_MAX_FAILURES),
                interval_ms: millis(self.get(&restart::FAILURE_RATE_INTERVAL)),
                delay_ms: millis(self.get(&restart::FAILURE_RATE_DELAY)),
            },
            RestartStrategyType::ExponentialDelay => RestartStrategy::ExponentialDelay {
                initial_backoff_ms: millis(self.get(&restart::EXPONENTIAL_INITIAL_BACKOFF)),
                max_backoff_ms: millis(self.get(&restart::EXPONENTIAL_MAX_BACKOFF)),
                multiplier: self.get(&restart::EXPONENTIAL_MULTIPLIER),
                reset_threshold_ms: millis(self.get(&restart::EXPONENTIAL_RESET_THRESHOLD)),
                jitter: self.get(&restart::EXPONENTIAL_JITTER),
                attempts_max: self.get(&restart::EXPONENTIAL_ATTEMPTS),
            },
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loader;

    #[track_caller]
    fn check(settings: &[&str], expected: RestartStrategy) {
        let config = Loader::new().overrides(settings.iter().copied()).load().expect("settings").config;
        assert_eq!(config.restart_strategy(), expected, "{settings:?}");
    }

    #[test]
    fn nothing_set_restarts_three_times() {
        check(&[], RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1000 });
        assert_eq!(Configuration::default().restart_policy(), RestartPolicy::Cluster);
    }

    #[test]
    fn a_job_with_checkpoints_restarts_for_ever_unless_something_is_set() {
        assert_eq!(Configuration::default().restart_strategy_for(true), DEFAULT_CHECKPOINTED);
        let three = RestartStrategy::FixedDelay { attempts: 3, delay_ms: 1000 };
        assert_eq!(Configuration::default().restart_strategy_for(false), three);
        let set = Loader::new().overrides(["restart-strategy.type=none"]).load().expect("settings").config;
        assert_eq!(set.restart_strategy_for(true), RestartStrategy::None);
    }

    #[test]
    fn flinks_synonyms_and_defaults_hold() {
        check(&["restart-strategy=off"], RestartStrategy::None);
        check(&["restart-strategy.type=disable"], RestartStrategy::None);
        check(&["restart-strategy=fixeddelay"], RestartStrategy::FixedDelay { attempts: 1, delay_ms: 1000 });
        check(
            &["restart-strategy.fixed-delay.attempts=7", "restart-strategy.fixed-delay.delay=10 s"],
            RestartStrategy::FixedDelay { attempts: 7, delay_ms: 10_000 },
        );
        check(
            &["restart-strategy.type=Failure-Rate"],
            RestartStrategy::FailureRate { failures_per_interval_max: 1, interval_ms: 60_000, delay_ms: 1000 },
        );
        check(
            &["restart-strategy.type=exponential-delay"],
            RestartStrategy::ExponentialDelay {
                initial_backoff_ms: 1000,
                max_backoff_ms: 60_000,
                multiplier: 1.5,
                reset_threshold_ms: 3_600_000,
                jitter: 0.1,
                attempts_max: None,
            },
        );
    }
}
