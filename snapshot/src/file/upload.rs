//! Bytes on their way into a store, in parts of equal size and with a few parts under way at a time.
//!
//! A small file is one request. Of a larger one no more than [`PARTS_MAX`] parts are in memory.

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayloadMut};
use tokio::task::JoinSet;

use super::local_parts::LocalParts;
use crate::{directory::Directory, error::Error};

/// Stores want at least 5 MiB, and the same for all parts but the last.
const PART_BYTES: usize = 8 << 20;
/// Parts under way.
const PARTS_MAX: usize = 4;
/// Pieces shorter than this are copied together, longer ones are passed on as they are.
const COPIED_BYTES_MAX: usize = 32 << 10;
/// Size of the buffers for what is copied together.
const BLOCK_BYTES: usize = 256 << 10;

pub(super) struct Upload {
    directory: Directory,
    path: String,
    buffer: PutPayloadMut,
    /// There once a part is complete.
    parts: Option<Box<dyn MultipartUpload>>,
    tasks: JoinSet<object_store::Result<()>>,
}

impl Upload {
    pub fn new(directory: Directory, path: String) -> Self {
        Self { directory, path, buffer: new_buffer(), parts: None, tasks: JoinSet::new() }
    }

    /// Takes bytes; waits while too many are under way.
    pub async fn add(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        loop {
            let room = PART_BYTES - self.buffer.content_length();
            if bytes.len() < room {
                push(&mut self.buffer, bytes);
                return Ok(());
            }
            push(&mut self.buffer, bytes.split_to(room));
            self.send().await?;
        }
    }

    async fn send(&mut self) -> Result<(), Error> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let begun = begin(&self.directory, &self.path).await;
                none.insert(begun.map_err(|error| failed(&self.directory, &self.path, &error))?)
            }
        };
        let part = std::mem::replace(&mut self.buffer, new_buffer()).freeze();
        self.tasks.spawn(parts.put_part(part));
        self.wait(PARTS_MAX - 1).await
    }

    /// Waits until no more than `left` parts are under way.
    async fn wait(&mut self, left: usize) -> Result<(), Error> {
        while self.tasks.len() > left {
            if let Some(done) = self.tasks.join_next().await {
                done.map_err(object_store::Error::from)
                    .and_then(|part| part)
                    .map_err(|error| failed(&self.directory, &self.path, &error))?;
            }
        }
        Ok(())
    }

    /// Gives the file its name. When it returns, the file is whole and durable.
    pub async fn finish(mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            let content = std::mem::take(&mut self.buffer).freeze();
            let put = self.directory.store().put(&self.directory.object(&self.path), content).await;
            return put.map(drop).map_err(|error| failed(&self.directory, &self.path, &error));
        }
        if !self.buffer.is_empty() {
            self.send().await?;
        }
        self.wait(0).await?;
        if let Some(parts) = &mut self.parts {
            parts.complete().await.map_err(|error| failed(&self.directory, &self.path, &error))?;
        }
        self.parts = None;
        Ok(())
    }
}

async fn begin(directory: &Directory, path: &str) -> object_store::Result<Box<dyn MultipartUpload>> {
    match directory.local() {
        Some(local) => Ok(Box::new(LocalParts::begin(local.join(path)).await?)),
        None => directory.store().put_multipart(&directory.object(path)).await,
    }
}

fn new_buffer() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(BLOCK_BYTES)
}

fn push(buffer: &mut PutPayloadMut, bytes: Bytes) {
    if bytes.len() < COPIED_BYTES_MAX {
        buffer.extend_from_slice(&bytes);
    } else {
        buffer.push(bytes);
    }
}

fn failed(directory: &Directory, path: &str, cause: &object_store::Error) -> Error {
    Error::store("writing", directory.shown(path), cause)
}

impl Drop for Upload {
    /// Gives up what is not finished, in the background; what even that leaves has no name, and is for the store to clear.
    fn drop(&mut self) {
        let (Some(mut parts), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        let mut tasks = std::mem::take(&mut self.tasks);
        runtime.spawn(async move {
            tasks.shutdown().await;
            drop(parts.abort().await);
        });
    }
}
