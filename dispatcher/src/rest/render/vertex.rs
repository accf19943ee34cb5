use std::collections::BTreeMap;

use flott_core::{
    id::{AttemptId, AttemptNumber, SubtaskIndex, VertexId},
    status::ExecutionState,
    view::{AttemptView, SubtaskView, VertexView},
};

use super::{failure::user_accumulators, numbers, time_or_not_yet};
use crate::rest::shapes::{
    AttemptAccumulators, SubtaskAccumulators, SubtaskDetails, SubtaskMetric, SubtaskTime, SubtaskTimes,
    SubtasksAccumulators, VertexAccumulators, VertexDetails, VertexOnTaskManager, VertexTaskManagers,
};

/// What stands where a subtask has no place yet.
const UNASSIGNED: &str = "(unassigned)";

fn endpoint(attempt: &AttemptView) -> String {
    attempt.endpoint.clone().unwrap_or_else(|| UNASSIGNED.to_owned())
}

fn worker(attempt: &AttemptView) -> String {
    attempt.worker.as_ref().map_or_else(|| UNASSIGNED.to_owned(), ToString::to_string)
}

fn indexed(vertex: &VertexView) -> impl Iterator<Item = (u32, &SubtaskView)> {
    (0..).zip(&vertex.subtasks)
}

/// A vertex with its subtasks.
pub fn vertex(vertex: &VertexView, now: u64) -> VertexDetails {
    let attempts: Vec<_> = vertex.subtasks.iter().map(|subtask| &subtask.current).collect();
    VertexDetails {
        id: vertex.id.to_string(),
        name: vertex.name.clone(),
        parallelism: vertex.parallelism,
        max_parallelism: vertex.max_parallelism,
        now,
        subtasks: indexed(vertex).map(|(index, view)| subtask(index, &view.current, now)).collect(),
        aggregated: numbers::aggregated(&attempts, now),
    }
}

/// One attempt of a subtask.
pub fn subtask(index: u32, attempt: &AttemptView, now: u64) -> SubtaskDetails {
    let numbers::Span { start, end, duration } = numbers::span([attempt], now);
    SubtaskDetails {
        subtask: index,
        status: attempt.state,
        attempt: attempt.attempt,
        endpoint: endpoint(attempt),
        start_time: start,
        end_time: end,
        duration,
        metrics: numbers::io_metrics(&attempt.metrics),
        taskmanager_id: worker(attempt),
        status_duration: numbers::status_durations(attempt, now),
        start_time_old: start,
    }
}

/// When the subtasks of a vertex entered their states.
pub fn subtask_times(vertex: &VertexView, now: u64) -> SubtaskTimes {
    let time = |(subtask, view): (u32, &SubtaskView)| {
        let attempt = &view.current;
        let mut timestamps: BTreeMap<String, u64> =
            ExecutionState::ALL.iter().map(|state| (state.to_string(), 0)).collect();
        timestamps.extend(attempt.entered.iter().map(|(state, at)| (state.to_string(), *at)));
        let scheduled = attempt.entered.get(&ExecutionState::Scheduled);
        let until = numbers::ended(attempt).unwrap_or(now);
        SubtaskTime {
            subtask,
            endpoint: endpoint(attempt),
            duration: time_or_not_yet(scheduled.map(|scheduled| until.saturating_sub(*scheduled))),
            timestamps,
        }
    };
    SubtaskTimes {
        id: vertex.id.to_string(),
        name: vertex.name.clone(),
        now,
        subtasks: indexed(vertex).map(time).collect(),
    }
}

/// A vertex by TaskManager.
pub fn vertex_task_managers(vertex: &VertexView, now: u64) -> VertexTaskManagers {
    let mut by_worker: BTreeMap<String, Vec<&AttemptView>> = BTreeMap::new();
    for subtask in &vertex.subtasks {
        by_worker.entry(worker(&subtask.current)).or_default().push(&subtask.current);
    }
    let on_worker = |(taskmanager_id, attempts): (String, Vec<&AttemptView>)| {
        let states: Vec<_> = attempts.iter().map(|attempt| attempt.state).collect();
        let numbers::Span { start, end, duration } = numbers::span(attempts.iter().copied(), now);
        VertexOnTaskManager {
            endpoint: attempts.first().map(|attempt| endpoint(attempt)).unwrap_or_default(),
            status: numbers::together(&states).to_string(),
            start_time: start,
            end_time: end,
            duration,
            metrics: numbers::io_metrics(&numbers::sum(attempts.iter().copied())),
            status_counts: numbers::counts(states),
            taskmanager_id,
            aggregated: numbers::aggregated(&attempts, now),
        }
    };
    VertexTaskManagers {
        id: vertex.id.to_string(),
        name: vertex.name.clone(),
        now,
        taskmanagers: by_worker.into_iter().map(on_worker).collect(),
    }
}

