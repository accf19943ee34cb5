//! Checkpoints of jobs that have ended, and savepoints that have failed, which cannot be removed at once.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use flott_core::{
    id::{AttemptId, AttemptNumber, CheckpointId, Digest, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId},
    status::JobStatus,
    view::JobView,
};
use flott_dispatcher::stores::{JobStore, Left, Leftover, NewJob};
use flott_snapshot::{DataPath, SnapshotKind};
use reqwest::{Method, StatusCode};

use crate::{
    cluster::{Cluster, job},
    graph,
    place::{Place, suspend},
    worker::Tasks,
};

/// The job that ends.
const ENDED: u8 = 1;
/// Another, which has ended later.
const LATER: u8 = 2;

/// Where checkpoints are removed with jobs that are cancelled.
fn place() -> Place {
    Place::new(&[
        ("execution.checkpointing.interval", "0 ms"),
        ("execution.checkpointing.externalized-checkpoint-retention", "DELETE_ON_CANCELLATION"),
    ])
}

impl Place {
    /// Nothing in it can be reached any more.
    fn take_away(&self) {
        fs::remove_dir_all(&self.root).unwrap();
        fs::write(&self.root, "").unwrap();
    }

    /// It is there again, with a state file.
    fn bring_back(&self) {
        let there = self.root.with_extension("there");
        write_state(&there);
        point(&self.root, &there);
    }

    /// State files.
    fn files(&self) -> usize {
        let directory = self.root.join(job(ENDED).to_string()).join("shared");
        fs::read_dir(directory).into_iter().flatten().flatten().count()
    }

    async fn until_removed(&self) {
        let removed = async {
            while self.files() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), removed).await.expect("it is tried again");
    }
}

/// What is at `link` is what is at `place`, from one moment to the next: what is not there is as good as removed.
fn point(link: &Path, place: &Path) {
    let next = link.with_extension("next");
    symlink(place, &next).unwrap();
    fs::rename(next, link).unwrap();
}

/// A task writes to checkpoints in `root`.
fn write_state(root: &Path) {
    let vertex = VertexId::of_chain(OperatorId::from_uid("source"));
    let attempt = AttemptId { vertex, subtask: SubtaskIndex(0), attempt: AttemptNumber(0) };
    let path = DataPath::unique(SnapshotKind::Checkpoint, CheckpointId(1), attempt);
    let path = root.join(job(ENDED).to_string()).join(path.as_str());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "state").unwrap();
}

