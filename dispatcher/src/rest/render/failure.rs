use std::collections::BTreeMap;

use flott_core::{
    failure::{Domain, Failure},
    status::JobStatus,
    view::{Accumulator, ExceptionView, JobView},
};

use super::{job::duration, signed, time_or_not_yet};
use crate::rest::shapes::{
    ExceptionEntry, ExceptionHistory, ExecutionResult, ExecutionResultInfo, FailureCause, JobAccumulators,
    JobExceptions, QueueStatus, UserAccumulator,
};

/// What stands where Flink names a class.
fn kind(failure: &Failure) -> &'static str {
    match failure.domain {
        Domain::User => "UserFailure",
        Domain::Environment => "EnvironmentFailure",
        Domain::Internal => "InternalFailure",
    }
}

fn entry(failure: &Failure, at: u64, concurrent: Option<Vec<ExceptionEntry>>) -> ExceptionEntry {
    let location = &failure.location;
    let task_name = location.task.as_ref().map(|task| {
        let subtask = location.subtask.map(|(index, of)| format!(" ({}/{of})", u64::from(index) + 1));
        let attempt = location.attempt.map(|attempt| format!(" - execution #{attempt}"));
        format!("{task}{}{}", subtask.unwrap_or_default(), attempt.unwrap_or_default())
    });
    ExceptionEntry {
        exception_name: kind(failure).to_owned(),
        stacktrace: failure.report(),
        timestamp: at,
        failure_labels: BTreeMap::new(),
        task_name,
        endpoint: location.host.clone(),
        task_manager_id: location.worker.as_ref().map(ToString::to_string),
        concurrent_exceptions: concurrent,
    }
}

/// At most `max` failures of a job, newest first.
pub fn exceptions(view: &JobView, max: usize) -> JobExceptions {
    let root = |exception: &ExceptionView| {
        let concurrent = exception.concurrent.iter().map(|failure| entry(failure, exception.at, None)).collect();
        entry(&exception.failure, exception.at, Some(concurrent))
    };
    JobExceptions {
        exception_history: ExceptionHistory {
            entries: view.exceptions.iter().take(max).map(root).collect(),
            truncated: view.exceptions_truncated || view.exceptions.len() > max,
        },
    }
}

/// How a job ended, once it has.
pub fn execution_result(view: &JobView, now: u64) -> ExecutionResultInfo {
    let (status, application_status) = match view.status {
        JobStatus::Finished => ("COMPLETED", "SUCCEEDED"),
        JobStatus::Failed => ("COMPLETED", "FAILED"),
        JobStatus::Canceled => ("COMPLETED", "CANCELED"),
        _ => return ExecutionResultInfo { status: queue_status("IN_PROGRESS"), job_execution_result: None },
    };
    let result = ExecutionResult {
        id: view.job.to_string(),
        name: view.name.clone(),
        application_status: application_status.to_owned(),
        accumulator_results: by_name_as_json(view),
        net_runtime: duration(view, now),
        failure_cause: view.failure.as_ref().filter(|_| view.status == JobStatus::Failed).map(cause),
        application_id: view.job.to_string(),
        start_time: signed(view.started_at),
        end_time: time_or_not_yet(view.ended_at),
    };
    ExecutionResultInfo { status: queue_status(status), job_execution_result: Some(result) }
}

pub(super) fn cause(failure: &Failure) -> FailureCause {
    FailureCause { class: kind(failure).to_owned(), stack_trace: failure.report(), serialized_throwable: String::new() }
}

pub(super) fn queue_status(id: &str) -> QueueStatus {
    QueueStatus { id: id.to_owned() }
}

fn by_name_as_json(view: &JobView) -> BTreeMap<String, String> {
    view.accumulators.iter().map(|(name, accumulator)| (name.clone(), value(accumulator))).collect()
}

/// An accumulator's value as JSON text. The records of a list are JSON texts already.
fn value(accumulator: &Accumulator) -> String {
    match accumulator {
        Accumulator::LongCounter(n) | Accumulator::LongMinimum(n) | Accumulator::LongMaximum(n) => n.to_string(),
        Accumulator::DoubleCounter(n) => n.to_string(),
        Accumulator::List(records) => format!("[{}]", records.join(",")),
    }
}

/// Accumulators as Flink shows them.
pub(super) fn user_accumulators(accumulators: &BTreeMap<String, Accumulator>) -> Vec<UserAccumulator> {
    let shown = |(name, accumulator): (&String, &Accumulator)| UserAccumulator {
        name: name.clone(),
        kind: match accumulator {
            Accumulator::LongCounter(_) => "LongCounter",
            Accumulator::DoubleCounter(_) => "DoubleCounter",
            Accumulator::LongMinimum(_) => "LongMinimum",
            Accumulator::LongMaximum(_) => "LongMaximum",
            Accumulator::List(_) => "ListAccumulator",
        }
        .to_owned(),
        value: value(accumulator),
    };
    accumulators.iter().map(shown).collect()
}

/// The accumulators of a job.
pub fn accumulators(view: &JobView, include_serialized: bool) -> JobAccumulators {
    JobAccumulators {
        job_accumulators: Vec::new(),
        user_task_accumulators: user_accumulators(&view.accumulators),
        serialized_user_task_accumulators: if include_serialized { by_name_as_json(view) } else { BTreeMap::new() },
    }
}
