//! A keeper over a store that breaks.

use bytes::Bytes;
use flott_core::{
    failure::Retry,
    id::{AttemptId, AttemptNumber, SubtaskIndex, VertexId},
    message::Committable,
    status::JobStatus,
};
use flott_snapshot::{
    DataPath, S3Options, SnapshotKind,
    testing::{StormyStore, Weather},
};

use super::*;
use crate::{
    core::{Event, NOTHING_WHOLE},
    service::overheard::Overheard,
};

mod claimed;
#[path = "../../../snapshot/tests/common/samples.rs"]
mod samples;

use samples::{JOB, manifest};

const EPOCH: JobMasterEpoch = JobMasterEpoch(1);
/// Longer than anything is tried.
const LONG: Duration = Duration::from_secs(300);

struct Stand {
    store: StormyStore,
    keeper: Arc<CheckpointKeeper>,
    master: JobMasterHandle,
    overheard: Overheard,
}

impl Stand {
    async fn new() -> Self {
        Self::led_by(&StormyStore::default(), EPOCH.0).await
    }

    async fn led_by(store: &StormyStore, epoch: u64) -> Self {
        let root = Directory::of_store(Arc::new(store.clone()), "stormy");
        let epoch = JobMasterEpoch(epoch);
        let (keeper, _) =
            CheckpointKeeper::open_in(&root, JOB, epoch, &Recovery::default(), &Known::default()).await.unwrap();
        let (master, overheard) = Overheard::of(JOB, epoch);
        Self { store: store.clone(), keeper: Arc::new(keeper), master, overheard }
    }

    /// A checkpoint without state is to be stored.
    fn store(&self, checkpoint: u64) -> tokio::task::JoinHandle<()> {
        self.store_retaining(checkpoint, &[checkpoint])
    }

    fn store_retaining(&self, checkpoint: u64, retained: &[u64]) -> tokio::task::JoinHandle<()> {
        let (keeper, master) = (Arc::clone(&self.keeper), self.master.clone());
        let epoch = self.master.epoch().0;
        let manifest = manifest(SnapshotKind::Checkpoint, CheckpointId(checkpoint), epoch, Vec::new());
        let retained = retained.iter().copied().map(CheckpointId).collect();
        let what = ToStore { manifest: Arc::new(manifest), retained, savepoint: None };
        tokio::spawn(async move { keeper.store(&master, what).await })
    }

    async fn event(&mut self) -> Event {
        timeout(LONG, self.overheard.event()).await.expect("the JobMaster is told something")
    }

    #[track_caller]
    fn check_stored(event: Event, expected: u64) {
        let Event::CheckpointStored { checkpoint, result } = event else { panic!("{event:?}") };
        assert_eq!((checkpoint, result), (CheckpointId(expected), Ok(())));
    }

    /// A checkpoint is complete, and what is not needed any more was removed.
    async fn complete(&mut self, checkpoint: u64) {
        let stored = self.store(checkpoint);
        Self::check_stored(self.event().await, checkpoint);
        timeout(LONG, stored).await.unwrap().unwrap();
    }

    /// A task writes a file for a checkpoint. Gives its path.
    async fn write(&self, checkpoint: u64) -> String {
        let vertex = VertexId::from_bytes([1; 16]);
        let attempt = AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
        let path = DataPath::unique(SnapshotKind::Checkpoint, CheckpointId(checkpoint), attempt);
        let directory = self.keeper.checkpoints.directory();
        directory.create(path.as_str(), Bytes::from_static(b"state")).await.unwrap();
        path.as_str().to_owned()
    }

