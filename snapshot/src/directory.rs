//! Where checkpoints lie: a local directory, or a bucket of an S3-compatible store.
//!
//! # Durability
//! What this module says was written survives a loss of power, in a local directory too: files are synced before they get
//! their names, and the directories that name them before the call returns. So a manifest is never durable before the
//! state files that were written ahead of it. What is not complete never has its final name.

mod local;
mod objects;
#[cfg(feature = "s3")]
mod s3;

use std::{fmt, path, sync::Arc};

use flott_core::{
    config::{Configuration, keys::s3 as keys},
    id::JobId,
};
use object_store::{ObjectStore, local::LocalFileSystem, path::Path};

pub(crate) use local::sync as sync_directory;
pub use objects::{CreateError, Created, Object};

use crate::{
    error::Error,
    file::{Compression, StateFileReader, StateFileWriter},
    manifest::{DataPath, StateFile},
    snapshot::METADATA,
};

/// How to reach an S3-compatible store. What is absent comes from the environment variables that AWS's own tools read.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// URL of a store that is not Amazon's.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Who.
    pub access_key: Option<String>,
    /// The proof of it; never shown.
    pub secret_key: Option<String>,
    /// Whether the bucket stands in the path of requests rather than in the name of the host. Unset, it does where there is
    /// an endpoint.
    pub path_style: Option<bool>,
}

impl S3Options {
    /// What a configuration says.
    pub fn of(configuration: &Configuration) -> Self {
        Self {
            endpoint: configuration.get(&keys::ENDPOINT),
            region: configuration.get(&keys::REGION),
            access_key: configuration.get(&keys::ACCESS_KEY),
            secret_key: configuration.get(&keys::SECRET_KEY),
            path_style: configuration.get(&keys::PATH_STYLE),
        }
    }
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, region, access_key, secret_key: _, path_style } = self;
        f.debug_struct("S3Options")
            .field("endpoint", endpoint)
            .field("region", region)
            .field("access_key", access_key)
            .field("path_style", path_style)
            .finish_non_exhaustive()
    }
}

/// How locations are reached: as [`S3Options`] say, or in a simulated store.
///
/// # Contract
/// Opening reads and makes nothing. Equal locations are the same directory, and so is the location that it says itself.
pub trait Stores: fmt::Debug + Send + Sync {
    /// The directory at `location`.
    ///
    /// # Errors
    /// When there can be none.
    fn open(&self, location: &str) -> Result<Directory, Error>;
}

impl Stores for S3Options {
    fn open(&self, location: &str) -> Result<Directory, Error> {
        Directory::open(location, self)
    }
}

/// A directory in a store: that of all checkpoints, of one job, or of a savepoint. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Directory {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    location: Arc<str>,
    /// The same as a path of this machine.
    local: Option<Arc<path::Path>>,
}