async fn cancel(cluster: &Cluster) {
    let (status, answer) = cluster.send(Method::PATCH, &format!("/jobs/{}?mode=cancel", job(ENDED))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    cluster.wait(job(ENDED), "CANCELED").await;
}

/// A job was cancelled, and its checkpoints could not be removed.
async fn left(place: &Place) -> Cluster {
    let cluster = place.cluster().await;
    let _worker = cluster.worker("tm1", Tasks::Run).await;
    cluster.run(job(ENDED)).await;
    cluster.wait(job(ENDED), "RUNNING").await;
    place.take_away();
    cancel(&cluster).await;
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_removed_as_soon_as_they_can_be_reached() {
    let place = place();
    let cluster = left(&place).await;
    place.bring_back();
    place.until_removed().await;
    suspend(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archive_keeps_what_says_how_they_are_reached() {
    let place = place();
    suspend(left(&place).await).await;
    {
        let (store, graph) = (place.store(), graph::document(job(LATER)).into());
        let new = NewJob { job: job(LATER), graph, program: Digest::of(b"program"), accepted_at: 1 };
        store.insert(&new).unwrap();
        let view = JobView::ended(job(LATER), "later".to_owned(), JobStatus::Finished, 1, u64::MAX);
        store.end(JobMasterEpoch(1), &view, None).unwrap();
    }
    let only_one = [("jobstore.max-capacity", "1")];
    let cluster = place.cluster_with(&only_one).await;
    let (status, _) = cluster.refused(Method::GET, &format!("/jobs/{}", job(ENDED))).await;
    assert_eq!(status, 404, "it is not shown any more");
    suspend(cluster).await;
    let left = |place: &Place| {
        let store = place.store();
        (store.leftovers().unwrap().len(), store.archived_job(job(ENDED)).unwrap().is_some())
    };
    assert_eq!(left(&place), (1, true));
    place.bring_back();
    // One may be ended between the removal and the note that it is done; the next one has more time.
    for tries in 0..20 {
        let cluster = place.cluster_with(&only_one).await;
        place.until_removed().await;
        tokio::time::sleep(Duration::from_millis(50 * tries)).await;
        suspend(cluster).await;
        if left(&place) == (0, false) {
            return;
        }
    }
    panic!("{:?} are left, and the job's graph", left(&place));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_of_a_job_that_is_cancelled_while_it_waits_for_them_are_removed_later() {
    let place = place();
    let cluster = place.cluster().await;
    cluster.run(job(ENDED)).await;
    suspend(cluster).await;
    assert!(place.root.is_dir(), "the job was begun");
    place.take_away();
    let cluster = place.cluster().await;
    assert_eq!(cluster.get(&format!("/jobs/{}", job(ENDED))).await["state"], "INITIALIZING");
    cancel(&cluster).await;
    place.bring_back();
    place.until_removed().await;
    suspend(cluster).await;
    // Nobody has seen its tasks end, so it is done once more, by the next one if it has to.
    assert_eq!(place.store().leftovers().unwrap().len(), 1);
    write_state(&place.root);
    let cluster = place.cluster().await;
    place.until_removed().await;
    suspend(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_on_a_volume_that_is_not_mounted_are_not_taken_to_be_gone() {
    let place = place();
    let cluster = place.cluster().await;
    cluster.run(job(ENDED)).await;
    suspend(cluster).await;
    write_state(&place.root);
    assert_eq!(place.files(), 1);
    let aside = place.root.with_extension("aside");
    fs::rename(&place.root, &aside).unwrap();
    fs::create_dir(&place.root).unwrap();
    let cluster = place.cluster().await;
    assert_eq!(cluster.get(&format!("/jobs/{}", job(ENDED))).await["state"], "INITIALIZING");
    cancel(&cluster).await;
    suspend(cluster).await;
    let cluster = place.cluster().await;
    fs::remove_dir(&place.root).expect("nothing is written where a volume is to be mounted");
    fs::rename(&aside, &place.root).unwrap();
    place.until_removed().await;
    suspend(cluster).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_a_savepoint_that_has_failed_are_removed_as_soon_as_they_can_be_reached() {
    let place = place();
    let [savepoints, there, nowhere] = ["savepoints", "there", "nowhere"].map(|name| place.state.path().join(name));
    fs::create_dir(&there).unwrap();
    fs::write(&nowhere, "").unwrap();
    point(&savepoints, &there);
    let cluster = place.cluster_with(&[("execution.checkpointing.savepoint-dir", savepoints.to_str().unwrap())]).await;
    let _worker = cluster.worker("tm1", Tasks::Run).await;
    cluster.run(job(ENDED)).await;
    cluster.wait(job(ENDED), "RUNNING").await;
    let begun = BegunSavepoint::of(&cluster, &there).await;
    fs::write(begun.directory.join("sp-1"), "state").unwrap();
    point(&savepoints, &nowhere);
    begun.fails(&cluster).await;
    point(&savepoints, &there);
    until_gone(&begun.directory).await;
    suspend(cluster).await;
}

/// A savepoint that waits for its tasks.
struct BegunSavepoint {
    directory: PathBuf,
    /// Where REST says how it ends.
    outcome: String,
}

impl BegunSavepoint {
    /// The first in `root`.
    async fn of(cluster: &Cluster, root: &Path) -> Self {
        let path = format!("/jobs/{}/savepoints", job(ENDED));
        let (status, answer) = cluster.send(Method::POST, &path).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
        let begun = async {
            loop {
                if let Some(Ok(entry)) = fs::read_dir(root).ok().and_then(|mut entries| entries.next()) {
                    return entry.path();
                }
                tokio::task::yield_now().await;
            }
        };
        let directory = tokio::time::timeout(Duration::from_secs(60), begun).await.expect("it has one of its own");
        Self { directory, outcome: format!("{path}/{}", answer["request-id"].as_str().unwrap()) }
    }

    /// Its job ends before its tasks have reported it.
    async fn fails(&self, cluster: &Cluster) {
        cancel(cluster).await;
        let ended = async {
            while cluster.get(&self.outcome).await["status"]["id"] != "COMPLETED" {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it has failed");
    }
}

async fn until_gone(directory: &Path) {
    let gone = async {
        while directory.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("it is tried until it is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_come_late_for_a_savepoint_that_has_failed_are_removed_too() {
    let place = place();
    let savepoints = place.state.path().join("savepoints");
    let cluster = place.cluster_with(&[("execution.checkpointing.savepoint-dir", savepoints.to_str().unwrap())]).await;
    let _worker = cluster.worker("tm1", Tasks::Run).await;
    cluster.run(job(ENDED)).await;
    cluster.wait(job(ENDED), "RUNNING").await;
    let begun = BegunSavepoint::of(&cluster, &savepoints).await;
    begun.fails(&cluster).await;
    until_gone(&begun.directory).await;
    suspend(cluster).await;
    // A task writes that did not hear of it, and whoever leads by then removes that.
    fs::create_dir_all(&begun.directory).unwrap();
    fs::write(begun.directory.join("sp-1"), "state").unwrap();
    let cluster = place.cluster().await;
    until_gone(&begun.directory).await;
    suspend(cluster).await;
    let is_savepoint = |leftover: &Leftover| matches!(leftover.what, Left::Savepoint { .. });
    assert!(
        place.store().leftovers().unwrap().iter().any(is_savepoint),
        "and once more when all tasks have ended for certain"
    );
}
