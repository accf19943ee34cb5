//! A store for tests that breaks when it is told to.

use std::{
    fmt,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart, memory::InMemory, path::Path,
};

/// What becomes of requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Weather {
    /// They are done and answered.
    #[default]
    Fair,
    /// Nothing is done, and nothing answered, ever.
    Hangs,
    /// They are done, and never answered.
    Mute,
    /// So are deletions; all else is well.
    MuteDeletions,
    /// Nothing is done, and the answer is an error.
    Fails,
}

/// A store in memory, under a [`Weather`]. Clones are the same store.
#[derive(Debug, Clone, Default)]
pub struct StormyStore {
    inner: Arc<InMemory>,
    weather: Arc<Mutex<Weather>>,
    listings: Arc<AtomicUsize>,
    uploads: Arc<AtomicUsize>,
}

impl fmt::Display for StormyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stormy store")
    }
}

impl StormyStore {
    /// From now on, for requests that begin.
    pub fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    /// Listings of all files of a directory that were asked for.
    pub fn listings(&self) -> usize {
        self.listings.load(Ordering::Relaxed)
    }

    /// Uploads in parts that were begun, and neither completed nor given up.
    pub fn open_uploads(&self) -> usize {
        self.uploads.load(Ordering::Relaxed)
    }

    /// The same content in fair weather.
    pub fn healthy(&self) -> Arc<InMemory> {
        Arc::clone(&self.inner)
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn go<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        match self.weather() {
            Weather::Fair | Weather::MuteDeletions => request.await,
            Weather::Hangs => future::pending().await,
            Weather::Mute => {
                drop(request.await);
                future::pending().await
            }
            Weather::Fails => Err(Error::Generic { store: "stormy", source: "503 Slow Down".into() }),
        }
    }
}

#[async_trait]
impl ObjectStore for StormyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.go(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.go(self.inner.put_multipart_opts(location, opts)).await?;
        self.uploads.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(StormyUpload { inner, store: self.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.go(self.inner.get_opts(location, options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.go(self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store.go(store.inner.delete(&location)).await?;
                if store.weather() == Weather::MuteDeletions { future::pending().await } else { Ok(location) }
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        let (store, listed) = (self.clone(), self.inner.list(prefix));
        stream::once(async move { store.go(future::ok(listed)).await })
            .map(|listed| listed.unwrap_or_else(|error| stream::once(future::err(error)).boxed()))
            .flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.go(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.go(self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct StormyUpload {
    inner: Box<dyn MultipartUpload>,
    store: StormyStore,
}

#[async_trait]
impl MultipartUpload for StormyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (store, part) = (self.store.clone(), self.inner.put_part(data));
        async move { store.go(part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let put = self.store.go(self.inner.complete()).await?;
        self.store.uploads.fetch_sub(1, Ordering::Relaxed);
        Ok(put)
    }

    async fn abort(&mut self) -> Result<()> {
        self.store.go(self.inner.abort()).await?;
        self.store.uploads.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}
