use std::collections::BTreeMap;

use flott_core::{
    status::ExecutionState,
    view::{AttemptView, TaskMetrics},
};

use super::{signed, time_or_not_yet};
use crate::rest::shapes::{Aggregated, Distribution, IoMetrics};

/// States whose length is told; the others last no time.
const LASTING: [ExecutionState; 5] = [
    ExecutionState::Created,
    ExecutionState::Scheduled,
    ExecutionState::Deploying,
    ExecutionState::Initializing,
    ExecutionState::Running,
];

/// One figure of an attempt.
type Figure = fn(&TaskMetrics) -> u64;

pub(super) fn io_metrics(metrics: &TaskMetrics) -> IoMetrics {
    IoMetrics {
        read_bytes: metrics.bytes_in,
        read_bytes_complete: true,
        write_bytes: metrics.bytes_out,
        write_bytes_complete: true,
        read_records: metrics.records_in.saturating_add(metrics.records_read),
        read_records_complete: true,
        write_records: metrics.records_out,
        write_records_complete: true,
        accumulated_backpressured_time: metrics.backpressured_ms,
        accumulated_idle_time: metrics.idle_ms,
        accumulated_busy_time: metrics.busy_ms as f64,
    }
}

/// Figures of several attempts together.
pub(super) fn sum<'a>(attempts: impl IntoIterator<Item = &'a AttemptView>) -> TaskMetrics {
    let mut total = TaskMetrics::default();
    attempts.into_iter().for_each(|attempt| total.add(&attempt.metrics));
    total
}

/// Start, end and duration of one or more attempts: from the first deployment to the last end.
pub(super) struct Span {
    pub start: i64,
    pub end: i64,
    pub duration: i64,
}

pub(super) fn span<'a>(attempts: impl IntoIterator<Item = &'a AttemptView>, now: u64) -> Span {
    let (mut start, mut end, mut all_ended): (Option<u64>, Option<u64>, bool) = (None, None, true);
    for attempt in attempts {
        let deployed = attempt.entered.get(&ExecutionState::Deploying).copied();
        start = match (start, deployed) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match ended(attempt) {
            Some(at) => end = end.max(Some(at)),
            None => all_ended = false,
        }
    }
    let end = end.filter(|_| all_ended);
    let duration = start.map(|start| end.unwrap_or(now).saturating_sub(start));
    Span { start: time_or_not_yet(start), end: time_or_not_yet(end), duration: time_or_not_yet(duration) }
}

/// When an attempt ended, if it has.
pub(super) fn ended(attempt: &AttemptView) -> Option<u64> {
    attempt.state.is_terminal().then(|| attempt.entered.get(&attempt.state).copied()).flatten()
}

/// How long an attempt was in each state; -1 for states that it has not been in.
pub(super) fn status_durations(attempt: &AttemptView, now: u64) -> BTreeMap<String, i64> {
    let entered: Vec<_> = {
        let mut entered: Vec<_> = attempt.entered.iter().map(|(state, at)| (*at, *state)).collect();
        entered.sort();
        entered
    };
    let duration = |state: ExecutionState| {
        let place = entered.iter().position(|(_, other)| *other == state)?;
        let next = entered.get(place + 1).map_or(now, |(at, _)| *at);
        Some(next.saturating_sub(entered[place].0))
    };
    LASTING.iter().map(|state| (state.to_string(), time_or_not_yet(duration(*state)))).collect()
}

/// How many things are in each state; every state is there.
pub(super) fn counts(states: impl IntoIterator<Item = ExecutionState>) -> BTreeMap<String, u32> {
    let mut counts: BTreeMap<String, u32> = ExecutionState::ALL.iter().map(|state| (state.to_string(), 0)).collect();
    for state in states {
        *counts.entry(state.to_string()).or_default() += 1;
    }
    counts
}

