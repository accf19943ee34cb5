//! Commits: prepared results are made visible, with each checkpoint and at the end of a job, or removed.
//!
//! When every subtask has finished, what the sinks have prepared is written into a durable manifest first; what a savepoint holds that a job
//! stops with is so when that is complete, before its tasks have ended. From then on
//! the job has decided: it only ends when the commit is through, or has failed for good. Committing twice is harmless, so
//! a process that is lost meanwhile is simply followed by another one in the next round, and so is the whole JobMaster.
//!
//! # When a commit has failed for good
//! What surrounds Flott may be mended: a disk that is full, a mount that is away, a broker that does not answer. For that a commit
//! is tried again for as long as it takes, after pauses that grow to a minute, and what is the matter is shown. The job runs on
//! meanwhile, and takes checkpoints until there is [too much](CommitQueue::is_full) that is not visible. What is the program's fault, or our own, ends
//! after so many tries, and at once what says that it would fail the same way. A job that is told to end, or fails, waits for so many tries in any case:
//! a snapshot has what it leaves.

mod queue;

use std::{collections::BTreeSet, sync::Arc};

use flott_core::{
    failure::Failure,
    id::{ProcessId, WorkerKey},
    message::{Committable, JobToHost},
};

pub use queue::{CommitQueue, OPEN_BYTES_MAX};

use crate::{
    execution_graph::{Host, job_transition::JobStep},
    time::Millis,
};

/// Tries after which a commit has failed, but for those that are not counted.
pub const ROUNDS_MAX: u32 = 10;

/// Milliseconds from the first try that fails to the next, and between those that are counted.
const RETRY_DELAY: u64 = 1_000;
/// The longest that they grow to.
const RETRY_DELAY_MAX: u64 = 60_000;

/// TaskManagers that are lost over a commit before it has failed: far more than die by chance, so that one that takes them down
/// comes to an end.
pub const WORKERS_LOST_MAX: u32 = 100;

/// How far it is durable that a job ends with a savepoint that is complete. Once it is, the next JobMaster ends the job so too.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// It is being written: what the savepoint holds is the last commit.
    Persisting,
    /// It is.
    Persisted,
    /// It is not, and never will be.
    Refused(Box<Failure>),
}

/// A process that has been asked something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Its TaskManager.
    pub worker: WorkerKey,
    /// Which life.
    pub process: ProcessId,
}

/// Where a commit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitState {
    /// The manifest is being written.
    Persisting,
    /// No process is up that could commit.
    Seeking,
    /// A process commits.
    Asked {
        /// Which.
        asked: Asked,
        /// When the round counts as failed.
        until: Millis,
    },
    /// A round has failed, and the next begins at this time.
    Waiting {
        /// When.
        until: Millis,
    },
}

/// A commit.
#[derive(Debug, Clone)]
pub struct Commit {
    /// What is to become visible.
    pub committables: Vec<Committable>,
    /// Where it stands.
    pub state: CommitState,
    /// The current round, or the last one; 0 before the first.
    pub round: u32,
    /// Tries that failed and are counted, those to start a process included.
    failed: u32,
    /// Tries that failed by what may be mended.
    refused: u32,
    /// What the last one of these has failed by.
    trouble: Option<Failure>,
    /// When the first try failed by what may be mended.
    troubled_since: Option<Millis>,
    /// TaskManagers that were lost while they were asked, or started a process for it.
    workers_lost: u32,
}

impl Commit {
    /// A commit whose manifest is to be written.
    pub fn to_persist(committables: Vec<Committable>) -> Self {
        Self {
            committables,
            state: CommitState::Persisting,
            round: 0,
            failed: 0,
            refused: 0,
            trouble: None,
            troubled_since: None,
            workers_lost: 0,
        }
    }

    /// A commit whose manifest has been written by an earlier JobMaster.
    pub fn restored(committables: Vec<Committable>) -> Self {
        Self { state: CommitState::Seeking, ..Self::to_persist(committables) }
    }

    /// Its rounds go on after `round`.
    #[must_use]
    pub fn after_round(self, round: u32) -> Self {
        Self { round, ..self }
    }

    /// Begins the next round on one of the `hosts`, another than last time if there is one: what to send it.
    pub fn ask_one_of(&mut self, hosts: &[&Arc<Host>], until: Millis) -> Option<(Arc<Host>, JobToHost)> {
        let host = Arc::clone(hosts.get(self.round as usize % hosts.len().max(1))?);
        let asked = Asked { worker: host.worker.clone(), process: host.location.process };
        let round = self.ask(asked, until);
        Some((host, JobToHost::Commit { round, committables: self.committables.clone() }))
    }

