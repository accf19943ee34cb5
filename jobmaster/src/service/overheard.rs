//! What is told to a JobMaster, for tests of those who tell it, and for simulations that drive its machine themselves.

use std::sync::{Arc, OnceLock};

use flott_core::{
    id::{JobId, JobMasterEpoch},
    status::JobStatus,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{JobMasterHandle, Mail, Shared};
use crate::core::Event;

/// A JobMaster that does nothing but listen.
pub struct Overheard {
    mailbox: mpsc::UnboundedReceiver<Mail>,
    shared: Arc<Shared>,
}

impl Overheard {
    /// One of `job`, which runs.
    pub fn of(job: JobId, epoch: JobMasterEpoch) -> (JobMasterHandle, Self) {
        let (sender, mailbox) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            job,
            epoch,
            status: watch::Sender::new(JobStatus::Running),
            last_view: OnceLock::new(),
            permits: Arc::new(Semaphore::new(1)),
            shutdown: CancellationToken::new(),
        });
        (JobMasterHandle::new(sender, Arc::clone(&shared)), Self { mailbox, shared })
    }

    /// The next thing that it is told.
    ///
    /// # Panics
    /// When it is asked something, or nobody is left who could tell it anything.
    pub async fn event(&mut self) -> Event {
        Self::told(self.mailbox.recv().await.expect("somebody is left to tell it something"))
    }

    /// The next thing that it was told already.
    ///
    /// # Panics
    /// When it is asked something.
    pub fn try_event(&mut self) -> Option<Event> {
        self.mailbox.try_recv().ok().map(Self::told)
    }

    /// It steps aside: nothing more reaches it. Gives the next thing that it was told already.
    ///
    /// # Panics
    /// When it is asked something.
    pub fn close(&mut self) -> Option<Event> {
        self.mailbox.close();
        self.try_event()
    }

    fn told(mail: Mail) -> Event {
        match mail {
            Mail::Event { event, .. } => *event,
            Mail::View(_) | Mail::Snapshot(..) | Mail::Rescale(..) => panic!("it is asked, rather than told"),
        }
    }

    /// Whether somebody has stopped it.
    pub fn is_stopped(&self) -> bool {
        self.shared.shutdown.is_cancelled()
    }

    /// Its job has another state.
    pub fn turn(&self, status: JobStatus) {
        self.shared.status.send_replace(status);
    }
}
