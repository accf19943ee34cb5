//! The object store that checkpoints go to: slow, failing, and not telling what it did.
//!
//! A request is on its own once it is sent: it may be done long after whoever sent it was told that it failed, or has died. Of a
//! write whose writer dies with its machine a file under another name may be left: no listing shows that, but the directory is there,
//! as in a local directory whose files get their names last. A document itself is there whole or not at all, and a listing shows what was
//! there before it began: local directories and S3 promise that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use flott_snapshot::{Directory, Stores};
use futures::{FutureExt, StreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use tokio::time::Instant;

use crate::random::Random;

/// Longest time that half a request takes, in milliseconds.
const DELAY_MS: u64 = 12;
/// The same, where it is bad.
const BAD_DELAY_MS: u64 = 5_000;
/// How many times less goes wrong with what is to be better kept.
const BETTER: u32 = 5;
/// How long after its answer a request may be done.
const LATE_MS: u64 = 30_000;

/// What becomes of a request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is done and answered.
    Done,
    /// It fails, and nothing is done.
    Refused,
    /// It is done, and the answer is an error.
    AnswerLost,
    /// The answer is an error, and much later it is done.
    Late,
    /// Whoever sent it has died, and nothing is done.
    Lost,
    /// The same, and half of it is left under another name.
    Torn,
}

#[derive(Debug)]
struct Shared {
    random: Random,
    /// Faults among a thousand requests.
    faults: u32,
    /// Names whose writers died while they wrote.
    torn: BTreeSet<Path>,
    /// When requests go on.
    wakes: BTreeSet<Instant>,
    /// When each object was written last that was ever there.
    written: BTreeMap<Path, Instant>,
}

/// See the module. Clones are the same store.
#[derive(Debug, Clone)]
pub struct FaultyStore {
    inner: Arc<InMemory>,
    shared: Arc<Mutex<Shared>>,
    /// How many times less goes wrong here.
    better: u32,
    /// Directories that are seen here as others than they are, and what is seen of each.
    away: Arc<Mutex<BTreeMap<Path, Arc<InMemory>>>>,
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
    pub fn new(random: Random) -> Self {
        let (torn, wakes, written) = Default::default();
        let shared = Shared { random, faults: 0, torn, wakes, written };
        Self { inner: Arc::default(), shared: Arc::new(Mutex::new(shared)), better: 1, away: Arc::default() }
    }

    /// The same, with fewer faults.
    pub fn better(&self) -> Self {
        Self { better: BETTER, ..self.clone() }
    }

    /// The same content without faults.
    pub fn healthy_directory(&self, location: &str) -> Directory {
        directory(Arc::clone(&self.inner) as Arc<dyn ObjectStore>, location)
    }

    /// The same as another machine sees it: as it is.
    pub fn elsewhere(&self) -> Self {
        Self { away: Arc::default(), ..self.clone() }
    }

    /// As it is seen now, whatever is mounted later.
    pub fn as_seen(&self) -> Self {
        let away = self.away().clone();
        Self { away: Arc::new(Mutex::new(away)), ..self.clone() }
    }

    /// From now on `content` is seen here in the place of a directory.
    pub fn take_away(&self, location: &str, content: Arc<InMemory>) {
        self.away().insert(path_of(location), content);
    }

    /// A directory is seen again as it is; gives what was there in its place.
    pub fn bring_back(&self, location: &str) -> Option<Arc<InMemory>> {
        self.away().remove(&path_of(location))
    }

    /// Whether a directory is seen as another one.
    pub fn is_away(&self, location: &str) -> bool {
        self.away().contains_key(&path_of(location))
    }

    /// A directory as it is, apart from what becomes of it.
    pub fn copy(&self, location: &str) -> Arc<InMemory> {
        let copy = Arc::new(InMemory::new());
        let copied = async {
            for object in self.inner.list(Some(&path_of(location))).collect::<Vec<_>>().await {
                let path = object?.location;
                let content = self.inner.get(&path).await?.bytes().await?;
                copy.put(&path, content.into()).await?;
            }
            Ok::<_, Error>(())
        };
        copied.now_or_never().expect("in memory all of it is done at once").expect("nothing fails in memory");
        copy
    }

    fn away(&self) -> MutexGuard<'_, BTreeMap<Path, Arc<InMemory>>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is seen at a place.
    fn at(&self, place: &Path) -> Arc<InMemory> {
        let away = self.away();
        let seen = away.iter().find(|(directory, _)| place.prefix_matches(directory)).map(|(_, content)| content);
        Arc::clone(seen.unwrap_or(&self.inner))
    }

    /// A directory in it.
    pub fn directory(&self, location: &str) -> Directory {
        directory(Arc::new(self.clone()), location)
    }

    /// From now on so many of a thousand requests go wrong.
    pub fn set_faults(&self, faults: u32) {
        self.shared().faults = faults;
    }

    /// A task writes a file, without faults.
    pub fn write(&self, location: &str, content: &'static [u8]) {
        let path = path_of(location);
        self.note_written(&path);
        // In memory it is there at once.
        drop(self.inner.put(&path, content.into()).now_or_never());
    }

    /// Whether there is such a file.
    pub fn has(&self, location: &str) -> bool {
        self.inner.head(&path_of(location)).now_or_never().is_some_and(|found| found.is_ok())
    }

    /// Files below `location` that are there and were written before `until`, relative to it.
    pub fn older(&self, location: &str, until: Instant) -> Vec<String> {
        let below = path_of(location);
        let listed: Vec<_> = self.inner.list(Some(&below)).collect().now_or_never().unwrap_or_default();
        let shared = self.shared();
        let paths = listed.into_iter().flatten().map(|object| object.location);
        let older = paths.filter(|path| shared.written.get(path).is_none_or(|written| *written < until));
        older.map(|path| path.as_ref().trim_start_matches(below.as_ref()).trim_start_matches('/').to_owned()).collect()
    }

