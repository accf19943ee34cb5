//! Executables of unfinished jobs, where every JobManager finds them: the blobs of one are on its own disk.
//!
//! A file is of one job alone, so that whoever ends a job may delete it whatever others do.

use flott_core::id::{Digest, JobId};
use flott_snapshot::{
    Directory,
    directory::{CreateError, Created},
};
use tokio::runtime::Handle;

use crate::{
    blobs::{BlobStore, Lease},
    error::Error,
    jars::PROGRAM_BYTES_MAX,
};

/// The programs in a directory. Methods block on it.
#[derive(Debug, Clone)]
pub(crate) struct SharedPrograms {
    directory: Directory,
    runtime: Handle,
}

impl SharedPrograms {
    pub(crate) fn new(directory: Directory, runtime: Handle) -> Self {
        Self { directory, runtime }
    }

    /// Keeps the program of a job, before the job is accepted.
    pub(crate) fn keep(&self, job: JobId, program: &Lease) -> Result<(), Error> {
        let name = name(job, program.digest());
        let path = program.path();
        let content =
            std::fs::read(&path).map_err(|cause| crate::blobs::BlobError::Io { action: "read", path, cause })?;
        self.runtime.block_on(async {
            self.directory.make().await.map_err(shared)?;
            match self.directory.create(&name, content.into()).await {
                // By its digest whatever is there is the same.
                Ok(Created::Ours | Created::Taken(_)) => Ok(()),
                Err(CreateError::NotCreated(error) | CreateError::Unknown(error)) => Err(shared(error)),
            }
        })
    }

    /// Makes the program of a job a blob of this JobManager.
    pub(crate) fn fetch(&self, job: JobId, program: Digest, blobs: &BlobStore) -> Result<Lease, Error> {
        let content =
            self.runtime.block_on(self.directory.get(&name(job, program), PROGRAM_BYTES_MAX)).map_err(shared)?;
        let content = content.ok_or(crate::blobs::BlobError::Missing(program))?;
        let mut upload = blobs.upload(content.len() as u64)?;
        upload.write(&content)?;
        Ok(upload.finish(Some(program))?)
    }

    /// Deletes the programs of all jobs but these.
    pub(crate) fn sweep(&self, unfinished: &[JobId]) -> Result<(), Error> {
        self.runtime.block_on(async {
            let objects = self.directory.list("").await.map_err(shared)?;
            let is_wanted = |path: &str| unfinished.iter().any(|job| path.starts_with(&job.to_string()));
            let unwanted = objects.into_iter().map(|object| object.path).filter(|path| !is_wanted(path)).collect();
            self.directory.delete(unwanted).await.map_err(shared)
        })
    }

    /// Deletes the program of a job that has ended.
    pub(crate) fn release(&self, job: JobId) -> Result<(), Error> {
        self.runtime.block_on(async {
            let of_job = job.to_string();
            let objects = self.directory.list("").await.map_err(shared)?;
            let unwanted = objects.into_iter().map(|object| object.path).filter(|path| path.starts_with(&of_job));
            self.directory.delete(unwanted.collect()).await.map_err(shared)
        })
    }
}

fn name(job: JobId, program: Digest) -> String {
    format!("{job}-{program}")
}

fn shared(error: flott_snapshot::Error) -> Error {
    crate::stores::StoreError::Io(error.to_string()).into()
}
