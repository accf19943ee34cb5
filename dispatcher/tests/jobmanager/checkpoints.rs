//! Checkpoints and savepoints over REST: shapes, and what is refused.

use std::{sync::Arc, time::Duration};

use flott_core::{
    checkpoint::{SnapshotFigures, SnapshotKind},
    config::Configuration,
    id::{CheckpointId, JobMasterEpoch, OperatorId, SubtaskIndex, VertexId},
    status::JobStatus,
    view::{
        CheckpointStatus, CheckpointView, CheckpointsSummary, CheckpointsView, Extent, FigureSummary, Percentiles,
        RestoredView, SubtaskSnapshotView, VertexSnapshotView,
    },
};
use flott_dispatcher::{
    operations::Done,
    rest::{render, shapes::CheckpointStatistics},
};
use flott_snapshot::{Checkpoints, S3Options, Stores};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, job},
    shape::{differences, golden},
    worker::Tasks,
};

const NOW: u64 = 2_000;

#[track_caller]
fn check(recorded: &str, shown: &impl Serialize) {
    let answer = serde_json::to_value(shown).unwrap();
    let differences = differences(&golden(recorded), &answer, &[]);
    assert!(differences.is_empty(), "{recorded}: {differences:#?}\n{answer:#}");
}

fn vertex() -> VertexSnapshotView {
    let mut extent = Extent::default();
    [3, 8].into_iter().for_each(|figure| extent.add(figure));
    let figures = SnapshotFigures {
        alignment_ms: 1,
        sync_ms: 2,
        async_ms: 3,
        stored_bytes: 4,
        state_bytes: 5,
        processed_bytes: 6,
        persisted_bytes: 7,
        unaligned: true,
    };
    let subtask = |index| SubtaskSnapshotView { subtask: SubtaskIndex(index), reported_at: 1_010, figures };
    VertexSnapshotView {
        id: VertexId::of_chain(OperatorId::from_uid("count")),
        tasks: 2,
        reported: 2,
        latest_report_at: Some(1_010),
        stored_bytes: extent,
        state_bytes: extent,
        duration_ms: extent,
        alignment_ms: extent,
        sync_ms: extent,
        async_ms: extent,
        processed_bytes: extent,
        persisted_bytes: extent,
        subtasks: Arc::new(vec![subtask(1), subtask(0)]),
    }
}

fn checkpoint(status: CheckpointStatus) -> CheckpointView {
    CheckpointView {
        id: CheckpointId(14),
        kind: SnapshotKind::Checkpoint,
        status,
        triggered_at: 1_000,
        ended_at: Some(1_020).filter(|_| status != CheckpointStatus::InProgress),
        latest_report_at: Some(1_010),
        tasks: 2,
        reported: 2,
        stored_bytes: 11,
        state_bytes: 12,
        alignment_ms_max: 1,
        sync_ms_max: 2,
        async_ms_max: 3,
        processed_bytes: 13,
        persisted_bytes: 14,
        unaligned: true,
        location: Some("/checkpoints/chk-14".to_owned()).filter(|_| status == CheckpointStatus::Completed),
        discarded: false,
        vertices: vec![vertex()],
        failure: None,
    }
}

#[test]
fn checkpoints_look_as_in_flink() {
    let percentiles = Percentiles { p50: 1.5, p90: 2.0, p95: 2.0, p99: 2.0, p999: 2.0 };
    let figure = FigureSummary { extent: vertex().stored_bytes, percentiles: Some(percentiles) };
    let view = CheckpointsView {
        completed: 2,
        failed: 1,
        in_progress: 1,
        restored: 0,
        summary: CheckpointsSummary {
            stored_bytes: figure,
            state_bytes: figure,
            duration_ms: figure,
            processed_bytes: figure,
            persisted_bytes: figure,
        },
        latest_completed: Some(checkpoint(CheckpointStatus::Completed)),
        history: vec![checkpoint(CheckpointStatus::Completed)],
        ..CheckpointsView::default()
    };
    check("checkpoints", &render::checkpointing(&view, NOW));
    let counts = json!({ "restored": 0, "total": 4, "in_progress": 1, "completed": 2, "failed": 1 });
    assert_eq!(serde_json::to_value(render::checkpointing(&view, NOW).counts).unwrap(), counts);
    let restored = RestoredView {
        id: CheckpointId(1),
        kind: SnapshotKind::Savepoint,
        restored_at: 5,
        location: "/savepoint".to_owned(),
        discarded: false,
    };
    let view = CheckpointsView { latest_restored: Some(restored), ..CheckpointsView::default() };
    let shown = render::checkpointing(&view, NOW);
    check("checkpoints-restored", &shown.latest.restored.unwrap());
    assert_eq!(serde_json::to_value(shown.summary.state_size.p50).unwrap(), "NaN", "nothing is known yet");
}