    /// Whether a file was ever below `location`, there or not.
    pub fn was_written(&self, location: &str) -> bool {
        let below = path_of(location);
        self.shared().written.keys().any(|path| path.prefix_matches(&below))
    }

    fn note_written(&self, path: &Path) {
        self.shared().written.insert(path.clone(), Instant::now());
    }

    /// When the next request goes on, of those that do after now.
    pub fn next_wake(&self) -> Option<Instant> {
        let mut shared = self.shared();
        let now = Instant::now();
        shared.wakes.retain(|wake| *wake > now);
        shared.wakes.first().copied()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_faulty(&self) -> bool {
        let mut shared = self.shared();
        let faults = shared.faults / self.better;
        shared.random.per_mille(faults)
    }

    fn draw<const N: usize>(&self, of: [Fate; N]) -> Fate {
        of[self.shared().random.within(0..=N as u64 - 1) as usize]
    }

    async fn wait(&self, most_ms: u64) {
        let wake = {
            let mut shared = self.shared();
            let wake = Instant::now() + Duration::from_millis(shared.random.within(1..=most_ms));
            shared.wakes.insert(wake);
            wake
        };
        tokio::time::sleep_until(wake).await;
    }

    /// Half the way of a request.
    async fn delay(&self) {
        let most = if self.is_faulty() { BAD_DELAY_MS } else { DELAY_MS };
        self.wait(most).await;
    }

    async fn read(&self) -> Result<()> {
        self.delay().await;
        if self.is_faulty() { Err(failed("cannot be reached")) } else { Ok(()) }
    }

    fn fate(&self, sender: &Weak<()>) -> Fate {
        if sender.strong_count() == 0 {
            self.draw([Fate::Done, Fate::Lost, Fate::Torn])
        } else if self.is_faulty() {
            self.draw([Fate::Refused, Fate::AnswerLost, Fate::Late])
        } else {
            Fate::Done
        }
    }

    async fn put(self, location: Path, payload: PutPayload, opts: PutOptions, sender: Weak<()>) -> Result<PutResult> {
        let place = self.at(&location);
        self.delay().await;
        let fate = self.fate(&sender);
        match fate {
            Fate::Done | Fate::AnswerLost => {
                let done = place.put_opts(&location, payload, opts).await;
                if done.is_ok() && Arc::ptr_eq(&place, &self.inner) {
                    self.note_written(&location);
                }
                self.delay().await;
                if fate == Fate::Done { done } else { Err(failed("connection reset")) }
            }
            Fate::Late => {
                let store = self.clone();
                tokio::spawn(async move {
                    store.wait(LATE_MS).await;
                    // Nobody waits for the answer any more.
                    if place.put_opts(&location, payload, opts).await.is_ok() && Arc::ptr_eq(&place, &store.inner) {
                        store.note_written(&location);
                    }
                });
                Err(failed("timed out"))
            }
            Fate::Torn if !Arc::ptr_eq(&place, &self.inner) => Err(failed("torn")),
            Fate::Torn => {
                self.shared().torn.insert(location);
                Err(failed("torn"))
            }
            Fate::Refused | Fate::Lost => Err(failed("no space left on device")),
        }
    }
}

impl Stores for FaultyStore {
    fn open(&self, location: &str) -> std::result::Result<Directory, flott_snapshot::Error> {
        Ok(self.directory(location))
    }
}

/// The object at a location.
fn path_of(location: &str) -> Path {
    location.split_once('/').map_or(Path::ROOT, |(_, below)| Path::from(below))
}

/// The directory of a store whose root is the first name of all locations.
fn directory(store: Arc<dyn ObjectStore>, location: &str) -> Directory {
    let (root, below) = location.split_once('/').unwrap_or((location, ""));
    let names = below.split('/').filter(|name| !name.is_empty());
    names.fold(Directory::of_store(store, root), |directory, name| directory.child(name))
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let sender = Arc::new(());
        let put = tokio::spawn(self.clone().put(location.clone(), payload, opts, Arc::downgrade(&sender)));
        let answer = put.await.map_err(|_| failed("the store is gone"))?;
        drop(sender);
        answer
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.at(location).put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read().await?;
        self.at(location).get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read().await?;
        self.at(location).get_ranges(location, ranges).await
    }

    /// Some may be deleted and others not, whatever the answers say.
    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let deleted = locations.then(move |location| {
            let store = store.clone();
            async move {
                let location = location?;
                store.delay().await;
                let fails = store.is_faulty();
                if !fails || store.draw([Fate::Refused, Fate::AnswerLost]) == Fate::AnswerLost {
                    store.at(&location).delete(&location).await?;
                }
                if fails { Err(failed("connection reset")) } else { Ok(location) }
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listed = stream::once(async move {
            match store.read().await {
                Ok(()) => store.at(prefix.as_ref().unwrap_or(&Path::ROOT)).list(prefix.as_ref()),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            }
        });
        listed.flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read().await?;
        let place = self.at(prefix.unwrap_or(&Path::ROOT));
        let mut listed = place.list_with_delimiter(prefix).await?;
        if !Arc::ptr_eq(&place, &self.inner) {
            return Ok(listed);
        }
        let prefix = prefix.cloned().unwrap_or(Path::ROOT);
        for torn in &self.shared().torn {
            let Some(name) = torn.prefix_match(&prefix).and_then(|mut parts| parts.next()) else { continue };
            let directory = prefix.clone().join(name);
            if directory != *torn && !listed.common_prefixes.contains(&directory) {
                listed.common_prefixes.push(directory);
            }
        }
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.at(from).copy_opts(from, to, options).await
    }
}
