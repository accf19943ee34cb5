//! What was asked for of a JobManager, and was under way when it died.

use std::{path::Path, sync::Arc, time::Duration};

use flott_core::{
    id::{Digest, JobId, JobMasterEpoch, TriggerId},
    status::JobStatus,
    view::JobView,
};
use flott_dispatcher::{
    operations::{AfterSavepoint, OperationRecord, OperationState, Subject, Undertaken},
    stores::{JobStore, Left, Leftover, NewJob, SledStore},
};
use serde_json::Value;

use crate::{
    cluster::{Cluster, job},
    graph,
};

/// A savepoint that is complete, of some job.
pub fn complete() -> String {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/savepoint-version-3/savepoint");
    fixture.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// A job that goes on.
const ACTIVE: u8 = 1;
/// Jobs that have ended.
const FINISHED: u8 = 2;
const CANCELED: u8 = 3;
/// One that nothing is known of any more.
const FORGOTTEN: u8 = 4;

fn id(n: u8) -> TriggerId {
    TriggerId::from_bytes([n; 16])
}

fn undertaken(n: u8, subject: Subject, what: Undertaken) -> OperationRecord {
    OperationRecord { subject, id: id(n), at: n.into(), state: OperationState::Undertaken(what) }
}

fn savepoint(n: u8, of: u8, directory: &str, then: AfterSavepoint) -> OperationRecord {
    let what = Undertaken::Savepoint { directory: directory.to_owned(), then };
    undertaken(n, Subject::Savepoint(job(of)), what)
}

fn end(store: &SledStore, job: JobId, status: JobStatus) {
    let graph = graph::document(job).into();
    let new = NewJob { job, graph, program: Digest::of(b"program"), accepted_at: 1 };
    store.insert(&new).unwrap();
    store.end(JobMasterEpoch(1), &JobView::ended(job, "job".to_owned(), status, 1, u64::MAX), None).unwrap();
}

/// How an operation has ended.
async fn outcome(cluster: &Cluster, path: &str) -> Value {
    let waiting = async {
        loop {
            let answer = cluster.get(path).await;
            if answer["status"]["id"] == "COMPLETED" {
                return answer["operation"].clone();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it is found out")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_one_says_what_has_become_of_it() {
    let cluster = Cluster::start().await;
    let state = cluster.state.clone();
    cluster.run(job(ACTIVE)).await;
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();
    {
        let store = SledStore::open(&SledStore::directory(state.path())).unwrap();
        end(&store, job(FINISHED), JobStatus::Finished);
        end(&store, job(CANCELED), JobStatus::Canceled);
        for record in [
            savepoint(1, ACTIVE, &complete(), AfterSavepoint::GoOn),
            savepoint(2, ACTIVE, "/nowhere/at/all", AfterSavepoint::GoOn),
            savepoint(3, ACTIVE, &complete(), AfterSavepoint::Stop),
            savepoint(4, FINISHED, &complete(), AfterSavepoint::Drain),
            savepoint(5, CANCELED, &complete(), AfterSavepoint::Cancel),
            savepoint(6, CANCELED, &complete(), AfterSavepoint::Stop),
            savepoint(9, FORGOTTEN, &complete(), AfterSavepoint::Stop),
            undertaken(7, Subject::Checkpoint(job(ACTIVE)), Undertaken::Other),
            undertaken(8, Subject::Disposal, Undertaken::Other),
        ] {
            store.save_operation(&record, &[], None).unwrap();
        }
    }
    check(&state).await;
    // That is written down: it is what the one after says, too.
    check(&state).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tasks_wrote_for_a_savepoint_that_was_under_way_is_removed() {
    let cluster = Cluster::start().await;
    let state = cluster.state.clone();
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();
    let directory = state.path().join("savepoint-0101");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("sp-1"), "state").unwrap();
    {
        let store = SledStore::open(&SledStore::directory(state.path())).unwrap();
        end(&store, job(FINISHED), JobStatus::Finished);
        let record = savepoint(1, FINISHED, directory.to_str().unwrap(), AfterSavepoint::GoOn);
        store.save_operation(&record, &[], None).unwrap();
    }
    let cluster = Cluster::on(state.clone(), &[]).await.unwrap();
    let ended = outcome(&cluster, &format!("/jobs/{}/savepoints/{}", job(FINISHED), id(1))).await;
    let why = ended["failure-cause"]["stack-trace"].as_str().unwrap_or_default();
    assert!(why.contains("was complete"), "{ended}");
    until_gone(&directory).await;
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();
    // Tasks of which nobody knows may write yet, so it is done once more; by the next one, if it has to.
    let left = || SledStore::open(&SledStore::directory(state.path())).unwrap().leftovers().unwrap();
    let what = Left::Savepoint { directory: directory.to_str().unwrap().to_owned() };
    let leftover = Leftover { job: job(FINISHED), what };
    assert_eq!(left(), std::slice::from_ref(&leftover));
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("sp-2"), "late").unwrap();
    let cluster = Cluster::on(state.clone(), &[]).await.unwrap();
    until_gone(&directory).await;
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();
    assert_eq!(left(), [leftover]);
}

async fn until_gone(directory: &Path) {
    let gone = async {
        while directory.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("nobody needs it");
}

async fn check(state: &Arc<tempfile::TempDir>) {
    let cluster = Cluster::on(state.clone(), &[]).await.unwrap();
    let of = |n: u8, on: u8| format!("/jobs/{}/savepoints/{}", job(on), id(n));
    for (n, on) in [(1, ACTIVE), (4, FINISHED), (5, CANCELED)] {
        let ended = outcome(&cluster, &of(n, on)).await;
        assert_eq!(ended["location"], complete(), "{n}: {ended}");
    }
    for (path, told) in [
        (of(2, ACTIVE), "the JobManager was ended before the savepoint at /nowhere/at/all was complete"),
        (of(3, ACTIVE), "is complete, but the JobManager was ended before the job had, and the job runs on"),
        (of(6, CANCELED), "is complete, but the job has ended as CANCELED"),
        (of(9, FORGOTTEN), "is complete, but how the job has ended is not remembered any more"),
        (format!("/jobs/{}/checkpoints/{}", job(ACTIVE), id(7)), "before it was known what became of it"),
        (format!("/savepoint-disposal/{}", id(8)), "before it was known what became of it"),
    ] {
        let ended = outcome(&cluster, &path).await;
        let why = ended["failure-cause"]["stack-trace"].as_str().unwrap_or_default();
        assert!(why.contains(told), "{path}: {ended}");
    }
    cluster.manager.suspend();
    cluster.manager.wait().await.unwrap();
}
