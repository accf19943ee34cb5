//! The one error that travels between processes, is kept in a job's history, and is shown to people.

use std::{error::Error, fmt};

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;

/// Bytes of message and causes of a failure that is kept for good.
pub const KEPT_BYTES_MAX: usize = 8 << 10;
/// Stands where something was cut off.
const CUT: &str = "…";

/// Whose fault a failure is, as far as can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// The program or its input.
    User,
    /// Machines, networks, disks, quotas: what surrounds Flott.
    Environment,
    /// Flott itself.
    Internal,
}

/// Whether trying the same again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retry {
    /// The restart strategy decides.
    Restart,
    /// It would fail the same way: the job ends at once.
    Never,
}

/// Whether a failure is the root of a trouble, as far as who reports it can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It may be.
    #[default]
    Cause,
    /// A connection to another process of the job broke. If that process is gone, its end is the cause, and is reported
    /// by who watches over it, often a moment later.
    Peer,
    /// A TaskManager was lost. What became of it may be found out later: then its loss is told once more.
    Loss,
    /// What a task is to start from is damaged: it would be so again.
    Damaged,
}

/// Where a failure happened.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Location {
    /// Task name, for example `Source: lines -> words`.
    pub task: Option<String>,
    /// Subtask, from 0, and the parallelism of its vertex.
    pub subtask: Option<(u32, u32)>,
    /// Attempt, from 0.
    pub attempt: Option<u32>,
    /// Operator within the task.
    pub operator: Option<String>,
    /// Host and data port of the job process, or the host alone.
    pub host: Option<String>,
    /// TaskManager.
    pub worker: Option<WorkerId>,
}

/// A failure with its domain, its retry hint, its place and its chain of causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub domain: Domain,
    /// Whether a restart can help.
    pub retry: Retry,
    /// Whether something else may be behind it.
    #[serde(default)]
    pub kind: Kind,
    /// What happened, in one line.
    pub message: String,
    /// Why, outermost cause first.
    pub causes: Vec<String>,
    /// Where. Boxed to keep results small.
    pub location: Box<Location>,
}

impl Failure {
    /// A failure of `domain` that the restart strategy may retry.
    pub fn new(domain: Domain, message: impl Into<String>) -> Self {
        Self {
            domain,
            retry: Retry::Restart,
            kind: Kind::Cause,
            message: message.into(),
            causes: Vec::new(),
            location: Box::default(),
        }
    }

    /// The program's or its input's fault.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(Domain::User, message)
    }

    /// The surroundings' fault.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Domain::Environment, message)
    }

    /// A connection to another process of the job broke; see [`Kind::Peer`].
    pub fn lost_peer(message: impl Into<String>) -> Self {
        Self { kind: Kind::Peer, ..Self::environment(message) }
    }

    /// A TaskManager was lost; see [`Kind::Loss`].
    pub fn lost_worker(worker: WorkerId, host: String, reason: impl fmt::Display) -> Self {
        Self { kind: Kind::Loss, ..Self::environment(format!("TaskManager lost: {reason}")) }.at(|place| {
            place.worker = Some(worker);
            place.host = Some(host);
        })
    }

    /// Whether this is the loss of `worker`.
    pub fn is_loss_of(&self, worker: &WorkerId) -> bool {
        self.kind == Kind::Loss && self.location.worker.as_ref() == Some(worker)
    }

    /// Flott's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Domain::Internal, message)
    }

    /// Marks the failure as one that a restart cannot mend.
    #[must_use]
    pub fn fatal(mut self) -> Self {
        self.retry = Retry::Never;
        self
    }

    /// Whether it may be otherwise when the same is tried again, though nothing of Flott or the program has changed: a disk that is
    /// full is cleared, a store that is away comes back.
    pub fn may_pass(&self) -> bool {
        self.domain == Domain::Environment && self.retry != Retry::Never
    }

    /// Adds a cause below those already there.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds `error` and everything under it as causes.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            self.causes.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// Fills in the place with `fill`.
    #[must_use]
    pub fn at(mut self, fill: impl FnOnce(&mut Location)) -> Self {
        fill(&mut self.location);
        self
    }

    /// Cuts message and causes to [`KEPT_BYTES_MAX`] bytes together. What ends with `…` was longer; causes beyond are dropped.
    pub fn shorten(&mut self) {
        let mut left = KEPT_BYTES_MAX;
        shorten(&mut self.message, &mut left);
        let mut causes = 0;
        for cause in &mut self.causes {
            if left == 0 {
                break;
            }
            shorten(cause, &mut left);
            causes += 1;
        }
        self.causes.truncate(causes);
    }

    /// Message, place and causes on several lines, as in exception histories and on the command line.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        for cause in &self.causes {
            text.push_str("\nCaused by: ");
            text.push_str(cause);
        }
        text
    }
}

/// Cuts a text to what is left, and takes that away from it.
fn shorten(text: &mut String, left: &mut usize) {
    if text.len() <= *left {
        *left -= text.len();
        return;
    }
    text.truncate(text.floor_char_boundary(left.saturating_sub(CUT.len())));
    text.push_str(CUT);
    *left = 0;
}

impl fmt::Display for Failure {
    /// One line: the place, where known, then the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { task, subtask, attempt, operator, host, worker } = &*self.location;
        if let Some(task) = task {
            write!(f, "{task}")?;
            if let Some((index, of)) = subtask {
                write!(f, " ({}/{of})", index + 1)?;
            }
            if let Some(attempt) = attempt {
                write!(f, " attempt {attempt}")?;
            }
            if let Some(operator) = operator.as_ref().filter(|operator| *operator != task) {
                write!(f, " in {operator}")?;
            }
        }
        let gap = if task.is_some() { " " } else { "" };
        match (worker, host) {
            (Some(worker), Some(host)) => write!(f, "{gap}on {worker} @ {host}")?,
            (Some(worker), None) => write!(f, "{gap}on {worker}")?,
            (None, Some(host)) => write!(f, "{gap}on {host}")?,
            (None, None) => {}
        }
        if task.is_some() || worker.is_some() || host.is_some() {
            write!(f, ": ")?;
        }
        f.write_str(&self.message)
    }
}

impl Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fill: impl FnOnce(&mut Location), expected: &str) {
        assert_eq!(Failure::user("no").at(fill).to_string(), expected);
    }

    #[test]
    fn what_is_long_is_cut_where_a_character_ends() {
        let mut failure = Failure::user("kept").because("é".repeat(KEPT_BYTES_MAX)).because("gone");
        failure.shorten();
        let [cause] = &failure.causes[..] else { panic!("{:?}", failure.causes) };
        assert_eq!(failure.message, "kept");
        assert!(cause.ends_with("é…") && cause.len() + failure.message.len() <= KEPT_BYTES_MAX, "{}", cause.len());
        let short = Failure::user("no").because("why");
        let mut same = short.clone();
        same.shorten();
        assert_eq!(same, short);
    }

    #[test]
    fn the_place_comes_before_the_message() {
        check(|_| {}, "no");
        check(|place| place.worker = Some(WorkerId("tm-1".into())), "on tm-1: no");
        check(
            |place| {
                place.task = Some("map".into());
                place.subtask = Some((0, 2));
                place.worker = Some(WorkerId("tm-1".into()));
                place.host = Some("a:1".into());
            },
            "map (1/2) on tm-1 @ a:1: no",
        );
    }
}
