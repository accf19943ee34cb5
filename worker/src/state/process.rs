//! The life of one job's process on this TaskManager.
//!
//! ```text
//!            start           spawned            ready
//!   Absent ────────► Fetching ──────► Starting ──────► Running
//!     ▲                 │ stop           │ stop           │ stop
//!     │ ended           ▼                ▼                ▼
//!     └────────────── Stopping: Ask ──► Terminate ──► Kill   (each after its grace)
//! ```
//!
//! `ended` leads from every state to `Absent`; from `Stopping` straight to `Fetching` if the job wants a new process.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use flott_core::{
    failure::Failure,
    id::{AllocationId, AttemptId, CheckpointId, Digest, JobSecret, ProcessId},
    journal::Journal,
    message::{Found, HostToJob, JobSetup, JobToHost, ProcessLocation},
    units,
};

use super::{Action, Ending, Settings, stuck};

/// Key of the time that a cancelled task has to end; bare numbers are milliseconds and 0 is for ever, as in Flink.
const CANCELLATION_TIMEOUT: &str = "task.cancellation.timeout";

#[derive(Debug)]
pub(super) enum Process {
    Absent,
    Fetching(Life),
    Starting {
        life: Life,
        deadline: Instant,
    },
    Running {
        life: Life,
        location: ProcessLocation,
        /// Attempts that were told to stop, and when they must have.
        cancels: BTreeMap<AttemptId, Instant>,
        journal: Journal,
    },
    Stopping(Stopping),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    process: ProcessId,
    secret: JobSecret,
    /// Of the configuration that it was started with.
    configuration: Digest,
    cancellation_timeout: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Stopping {
    process: ProcessId,
    stage: Ending,
    since: Instant,
    /// What to tell the JobMaster; `None` when it does not want to know.
    report: Option<Failure>,
    /// What to start when this one is gone.
    next: Option<Box<JobSetup>>,
}

/// What becomes of a message to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// The process gets it.
    Delivered,
    /// The process does not get it, and its end will be reported.
    Told,
    /// There is no such process any more.
    Gone,
}

impl Process {
    pub(super) fn id(&self) -> Option<ProcessId> {
        match self {
            Self::Absent => None,
            Self::Fetching(life) | Self::Starting { life, .. } | Self::Running { life, .. } => Some(life.process),
            Self::Stopping(stopping) => Some(stopping.process),
        }
    }

    pub(super) fn location(&self) -> Option<&ProcessLocation> {
        match self {
            Self::Running { location, .. } => Some(location),
            Self::Absent | Self::Fetching(_) | Self::Starting { .. } | Self::Stopping(_) => None,
        }
    }

    /// What the next JobMaster is to know of it, if it runs, and of the job's slots.
    pub(super) fn found(&self, slots: Vec<AllocationId>) -> Option<Found> {
        let Self::Running { life, location, journal, .. } = self else { return None };
        Some(Found {
            location: location.clone(),
            secret: life.secret,
            configuration: life.configuration,
            tasks: journal.found(),
            completed: journal.completed,
            slots,
        })
    }

    /// All of it, if this life runs.
    pub(super) fn journal(&self, process: ProcessId) -> Option<Journal> {
        match self {
            Self::Running { life, journal, .. } if life.process == process => Some(journal.clone()),
            Self::Absent | Self::Fetching(_) | Self::Starting { .. } | Self::Running { .. } | Self::Stopping(_) => None,
        }
    }

    /// A checkpoint of the job is complete.
    pub(super) fn completed(&mut self, checkpoint: CheckpointId) {
        if let Self::Running { journal, .. } = self {
            journal.complete(checkpoint);
        }
    }

    /// Brings a process up, unless one is up or on its way.
    pub(super) fn start(
        &mut self,
        now: Instant,
        process: ProcessId,
        setup: Box<JobSetup>,
        cancellation_timeout: Option<Duration>,
        out: &mut Vec<Action>,
    ) {
        match self {
            Self::Absent => self.begin(process, setup, cancellation_timeout, out),
            Self::Fetching(_) | Self::Starting { .. } | Self::Running { .. } => {}
            Self::Stopping(stopping) => {
                stopping.next = Some(setup);
                stopping.escalate(now, Ending::Kill, out);
            }
        }
    }

    pub(super) fn begin(
        &mut self,
        process: ProcessId,
        setup: Box<JobSetup>,
        default: Option<Duration>,
        out: &mut Vec<Action>,
    ) {
        let cancellation_timeout = cancellation_timeout(&setup).unwrap_or(default);
        *self = Self::Fetching(Life {
            process,
            secret: setup.secret,
            configuration: setup.configuration_digest(),
            cancellation_timeout,
        });
        out.push(Action::Start { process, setup });
    }

    pub(super) fn spawned(&mut self, deadline: Instant) {
        if let Self::Fetching(life) = *self {
            *self = Self::Starting { life, deadline };
        }
    }

    /// Whether this is news.
    pub(super) fn ready(&mut self, location: ProcessLocation) -> bool {
        match *self {
            Self::Fetching(life) | Self::Starting { life, .. } => {
                *self = Self::Running { life, location, cancels: BTreeMap::new(), journal: Journal::default() };
                true
            }
            Self::Absent | Self::Running { .. } | Self::Stopping(_) => false,
        }
    }

