//! A store that is slow, fails, and does not tell what it did.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};

use crate::chance::Chance;

/// What becomes of a request that changes something.
#[derive(Clone, Copy)]
enum Fate {
    /// It is done and answered.
    Done,
    /// It fails, and nothing is done: a full disk, a connection refused.
    Refused,
    /// It is done, and the answer is an error.
    AnswerLost,
    /// The answer is an error, and much later it is done.
    Late,
}

#[derive(Debug, Clone)]
pub struct FaultyStore {
    inner: Arc<InMemory>,
    chance: Chance,
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty store")
    }
}

fn failed(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

impl FaultyStore {
    pub fn new(chance: Chance) -> Self {
        Self { inner: Arc::default(), chance }
    }

    /// The same content without faults.
    pub fn healthy(&self) -> Arc<InMemory> {
        self.inner.clone()
    }

    fn fate(&self) -> Fate {
        if !self.chance.fault() {
            return Fate::Done;
        }
        [Fate::Refused, Fate::AnswerLost, Fate::Late][self.chance.below(3) as usize]
    }

    /// Mostly a few milliseconds, now and then many seconds.
    fn delay(&self) -> Duration {
        let most = if self.chance.fault() { 30_000 } else { 50 };
        Duration::from_millis(self.chance.below(most))
    }

    async fn read(&self) -> Result<()> {
        tokio::time::sleep(self.delay()).await;
        if self.chance.fault() { Err(failed("cannot be reached")) } else { Ok(()) }
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    /// The request lives on when whoever sent it has died.
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let (fate, there, back, late) = (self.fate(), self.delay(), self.delay(), self.chance.below(120_000));
        let (inner, location) = (self.inner.clone(), location.clone());
        let put = tokio::spawn(async move {
            tokio::time::sleep(there).await;
            match fate {
                Fate::Done => {
                    let done = inner.put_opts(&location, payload, opts).await;
                    tokio::time::sleep(back).await;
                    done
                }
                Fate::Refused => Err(failed("no space left on device")),
                Fate::AnswerLost => {
                    drop(inner.put_opts(&location, payload, opts).await);
                    tokio::time::sleep(back).await;
                    Err(failed("connection reset"))
                }
                Fate::Late => {
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_millis(late)).await;
                        inner.put_opts(&location, payload, opts).await
                    });
                    Err(failed("timed out"))
                }
            }
        });
        put.await.expect("a put does not panic")
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read().await?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read().await?;
        self.inner.get_ranges(location, ranges).await
    }

    /// Some may be deleted and others not, whatever the answers say.
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                tokio::time::sleep(store.delay()).await;
                let fate = store.fate();
                if !matches!(fate, Fate::Refused) {
                    store.inner.delete(&location).await?;
                }
                if matches!(fate, Fate::Done) { Ok(location) } else { Err(failed("connection reset")) }
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed = stream::once(async move {
            match store.read().await {
                Ok(()) => store.inner.list(prefix.as_ref()),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            }
        });
        listed.flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
