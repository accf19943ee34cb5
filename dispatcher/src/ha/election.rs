//! Standing for election: reads and writes the lease as the candidate decides, and tells how things stand.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, sync::watch, time::timeout};

use super::candidate::{Candidate, Lease, Step, Timing};
use crate::job_manager::Outcome;

/// A lease with the version that it was read as, or was written to.
pub type Versioned<V> = (Lease, V);
/// What a register answers, in time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, RegisterError>> + Send + 'a>>;

/// Where a lease is written: one place, of which a version can be replaced by one writer only.
pub trait LeaseRegister: fmt::Debug + Send + Sync + 'static {
    /// Reads it; none if it was never written.
    fn read(&self) -> Answer<'_, Option<Versioned<String>>>;

    /// Writes it over the version that was read, or where there is none; says the new version. Dropped, it may have been written.
    fn write(&self, lease: Lease, over: Option<String>) -> Answer<'_, String>;
}

/// Why a lease was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another has written in between.
    #[error("another JobManager has written the lease in between")]
    Conflict,
    /// It cannot be reached, or refuses.
    #[error("{0}")]
    Failed(String),
}

/// How a candidate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It waits for the lease, which the JobManager at this address has, if any.
    By {
        /// `HOST:PORT`.
        leader: Option<String>,
    },
    /// It has the lease.
    Leads,
    /// It had the lease. It is over.
    Lost(String),
    /// Another had, and has shut the cluster down. It is over.
    Over,
}

/// What a candidate goes by beside the lease.
pub trait Outlook: Send + Sync + 'static {
    /// The time by its own clock, which never goes back.
    fn now(&self) -> Instant;

    /// Whether the process of the leader at `address` has ended, as far as that is known within `patience`. To be wrong about it costs a
    /// change of leaders.
    fn is_gone(&mut self, address: &str, patience: Duration) -> impl Future<Output = bool> + Send;
}

/// A candidature under way. Once it is dropped, the lease is given back.
#[derive(Debug)]
pub struct Candidature {
    standing: watch::Receiver<Standing>,
    resigned: watch::Sender<Option<Resignation>>,
    task: tokio::task::JoinHandle<()>,
}

/// Why a lease is given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resignation {
    /// Another one may lead.
    ToAnother,
    /// The cluster is shut down.
    Over,
}

impl Resignation {
    /// What is right when a JobManager has ended so.
    pub(crate) fn of<E>(outcome: &Result<Outcome, E>) -> Self {
        match outcome {
            Ok(Outcome::ShutDown | Outcome::Job { .. } | Outcome::NoJob { .. } | Outcome::Over) => Self::Over,
            Ok(Outcome::Suspended | Outcome::Deposed) | Err(_) => Self::ToAnother,
        }
    }
}

impl Candidature {
    /// Stands for election as `name`, which no other life of a JobManager has, at `address`.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn begin(
        register: Arc<dyn LeaseRegister>,
        outlook: impl Outlook,
        name: String,
        address: String,
        timing: Timing,
    ) -> Self {
        let (told, standing) = watch::channel(Standing::By { leader: None });
        let (resigned, resignation) = watch::channel(None);
        let candidate = Candidate::new(name, address, timing);
        let task = tokio::spawn(stand(register, outlook, candidate, timing, told, resignation));
        Self { standing, resigned, task }
    }

    /// How things stand, and when they change.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Waits until the lease is lost, and says why.
    pub(crate) async fn lost(&self) -> String {
        let mut standing = self.standing.clone();
        match standing.wait_for(|standing| matches!(standing, Standing::Lost(_))).await.as_deref() {
            Ok(Standing::Lost(why)) => why.clone(),
            _ => "the candidature has ended".to_owned(),
        }
    }

    /// Gives the lease back, if it is held, and ends.
    pub(crate) async fn resign(self, resignation: Resignation) {
        self.resigned.send_replace(Some(resignation));
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the candidature has crashed");
        }
    }
}

