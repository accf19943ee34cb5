//! What is told to a JobMaster, for tests of those who tell it.

use std::sync::{Arc, OnceLock};

use flott_core::{
    id::{JobId, JobMasterEpoch},
    status::JobStatus,
    view::JobView,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{JobMasterHandle, Mail, Shared};
use crate::core::Event;

/// A JobMaster that does nothing but listen.
pub(crate) struct Overheard {
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
    pub async fn event(&mut self) -> Event {
        match self.mailbox.recv().await {
            Some(Mail::Event { event, .. }) => *event,
            Some(Mail::View(_) | Mail::Snapshot(..) | Mail::Rescale(..)) => panic!("it is asked, rather than told"),
            None => panic!("nobody is left to tell it anything"),
        }
    }

    /// Its job is over.
    pub fn end(&self) {
        let (job, status) = (self.shared.job, JobStatus::Canceled);
        self.shared.end(Arc::new(JobView::ended(job, "job".to_owned(), status, 0, 1)));
    }
}
