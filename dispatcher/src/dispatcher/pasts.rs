//! What the next JobMaster of a job is to know, written as it changes.
//!
//! One write is under way at a time, and of what waits only the newest counts. Nobody waits, but the manifest of a savepoint: what it
//! holds has to be known before it is complete.

use std::{sync::Arc, time::Duration};

use flott_core::{
    failure::Failure,
    id::{JobId, JobMasterEpoch},
    past::Past,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{on_store, run::AGAIN};
use crate::stores::{JobStore, StoreError};

/// How long what a savepoint holds may take to be written down. Tasks of a job that stops with it stand still meanwhile.
const NOTING: Duration = Duration::from_secs(60);

/// Something to be written, and how many came before.
type Numbered = (u64, Past);

/// Has written what one JobMaster hands out.
pub(super) struct Pasts {
    newest: watch::Sender<Numbered>,
    written: watch::Receiver<u64>,
}

impl Pasts {
    /// Of JobMaster `epoch`, with what writes them, which ends with this.
    pub fn new(
        store: Arc<dyn JobStore>,
        job: JobId,
        epoch: JobMasterEpoch,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (newest, pasts) = watch::channel((0, Past::default()));
        let (note, written) = watch::channel(0);
        (Self { newest, written }, write(store, job, epoch, pasts, note))
    }

    /// Has this written in place of what was there.
    pub fn hand(&self, past: Past) {
        self.newest.send_modify(|newest| *newest = (newest.0 + 1, past));
    }

    /// Waits until what was handed out by now is durable, or something newer.
    ///
    /// # Errors
    /// When it is not in time, or never will be.
    pub fn noted(&self) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let (number, mut written) = (self.newest.borrow().0, self.written.clone());
        async move {
            let message = match timeout(NOTING, written.wait_for(|written| *written >= number)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(_)) => {
                    "what the savepoint holds is not written down: the job has ended, or another JobMaster leads"
                        .to_owned()
                }
                Err(_) => format!("what the savepoint holds could not be written down within {} s", NOTING.as_secs()),
            };
            Err(Failure::environment(message))
        }
    }
}

async fn write(
    store: Arc<dyn JobStore>,
    job: JobId,
    epoch: JobMasterEpoch,
    mut pasts: watch::Receiver<Numbered>,
    written: watch::Sender<u64>,
) {
    while pasts.changed().await.is_ok() {
        let (number, past) = pasts.borrow_and_update().clone();
        match on_store(&store, move |store| store.save_past(job, epoch, &past)).await {
            Ok(()) => {
                written.send_replace(number);
            }
            // Another leads, or the job has ended and is archived with all that.
            Err(StoreError::Stale { .. } | StoreError::Unknown(_) | StoreError::Deposed(_)) => return,
            Err(error) => {
                tracing::error!(%job, %error, "what the next JobMaster is to know cannot be written down");
                if pasts.has_changed().is_err() {
                    return;
                }
                pasts.mark_changed();
                sleep(AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use flott_core::id::{Digest, OperatorId};

    use super::*;
    use crate::stores::{MemoryStore, NewJob};

    const JOB: JobId = JobId::from_bytes([1; 16]);

    #[tokio::test]
    async fn what_was_handed_out_is_durable_when_that_is_told() {
        let store: Arc<dyn JobStore> = Arc::new(MemoryStore::default());
        store.begin_leadership().unwrap();
        let job = NewJob { job: JOB, graph: Bytes::new(), program: Digest::of(b""), accepted_at: 0 };
        store.insert(&job).unwrap();
        let (pasts, writing) = Pasts::new(store.clone(), JOB, JobMasterEpoch(1));
        assert_eq!(pasts.noted().await, Ok(()), "there is nothing to wait for");
        let promised = |data: &'static str| [(OperatorId::from_uid("sink"), Bytes::from(data))].into();
        pasts.hand(Past { promised: promised("a"), ..Past::default() });
        pasts.hand(Past { promised: promised("b"), ..Past::default() });
        let noted = pasts.noted();
        assert_eq!(store.unfinished().unwrap()[0].past, Past::default());
        let writing = tokio::spawn(writing);
        assert_eq!(noted.await, Ok(()));
        assert_eq!(store.unfinished().unwrap()[0].past.promised, promised("b"));
        // Another leads.
        store.begin_mastership(JOB).unwrap();
        pasts.hand(Past::default());
        let refused = pasts.noted().await.unwrap_err();
        assert!(refused.message.contains("another JobMaster leads"), "{refused}");
        writing.await.unwrap();
        assert_eq!(store.unfinished().unwrap()[0].past.promised, promised("b"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_is_waited_for_so_long_and_no_longer() {
        let (pasts, writing) = Pasts::new(Arc::new(MemoryStore::default()), JOB, JobMasterEpoch(1));
        pasts.hand(Past::default());
        let refused = pasts.noted().await.unwrap_err();
        assert!(refused.message.contains("within 60 s"), "{refused}");
        drop(writing);
    }
}
