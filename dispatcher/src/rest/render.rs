//! From views to answers. Pure functions of what they are given; the time comes in as `now`.

mod checkpoint;
mod failure;
mod job;
mod numbers;
mod operation;
mod rescale;
mod rescale_history;
mod vertex;
mod worker;

pub use checkpoint::{checkpoint_config, checkpoint_details, checkpoint_task, checkpointing};
pub use failure::{accumulators, exceptions, execution_result};
pub use job::{job_config, job_details, job_overview, pending};
pub use operation::{checkpoint_operation, disposal_operation, savepoint_operation};
pub use rescale::{rescale_operation, rescales, resource_requirements};
pub use rescale_history::{rescale_config, rescale_details, rescale_history, rescale_overview, rescale_summary};
pub use vertex::{
    attempt_accumulators, subtask, subtask_times, subtasks_accumulators, vertex, vertex_accumulators,
    vertex_task_managers, watermarks,
};
pub use worker::{assigned_tasks, task_manager, task_manager_details};

/// A point in time that may not have come yet, as REST writes it.
fn time_or_not_yet(time: Option<u64>) -> i64 {
    time.map_or(-1, signed)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