impl Directory {
    /// `location` is a path, `file:///…`, or `s3://<bucket>/<path>`. Nothing is read or made yet.
    ///
    /// # Errors
    /// When it is none of these, or this build has no support for S3.
    pub fn open(location: &str, s3: &S3Options) -> Result<Self, Error> {
        if location.starts_with("s3://") {
            return Self::open_s3(location, s3);
        }
        let refused = |problem: &str| Error::Location { location: location.to_owned(), problem: problem.to_owned() };
        let path = match location.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => path,
            Some(("file", _)) => return Err(refused("expected \"file://\" and an absolute path")),
            Some(_) => return Err(refused("expected a path, \"file:///…\" or \"s3://…\"")),
            None => location,
        };
        let absolute = path::absolute(path).map_err(|error| refused(&error.to_string()))?;
        let prefix = Path::from_absolute_path(&absolute).map_err(|error| refused(&error.to_string()))?;
        let text = absolute.to_str().ok_or_else(|| refused("expected a path in UTF-8"))?;
        Ok(Self {
            store: Arc::new(LocalFileSystem::new().with_fsync(true)),
            prefix,
            location: text.trim_end_matches('/').into(),
            local: Some(absolute.into()),
        })
    }

    #[cfg(feature = "s3")]
    fn open_s3(location: &str, options: &S3Options) -> Result<Self, Error> {
        let (store, prefix) = s3::open(location, options)?;
        Ok(Self { store, prefix, location: location.trim_end_matches('/').into(), local: None })
    }

    #[cfg(not(feature = "s3"))]
    fn open_s3(location: &str, _: &S3Options) -> Result<Self, Error> {
        let problem =
            "this program was built without support for S3; it is the feature \"s3\" of the crate flott".to_owned();
        Err(Error::Location { location: location.to_owned(), problem })
    }

    /// The root of any store, called `location` in messages.
    pub fn of_store(store: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self { store, prefix: Path::ROOT, location: location.into(), local: None }
    }

    /// What [`open`](Self::open) takes, elsewhere too.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The same as a path of this machine, if it is one.
    pub fn local(&self) -> Option<&path::Path> {
        self.local.as_deref()
    }

    /// The directory of a job's checkpoints in this one.
    pub fn of_job(&self, job: JobId) -> Self {
        self.child(&job.to_string())
    }

    /// A new directory for a savepoint of `job` in this one.
    ///
    /// # Errors
    /// When a local directory cannot be made.
    pub async fn new_savepoint(&self, job: JobId) -> Result<Self, Error> {
        let directory = self.child(&format!("{}{}", savepoint_prefix(job), random_hex(6)));
        directory.make().await?;
        Ok(directory)
    }

    /// Whether `location`, a directory or the manifest in it, has a name that [`new_savepoint`](Self::new_savepoint) gives those of `job`.
    /// Jobs whose ids begin alike have it too.
    pub fn is_named_savepoint_of(location: &str, job: JobId) -> bool {
        let directory = location.trim_end_matches('/');
        let directory = directory.strip_suffix(METADATA).map_or(directory, |directory| directory.trim_end_matches('/'));
        directory.rsplit('/').next().is_some_and(|name| name.starts_with(&savepoint_prefix(job)))
    }

    /// Begins a state file.
    pub fn create_file(&self, path: DataPath, compression: Compression) -> StateFileWriter {
        StateFileWriter::new(self.clone(), path, compression)
    }

    /// Opens a state file, and reads what is in it.
    ///
    /// # Errors
    /// When it is not there, not as long as `file` says, or its index is damaged.
    pub async fn open_file(&self, file: &StateFile) -> Result<StateFileReader, Error> {
        StateFileReader::open(self.clone(), file).await
    }

    /// A directory in this one.
    pub fn child(&self, name: &str) -> Self {
        Self {
            store: self.store.clone(),
            prefix: self.prefix.clone().join(name),
            location: format!("{}/{name}", self.location).into(),
            local: self.local.as_ref().map(|path| path.join(name).into()),
        }
    }

    /// The directory around this one.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (location, _) = self.location.rsplit_once('/')?;
        Some(Self {
            store: self.store.clone(),
            prefix: self.prefix.parent()?,
            location: location.into(),
            local: self.local.as_ref().and_then(|path| path.parent()).map(Into::into),
        })
    }
}

/// What names of directories of savepoints of `job` begin with.
fn savepoint_prefix(job: JobId) -> String {
    format!("savepoint-{}-", &job.to_string()[..6])
}

/// Random bytes as twice as many digits.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut drawn = vec![0; bytes];
    getrandom::fill(&mut drawn).expect("the operating system has a random source");
    crate::manifest::hex(&drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(location: &str, problem: &str) {
        let message = Directory::open(location, &S3Options::default()).unwrap_err().to_string();
        assert!(message.starts_with(location) && message.contains(problem), "{message}");
    }

    #[test]
    fn locations_that_mean_nothing_are_refused() {
        refused("hdfs://name/a", "expected a path, \"file:///…\" or \"s3://…\"");
        refused("file://host/a", "expected \"file://\" and an absolute path");
        refused("", "empty");
        #[cfg(not(feature = "s3"))]
        refused("s3://bucket/a", "built without support for S3; it is the feature \"s3\" of the crate flott");
        #[cfg(feature = "s3")]
        refused("s3:///a", "expected \"s3://<bucket>/<path>\"");
    }

    #[test]
    fn a_location_can_be_opened_elsewhere() {
        let open = |location: &str| Directory::open(location, &S3Options::default()).unwrap();
        assert_eq!(open("/a b/c/").location(), "/a b/c");
        assert_eq!(open("file:///a/b").location(), "/a/b");
        let job = open("/a").of_job(JobId::from_bytes([0xab; 16]));
        assert_eq!(job.location(), format!("/a/{}", "ab".repeat(16)));
        assert_eq!(open(job.location()).prefix, job.prefix);
        assert_eq!(job.parent().unwrap().location(), "/a");
        let relative = open("x");
        assert!(relative.location().starts_with('/') && relative.location().ends_with("/x"), "{relative:?}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let options = S3Options { secret_key: Some("hush".to_owned()), ..S3Options::default() };
        assert!(!format!("{options:?}").contains("hush"));
    }
}
