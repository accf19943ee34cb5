//! The life of a job, as one total function. `docs/dev/task-states.md` shows it as a table.

use flott_core::status::JobStatus;

/// What can happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobStep {
    /// Its JobMaster begins.
    Start,
    /// Tasks are sent to job processes, and no region waits for a restart.
    Run,
    /// A region failed and will run again.
    Restart,
    /// A failure ends it.
    Fail,
    /// Someone asks to cancel it.
    Cancel,
    /// All tasks have finished and their results are visible.
    Finish,
    /// What was running is gone and cleaned up, after a failure or a cancellation.
    End,
    /// Its JobManager gives it up.
    Suspend,
}

impl JobStep {
    /// Every step, in order of declaration.
    pub const ALL: &[Self] =
        &[Self::Start, Self::Run, Self::Restart, Self::Fail, Self::Cancel, Self::Finish, Self::End, Self::Suspend];
}

/// Where `step` leads from `status`; `None` where it comes too late or changes nothing.
pub const fn step(status: JobStatus, step: JobStep) -> Option<JobStatus> {
    use JobStatus as Status;
    use JobStep as Step;
    match status {
        Status::Initializing => match step {
            Step::Start => Some(Status::Created),
            Step::Fail => Some(Status::Failing),
            Step::Cancel => Some(Status::Cancelling),
            Step::Suspend => Some(Status::Suspended),
            Step::Run | Step::Restart | Step::Finish | Step::End => None,
        },
        Status::Created | Status::Reconciling => match step {
            Step::Run => Some(Status::Running),
            Step::Restart => Some(Status::Restarting),
            Step::Fail => Some(Status::Failing),
            Step::Cancel => Some(Status::Cancelling),
            Step::Suspend => Some(Status::Suspended),
            Step::Start | Step::Finish | Step::End => None,
        },
        Status::Running => match step {
            Step::Restart => Some(Status::Restarting),
            Step::Fail => Some(Status::Failing),
            Step::Cancel => Some(Status::Cancelling),
            Step::Finish => Some(Status::Finished),
            Step::Suspend => Some(Status::Suspended),
            Step::Start | Step::Run | Step::End => None,
        },
        Status::Restarting => match step {
            Step::Run => Some(Status::Running),
            Step::Fail => Some(Status::Failing),
            Step::Cancel => Some(Status::Cancelling),
            Step::Suspend => Some(Status::Suspended),
            Step::Start | Step::Restart | Step::Finish | Step::End => None,
        },
        Status::Failing => match step {
            Step::End => Some(Status::Failed),
            // As in Flink: who cancels a failing job gets a cancelled one.
            Step::Cancel => Some(Status::Cancelling),
            Step::Suspend => Some(Status::Suspended),
            Step::Start | Step::Run | Step::Restart | Step::Fail | Step::Finish => None,
        },
        Status::Cancelling => match step {
            Step::End => Some(Status::Canceled),
            Step::Suspend => Some(Status::Suspended),
            Step::Start | Step::Run | Step::Restart | Step::Fail | Step::Cancel | Step::Finish => None,
        },
        Status::Failed | Status::Canceled | Status::Finished | Status::Suspended => match step {
            Step::Start
            | Step::Run
            | Step::Restart
            | Step::Fail
            | Step::Cancel
            | Step::Finish
            | Step::End
            | Step::Suspend => None,
        },
    }
}
