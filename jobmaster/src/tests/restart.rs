//! Restart strategies.

use flott_core::{job_graph::RestartStrategy, past::Spent};

use crate::{
    failover::{Decision, RestartBackoff},
    time::Millis,
};

/// Failures at these times are followed by restarts after these delays; `None` is giving up.
#[track_caller]
fn check(strategy: RestartStrategy, failures: &[u64], expected: &[Option<u64>]) {
    let mut backoff = RestartBackoff::new(strategy, 1);
    let decided: Vec<_> = failures
        .iter()
        .map(|at| match backoff.on_failure(Millis(*at)) {
            Decision::Restart { delay } => Some(delay),
            Decision::GiveUp { .. } => None,
        })
        .collect();
    assert_eq!(decided, expected);
}

#[test]
fn none_gives_up_at_once() {
    check(RestartStrategy::None, &[0], &[None]);
}

#[test]
fn fixed_delay_counts_all_failures_of_the_job() {
    let strategy = RestartStrategy::FixedDelay { attempts: 2, delay_ms: 10 };
    check(strategy, &[0, 1, 1_000_000], &[Some(10), Some(10), None]);
    check(RestartStrategy::FixedDelay { attempts: 0, delay_ms: 10 }, &[0], &[None]);
}

#[test]
fn failure_rate_forgets_what_is_older_than_the_interval() {
    let strategy = RestartStrategy::FailureRate { failures_per_interval_max: 2, interval_ms: 100, delay_ms: 5 };
    check(strategy, &[0, 50, 99], &[Some(5), Some(5), None]);
    check(strategy, &[0, 50, 100, 149], &[Some(5), Some(5), Some(5), None]);
    check(strategy, &[0, 100, 200, 300], &[Some(5); 4]);
}

const EXPONENTIAL: RestartStrategy = RestartStrategy::ExponentialDelay {
    initial_backoff_ms: 10,
    max_backoff_ms: 50,
    multiplier: 2.0,
    reset_threshold_ms: 1000,
    jitter: 0.0,
    attempts_max: None,
};

#[test]
fn exponential_delay_grows_up_to_its_maximum_and_starts_over_after_a_quiet_time() {
    check(EXPONENTIAL, &[0, 10, 20, 30, 40], &[Some(10), Some(20), Some(40), Some(50), Some(50)]);
    // The quiet time begins when the wait is over.
    check(EXPONENTIAL, &[0, 1009, 1009 + 1020], &[Some(10), Some(20), Some(10)]);
}

#[test]
fn exponential_delay_may_be_bounded_in_its_restarts() {
    let RestartStrategy::ExponentialDelay {
        initial_backoff_ms,
        max_backoff_ms,
        multiplier,
        reset_threshold_ms,
        jitter,
        ..
    } = EXPONENTIAL
    else {
        unreachable!("it is that strategy")
    };
    let bounded = RestartStrategy::ExponentialDelay {
        initial_backoff_ms,
        max_backoff_ms,
        multiplier,
        reset_threshold_ms,
        jitter,
        attempts_max: Some(2),
    };
    check(bounded, &[0, 1, 2], &[Some(10), Some(20), None]);
    check(bounded, &[0, 1, 5000, 5001], &[Some(10), Some(20), Some(10), Some(20)]);
}

/// Failures at these times, between which another JobMaster takes the place of the one before, are followed by these delays.
#[track_caller]
fn check_over_deaths(strategy: RestartStrategy, failures: &[u64], expected: &[Option<u64>]) {
    let mut spent = Spent::default();
    let mut decided = Vec::new();
    for at in failures {
        let mut backoff = RestartBackoff::new(strategy, 1);
        backoff.resume(&spent, Millis(*at));
        decided.push(match backoff.on_failure(Millis(*at)) {
            Decision::Restart { delay } => {
                assert_eq!(backoff.latest_delay(), delay);
                Some(delay)
            }
            Decision::GiveUp { .. } => None,
        });
        spent = backoff.spent();
    }
    assert_eq!(decided, expected);
}

#[test]
fn a_strategy_goes_on_under_another_job_master() {
    let fixed = RestartStrategy::FixedDelay { attempts: 2, delay_ms: 10 };
    check_over_deaths(fixed, &[0, 1, 1_000_000], &[Some(10), Some(10), None]);
    let rate = RestartStrategy::FailureRate { failures_per_interval_max: 2, interval_ms: 100, delay_ms: 5 };
    check_over_deaths(rate, &[0, 50, 99], &[Some(5), Some(5), None]);
    check_over_deaths(rate, &[0, 50, 100, 149], &[Some(5), Some(5), Some(5), None]);
    check_over_deaths(EXPONENTIAL, &[0, 10, 20, 30, 40], &[Some(10), Some(20), Some(40), Some(50), Some(50)]);
    check_over_deaths(EXPONENTIAL, &[0, 1009, 1009 + 1020], &[Some(10), Some(20), Some(10)]);
    check_over_deaths(RestartStrategy::None, &[0], &[None]);
}

#[test]
fn failures_of_a_clock_that_was_ahead_do_not_count_for_longer() {
    let rate = RestartStrategy::FailureRate { failures_per_interval_max: 1, interval_ms: 100, delay_ms: 5 };
    let mut backoff = RestartBackoff::new(rate, 1);
    backoff.resume(&Spent { failures: vec![1_000_000], ..Spent::default() }, Millis(50));
    assert_eq!(backoff.on_failure(Millis(150)), Decision::Restart { delay: 5 });
}

#[test]
fn another_strategy_takes_what_it_knows() {
    let mut backoff = RestartBackoff::new(EXPONENTIAL, 1);
    backoff.resume(&Spent { used: 7, failures: vec![1, 2], ..Spent::default() }, Millis(10));
    assert_eq!(backoff.on_failure(Millis(10)), Decision::Restart { delay: 10 });
}

#[test]
fn jitter_stays_in_its_bounds_and_repeats_from_its_seed() {
    let strategy = RestartStrategy::ExponentialDelay {
        initial_backoff_ms: 1000,
        max_backoff_ms: 1000,
        multiplier: 1.0,
        reset_threshold_ms: 10,
        jitter: 0.1,
        attempts_max: None,
    };
    let draw = |seed| {
        let mut backoff = RestartBackoff::new(strategy, seed);
        (0..200).map(|at| backoff.on_failure(Millis(at))).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    for decision in draw(3) {
        let Decision::Restart { delay } = decision else { panic!("it never gives up") };
        assert!((900..=1000).contains(&delay), "{delay}");
    }
}
