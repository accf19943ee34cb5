//! The life of an attempt, as one total function. `docs/dev/task-states.md` shows it as a table.

use flott_core::status::ExecutionState;

/// What can happen to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExecutionStep {
    /// Its region asks for slots.
    Schedule,
    /// It is sent to its job process.
    Deploy,
    /// It is told to stop.
    Cancel,
    /// A commit manifest says that it had finished under an earlier JobMaster, or is not needed any more behind a savepoint.
    Restore,
    /// Its process says Initializing.
    ReportInitializing,
    /// Its process says Running.
    ReportRunning,
    /// Its process says Finished.
    ReportFinished,
    /// Its process says Canceled.
    ReportCanceled,
    /// Its process says Failed.
    ReportFailed,
    /// Its process or its TaskManager is gone.
    Lose,
}

impl ExecutionStep {
    /// Every step, in order of declaration.
    pub const ALL: &[Self] = &[
        Self::Schedule,
        Self::Deploy,
        Self::Cancel,
        Self::Restore,
        Self::ReportInitializing,
        Self::ReportRunning,
        Self::ReportFinished,
        Self::ReportCanceled,
        Self::ReportFailed,
        Self::Lose,
    ];

    /// The step that a report of `state` is; `None` for states that no process reports.
    pub const fn report(state: ExecutionState) -> Option<Self> {
        match state {
            ExecutionState::Initializing => Some(Self::ReportInitializing),
            ExecutionState::Running => Some(Self::ReportRunning),
            ExecutionState::Finished => Some(Self::ReportFinished),
            ExecutionState::Canceled => Some(Self::ReportCanceled),
            ExecutionState::Failed => Some(Self::ReportFailed),
            ExecutionState::Created
            | ExecutionState::Scheduled
            | ExecutionState::Deploying
            | ExecutionState::Canceling
            | ExecutionState::Reconciling => None,
        }
    }
}

/// Whether an attempt in `state` may be alive in a job process.
pub const fn is_deployed(state: ExecutionState) -> bool {
    match state {
        ExecutionState::Deploying
        | ExecutionState::Initializing
        | ExecutionState::Running
        | ExecutionState::Canceling
        | ExecutionState::Reconciling => true,
        ExecutionState::Created
        | ExecutionState::Scheduled
        | ExecutionState::Finished
        | ExecutionState::Canceled
        | ExecutionState::Failed => false,
    }
}

/// Where `step` leads from `state`; `None` where it is late or repeated, and changes nothing.
pub const fn step(state: ExecutionState, step: ExecutionStep) -> Option<ExecutionState> {
    use ExecutionState as State;
    use ExecutionStep as Step;
    match state {
        State::Created => match step {
            Step::Schedule => Some(State::Scheduled),
            Step::Cancel => Some(State::Canceled),
            Step::Restore => Some(State::Finished),
            // Nothing was sent to a process yet, so a report is about something else.
            Step::Deploy
            | Step::ReportInitializing
            | Step::ReportRunning
            | Step::ReportFinished
            | Step::ReportCanceled
            | Step::ReportFailed
            | Step::Lose => None,
        },
        State::Scheduled => match step {
            Step::Deploy => Some(State::Deploying),
            Step::Cancel => Some(State::Canceled),
            Step::Schedule
            | Step::Restore
            | Step::ReportInitializing
            | Step::ReportRunning
            | Step::ReportFinished
            | Step::ReportCanceled
            | Step::ReportFailed
            | Step::Lose => None,
        },
        // Reports may overtake each other, so each later state can follow directly.
        State::Deploying | State::Reconciling => match step {
            Step::Cancel => Some(State::Canceling),
            Step::ReportInitializing => Some(State::Initializing),
            Step::ReportRunning => Some(State::Running),
            Step::ReportFinished => Some(State::Finished),
            // Nobody asked it to stop: a task that gives up by itself has failed.
            Step::ReportCanceled | Step::ReportFailed | Step::Lose => Some(State::Failed),
            Step::Schedule | Step::Deploy | Step::Restore => None,
        },
        State::Initializing => match step {
            Step::Cancel => Some(State::Canceling),
            Step::ReportRunning => Some(State::Running),
            Step::ReportFinished => Some(State::Finished),
            Step::ReportCanceled | Step::ReportFailed | Step::Lose => Some(State::Failed),
            Step::Schedule | Step::Deploy | Step::Restore | Step::ReportInitializing => None,
        },
        State::Running => match step {
            Step::Cancel => Some(State::Canceling),
            Step::ReportFinished => Some(State::Finished),
            Step::ReportCanceled | Step::ReportFailed | Step::Lose => Some(State::Failed),
            Step::Schedule | Step::Deploy | Step::Restore | Step::ReportInitializing | Step::ReportRunning => None,
        },
        State::Canceling => match step {
            // It may have ended before it heard of the cancellation.
            Step::ReportFinished => Some(State::Finished),
            Step::ReportFailed => Some(State::Failed),
            // Being gone is what was asked of it.
            Step::ReportCanceled | Step::Lose => Some(State::Canceled),
            Step::Schedule
            | Step::Deploy
            | Step::Cancel
            | Step::Restore
            | Step::ReportInitializing
            | Step::ReportRunning => None,
        },
        State::Finished | State::Canceled | State::Failed => match step {
            Step::Schedule
            | Step::Deploy
            | Step::Cancel
            | Step::Restore
            | Step::ReportInitializing
            | Step::ReportRunning
            | Step::ReportFinished
            | Step::ReportCanceled
            | Step::ReportFailed
            | Step::Lose => None,
        },
    }
}
