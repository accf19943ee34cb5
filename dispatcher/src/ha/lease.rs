//! A lease in a shared directory: each write is a file of the next number, which only one can create.

use flott_snapshot::{
    Directory,
    directory::{CreateError, Created},
};

use super::{Lease, LeaseRegister, RegisterError, Versioned, election::Answer};

/// Most bytes of a lease.
const BYTES_MAX: u64 = 1 << 16;
/// How often it is looked again because what was listed has been replaced meanwhile.
const READS_MAX: usize = 10;

/// See the module.
#[derive(Debug)]
pub struct DirectoryLease {
    directory: Directory,
}

impl DirectoryLease {
    /// One in `directory`, which has nothing else in it. Nothing is read or made yet.
    pub fn new(directory: Directory) -> Self {
        Self { directory }
    }

    async fn numbers(&self) -> Result<Vec<u64>, RegisterError> {
        let objects = self.directory.list("").await.map_err(failed)?;
        Ok(objects.iter().filter_map(|object| object.path.parse().ok()).collect())
    }

    async fn latest(&self) -> Result<Option<Versioned<String>>, RegisterError> {
        for _ in 0..READS_MAX {
            let Some(number) = self.numbers().await?.into_iter().max() else { return Ok(None) };
            let name = name(number);
            // Nothing: a newer one has taken its place.
            let Some(content) = self.directory.get(&name, BYTES_MAX).await.map_err(failed)? else { continue };
            let lease = serde_json::from_slice(&content)
                .map_err(|error| RegisterError::Failed(format!("{}: {error}", self.directory.shown(&name))))?;
            return Ok(Some((lease, name)));
        }
        Err(RegisterError::Conflict)
    }

    async fn replace(&self, lease: &Lease, over: Option<String>) -> Result<String, RegisterError> {
        let last = over.map_or(Ok(0), |over| over.parse::<u64>()).map_err(failed)?;
        if last == 0 {
            self.directory.make().await.map_err(failed)?;
        }
        let content = serde_json::to_vec(lease).map_err(failed)?;
        let next = name(last + 1);
        match self.directory.create(&next, content.into()).await {
            Ok(Created::Ours) => {}
            Ok(Created::Taken(_)) => return Err(RegisterError::Conflict),
            Err(CreateError::NotCreated(error) | CreateError::Unknown(error)) => return Err(failed(error)),
        }
        let numbers = self.numbers().await?;
        // Its place may have been taken and freed again: then the lease is at a higher one.
        if numbers.iter().any(|number| *number > last + 1) {
            return Err(RegisterError::Conflict);
        }
        let old = numbers.into_iter().filter(|number| *number <= last).map(name).collect();
        if let Err(error) = self.directory.delete(old).await {
            tracing::debug!(%error, "leases that are over are not deleted now");
        }
        Ok(next)
    }
}

impl LeaseRegister for DirectoryLease {
    fn read(&self) -> Answer<'_, Option<Versioned<String>>> {
        Box::pin(self.latest())
    }

    fn write(&self, lease: Lease, over: Option<String>) -> Answer<'_, String> {
        Box::pin(async move { self.replace(&lease, over).await })
    }
}

fn name(number: u64) -> String {
    format!("{number:020}")
}

fn failed(error: impl std::fmt::Display) -> RegisterError {
    RegisterError::Failed(error.to_string())
}