/// Stands for election until it is lost, or `resigned`: then the lease is given back.
async fn stand(
    register: Arc<dyn LeaseRegister>,
    mut outlook: impl Outlook,
    mut candidate: Candidate<String>,
    timing: Timing,
    told: watch::Sender<Standing>,
    mut resigned: watch::Receiver<Option<Resignation>>,
) {
    let mut trouble = String::new();
    loop {
        if let Some(end) = turn(&*register, &outlook, &mut candidate, timing, &mut trouble).await {
            told.send_replace(end);
            return;
        }
        let looked = outlook.now();
        let leader = candidate.leader().map(str::to_owned).filter(|_| !candidate.leads());
        let gone = match &leader {
            Some(leader) => outlook.is_gone(leader, timing.retry).await,
            None => false,
        };
        let standing = if candidate.leads() { Standing::Leads } else { Standing::By { leader } };
        told.send_if_modified(|last| std::mem::replace(last, standing.clone()) != standing);
        if gone {
            tracing::info!("the process of the leader is gone");
            candidate.leader_is_gone();
        } else if timeout(pause(&candidate, looked, outlook.now(), timing), resigned.wait_for(Option::is_some))
            .await
            .is_ok()
        {
            break;
        }
    }
    let over = *resigned.borrow() == Some(Resignation::Over);
    let Some(resignation) = candidate.resignation(over) else { return };
    match timeout(timing.retry, register.write(resignation, candidate.version())).await {
        Ok(Ok(_)) => tracing::info!("the lease is given back"),
        Ok(Err(error)) => tracing::warn!(%error, "the lease is not given back, and runs out"),
        Err(_) => tracing::warn!("the lease is not given back in time, and runs out"),
    }
}

/// How long until the next look: shorter if the lease of the one that leads runs out before.
fn pause(candidate: &Candidate<String>, looked: Instant, now: Instant, timing: Timing) -> Duration {
    let next = looked + timing.retry;
    let end = candidate.runs_out().filter(|end| *end > now);
    end.map_or(next, |end| end.min(next)).saturating_duration_since(now)
}

/// The clock of this host, and the one that leads as it is seen over the network.
#[derive(Debug, Default)]
pub(crate) struct Network {
    /// An address that was seen to take connections.
    answered: Option<String>,
}

impl Outlook for Network {
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// It took connections, and its host refuses them now. A JobManager listens for as long as it lives. What is not refused but lost, on
    /// the network or with the host, says nothing.
    async fn is_gone(&mut self, address: &str, patience: Duration) -> bool {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                self.answered = Some(address.to_owned());
                false
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // Once: whoever takes the lease now is another one.
                self.answered.take_if(|answered| answered == address).is_some()
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

/// Reads, and writes if need be. Says how it has ended, when it has.
async fn turn(
    register: &dyn LeaseRegister,
    outlook: &impl Outlook,
    candidate: &mut Candidate<String>,
    timing: Timing,
    trouble: &mut String,
) -> Option<Standing> {
    // One that is lost may be tried again before it is too late.
    let wait = (timing.renewal / 3).max(timing.retry);
    let seen =
        timeout(wait, register.read()).await.unwrap_or_else(|_| Err(RegisterError::Failed("no answer".to_owned())));
    let step = match seen {
        Ok(lease) => {
            trouble.clear();
            candidate.observed(outlook.now(), lease)
        }
        Err(error) => {
            let error = error.to_string();
            // Once, not at every turn.
            if *trouble != error {
                tracing::warn!(error, "the lease cannot be read");
            }
            trouble.clone_from(&error);
            candidate.unobserved(outlook.now(), &error)
        }
    };
    let lease = match step {
        Step::Wait => return None,
        Step::Lost(why) => return Some(Standing::Lost(why)),
        Step::Over => return Some(Standing::Over),
        Step::Write(lease) => lease,
    };
    let begun = outlook.now();
    let written = timeout(wait, register.write(lease.clone(), candidate.version())).await;
    let error = match written {
        Ok(Ok(version)) => {
            candidate.wrote(begun, lease, version);
            return None;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    tracing::debug!(error, "the lease is not written");
    match candidate.not_written(outlook.now(), &error) {
        Step::Lost(why) => Some(Standing::Lost(why)),
        Step::Wait | Step::Write(_) | Step::Over => None,
    }
}
