//! Restart strategies: whether to restart after a failure, and after what delay.

use std::collections::VecDeque;

use flott_core::{job_graph::RestartStrategy, past::Spent};

use super::random::SeededRandom;
use crate::time::Millis;

/// What follows from a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Restart.
    Restart {
        /// After so many milliseconds.
        delay: u64,
    },
    /// Let the job fail.
    GiveUp {
        /// Why, in a few words; empty if restarts were never wanted.
        reason: String,
    },
}

/// A restart strategy with its memory.
#[derive(Debug, Clone)]
pub enum RestartBackoff {
    /// Never.
    None,
    /// A number of times.
    FixedDelay {
        /// Restarts allowed.
        attempts: u32,
        /// Wait before each.
        delay: u64,
        /// Restarts used.
        used: u32,
    },
    /// As long as failures are rare.
    FailureRate {
        /// Failures allowed in an interval.
        max: u32,
        /// The interval.
        interval: u64,
        /// Wait before each restart.
        delay: u64,
        /// Failures of the last interval.
        failures: VecDeque<Millis>,
    },
    /// With growing waits.
    Exponential(Exponential),
}

/// State of the exponential-delay strategy.
#[derive(Debug, Clone)]
pub struct Exponential {
    initial: u64,
    max: u64,
    multiplier: f64,
    reset_threshold: u64,
    jitter: f64,
    attempts_max: Option<u32>,
    current: u64,
    used: u32,
    /// When the last failure was, and how long it made us wait.
    last: Option<(Millis, u64)>,
    random: SeededRandom,
}

impl RestartBackoff {
    /// Nothing has failed yet.
    pub fn new(strategy: RestartStrategy, seed: u64) -> Self {
        match strategy {
            RestartStrategy::None => Self::None,
            RestartStrategy::FixedDelay { attempts, delay_ms } => {
                Self::FixedDelay { attempts, delay: delay_ms, used: 0 }
            }
            RestartStrategy::FailureRate { failures_per_interval_max, interval_ms, delay_ms } => Self::FailureRate {
                max: failures_per_interval_max,
                interval: interval_ms,
                delay: delay_ms,
                failures: VecDeque::new(),
            },
            RestartStrategy::ExponentialDelay {
                initial_backoff_ms,
                max_backoff_ms,
                multiplier,
                reset_threshold_ms,
                jitter,
                attempts_max,
            } => Self::Exponential(Exponential {
                initial: initial_backoff_ms,
                max: max_backoff_ms,
                multiplier: if multiplier.is_finite() { multiplier.max(1.0) } else { 1.0 },
                reset_threshold: reset_threshold_ms,
                jitter: if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 },
                attempts_max,
                current: initial_backoff_ms,
                used: 0,
                last: None,
                random: SeededRandom::new(seed),
            }),
        }
    }

    /// What was used up so far, for the JobMaster after this one.
    pub fn spent(&self) -> Spent {
        match self {
            Self::None => Spent::default(),
            Self::FixedDelay { used, .. } => Spent { used: *used, ..Spent::default() },
            Self::FailureRate { failures, .. } => {
                Spent { failures: failures.iter().map(|at| at.0).collect(), ..Spent::default() }
            }
            Self::Exponential(Exponential { current, used, last, .. }) => {
                Spent { used: *used, wait_ms: *current, last: last.map(|(at, wait)| (at.0, wait)), ..Spent::default() }
            }
        }
    }

    /// Goes on at `now` from what an earlier JobMaster has used up, as far as it is of this strategy. What lies ahead by this one's
    /// clock counts as of now.
    pub fn resume(&mut self, spent: &Spent, now: Millis) {
        let past = |at: u64| Millis(at).min(now);
        match self {
            Self::None => {}
            Self::FixedDelay { used, .. } => *used = spent.used,
            Self::FailureRate { failures, .. } => *failures = spent.failures.iter().map(|at| past(*at)).collect(),
            Self::Exponential(state) => {
                if let Some((at, wait)) = spent.last {
                    state.current = spent.wait_ms.clamp(state.initial.min(state.max), state.max);
                    state.used = spent.used;
                    state.last = Some((past(at), wait));
                }
            }
        }
    }

    /// The wait that the last failure was followed by, for restarts that an earlier JobMaster has counted.
    pub fn latest_delay(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::FixedDelay { delay, .. } | Self::FailureRate { delay, .. } => *delay,
            Self::Exponential(state) => state.last.map_or(state.initial, |(_, wait)| wait),
        }
    }

    /// Counts a failure.
    pub fn on_failure(&mut self, now: Millis) -> Decision {
        match self {
            Self::None => Decision::GiveUp { reason: String::new() },
            Self::FixedDelay { attempts, delay, used } => {
                if *used >= *attempts {
                    return Decision::GiveUp { reason: format!("all {attempts} restarts were used") };
                }
                *used += 1;
                Decision::Restart { delay: *delay }
            }
            Self::FailureRate { max, interval, delay, failures } => {
                while failures.front().is_some_and(|at| now.since(*at) >= *interval) {
                    failures.pop_front();
                }
                if failures.len() >= *max as usize {
                    return Decision::GiveUp { reason: format!("more than {max} failures within {interval} ms") };
                }
                failures.push_back(now);
                Decision::Restart { delay: *delay }
            }
            Self::Exponential(state) => state.on_failure(now),
        }
    }
}

impl Exponential {
    fn on_failure(&mut self, now: Millis) -> Decision {
        let quiet = self.last.is_none_or(|(at, wait)| now.since(at) >= self.reset_threshold.saturating_add(wait));
        if quiet {
            self.current = self.initial;
            self.used = 0;
        } else {
            self.current = ((self.current as f64 * self.multiplier) as u64).min(self.max);
        }
        if self.attempts_max.is_some_and(|max| self.used >= max) {
            return Decision::GiveUp {
                reason: format!("all {} restarts were used without a quiet {} ms", self.used, self.reset_threshold),
            };
        }
        self.used += 1;
        let wait = self.current.min(self.max);
        let spread = (wait as f64 * self.jitter * (2.0 * self.random.next_fraction() - 1.0)) as i64;
        let delay = wait.saturating_add_signed(spread).min(self.max);
        self.last = Some((now, delay));
        Decision::Restart { delay }
    }
}
