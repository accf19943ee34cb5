//! The few things that are asked of a store.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use object_store::{GetOptions, ObjectStore, PutMode, path::Path};

use super::Directory;
use crate::error::Error;

/// Waits before each try at a conditional create. Stores that are reached over a network try again by themselves before
/// they give an error, so these are few.
const WAITS_MS: [u64; 4] = [0, 50, 250, 1000];

/// How long a store may take to answer a read, or to go on with its answer. Whoever reads may wait for nothing else: a task for what
/// it starts from, a JobMaster for what it goes back to. (How long a write may take, its own writer says.)
const ANSWER: Duration = Duration::from_secs(60);

/// What came of a conditional create.
#[derive(Debug)]
pub enum Created {
    /// It is there, and it is ours.
    Ours,
    /// Something else is there.
    Taken(Bytes),
}

/// A file by its path in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The path.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was written, in milliseconds since the epoch by the clock of the store.
    pub modified_at_ms: u64,
}

impl Directory {
    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The path in the store.
    pub(crate) fn object(&self, path: &str) -> Path {
        path.split('/').filter(|name| !name.is_empty()).fold(self.prefix.clone(), |prefix, name| prefix.join(name))
    }

    /// A path for messages.
    pub fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.location)
    }

    /// What a request gives that reads, unless the store does not answer.
    pub(crate) async fn answered<T>(
        &self,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> object_store::Result<T> {
        match tokio::time::timeout(ANSWER, request).await {
            Ok(answer) => answer,
            Err(_) => Err(silent()),
        }
    }

    /// The next piece of an answer, unless the store does not go on.
    pub(crate) async fn next_of<T>(
        &self,
        answer: &mut (impl Stream<Item = object_store::Result<T>> + Unpin),
    ) -> object_store::Result<Option<T>> {
        self.answered(async { answer.next().await.transpose() }).await
    }

    fn failed(&self, operation: &'static str, path: &str, cause: &object_store::Error) -> Error {
        Error::store(operation, self.shown(path), cause)
    }

    /// Reads a whole object; nothing if there is none.
    ///
    /// # Errors
    /// When the store fails, or the object has more than `bytes_max` bytes.
    pub async fn get(&self, path: &str, bytes_max: u64) -> Result<Option<Bytes>, Error> {
        let failed = |error: &_| self.failed("reading", path, error);
        let found = match self.answered(self.store.get_opts(&self.object(path), GetOptions::default())).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if found.meta.size > bytes_max {
            let problem = format!("has {} bytes, expected at most {bytes_max}", found.meta.size);
            return Err(Error::Damaged { path: self.shown(path), problem });
        }
        let mut content = BytesMut::new();
        let mut pieces = found.into_stream();
        while let Some(piece) = self.next_of(&mut pieces).await.map_err(|error| failed(&error))? {
            content.extend_from_slice(&piece);
        }
        Ok(Some(content.freeze()))
    }

    /// Creates an object unless there is one. An error may be the answer to a request that has worked, or will: so after
    /// each it is read what is there, and unless something is, the same is tried again.
    ///
    /// # Errors
    /// Tell whether something may have been created all the same.
    pub async fn create(&self, path: &str, content: Bytes) -> Result<Created, CreateError> {
        let mut last = None;
        let object = self.object(path);
        for wait in WAITS_MS {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let put = self.store.put_opts(&object, content.clone().into(), PutMode::Create.into());
            let Err(error) = put.await else {
                return Ok(Created::Ours);
            };
            last = Some(self.failed("creating", path, &error));
            match self.get(path, u64::MAX).await {
                Ok(Some(found)) if found == content => {
                    return self.settle(path).await.map(|()| Created::Ours).map_err(CreateError::Unknown);
                }
                Ok(Some(found)) => return Ok(Created::Taken(found)),
                // In a local directory nothing comes late.
                Ok(None) if self.local.is_some() => {
                    return Err(CreateError::NotCreated(self.failed("creating", path, &error)));
                }
                Ok(None) => {}
                Err(error) => last = Some(error),
            }
        }
        let cause = last.unwrap_or_else(|| Error::NotFound(self.shown(path)));
        Err(CreateError::Unknown(cause))
    }

    /// Deletes objects, of which some may be gone already.
    ///
    /// # Errors
    /// The first; the others are deleted all the same.
    pub async fn delete(&self, paths: Vec<String>) -> Result<(), Error> {
        let objects: Vec<_> = paths.iter().map(|path| Ok(self.object(path))).collect();
        let mut deleted = self.store.delete_stream(stream::iter(objects).boxed());
        let mut first = None;
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        first.map_or(Ok(()), |error| Err(self.failed("deleting files in", "", &error)))
    }

    /// Names of directories in this one.
    pub(crate) async fn directories(&self) -> Result<Vec<String>, Error> {
        let listed = self.answered(self.store.list_with_delimiter(Some(&self.prefix))).await;
        let listed = listed.map_err(|error| self.failed("listing", "", &error))?;
        Ok(listed.common_prefixes.iter().filter_map(Path::filename).map(str::to_owned).collect())
    }

    /// All objects under a directory in this one, in no order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, name: &str) -> Result<Vec<Object>, Error> {
        let prefix = self.object(name);
        let skipped = self.prefix.as_ref().len() + usize::from(!self.prefix.is_root());
        let (mut listed, mut objects) = (self.store.list(Some(&prefix)), Vec::new());
        while let Some(meta) = self.next_of(&mut listed).await.map_err(|error| self.failed("listing", name, &error))? {
            objects.push(Object {
                path: meta.location.as_ref().get(skipped..).unwrap_or_default().to_owned(),
                bytes: meta.size,
                modified_at_ms: u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0),
            });
        }
        Ok(objects)
    }
}

fn silent() -> object_store::Error {
    let problem = format!("the store has not answered within {} s, or only with errors", ANSWER.as_secs());
    object_store::Error::Generic { store: "checkpoint", source: problem.into() }
}

/// Why it is not known that an object was created.
#[derive(Debug)]
pub enum CreateError {
    /// It was not, and will not be.
    NotCreated(Error),
    /// It may have been, or may still be.
    Unknown(Error),
}