    async fn files(&self) -> Vec<String> {
        let healthy = Directory::of_store(self.store.healthy(), "healthy").of_job(JOB);
        healthy.list("shared").await.unwrap().into_iter().map(|object| object.path).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_is_told_of_and_asked_again() {
    let mut stand = Stand::new().await;
    for (weather, checkpoint) in [(Weather::Hangs, 2), (Weather::Mute, 3), (Weather::Fails, 4)] {
        stand.store.set(weather);
        let stored = stand.store(checkpoint);
        for _ in 0..2 {
            let event = stand.event().await;
            let Event::CheckpointUndecided { checkpoint: of, failure } = event else { panic!("{event:?}") };
            assert_eq!(of, CheckpointId(checkpoint));
            let failure = failure.report();
            let expected = if weather == Weather::Fails { "503 Slow Down" } else { "has not answered within 30 s" };
            assert!(
                failure.contains(expected) && failure.contains(if weather == Weather::Fails { "" } else { "stormy" })
            );
        }
        stand.store.set(Weather::Fair);
        loop {
            match stand.event().await {
                Event::CheckpointUndecided { .. } => {}
                event => break Stand::check_stored(event, checkpoint),
            }
        }
        timeout(LONG, stored).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_job_does_not_wait_for_the_store() {
    let mut stand = Stand::new().await;
    stand.store.set(Weather::Hangs);
    let stored = stand.store(2);
    stand.event().await;
    let (keeper, master) = (Arc::clone(&stand.keeper), stand.master.clone());
    let sought = tokio::spawn(async move { keeper.find(&master, &BTreeSet::new()).await });
    stand.event().await;
    assert!(!stored.is_finished() && !sought.is_finished());
    stand.overheard.turn(JobStatus::Canceled);
    timeout(Duration::from_secs(1), stored).await.unwrap().unwrap();
    timeout(Duration::from_secs(1), sought).await.unwrap().unwrap();
    let discarded = timeout(LONG, stand.keeper.discard()).await.expect("what is not removed in time stays");
    assert!(discarded.is_err_and(|failure| failure.message.contains("within")));
}

#[tokio::test(start_paused = true)]
async fn another_checkpoint_is_looked_for_until_the_store_says() {
    let mut stand = Stand::new().await;
    stand.complete(2).await;
    stand.store.set(Weather::Hangs);
    let (keeper, master) = (Arc::clone(&stand.keeper), stand.master.clone());
    let sought = tokio::spawn(async move { keeper.find(&master, &BTreeSet::new()).await });
    timeout(LONG, stand.overheard.event()).await.expect_err("nothing is known");
    stand.store.set(Weather::Fair);
    let Event::CheckpointFound { point: Some(found), .. } = stand.event().await else { panic!("there is one") };
    assert_eq!(found.manifest.checkpoint, CheckpointId(2));
    timeout(LONG, sought).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn files_are_looked_for_only_where_a_checkpoint_was_given_up() {
    let mut stand = Stand::new().await;
    for checkpoint in 2..=5 {
        stand.complete(checkpoint).await;
    }
    assert_eq!(stand.store.listings(), 0);
    // 6 is given up. What is of 8 may yet be named.
    let (given_up, later) = (stand.write(6).await, stand.write(8).await);
    stand.complete(7).await;
    let left = stand.files().await;
    assert!(!left.contains(&given_up) && left.contains(&later), "{left:?}");
    // This comes after it was looked, from a task that has not heard of it.
    stand.write(6).await;
    let looked = stand.store.listings();
    stand.complete(8).await;
    assert_eq!((stand.files().await.len(), stand.store.listings()), (2, looked));
    tokio::time::sleep(Duration::from_secs(600)).await;
    stand.complete(9).await;
    assert_eq!(stand.files().await, [""; 0]);
    let looked = stand.store.listings();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    stand.complete(10).await;
    assert_eq!(stand.store.listings(), looked);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_job_master_has_left_goes_with_the_first_checkpoint() {
    let mut stand = Stand::new().await;
    stand.complete(2).await;
    stand.write(3).await;
    let root = Directory::of_store(Arc::new(stand.store.clone()), "stormy");
    let next = JobMasterEpoch(2);
    let (keeper, spec) =
        CheckpointKeeper::open_in(&root, JOB, next, &Recovery::default(), &Known::default()).await.unwrap();
    let manifest = Arc::new(manifest(SnapshotKind::Checkpoint, spec.next, next.0, Vec::new()));
    assert_eq!(stand.files().await.len(), 1, "tasks that were taken over may build on it");
    keeper.store(&stand.master, ToStore { retained: [spec.next].into(), manifest, savepoint: None }).await;
    assert_eq!(stand.files().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn removing_what_is_old_does_not_hold_up_the_next_for_ever() {
    let mut stand = Stand::new().await;
    stand.complete(2).await;
    stand.store.set(Weather::MuteDeletions);
    let stored = stand.store(3);
    Stand::check_stored(stand.event().await, 3);
    let next = stand.store(4);
    let event = stand.event().await;
    let Event::CheckpointUndecided { checkpoint, failure } = event else { panic!("{event:?}") };
    assert!(checkpoint == CheckpointId(4) && failure.message.contains("has not removed"), "{failure}");
    Stand::check_stored(stand.event().await, 4);
    timeout(LONG, stored).await.unwrap().unwrap();
    timeout(LONG, next).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_is_being_removed_is_not_found() {
    let mut stand = Stand::new().await;
    stand.complete(2).await;
    stand.store.set(Weather::MuteDeletions);
    let stored = stand.store(3);
    Stand::check_stored(stand.event().await, 3);
    let (keeper, master) = (Arc::clone(&stand.keeper), stand.master.clone());
    let sought = tokio::spawn(async move { keeper.find(&master, &[CheckpointId(3)].into()).await });
    let Event::CheckpointFound { point: None, .. } = stand.event().await else { panic!("it is found") };
    assert!(stored.is_finished(), "it was looked beside what removes it");
    timeout(LONG, sought).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_cannot_be_read_is_not_looked_at_each_minute() {
    let mut stand = Stand::new().await;
    stand.complete(2).await;
    let directory = Directory::of_store(stand.store.healthy(), "healthy").of_job(JOB);
    directory.delete(vec!["chk-2/_metadata".to_owned()]).await.unwrap();
    directory.create("chk-2/_metadata", Bytes::from_static(b"torn")).await.unwrap();
    let complete = async |stand: &mut Stand, checkpoint: u64| {
        let stored = stand.store_retaining(checkpoint, &[2, checkpoint]);
        Stand::check_stored(stand.event().await, checkpoint);
        timeout(LONG, stored).await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    // 3 is given up.
    for checkpoint in 4..=64 {
        complete(&mut stand, checkpoint).await;
    }
    assert_eq!(stand.store.listings(), 6, "after 0, 1, 3, 7, 15 and 31 minutes");
    // The next look is after 63, and finds it mended.
    let orphan = stand.write(3).await;
    directory.delete(vec!["chk-2/_metadata".to_owned()]).await.unwrap();
    for checkpoint in 65..=68 {
        complete(&mut stand, checkpoint).await;
    }
    assert!(!stand.files().await.contains(&orphan));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_an_ended_job_stays_where_it_may_hold_results() {
    let mut stand = Stand::new().await;
    let root = Directory::of_store(Arc::new(stand.store.clone()), "stormy");
    let left = async |epoch: u64, spares_results| {
        let removed =
            CheckpointKeeper::discard_left_in(&root, JOB, JobMasterEpoch(epoch), &Recovery::default(), spares_results)
                .await;
        (removed.unwrap(), Checkpoints::new(&root, JOB).newest_whole(&BTreeSet::new()).await.unwrap().0.is_some())
    };
    let sample = manifest(SnapshotKind::Checkpoint, CheckpointId(2), EPOCH.0, Vec::new());
    let (sink, vertex) = (samples::counter(), sample.vertices[0].id);
    let attempt = AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
    let committables = vec![Committable { sink, attempt, data: Bytes::from_static(b"file") }];
    let holding = Arc::new(Manifest { committables, ..sample });
    let what = ToStore { retained: [CheckpointId(2)].into(), manifest: holding, savepoint: None };
    stand.keeper.store(&stand.master, what).await;
    Stand::check_stored(stand.event().await, 2);
    assert_eq!(left(2, true).await, (Discarded::Spared, true));
    assert_eq!(left(3, false).await, (Discarded::Gone, false));
    assert_eq!(left(4, true).await, (Discarded::Gone, false), "there is nothing but what says so");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_an_ended_job_is_not_taken_to_be_gone_where_there_is_nothing_of_it() {
    let empty = StormyStore::default();
    let root = Directory::of_store(Arc::new(empty.clone()), "stormy");
    for spares_results in [true, false] {
        let epoch = JobMasterEpoch(2);
        let left = CheckpointKeeper::discard_left_in(&root, JOB, epoch, &Recovery::default(), spares_results).await;
        assert_eq!(left, Ok(Discarded::Missing));
        assert_eq!(Directory::of_store(empty.healthy(), "healthy").list("").await.unwrap(), []);
    }
}

/// What the next JobMaster begins with that knows these to be damaged.
async fn next(stand: &Stand, known: &[u64]) -> Result<SnapshotSpec, Failure> {
    let root = Directory::of_store(Arc::new(stand.store.clone()), "stormy");
    let damaged = known.iter().map(|known| (CheckpointId(*known), Failure::environment("flipped"))).collect();
    let known = Known { damaged, ..Known::default() };
    let opened = CheckpointKeeper::open_in(&root, JOB, JobMasterEpoch(2), &Recovery::default(), &known).await;
    opened.map(|(_, spec)| spec)
}

#[tokio::test(start_paused = true)]
async fn a_job_does_not_begin_anew_because_all_of_its_checkpoints_are_damaged() {
    let mut stand = Stand::new().await;
    stand.complete(2).await;
    stand.complete(3).await;
    let failure = next(&stand, &[2, 3]).await.unwrap_err();
    assert_eq!((failure.message.as_str(), failure.retry), (NOTHING_WHOLE, Retry::Never));
    assert_eq!(failure.causes, ["checkpoint 2: flipped", "checkpoint 3: flipped"]);
}

#[tokio::test(start_paused = true)]
async fn tasks_are_not_taken_over_from_behind_a_checkpoint_that_is_damaged() {
    let mut stand = Stand::new().await;
    let root = Directory::of_store(Arc::new(stand.store.clone()), "stormy");
    let first = manifest(SnapshotKind::Checkpoint, CheckpointId(2), EPOCH.0, Vec::new());
    let retained: BTreeSet<_> = [CheckpointId(2), CheckpointId(3)].into();
    for manifest in [first, manifest(SnapshotKind::Checkpoint, CheckpointId(3), EPOCH.0, Vec::new())] {
        let what = ToStore { manifest: Arc::new(manifest), retained: retained.clone(), savepoint: None };
        stand.keeper.store(&stand.master, what).await;
        stand.event().await;
    }
    assert!(Checkpoints::new(&root, JOB).list().await.unwrap().len() >= 2);
    let spec = next(&stand, &[3]).await.unwrap();
    assert_eq!((spec.restore.unwrap().manifest.checkpoint, spec.is_damaged), (CheckpointId(2), true));
    assert!(!next(&stand, &[2]).await.unwrap().is_damaged);
}

/// A savepoint in a directory of this machine.
struct Saved {
    _root: tempfile::TempDir,
    location: String,
    manifest: Arc<Manifest>,
}

impl Saved {
    async fn begun(stand: &Stand, checkpoint: u64) -> Self {
        let root = tempfile::tempdir().unwrap();
        let location = stand.keeper.new_savepoint(root.path().to_str().unwrap()).await.unwrap();
        let directory = Directory::open(&location, &S3Options::default()).unwrap();
        directory.create("sp-file", Bytes::from_static(b"state")).await.unwrap();
        let manifest = Arc::new(manifest(SnapshotKind::Savepoint, CheckpointId(checkpoint), EPOCH.0, Vec::new()));
        Self { _root: root, location, manifest }
    }

    async fn store(&self, stand: &Stand) {
        let manifest = Arc::clone(&self.manifest);
        let what = ToStore { manifest, retained: BTreeSet::new(), savepoint: Some(self.location.clone()) };
        stand.keeper.store(&stand.master, what).await;
    }

    fn files(&self) -> usize {
        std::fs::read_dir(&self.location).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn a_savepoint_that_was_given_up_is_not_completed_and_one_that_may_be_complete_stays() {
    let mut stand = Stand::new().await;
    let given_up = Saved::begun(&stand, 2).await;
    assert!(stand.keeper.abandon_savepoint(&given_up.location).await, "tasks may write late");
    assert_eq!(given_up.files(), 0);
    given_up.store(&stand).await;
    let Event::CheckpointStored { result: Err(failure), .. } = stand.event().await else { panic!("it is too late") };
    assert!(failure.message.contains("was given up"), "{failure}");

    let undecided = Saved::begun(&stand, 3).await;
    stand.keeper.savepoints.lock().insert(undecided.location.clone(), Savepoint::Undecided);
    assert!(!stand.keeper.abandon_savepoint(&undecided.location).await);
    assert_eq!(undecided.files(), 1, "its manifest may be on its way");

    let complete = Saved::begun(&stand, 4).await;
    complete.store(&stand).await;
    Stand::check_stored(stand.event().await, 4);
    assert!(stand.keeper.abandon_savepoint(&complete.location).await);
    assert_eq!(complete.files(), 2);
}

/// What hangs for one savepoint is nothing to another.
#[tokio::test]
async fn savepoints_do_not_wait_for_each_other() {
    let mut stand = Stand::new().await;
    let (one, other) = (Saved::begun(&stand, 2).await, Saved::begun(&stand, 3).await);
    stand.keeper.savepoints.lock().insert(one.location.clone(), Savepoint::Completing);
    assert!(!stand.keeper.abandon_savepoint(&one.location).await);
    assert_eq!(stand.keeper.savepoints.lock().get(&one.location), Some(&Savepoint::Unwanted));
    assert_eq!(one.files(), 1, "a manifest is just about to name it");
    other.store(&stand).await;
    Stand::check_stored(stand.event().await, 3);
}

/// What JobMaster `epoch` begins with, of a job whose log the first one has claimed, and of which this checkpoint was complete.
async fn after_first(store: &StormyStore, epoch: u64, complete: Option<u64>) -> Result<SnapshotSpec, Failure> {
    let root = Directory::of_store(Arc::new(store.clone()), "stormy");
    let known = Known::of(&Past { claimed: Some(EPOCH), ..Past::default() }).with_complete(complete.map(CheckpointId));
    let opened = CheckpointKeeper::open_in(&root, JOB, JobMasterEpoch(epoch), &Recovery::default(), &known).await;
    opened.map(|(_, spec)| spec)
}

#[tokio::test(start_paused = true)]
async fn a_job_does_not_begin_anew_with_a_log_that_is_not_its_own() {
    let stand = Stand::new().await;
    let empty = StormyStore::default();
    for epoch in [2, 3] {
        let failure = after_first(&empty, epoch, None).await.unwrap_err();
        assert_eq!((failure.domain, failure.retry), (Domain::Environment, Retry::Restart));
        assert!(failure.message.contains("since its JobMaster 1 had begun"), "{failure}");
        let written = Directory::of_store(empty.healthy(), "healthy").list("").await.unwrap();
        assert_eq!(written, [], "nothing is left there");
    }
    // Somebody did that did not know better.
    let root = Directory::of_store(Arc::new(empty.clone()), "stormy");
    CheckpointKeeper::open_in(&root, JOB, JobMasterEpoch(4), &Recovery::default(), &Known::default()).await.unwrap();
    assert!(after_first(&empty, 5, None).await.is_err(), "claims of later ones do not make it the log of the job");
    // Its own has a claim, or a checkpoint once that is removed.
    assert!(after_first(&stand.store, 2, None).await.unwrap().restore.is_none());
    let mut third = Stand::led_by(&stand.store, 3).await;
    for checkpoint in [9, 10] {
        third.complete(checkpoint).await;
    }
    let restored = after_first(&stand.store, 4, None).await.unwrap().restore.unwrap();
    assert_eq!(restored.manifest.checkpoint, CheckpointId(10));
}

#[tokio::test(start_paused = true)]
async fn a_job_does_not_go_on_from_an_older_checkpoint_than_its_tasks_know() {
    let mut stand = Stand::new().await;
    stand.complete(2).await;
    let places =
        async || Checkpoints::new(&Directory::of_store(stand.store.healthy(), ""), JOB).list().await.unwrap().len();
    let before = places().await;
    let failure = after_first(&stand.store, 2, Some(3)).await.unwrap_err();
    assert!(failure.message.contains("no checkpoint 3 or later"), "{failure}");
    assert_eq!(places().await, before, "it leaves nothing each time that it is asked");
    let restored = after_first(&stand.store, 2, Some(2)).await.unwrap().restore.unwrap();
    assert_eq!(restored.manifest.checkpoint, CheckpointId(2));
    // Above it there is the claim now, which is none.
    assert!(after_first(&stand.store, 3, Some(3)).await.is_err());
}