    /// Goes on if a pause is over by `now`; `true` if the round at hand has taken too long.
    pub fn wake(&mut self, now: Millis) -> bool {
        match &self.state {
            CommitState::Persisting | CommitState::Seeking => false,
            CommitState::Waiting { until } => {
                if *until <= now {
                    self.state = CommitState::Seeking;
                }
                false
            }
            CommitState::Asked { until, .. } => *until <= now,
        }
    }

    /// Begins the next round.
    fn ask(&mut self, asked: Asked, until: Millis) -> u32 {
        self.round += 1;
        self.state = CommitState::Asked { asked, until };
        self.round
    }

    /// Whether this process has been asked and has not answered.
    pub fn is_asked(&self, worker: &WorkerKey) -> bool {
        match &self.state {
            CommitState::Asked { asked, .. } => asked.worker == *worker,
            CommitState::Persisting | CommitState::Seeking | CommitState::Waiting { .. } => false,
        }
    }

    /// Whether this is an answer to the round at hand. (Each round is asked of one process, so among one JobMaster's messages the round
    /// would do.)
    pub fn is_answered(&self, by: &Asked, round: u32) -> bool {
        self.round == round && matches!(&self.state, CommitState::Asked { asked, .. } if asked == by)
    }

    /// Counts a try that failed; `true` if there may be another.
    pub fn try_failed(&mut self) -> bool {
        self.failed += 1;
        self.state = CommitState::Seeking;
        self.failed < ROUNDS_MAX
    }

    /// Whether a try has failed by what is waited for to be mended, which is for so many milliseconds.
    pub fn may_be_mended(&mut self, failure: &Failure, now: Millis, patience: u64) -> bool {
        failure.may_pass() && now.since(*self.troubled_since.get_or_insert(now)) < patience
    }

    /// A try has failed by what may be mended, and is not counted: the next is after a pause. `true` if that is news.
    pub fn refused(&mut self, failure: &Failure, now: Millis) -> bool {
        let delay = (RETRY_DELAY << self.refused).min(RETRY_DELAY_MAX);
        // The pause does not grow beyond this.
        self.refused = (self.refused + 1).min(RETRY_DELAY_MAX.ilog2());
        self.state = CommitState::Waiting { until: now.plus(delay) };
        let is_news = self.trouble.as_ref().is_none_or(|trouble| trouble.message != failure.message);
        self.trouble = Some(failure.clone());
        is_news
    }

    /// Whether it goes on only when something is mended, and no process is at it.
    pub fn is_stuck(&self) -> bool {
        self.refused > 0 && !matches!(self.state, CommitState::Asked { .. })
    }

    /// The next try is after the pause that is between those that are counted.
    pub fn pause(&mut self, now: Millis) {
        self.state = CommitState::Waiting { until: now.plus(RETRY_DELAY) };
    }

    /// A pause is over.
    pub fn hurry(&mut self) {
        if matches!(self.state, CommitState::Waiting { .. }) {
            self.state = CommitState::Seeking;
        }
    }

    /// Counts a TaskManager that was lost over it; `true` if there may be another.
    pub fn worker_lost(&mut self) -> bool {
        self.workers_lost += 1;
        self.state = CommitState::Seeking;
        self.workers_lost < WORKERS_LOST_MAX
    }

    /// When something is to be done without further news.
    pub fn deadline(&self) -> Option<Millis> {
        match &self.state {
            CommitState::Persisting | CommitState::Seeking => None,
            CommitState::Asked { until, .. } | CommitState::Waiting { until } => Some(*until),
        }
    }
}

/// The removal of prepared results. It is tried once per TaskManager, and once more where the process has died over it, within one
/// bounded time.
#[derive(Debug, Clone)]
pub struct Abort {
    /// When the job ends anyway.
    pub until: Millis,
    /// Who removes.
    pub asked: Option<Asked>,
    /// TaskManagers whose processes were asked.
    pub tried: BTreeSet<WorkerKey>,
    /// TaskManagers on which a process was started for this.
    pub started: BTreeSet<WorkerKey>,
}

/// How a job ends that does not finish.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// By a failure.
    Failed(Box<Failure>),
    /// On request.
    Canceled,
    /// On request, with a savepoint: it has finished.
    Stopped,
}

impl Ending {
    /// The last step of the job, when nothing is left behind.
    pub fn step(&self) -> JobStep {
        match self {
            Self::Failed(_) | Self::Canceled => JobStep::End,
            Self::Stopped => JobStep::Finish,
        }
    }
}
