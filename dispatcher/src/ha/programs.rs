//! Executables of unfinished jobs, where every JobManager finds them: the blobs of one are on its own disk.
//!
//! ```text
//! <job>-<leader epoch>-<digest>      the program of a job, as the leader of that epoch has kept it
//! ```
//!
//! A file is of one job alone, so that whoever ends a job may delete it whatever others do: an id that has ended is never accepted again.
//! And it is of one leader: what is left of jobs that were never accepted is removed by a later leader, who knows all jobs that those
//! before it have accepted, and none of those after it. A leader that is deposed and does not know it removes nothing of these.

#[cfg(test)]
mod tests;

use flott_core::id::{Digest, JobId, LeaderEpoch};
use flott_snapshot::{
    Directory,
    directory::{CreateError, Created},
};
use tokio::runtime::Handle;

use crate::{
    blobs::{BlobError, BlobStore, Lease},
    error::Error,
    jars::PROGRAM_BYTES_MAX,
};

/// The programs in a directory. Methods block on it.
#[derive(Debug, Clone)]
pub(crate) struct SharedPrograms {
    directory: Directory,
    runtime: Handle,
}

/// What a file is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Name {
    job: JobId,
    leader: LeaderEpoch,
    program: Digest,
}

impl SharedPrograms {
    pub(crate) fn new(directory: Directory, runtime: Handle) -> Self {
        Self { directory, runtime }
    }

    /// Keeps the program of a job, before `leader` accepts it.
    pub(crate) fn keep(&self, job: JobId, leader: LeaderEpoch, program: &Lease) -> Result<(), Error> {
        let name = Name { job, leader, program: program.digest() }.to_string();
        let path = program.path();
        let content = std::fs::read(&path).map_err(|cause| BlobError::Io { action: "read", path, cause })?;
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
    ///
    /// # Errors
    /// [`BlobError::Missing`] when it is not there, and will not be; anything else may pass.
    pub(crate) fn fetch(&self, job: JobId, program: Digest, blobs: &BlobStore) -> Result<Lease, Error> {
        let of_job = |name: &Name| (name.job, name.program) == (job, program);
        for name in self.names()?.into_iter().filter(of_job) {
            let path = name.to_string();
            let content = self.runtime.block_on(self.directory.get(&path, PROGRAM_BYTES_MAX)).map_err(shared)?;
            // What an earlier leader has kept in vain may go meanwhile.
            if let Some(content) = content {
                let mut upload = blobs.upload(content.len() as u64)?;
                upload.write(&content)?;
                return Ok(upload.finish(Some(program))?);
            }
        }
        Err(BlobError::Missing(program).into())
    }

    /// Deletes what leaders before `leader` have kept of jobs that are not `unfinished`: all that they have accepted and that have not
    /// ended.
    pub(crate) fn sweep(&self, leader: LeaderEpoch, unfinished: &[JobId]) -> Result<(), Error> {
        self.delete(|name| name.leader < leader && !unfinished.contains(&name.job))
    }

    /// Deletes the program of a job that has ended.
    pub(crate) fn release(&self, job: JobId) -> Result<(), Error> {
        self.delete(|name| name.job == job)
    }

    fn names(&self) -> Result<Vec<Name>, Error> {
        let objects = self.runtime.block_on(self.directory.list("")).map_err(shared)?;
        Ok(objects.iter().filter_map(|object| Name::parse(&object.path)).collect())
    }

    fn delete(&self, is_unwanted: impl Fn(&Name) -> bool) -> Result<(), Error> {
        let unwanted = self.names()?.into_iter().filter(is_unwanted).map(|name| name.to_string()).collect();
        self.runtime.block_on(self.directory.delete(unwanted)).map_err(shared)
    }
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let (job, leader, program) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
        let parsed = Self { job, leader: LeaderEpoch(leader), program: program.parse().ok()? };
        // Only as it is written.
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}-{}", self.job, self.leader.0, self.program)
    }
}

fn shared(error: flott_snapshot::Error) -> Error {
    crate::stores::StoreError::Io(error.to_string()).into()
}