#[test]
fn a_checkpoint_looks_as_in_flink() {
    let completed = checkpoint(CheckpointStatus::Completed);
    let shown: CheckpointStatistics = render::checkpoint_details(&completed, NOW);
    let mut recorded = golden("checkpoint-details");
    // By vertex, of which the recording has others.
    let tasks = recorded["tasks"].as_object_mut().unwrap();
    let like = tasks.values().next().unwrap().clone();
    tasks.clear();
    tasks.insert(vertex().id.to_string(), like);
    let answer = serde_json::to_value(&shown).unwrap();
    assert_eq!(differences(&recorded, &answer, &[]), [""; 0], "{answer:#}");
    assert_eq!((shown.end_to_end_duration, shown.checkpointed_size), (20, 11));

    let subtasks = render::checkpoint_task(&completed, &completed.vertices[0]);
    check("checkpoint-subtasks", &subtasks);
    assert_eq!(subtasks.subtasks.iter().map(|subtask| subtask.index).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn what_is_not_complete_has_no_path_and_who_has_not_reported_no_figures() {
    let mut going = checkpoint(CheckpointStatus::InProgress);
    going.vertices[0].subtasks = Arc::new(vec![going.vertices[0].subtasks[0]]);
    going.vertices[0].duration_ms.count = 1;
    let shown = serde_json::to_value(render::checkpoint_details(&going, NOW)).unwrap();
    assert_eq!((&shown["className"], &shown["end_to_end_duration"]), (&"in_progress".into(), &1_000.into()));
    assert!(shown.get("external_path").is_none() && shown.get("discarded").is_none(), "{shown}");
    let subtasks = serde_json::to_value(render::checkpoint_task(&going, &going.vertices[0]).subtasks).unwrap();
    assert_eq!(subtasks[0], json!({ "className": "pending", "index": 0, "status": "pending_or_failed" }));
    assert_eq!(subtasks[1]["status"], "completed");
    // Of old ones only sums are kept.
    going.vertices[0].subtasks = Arc::default();
    assert!(render::checkpoint_task(&going, &going.vertices[0]).subtasks.is_empty());
}

#[test]
fn settings_and_operations_look_as_in_flink() {
    check("checkpoint-config", &render::checkpoint_config(&Configuration::default()));
    check("checkpoint-operation", &render::checkpoint_operation(Some(&Ok(Done::Checkpoint(CheckpointId(19))))));
    check("savepoint-operation", &render::savepoint_operation(Some(&Ok(Done::Savepoint("/s".to_owned())))));
    check("disposal-operation", &render::disposal_operation(Some(&Ok(Done::Disposed))));
    let under_way = serde_json::to_value(render::savepoint_operation(None)).unwrap();
    assert_eq!(under_way, json!({ "status": { "id": "IN_PROGRESS" }, "operation": null }));
}

async fn post(cluster: &Cluster, path: &str, body: Value) -> (u16, String) {
    let (status, body) = sent(cluster, path, body).await;
    (status, body["errors"][0].as_str().unwrap_or_default().to_owned())
}

async fn sent(cluster: &Cluster, path: &str, body: Value) -> (u16, Value) {
    let answer = cluster.client.post(cluster.url(path)).json(&body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Asks for something at `path`, and waits until it has ended; gives how.
pub async fn done(cluster: &Cluster, path: &str, body: Value) -> Value {
    let (_, begun) = sent(cluster, path, body).await;
    let id = begun["request-id"].as_str().unwrap_or_else(|| panic!("{path}: {begun}"));
    let ended = async {
        loop {
            let answer = cluster.get(&format!("{path}/{id}")).await;
            if answer["status"]["id"] == "COMPLETED" {
                return answer["operation"].clone();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_is_full_if_that_is_asked_for() {
    let cluster = Cluster::start_with(&[("execution.checkpointing.interval", "0 ms")]).await;
    let _worker = cluster.worker("tm1", Tasks::Snapshot).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "RUNNING").await;
    let path = format!("/jobs/{}/checkpoints", job(1));
    for (asked, stored) in [
        (json!({}), 0),
        (json!({ "checkpointType": "FULL" }), 4),
        (json!({ "checkpointType": "INCREMENTAL" }), 0),
        (json!({ "checkpointType": "CONFIGURED" }), 0),
    ] {
        let number = done(&cluster, &path, asked.clone()).await["checkpointId"].as_u64().unwrap();
        let details = cluster.get(&format!("{path}/details/{number}")).await;
        assert_eq!(details["checkpointed_size"], stored, "{asked}: {details}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_cannot_be_met_are_refused() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("tm1", Tasks::Run).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "RUNNING").await;
    let (id, none) = (job(1), "00000000000000000000000000000000");
    for (path, body, status, error) in [
        (format!("/jobs/{none}/savepoints"), json!({}), 404, "not found"),
        (format!("/jobs/{none}/checkpoints"), json!({}), 404, "not found"),
        (format!("/jobs/{none}/stop"), json!({}), 404, "not found"),
        (format!("/jobs/{id}/savepoints"), json!({}), 400, "execution.checkpointing.savepoint-dir"),
        (format!("/jobs/{id}/stop"), json!({ "targetDirectory": "" }), 400, "targetDirectory"),
        (format!("/jobs/{id}/stop"), json!({ "targetDirectory": "a/b" }), 400, "expected an absolute path"),
        (format!("/jobs/{id}/savepoints"), json!({ "triggerId": "x" }), 400, "a trigger id must be 32 hex digits"),
        (format!("/jobs/{id}/savepoints"), json!({ "formatType": "JSON" }), 400, "Request did not match"),
        (format!("/jobs/{id}/checkpoints"), json!({ "checkpointType": 1 }), 400, "Request did not match"),
        ("/savepoint-disposal".to_owned(), json!({}), 400, "savepoint-path"),
        ("/savepoint-disposal".to_owned(), json!({ "savepoint-path": "gs://a/b" }), 400, "gs://a/b: expected a path"),
    ] {
        let (given, text) = post(&cluster, &path, body).await;
        assert!(given == status && text.contains(error), "{path}: {given} {text}");
    }
    for (path, error) in [
        (format!("/jobs/{id}/savepoints/{none}"), format!("There is no savepoint operation with triggerId={none}")),
        (format!("/jobs/{id}/checkpoints/{none}"), format!("There is no checkpoint operation with triggerId={none}")),
        (format!("/savepoint-disposal/{none}"), format!("There is no disposal of a savepoint with triggerId={none}")),
        (format!("/jobs/{id}/checkpoints/details/7"), "Could not find checkpointing statistics".to_owned()),
    ] {
        let (status, text) = cluster.refused(Method::GET, Box::leak(path.clone().into_boxed_str())).await;
        assert!(status == 404 && text.contains(&error), "{path}: {status} {text}");
    }
}

/// Another cluster has the job, or has claimed one of its checkpoints and removed it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_checkpoints_another_has_taken_fails_and_holds_up_no_listing() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().to_str().unwrap().to_owned();
    let settings = [("execution.checkpointing.dir", root.as_str()), ("execution.checkpointing.interval", "0 ms")];
    let cluster = Cluster::start_with(&settings).await;
    let _worker = cluster.worker("tm1", Tasks::Snapshot).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "RUNNING").await;
    let directory = S3Options::of(&Configuration::default()).open(&root).unwrap();
    Checkpoints::new(&directory, job(1)).claim(JobMasterEpoch(9)).await.unwrap();
    let (status, error) = post(&cluster, &format!("/jobs/{}/checkpoints", job(1)), json!({})).await;
    assert_eq!((status, error.as_str()), (202, ""));
    let ended = tokio::time::timeout(Duration::from_secs(60), cluster.manager.dispatcher().ended(job(1))).await;
    assert_eq!(ended.unwrap().unwrap(), JobStatus::Failed);
    assert_eq!(cluster.get("/jobs/overview").await["jobs"][0]["state"], "FAILED");
    let exceptions = cluster.get(&format!("/jobs/{}/exceptions", job(1))).await;
    assert!(exceptions.to_string().contains("were taken by another"), "{exceptions}");
}
