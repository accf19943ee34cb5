//! What a job was started from and is its own.

use flott_snapshot::{Compression, Stores};

use super::*;
use crate::storage::claimed::{Removed, remove};

/// Where the job was started from, in a store in which all locations begin alike.
#[derive(Debug, Clone)]
struct Given {
    store: StormyStore,
    location: String,
}

/// A [`StormyStore`] by locations.
#[derive(Debug)]
struct Root(StormyStore);

impl Stores for Root {
    fn open(&self, location: &str) -> Result<Directory, Error> {
        let root = Directory::of_store(Arc::new(self.0.clone()), "stormy");
        Ok(location.split('/').skip(1).filter(|name| !name.is_empty()).fold(root, |at, name| at.child(name)))
    }
}

impl Given {
    /// A savepoint with a state file, and perhaps results.
    async fn savepoint(committables: Vec<Committable>) -> Self {
        let store = StormyStore::default();
        let directory = Root(store.clone()).open("stormy/savepoints").unwrap().new_savepoint(JOB).await.unwrap();
        let path = DataPath::unique(SnapshotKind::Savepoint, CheckpointId(9), attempt());
        let file = directory.create_file(path, Compression::None).finish().await.unwrap();
        let sample = manifest(SnapshotKind::Savepoint, CheckpointId(9), 1, vec![file]);
        let location = directory.commit_savepoint(&Manifest { committables, ..sample }).await.unwrap();
        Self { store, location }
    }

    /// How many files of it there are.
    async fn files(&self) -> usize {
        let at = self.location.strip_prefix("stormy/").unwrap();
        Directory::of_store(self.store.healthy(), "healthy").list(at).await.unwrap().len()
    }

    fn recovery(&self) -> Recovery {
        Recovery {
            path: Some(self.location.clone()),
            claimed_behind: Some(2),
            stores: Arc::new(Root(self.store.clone())),
            ..Recovery::default()
        }
    }

    /// A JobMaster of the job that claims it.
    async fn master(&self, epoch: u64) -> Stand {
        let epoch = JobMasterEpoch(epoch);
        let opened = CheckpointKeeper::open("stormy", JOB, epoch, &self.recovery(), &Known::default()).await;
        let (master, overheard) = Overheard::of(JOB, epoch);
        Stand { store: self.store.clone(), keeper: Arc::new(opened.unwrap().0), master, overheard }
    }
}

fn attempt() -> AttemptId {
    let vertex = VertexId::of_chain(samples::counter());
    AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) }
}

fn to_store(epoch: u64, checkpoint: u64, retained: &[u64]) -> ToStore {
    let manifest = Arc::new(manifest(SnapshotKind::Checkpoint, CheckpointId(checkpoint), epoch, Vec::new()));
    ToStore { manifest, retained: retained.iter().copied().map(CheckpointId).collect(), savepoint: None }
}

#[tokio::test(start_paused = true)]
async fn it_goes_when_as_many_later_checkpoints_are_there_as_are_kept() {
    let given = Given::savepoint(Vec::new()).await;
    let mut stand = given.master(1).await;
    stand.keeper.store(&stand.master, to_store(1, 2, &[2])).await;
    Stand::check_stored(stand.event().await, 2);
    assert_eq!(given.files().await, 2);
    // One that does not come to be counts for nothing.
    given.store.set(Weather::Fails);
    let (keeper, master) = (stand.keeper.clone(), stand.master.clone());
    let storing = tokio::spawn(async move { keeper.store(&master, to_store(1, 3, &[2, 3])).await });
    let Event::CheckpointUndecided { .. } = stand.event().await else { panic!("nobody knows") };
    assert_eq!(given.files().await, 2);
    given.store.set(Weather::Fair);
    timeout(LONG, storing).await.unwrap().unwrap();
    assert_eq!(given.files().await, 0);
    stand.keeper.store(&stand.master, to_store(1, 4, &[3, 4])).await;
    assert_eq!(stand.files().await.len(), 0, "and nothing is left to be done");
}

