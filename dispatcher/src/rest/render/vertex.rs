use std::collections::BTreeMap;

use flott_core::{
    status::ExecutionState,
    view::{AttemptView, SubtaskView, VertexView},
};

use super::{numbers, time_or_not_yet};
use crate::rest::shapes::{
    SubtaskDetails, SubtaskTime, SubtaskTimes, VertexDetails, VertexOnTaskManager, VertexTaskManagers,
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
