//! The changes of a job's parallelism under Flink's paths.

use flott_core::{
    failure::Failure,
    id::CheckpointId,
    status::JobStatus,
    view::{JobView, RescaleCause, RescaleView, VertexRescaleView},
};
use flott_dispatcher::rest::{
    render::{rescale_details, rescale_history, rescale_overview, rescale_summary},
    shapes::RescaleCounts,
};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, job},
    graph,
    shape::{differences, golden},
    worker::Tasks,
};

#[track_caller]
fn check(recorded: &Value, shown: &impl Serialize) -> Value {
    let answer = serde_json::to_value(shown).unwrap();
    let differences = differences(recorded, &answer, &[]);
    assert!(differences.is_empty(), "{differences:#?}\n{answer:#}");
    answer
}

fn rescaled() -> JobView {
    let graph = graph::graph(job(1));
    let vertex = &graph.vertices[0];
    let vertices = vec![VertexRescaleView { id: vertex.id, name: vertex.name.clone(), before: 1, after: 2 }];
    let through = RescaleView {
        cause: RescaleCause::Asked,
        began_at: 1_000,
        ended_at: Some(1_900),
        stopped_at: Some(1_600),
        checkpoint: Some(CheckpointId(3)),
        pause_ms: Some(300),
        failure: None,
        vertices,
    };
    let given_up = RescaleView {
        cause: RescaleCause::MoreSlots,
        began_at: 2_000,
        ended_at: Some(2_100),
        stopped_at: None,
        failure: Some(Failure::environment("there were not enough slots")),
        ..through.clone()
    };
    let nothing = RescaleView { began_at: 3_000, ended_at: Some(3_000), vertices: Vec::new(), ..through.clone() };
    let under_way = RescaleView { began_at: 4_000, ended_at: None, stopped_at: None, ..through.clone() };
    let view = JobView::ended(job(1), "job".to_owned(), JobStatus::Running, 0, 0);
    JobView { rescales: vec![under_way, nothing, given_up, through], ..view }
}

#[test]
fn changes_look_as_in_flink() {
    let (view, graph) = (rescaled(), graph::graph(job(1)));
    let history = rescale_history(&view);
    let ends: Vec<_> = history.iter().map(|record| (record.terminal_state, record.terminated_reason)).collect();
    assert_eq!(
        ends,
        [
            (None, None),
            (Some("IGNORED"), Some("NO_RESOURCES_OR_PARALLELISMS_CHANGE")),
            (Some("FAILED"), Some("EXCEPTION_OCCURRED")),
            (Some("COMPLETED"), Some("SUCCEEDED")),
        ]
    );
    let through = JobView { rescales: vec![view.rescales[3].clone()], ..view.clone() };
    check(&golden("rescales-history"), &rescale_history(&through));
    check(&golden("rescales-overview"), &rescale_overview(&through));
    check(&golden("rescales-summary"), &rescale_summary(&through));
    assert_eq!(
        rescale_overview(&view).rescales_counts,
        RescaleCounts { ignored: 1, in_progress: 1, completed: 1, failed: 1 }
    );
    let summary = serde_json::to_value(rescale_summary(&view)).unwrap();
    assert_eq!(summary["rescalesDurationStatsInMillis"]["max"], 900);
    assert_eq!(summary["failedRescalesDurationStatsInMillis"]["avg"], 100);

    let details = rescale_details(&view, &graph, &history[3].rescale_uuid).unwrap();
    let mut recorded = golden("rescales-details");
    let mut vertex = recorded["vertices"]["1fda57489fc99cc8f66c9108fd52ccef"].clone();
    // The one that was recorded began the job.
    vertex["preRescaleParallelism"] = json!(1);
    recorded["schedulerStates"].as_array_mut().unwrap().truncate(1);
    let shown = check(&recorded, &details);
    check(&vertex, shown["vertices"].as_object().unwrap().values().next().unwrap());
    let states = shown["schedulerStates"].as_array().unwrap();
    let times: Vec<_> = states.iter().map(|state| (&state["state"], &state["durationInMillis"])).collect();
    assert_eq!(times, [(&json!("Executing"), &json!(600)), (&json!("Restarting"), &json!(300))]);
    let failed = serde_json::to_value(rescale_details(&view, &graph, &history[2].rescale_uuid).unwrap()).unwrap();
    assert!(failed["schedulerStates"][0]["stringifiedException"].as_str().unwrap().contains("not enough slots"));
    let ids: std::collections::BTreeSet<_> = history.iter().map(|record| record.rescale_uuid.clone()).collect();
    assert_eq!(ids.len(), history.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_was_not_rescaled_says_so() {
    let cluster = Cluster::start().await;
    let _worker = cluster.worker("tm1", Tasks::Run).await;
    cluster.run(job(1)).await;
    cluster.wait(job(1), "RUNNING").await;
    let path = |what: &str| format!("/jobs/{}/rescales/{what}", job(1));
    assert_eq!(cluster.get(&path("history")).await, json!([]));
    let overview = cluster.get(&path("overview")).await;
    assert_eq!(overview["latest"], json!({"completed": null, "failed": null, "ignored": null}));
    assert_eq!(cluster.get(&path("summary")).await["rescalesDurationStatsInMillis"]["p50"], "NaN");
    let config = cluster.get(&path("config")).await;
    let differences = differences(&golden("rescales-config"), &config, &[]);
    assert!(differences.is_empty(), "{differences:#?}\n{config:#}");
    assert_eq!((&config["rescaleHistoryMax"], &config["schedulerExecutionMode"]), (&json!(16), &Value::Null));
    let none = path("details/00000000000000000000000000000000");
    let (status, error) = cluster.refused(Method::GET, Box::leak(none.into_boxed_str())).await;
    assert_eq!(status, 404, "{error}");
}