#[tokio::test(start_paused = true)]
async fn the_next_job_master_removes_it() {
    let given = Given::savepoint(Vec::new()).await;
    let stand = given.master(1).await;
    stand.keeper.store(&stand.master, to_store(1, 2, &[2])).await;
    let next = given.master(2).await;
    // One that does not know that it is deposed removes nothing.
    stand.keeper.store(&stand.master, to_store(1, 3, &[2, 3])).await;
    assert_eq!(given.files().await, 2);
    next.keeper.store(&next.master, to_store(2, 4, &[2, 4])).await;
    assert_eq!(given.files().await, 0);
    // Who follows finds nothing.
    let last = given.master(3).await;
    last.keeper.store(&last.master, to_store(3, 6, &[4, 6])).await;
    assert!(last.keeper.log.lock().await.claimed.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_is_asked_again_behind_the_next_checkpoint() {
    let given = Given::savepoint(Vec::new()).await;
    let stand = given.master(1).await;
    given.store.set(Weather::MuteDeletions);
    stand.keeper.store(&stand.master, to_store(1, 2, &[1, 2])).await;
    assert!(stand.keeper.log.lock().await.claimed.is_some());
    given.store.set(Weather::Fair);
    stand.keeper.store(&stand.master, to_store(1, 3, &[2, 3])).await;
    assert_eq!(given.files().await, 0);
    assert!(stand.keeper.log.lock().await.claimed.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_goes_with_the_checkpoints_of_a_job_that_has_ended() {
    let given = Given::savepoint(Vec::new()).await;
    let stand = given.master(1).await;
    stand.keeper.store(&stand.master, to_store(1, 2, &[2])).await;
    stand.keeper.discard().await.unwrap();
    assert_eq!(given.files().await, 0);

    let given = Given::savepoint(Vec::new()).await;
    given.master(1).await;
    let recovery = given.recovery();
    for epoch in [2, 3] {
        let left = CheckpointKeeper::discard_left("stormy", JOB, JobMasterEpoch(epoch), &recovery, true).await;
        assert_eq!(left, Ok(Discarded::Gone));
        assert_eq!(given.files().await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_stays_is_not_said_to_be_gone() {
    for (is_damaged, expected) in [(false, Removed::Gone), (true, Removed::Left)] {
        let given = Given::savepoint(Vec::new()).await;
        let stand = given.master(1).await;
        if is_damaged {
            let at = Root(given.store.clone()).open(&given.location).unwrap();
            at.delete(vec!["_metadata".to_owned()]).await.unwrap();
            at.create("_metadata", Bytes::from_static(b"none")).await.unwrap();
        }
        let Kept { log, claimed, .. } = &mut *stand.keeper.log.lock().await;
        assert_eq!(remove(claimed, log.checkpoints()).await.unwrap(), expected);
        assert!(claimed.is_none());
        assert_eq!(given.files().await > 0, is_damaged);
    }
}

#[tokio::test(start_paused = true)]
async fn it_stays_where_it_may_hold_results() {
    let sink = samples::counter();
    let committable = Committable { sink, attempt: attempt(), data: Bytes::from_static(b"file") };
    let given = Given::savepoint(vec![committable]).await;
    given.master(1).await;
    let left = CheckpointKeeper::discard_left("stormy", JOB, JobMasterEpoch(2), &given.recovery(), true).await;
    assert_eq!(left, Ok(Discarded::Spared));
    assert_eq!(given.files().await, 2);
    // Nor is it removed for who has not claimed it.
    let recovery = Recovery { claimed_behind: None, ..given.recovery() };
    let left = CheckpointKeeper::discard_left("stormy", JOB, JobMasterEpoch(3), &recovery, false).await;
    assert_eq!(left, Ok(Discarded::Gone));
    assert_eq!(given.files().await, 2);
}

/// Documents in the log of the job.
async fn places(store: &StormyStore) -> usize {
    Checkpoints::new(&Directory::of_store(store.healthy(), ""), JOB).list().await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_for_it_leaves_nothing_in_its_log_each_time() {
    let given = Given::savepoint(Vec::new()).await;
    given.master(1).await;
    let away = Recovery { path: Some("stormy/elsewhere".to_owned()), ..given.recovery() };
    let known = Known::of(&Past { claimed: Some(EPOCH), ..Past::default() });
    let open =
        async |epoch| CheckpointKeeper::open("stormy", JOB, JobMasterEpoch(epoch), &away, &known).await.map(drop);
    for epoch in [2, 2, 3] {
        let failure = open(epoch).await.unwrap_err();
        assert_eq!((failure.domain, failure.retry), (Domain::User, Retry::Restart));
        assert!(failure.message.contains("no checkpoint or savepoint there"), "{failure}");
        assert_eq!(places(&given.store).await, 1);
    }
    // With a checkpoint of its own it does not need it.
    let mut stand = given.master(4).await;
    stand.keeper.store(&stand.master, to_store(4, 5, &[5])).await;
    Stand::check_stored(stand.event().await, 5);
    open(5).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_it_is_gone_and_all_checkpoints_are_damaged_that_is_told_and_not_waited_for() {
    let given = Given::savepoint(Vec::new()).await;
    let mut stand = given.master(1).await;
    stand.keeper.store(&stand.master, to_store(1, 2, &[2])).await;
    Stand::check_stored(stand.event().await, 2);
    let gone = Recovery { path: Some("stormy/elsewhere".to_owned()), ..given.recovery() };
    let damaged = [(CheckpointId(2), Failure::environment("flipped"))].into();
    let known = Known { damaged, ..Known::default() };
    let before = places(&given.store).await;
    let opened = CheckpointKeeper::open("stormy", JOB, JobMasterEpoch(2), &gone, &known).await;
    let failure = opened.unwrap_err();
    assert_eq!((failure.message.as_str(), failure.retry), (NOTHING_WHOLE, Retry::Never));
    assert!(failure.causes[1].contains("no checkpoint or savepoint there"), "{failure:?}");
    assert_eq!(places(&given.store).await, before);
}