/// The watermarks that the inputs of the subtasks have come to, as in Flink, where it is the earliest time before the first
/// and nothing is said of subtasks that do not run. Nor is of sources; here they show what they give, once they give one.
pub fn watermarks(vertex: &VertexView, is_source: bool) -> Vec<SubtaskMetric> {
    let (name, none) =
        if is_source { ("currentOutputWatermark", None) } else { ("currentInputWatermark", Some(i64::MIN)) };
    let running = indexed(vertex).filter(|(_, subtask)| subtask.current.state == ExecutionState::Running);
    let metric = |(index, subtask): (u32, &SubtaskView)| {
        let watermark = subtask.current.metrics.watermark.or(none)?;
        Some(SubtaskMetric { id: format!("{index}.{name}"), value: watermark.to_string() })
    };
    running.filter_map(metric).collect()
}

/// What the subtasks of a vertex count, added up.
pub fn vertex_accumulators(vertex: &VertexView) -> VertexAccumulators {
    let sum = numbers::sum(vertex.subtasks.iter().map(|subtask| &subtask.current));
    VertexAccumulators { id: vertex.id.to_string(), user_accumulators: user_accumulators(&sum.counters.accumulators()) }
}

/// What the current attempt of each subtask of a vertex counts.
pub fn subtasks_accumulators(vertex: &VertexView) -> SubtasksAccumulators {
    let of = |(subtask, view): (u32, &SubtaskView)| SubtaskAccumulators {
        subtask,
        attempt: view.current.attempt,
        endpoint: endpoint(&view.current),
        user_accumulators: user_accumulators(&view.current.metrics.counters.accumulators()),
    };
    SubtasksAccumulators {
        id: vertex.id.to_string(),
        parallelism: vertex.parallelism,
        subtasks: indexed(vertex).map(of).collect(),
    }
}

/// What an attempt counts, or has counted.
pub fn attempt_accumulators(vertex: VertexId, subtask: u32, attempt: &AttemptView) -> AttemptAccumulators {
    let id = AttemptId { vertex, subtask: SubtaskIndex(subtask), attempt: AttemptNumber(attempt.attempt) };
    AttemptAccumulators {
        subtask,
        attempt: attempt.attempt,
        id: id.to_string(),
        user_accumulators: user_accumulators(&attempt.metrics.counters.accumulators()),
    }
}

#[cfg(test)]
mod tests {
    use flott_core::view::TaskMetrics;

    use super::*;

    fn vertex(subtasks: &[(ExecutionState, Option<i64>)]) -> VertexView {
        let subtask = |&(state, watermark): &(ExecutionState, Option<i64>)| SubtaskView {
            current: AttemptView {
                attempt: 0,
                state,
                entered: BTreeMap::new(),
                allocation: None,
                worker: None,
                endpoint: None,
                metrics: TaskMetrics { watermark, ..TaskMetrics::default() },
                failure: None,
            },
            previous: Vec::new(),
        };
        VertexView {
            id: VertexId::from_bytes([1; 16]),
            name: "vertex".to_owned(),
            parallelism: subtasks.len() as u32,
            max_parallelism: 128,
            bounds: None,
            slot_sharing_group: "default".to_owned(),
            subtasks: subtasks.iter().map(subtask).collect(),
        }
    }

    #[test]
    fn watermarks_are_those_of_subtasks_that_run() {
        use ExecutionState::{Finished, Initializing, Running};
        #[track_caller]
        fn check(is_source: bool, expected: &[(&str, &str)]) {
            let vertex = vertex(&[
                (Running, Some(-5)),
                (Initializing, None),
                (Running, None),
                (Finished, Some(i64::MAX)),
                (Running, Some(i64::MAX)),
            ]);
            let found = watermarks(&vertex, is_source);
            let found: Vec<_> = found.iter().map(|metric| (&*metric.id, &*metric.value)).collect();
            assert_eq!(found, expected);
        }
        check(
            false,
            &[
                ("0.currentInputWatermark", "-5"),
                ("2.currentInputWatermark", "-9223372036854775808"),
                ("4.currentInputWatermark", "9223372036854775807"),
            ],
        );
        check(true, &[("0.currentOutputWatermark", "-5"), ("4.currentOutputWatermark", "9223372036854775807")]);
    }
}