/// The state of several subtasks together: the worst, else the furthest back that still moves.
pub(super) fn together(states: &[ExecutionState]) -> ExecutionState {
    use ExecutionState::{Canceled, Canceling, Created, Failed, Finished, Initializing, Running};
    let any = |state| states.contains(&state);
    match () {
        () if any(Failed) => Failed,
        () if any(Canceling) => Canceling,
        () if any(Canceled) => Canceled,
        () if any(Initializing) => Initializing,
        () if any(Running) => Running,
        () if any(Finished) => {
            if states.iter().all(|state| *state == Finished) {
                Finished
            } else {
                Running
            }
        }
        () => states.iter().copied().min().unwrap_or(Created),
    }
}

pub(super) fn aggregated(attempts: &[&AttemptView], now: u64) -> Aggregated {
    let of = |figure: Figure| distribution(attempts.iter().map(|attempt| signed(figure(&attempt.metrics))).collect());
    let figures: [(&str, Figure); 7] = [
        ("read-bytes", |metrics| metrics.bytes_in),
        ("write-bytes", |metrics| metrics.bytes_out),
        ("read-records", |metrics| metrics.records_in.saturating_add(metrics.records_read)),
        ("write-records", |metrics| metrics.records_out),
        ("accumulated-backpressured-time", |metrics| metrics.backpressured_ms),
        ("accumulated-idle-time", |metrics| metrics.idle_ms),
        ("accumulated-busy-time", |metrics| metrics.busy_ms),
    ];
    let durations: Vec<_> = attempts.iter().map(|attempt| status_durations(attempt, now)).collect();
    let state_duration = |state: &ExecutionState| {
        let name = state.to_string();
        let values = durations.iter().filter_map(|durations| durations.get(&name).copied());
        let distribution = distribution(values.filter(|duration| *duration >= 0).collect());
        (name, distribution)
    };
    Aggregated {
        metrics: figures.iter().map(|(name, figure)| ((*name).to_owned(), of(*figure))).collect(),
        status_duration: LASTING.iter().map(state_duration).collect(),
    }
}

/// Percentiles interpolate between the two nearest ranks of n + 1, as Flink's do.
pub(super) fn distribution(mut values: Vec<i64>) -> Distribution {
    values.sort_unstable();
    let (Some(&min), Some(&max)) = (values.first(), values.last()) else { return Distribution::default() };
    let sum = values.iter().fold(0i64, |sum, value| sum.saturating_add(*value));
    let percentile = |percent: usize| {
        let position = percent * (values.len() + 1);
        let (rank, rest) = (position / 100, position % 100);
        if rank < 1 {
            return min;
        }
        match (values.get(rank - 1), values.get(rank)) {
            (Some(&lower), Some(&upper)) => {
                let step = i128::from(upper - lower) * rest as i128 / 100;
                lower.saturating_add(i64::try_from(step).unwrap_or(0))
            }
            _ => max,
        }
    };
    Distribution {
        min,
        max,
        avg: sum / i64::try_from(values.len()).unwrap_or(i64::MAX),
        sum,
        median: percentile(50),
        p25: percentile(25),
        p75: percentile(75),
        p95: percentile(95),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_recorded_answers() {
        // Figures of a vertex with two subtasks, as Flink aggregated them.
        let recorded = Distribution {
            min: 21638,
            max: 22720,
            avg: 22179,
            sum: 44358,
            median: 22179,
            p25: 21638,
            p75: 22720,
            p95: 22720,
        };
        assert_eq!(distribution(vec![22720, 21638]), recorded);
        assert_eq!(distribution(Vec::new()), Distribution::default());
        assert_eq!(distribution((1..=99).collect()).p95, 95);
    }

    #[test]
    fn the_worst_state_stands_for_all() {
        use ExecutionState::{Canceled, Created, Failed, Finished, Running, Scheduled};
        #[track_caller]
        fn check(states: &[ExecutionState], expected: ExecutionState) {
            assert_eq!(together(states), expected);
        }
        check(&[], Created);
        check(&[Running, Failed, Finished], Failed);
        check(&[Running, Canceled], Canceled);
        check(&[Finished, Created], Running);
        check(&[Finished, Finished], Finished);
        check(&[Scheduled, Created], Created);
    }
}