    /// Whether the process is to get `message`; notes what it means for the watches.
    pub(super) fn takes(&mut self, now: Instant, process: ProcessId, message: &JobToHost) -> Taken {
        if self.id() != Some(process) {
            return Taken::Gone;
        }
        let (life, cancels, journal) = match self {
            Self::Running { life, cancels, journal, .. } => (life, cancels, journal),
            Self::Stopping(stopping) => {
                // Who speaks to it does want to know.
                stopping.report.get_or_insert_with(unneeded);
                return Taken::Told;
            }
            Self::Absent | Self::Fetching(_) | Self::Starting { .. } => return Taken::Told,
        };
        journal.told(message);
        if let (JobToHost::Cancel(attempts), Some(timeout)) = (message, life.cancellation_timeout) {
            for attempt in attempts {
                cancels.entry(*attempt).or_insert(now + timeout);
            }
        }
        Taken::Delivered
    }

    /// Whether the JobMaster is to get `message`; notes what it means for the watches.
    pub(super) fn hears(&mut self, message: &HostToJob) -> bool {
        let Self::Running { cancels, journal, .. } = self else {
            return false;
        };
        journal.said(message);
        if let HostToJob::TaskState(change) = message
            && change.state.is_terminal()
        {
            cancels.remove(&change.attempt);
        }
        true
    }

    /// Ends the process if there is one. `report` is told to the JobMaster when it has ended; a stop without one
    /// silences an earlier one with one, because the JobMaster no longer wants to know.
    pub(super) fn stop(&mut self, now: Instant, how: Ending, report: Option<Failure>, out: &mut Vec<Action>) {
        match self {
            Self::Absent => {}
            Self::Fetching(life) | Self::Starting { life, .. } | Self::Running { life, .. } => {
                let process = life.process;
                // A process that is not connected yet cannot be asked.
                let how = if matches!(self, Self::Running { .. }) { how } else { how.max(Ending::Terminate) };
                *self = Self::Stopping(Stopping { process, stage: how, since: now, report, next: None });
                out.push(Action::End { process, how });
            }
            Self::Stopping(stopping) => {
                if report.is_none() {
                    stopping.report = None;
                    stopping.next = None;
                }
                stopping.escalate(now, how, out);
            }
        }
    }

    /// The job has no slot here any more: the process ends, and no other follows it. That is reported, unless the
    /// JobMaster has ended it: else it counts on the process for the next slot that it gets here.
    pub(super) fn retire(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Self::Stopping(stopping) = self {
            stopping.next = None;
        } else {
            self.stop(now, Ending::Ask, Some(unneeded()), out);
        }
    }

    /// It is gone. Gives what to tell and what to start next; the state is `Absent`.
    pub(super) fn ended(&mut self, failure: Failure) -> (Option<Failure>, Option<Box<JobSetup>>) {
        match std::mem::replace(self, Self::Absent) {
            Self::Absent => (None, None),
            Self::Fetching(_) | Self::Starting { .. } | Self::Running { .. } => (Some(failure), None),
            Self::Stopping(stopping) => (stopping.report, stopping.next),
        }
    }

    pub(super) fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match self {
            Self::Absent | Self::Fetching(_) => None,
            Self::Starting { deadline, .. } => Some(*deadline),
            Self::Running { cancels, .. } => cancels.values().min().copied(),
            Self::Stopping(stopping) => stopping.deadline(settings),
        }
    }

    pub(super) fn expire(&mut self, now: Instant, settings: &Settings, out: &mut Vec<Action>) {
        match self {
            Self::Absent | Self::Fetching(_) => {}
            Self::Starting { deadline, .. } => {
                if *deadline <= now {
                    let timeout = settings.start_timeout.as_secs_f32();
                    let message = format!("program did not reach execute() in host mode within {timeout} s");
                    self.stop(now, Ending::Kill, Some(Failure::user(message)), out);
                }
            }
            Self::Running { life, cancels, .. } => {
                let late = cancels.values().filter(|deadline| **deadline <= now).count();
                if late > 0 {
                    let failure = stuck(late, life.cancellation_timeout.unwrap_or_default());
                    self.stop(now, Ending::Kill, Some(failure), out);
                }
            }
            Self::Stopping(stopping) => {
                while let Some(next) = stopping.stage.next()
                    && stopping.deadline(settings).is_some_and(|deadline| deadline <= now)
                {
                    stopping.escalate(now, next, out);
                }
            }
        }
    }
}

impl Stopping {
    fn escalate(&mut self, now: Instant, how: Ending, out: &mut Vec<Action>) {
        if how > self.stage {
            self.stage = how;
            self.since = now;
            out.push(Action::End { process: self.process, how });
        }
    }

    fn deadline(&self, settings: &Settings) -> Option<Instant> {
        match self.stage {
            Ending::Ask => Some(self.since + settings.ask_grace),
            Ending::Terminate => Some(self.since + settings.terminate_grace),
            Ending::Kill => None,
        }
    }
}

impl Ending {
    fn next(self) -> Option<Self> {
        match self {
            Self::Ask => Some(Self::Terminate),
            Self::Terminate => Some(Self::Kill),
            Self::Kill => None,
        }
    }
}

/// How a process ends whose job has lost its last slot.
fn unneeded() -> Failure {
    Failure::environment("the job holds no slot on this TaskManager any more")
}

/// The job's own setting: `None` if it has none or an unreadable one, `Some(None)` if it switches the watch off.
fn cancellation_timeout(setup: &JobSetup) -> Option<Option<Duration>> {
    let timeout = units::parse_duration(setup.configuration.get(CANCELLATION_TIMEOUT)?).ok()?;
    Some(Some(timeout).filter(|timeout| !timeout.is_zero()))
}
