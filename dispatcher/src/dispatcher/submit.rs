use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use flott_core::{
    id::JobId,
    job_graph::{Program, scale::Scale},
    past::Past,
    status::JobStatus,
};

use super::{Dispatcher, Leading, jobs::Active, run::Begin};
use crate::{
    blobs::{BlobError, BlobStore, Lease},
    clock::now_ms,
    error::Error,
    executable,
    stores::{Inserted, NewJob},
    submission::{self, Checked, SubmissionError},
};

/// What a submission became.
enum Accepted {
    New(Box<Begin>),
    /// The same job was submitted before.
    Known,
}

impl Dispatcher {
    /// Accepts a job: checks its document and its program, makes it durable, and starts its JobMaster. `program` may be
    /// left out when a blob of the named digest is stored.
    ///
    /// Submitting the same document again while the job runs is answered like the first time, and nothing runs twice.
    ///
    /// # Errors
    /// [`Error::Submission`], [`Error::Duplicate`] for another document under the same id, [`Error::Over`] for a job that has
    /// ended, [`Error::Ending`], [`Error::Store`], [`Error::Blob`].
    pub async fn submit(&self, document: Bytes, program: Option<Lease>) -> Result<JobId, Error> {
        let leading = self.leading().await?;
        let _only_one = self.inner.submitting.lock().await;
        if self.inner.draining.load(Ordering::Acquire) {
            return Err(Error::Ending);
        }
        let this = self.clone();
        let accepting = leading.clone();
        let accepted = tokio::task::spawn_blocking(move || this.accept(&accepting, document, program)).await;
        let (job, accepted) =
            accepted.map_err(|error| crate::stores::StoreError::Io(error.to_string())).map_err(Error::Store)??;
        match accepted {
            Accepted::New(begin) => {
                self.enter(&begin);
                tracing::info!(%job, name = %begin.graph.name, "job accepted");
                self.begin(&leading, *begin).await;
            }
            Accepted::Known => tracing::info!(%job, "the same job was submitted again"),
        }
        Ok(job)
    }

    /// The job is shown from now on.
    pub(super) fn enter(&self, begin: &Begin) {
        let active = Active {
            graph: begin.graph.clone(),
            default_parallelism: begin.default_parallelism,
            accepted_at: begin.accepted_at,
            epoch: begin.epoch,
            status: JobStatus::Initializing,
            master: None,
            cancelled: false,
            trouble: None,
            past: Arc::new(begin.past.clone()),
            keeper: None,
        };
        self.inner.jobs.lock().enter(active);
    }

    /// Blocks on the disk.
    fn accept(&self, leading: &Leading, document: Bytes, program: Option<Lease>) -> Result<(JobId, Accepted), Error> {
        let blobs = &self.inner.blobs;
        let Checked { graph, configuration, default_parallelism } =
            submission::check(&document, &self.inner.setup.configuration)?;
        if self.inner.setup.is_session && submission::is_reactive(&graph, &configuration) {
            return Err(SubmissionError::Reactive.into());
        }
        let program = take_program(blobs, &graph.program, program)?;
        let graph_blob = blobs.put(&document)?;
        let job = graph.job_id;
        let accepted_at = now_ms();
        if let Some(programs) = self.inner.programs.as_ref().filter(|_| !self.knows(job)) {
            programs.keep(job, leading.leader, &program)?;
        }
        let new = NewJob { job, graph: document.clone(), program: program.digest(), accepted_at };
        match leading.store.insert(&new)? {
            Inserted::New(epoch) => {
                blobs.adopt(job, [graph_blob.digest(), program.digest()]);
                let begin = Begin {
                    graph: Arc::new(graph),
                    document,
                    graph_digest: graph_blob.digest(),
                    configuration: configuration.into(),
                    default_parallelism,
                    accepted_at,
                    epoch,
                    cancelled: false,
                    manifest: None,
                    scale: Scale::default(),
                    past: Past::default(),
                    recovered: false,
                    complete: None,
                };
                Ok((job, Accepted::New(Box::new(begin))))
            }
            Inserted::Known { graph, .. } if graph != graph_blob.digest() => Err(Error::Duplicate(job)),
            Inserted::Known { ended: true, .. } => Err(Error::Over(job)),
            Inserted::Known { ended: false, .. } => Ok((job, Accepted::Known)),
        }
    }
}

/// The program that the graph names: the one that came with it, else the one that is stored.
fn take_program(blobs: &BlobStore, named: &Program, sent: Option<Lease>) -> Result<Lease, Error> {
    let lease = match sent {
        Some(lease) if lease.digest() != named.digest => {
            return Err(SubmissionError::Program { expected: named.digest, actual: lease.digest() }.into());
        }
        Some(lease) => lease,
        None => match blobs.lease(named.digest) {
            Err(BlobError::Missing(digest)) => {
                return Err(SubmissionError::NoProgram { digest, file_name: named.file_name.clone() }.into());
            }
            lease => lease?,
        },
    };
    let head = head(&lease.path())?;
    executable::check(&head)
        .map_err(|cause| SubmissionError::Executable { file_name: named.file_name.clone(), cause })?;
    Ok(lease)
}

fn head(path: &Path) -> Result<Vec<u8>, BlobError> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(executable::HEAD as u64).read_to_end(&mut head))
        .map_err(|cause| BlobError::Io { action: "read", path: path.to_owned(), cause })?;
    Ok(head)
}
