use std::{sync::atomic::Ordering, time::Duration};

use futures::future::join_all;

use super::{Dispatcher, Start};

impl Dispatcher {
    /// Takes no more jobs, cancels those that run, and waits until all have ended or `patience` is over. Returns how
    /// many have not; they are recovered by the next JobManager on this state, and cancelled then.
    pub(crate) async fn drain(&self, patience: Duration) -> usize {
        self.inner.draining.store(true, Ordering::Release);
        let jobs: Vec<_> = {
            // Behind a submission that is being accepted.
            let _only_one = self.inner.submitting.lock().await;
            self.inner.jobs.lock().active().iter().map(|active| active.graph.job_id).collect()
        };
        for &job in &jobs {
            if let Err(error) = self.cancel(job).await {
                tracing::warn!(%job, %error, "job cannot be cancelled durably");
                self.cancel_master(job);
            }
        }
        let ended = join_all(jobs.iter().map(|job| self.ended(*job)));
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("not all jobs have ended in time");
        }
        self.inner.jobs.lock().active().len()
    }

    /// Stops all JobMasters without ending their jobs: the next JobManager on this state takes them up.
    pub(crate) fn suspend(&self) {
        for active in self.inner.jobs.lock().active() {
            if let Some(master) = active.master {
                master.stop();
            }
        }
    }

    /// Ends the leadership: requests that need it are refused, and nothing holds the store any more once all that is
    /// being written is written; one that is deposed waits for nothing, since nothing that it writes counts.
    pub(crate) async fn resign(&self, patience: Duration) {
        self.inner.started.send_replace(Start::Ending);
        self.inner.tasks.close();
        if patience.is_zero() {
            return;
        }
        if tokio::time::timeout(patience, self.inner.tasks.wait()).await.is_err() {
            tracing::error!("what is to be stored was not stored in time; jobs that have ended are recovered");
        }
    }
}
