//! What is special about pods.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use flott_core::id::WorkerId;
use flott_resource_manager::backend::{BackendEvent, LossReason, Rejection, contract::Bench};
use serde_json::{Value, json};

use crate::{
    api::{self, Api},
    bench_over,
};

async fn delayed(bench: &mut Bench) -> (Rejection, String) {
    bench
        .until(|event| match event {
            BackendEvent::Delayed { rejection, message, .. } => ControlFlow::Break((rejection, message)),
            _ => ControlFlow::Continue(()),
        })
        .await
}

async fn rejected(bench: &mut Bench) -> (Rejection, String) {
    match bench.next().await {
        BackendEvent::Rejected { rejection, message, .. } => (rejection, message),
        other => panic!("expected a rejection, got {other:?}"),
    }
}

fn unschedulable(pod: &mut Value) {
    pod["status"] = json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
        "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient memory."}]});
}

#[tokio::test]
async fn a_pod_that_has_no_room_is_kept_and_explained_until_it_runs() {
    let api = Api::start().await;
    api.play(unschedulable);
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    let (rejection, message) = delayed(&mut bench).await;
    assert_eq!((rejection, &*message), (Rejection::Unschedulable, "0/1 nodes are available: 1 Insufficient memory."));
    assert_eq!(bench.listed().await, ["a"]);
    api.change(None, |pod| {
        pod["spec"]["nodeName"] = "node-1".into();
        api::running(pod);
    });
    bench.expect_started("a").await;
}

#[tokio::test]
async fn an_image_that_does_not_come_is_explained_and_then_given_up() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &["kubernetes.container-start.timeout=1 s"]);
    bench.start("missing-1");
    let (rejection, message) = delayed(&mut bench).await;
    assert_eq!((rejection, &*message), (Rejection::Image, "on node node-0: image x: ErrImagePull: no such image"));
    // The pause between tries explains nothing and is not told.
    api.change(None, |pod| api::waiting(pod, "ImagePullBackOff", "Back-off pulling image"));
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Image);
    assert_eq!(
        message,
        "not running 1 s after it was given a node: on node node-0: image x: ErrImagePull: no such image"
    );
    assert!(api.pods().is_empty());
}

#[tokio::test]
async fn ends_have_their_reasons() {
    let condition = |reason: &str, message: &str| json!([{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}]);
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    let mut check = async |name: &'static str, change: &dyn Fn(&mut Value), expected: LossReason| {
        bench.start(name);
        bench.expect_started(name).await;
        api.change(None, |pod| change(pod));
        bench.expect_lost(name, expected).await;
        assert!(bench.listed().await.is_empty());
    };
    check("oom", &|pod| api::ended(pod, 137, "OOMKilled"), LossReason::OutOfMemory).await;
    check("killed", &|pod| api::ended(pod, 137, "Error"), LossReason::Killed { signal: 9 }).await;
    check("code", &|pod| api::ended(pod, 3, "Error"), LossReason::Exited { code: 3 }).await;
    let evicted = |pod: &mut Value| {
        pod["status"] =
            json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."});
    };
    check("evicted", &evicted, LossReason::Evicted("The node was low on resource: memory.".into())).await;
    let preempted = |pod: &mut Value| {
        api::ended(pod, 143, "Error");
        pod["status"]["conditions"] = condition("PreemptionByScheduler", "default-scheduler: preempting");
    };
    check("preempted", &preempted, LossReason::Preempted("default-scheduler: preempting".into())).await;
    let cut_off = |pod: &mut Value| {
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let mut conditions = condition("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint");
        conditions.as_array_mut().unwrap().push(json!({"type": "Ready", "status": "False", "reason": "NodeNotReady"}));
        pod["status"]["conditions"] = conditions;
    };
    bench.start("cut-off");
    bench.expect_started("cut-off").await;
    api.change(None, cut_off);
    let words = "node node-0: Taint manager: deleting due to NoExecute taint";
    bench.expect_lost("cut-off", LossReason::NodeLost(words.into())).await;
}

#[tokio::test]
async fn a_pod_that_somebody_deletes_is_lost_as_deleted() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    bench.expect_started("a").await;
    api.remove();
    bench.expect_lost("a", LossReason::Deleted).await;
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    api.set_quota(Some(0));
    bench.start("a");
    let (rejection, message) = rejected(&mut bench).await;
    assert!(rejection == Rejection::Quota && message.contains("exceeded quota: small"), "{rejection} {message}");
    api.set_quota(None);
    let rbac =
        "pods is forbidden: User \"u\" cannot create resource \"pods\" in API group \"\" in the namespace \"test\"";
    for (code, words, expected) in [
        (401, "Unauthorized", Rejection::Access),
        (403, rbac, Rejection::Access),
        (400, "admission webhook \"w\" denied the request: no", Rejection::Admission),
        (422, "Pod \"a\" is invalid: spec", Rejection::Invalid),
    ] {
        api.refuse("create", code, words);
        bench.start("a");
        let (rejection, message) = rejected(&mut bench).await;
        assert!(
            rejection == expected && message.starts_with("cannot create pods") && message.contains(words),
            "{message}"
        );
    }
    api.allow("create");
    bench.start("a");
    bench.expect_started("a").await;
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_the_wait_is_explained() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    api.refuse("create", 503, "the server is starting");
    bench.start("a");
    let (rejection, message) = delayed(&mut bench).await;
    assert!(rejection == Rejection::Unreachable && message.contains("the server is starting"), "{message}");
    api.allow("create");
    bench.expect_started("a").await;
}

#[tokio::test]
async fn a_server_that_stays_away_is_given_up() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &["kubernetes.request.retry-timeout=300 ms"]);
    api.refuse("create", 503, "the server is starting");
    bench.start("a");
    assert_eq!(rejected(&mut bench).await.0, Rejection::Unreachable);
    assert!(bench.listed().await.is_empty());
}

#[tokio::test]
async fn a_pod_whose_creation_was_not_answered_is_found_to_be_ours() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    api.lose_answers(true);
    bench.start("a");
    bench.expect_started("a").await;
    assert_eq!(bench.listed().await, ["a"]);
    assert_eq!(api.pods().len(), 1);
}

#[tokio::test]
async fn somebody_elses_pod_of_that_name_is_left_alone() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    bench.expect_started("a").await;
    let name = api.pods()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    bench.stop("a");
    bench.expect_lost("a", LossReason::Stopped).await;
    api.put(json!({"metadata": {"name": name, "uid": "other"}}));
    bench.start("a");
    let (rejection, message) = rejected(&mut bench).await;
    assert!(rejection == Rejection::Conflict && message.contains("no TaskManager of cluster demo"), "{message}");
    assert_eq!(api.pods().len(), 1);
}

#[tokio::test]
async fn what_happens_in_a_gap_of_the_watch_is_seen_after_it() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    bench.start("b");
    let mut started = [bench.next().await, bench.next().await];
    started.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(started, ["a", "b"].map(|name| BackendEvent::Started(WorkerId(name.into()))));
    // A connection that breaks loses nothing.
    api.disconnect();
    api.change(None, |pod| api::ended(pod, 3, "Error"));
    let lost = match bench.next().await {
        BackendEvent::Lost { worker, reason: LossReason::Exited { code: 3 } } => worker.0,
        other => panic!("{other:?}"),
    };
    let left = if lost == "a" { "b" } else { "a" };
    assert_eq!(bench.listed().await, [left]);
    // A gap, in which the other one goes.
    api.refuse("watch", 503, "not now");
    api.forget();
    api.remove();
    api.forget();
    api.allow("watch");
    bench.expect_lost(left, LossReason::Vanished).await;
    // And it is watched on.
    bench.start("c");
    bench.expect_started("c").await;
}

#[tokio::test]
async fn pods_of_a_former_jobmanager_are_adopted_with_what_holds_them_up() {
    let api = Api::start().await;
    api.play(unschedulable);
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    delayed(&mut bench).await;
    bench.restart();
    assert_eq!(bench.listed().await, ["a"]);
    assert_eq!(delayed(&mut bench).await.0, Rejection::Unschedulable);
    bench.stop("a");
    bench.expect_lost("a", LossReason::Stopped).await;
    assert!(api.pods().is_empty());
}

#[tokio::test]
async fn ended_pods_of_a_former_jobmanager_are_swept() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    bench.expect_started("a").await;
    let mut pod = api.pods().remove(0);
    pod["metadata"]["name"] = "demo-tm-old".into();
    pod["metadata"]["uid"] = "old".into();
    let annotation = r#"{"worker":"old","slots":1,"memory":1,"cpu_millicores":1}"#;
    pod["metadata"]["annotations"]["flott.dev/worker-spec"] = annotation.into();
    api::ended(&mut pod, 1, "Error");
    api.put(pod);
    assert_eq!(bench.listed().await, ["a"]);
    // The next event of this one comes after the sweep has been asked for.
    bench.stop("a");
    bench.expect_lost("a", LossReason::Stopped).await;
    assert_eq!(api.count("delete"), 2);
}

#[tokio::test]
async fn pods_belong_to_the_deployment_of_the_jobmanager() {
    let api = Api::start().await;
    api.set_deployment("demo", "d-1");
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    bench.expect_started("a").await;
    let owner = api.pods()[0]["metadata"]["ownerReferences"][0].clone();
    assert_eq!((&owner["kind"], &owner["uid"]), (&json!("Deployment"), &json!("d-1")));
}

#[tokio::test]
async fn a_jobmanager_that_may_not_see_its_deployment_says_which_right_it_lacks() {
    let api = Api::start().await;
    let words =
        "deployments.apps \"demo\" is forbidden: User \"u\" cannot get resource \"deployments\" in API group \"apps\"";
    api.refuse("get deployments", 403, words);
    let mut bench = bench_over(&api, &[]);
    bench.start("a");
    let (rejection, message) = rejected(&mut bench).await;
    assert!(rejection == Rejection::Access && message.contains("cannot get deployments"), "{message}");
    assert!(api.pods().is_empty());
}

#[tokio::test]
async fn many_pods_cost_one_request_to_create_and_one_to_delete_each() {
    const PODS: usize = 200;
    let api = Api::start().await;
    let mut bench = bench_over(&api, &[]);
    let names: Vec<_> = (0..PODS).map(|number| format!("w{number:03}")).collect();
    for name in &names {
        bench.start(name);
    }
    for _ in 0..PODS {
        assert!(matches!(bench.next().await, BackendEvent::Started(_)));
    }
    for name in &names {
        bench.stop(name);
        bench.stop(name);
    }
    for _ in 0..PODS {
        assert!(matches!(bench.next().await, BackendEvent::Lost { reason: LossReason::Stopped, .. }));
    }
    assert!(api.pods().is_empty());
    assert_eq!([api.count("create"), api.count("delete")], [PODS as u32; 2]);
    assert_eq!([api.count("list"), api.count("watch")], [1, 1]);
}

#[tokio::test]
async fn so_many_requests_are_under_way_at_a_time_as_configured_and_no_more() {
    const PODS: usize = 40;
    let api = Api::start().await;
    api.hold(true);
    let mut bench = bench_over(&api, &["kubernetes.request.parallelism=7"]);
    for number in 0..PODS {
        bench.start(&format!("w{number}"));
    }
    while api.creating() < 7 {
        tokio::task::yield_now().await;
    }
    // Time enough for one more to come.
    bench.listed().await;
    api.hold(false);
    for _ in 0..PODS {
        assert!(matches!(bench.next().await, BackendEvent::Started(_)));
    }
    assert_eq!((api.creating_max(), api.count("create")), (7, PODS as u32));
}

#[tokio::test]
async fn so_many_requests_are_sent_a_second_as_configured_over_a_burst_of_as_many() {
    let api = Api::start().await;
    let mut bench = bench_over(&api, &["kubernetes.request.rate=20"]);
    bench.listed().await;
    let began = Instant::now();
    for number in 0..50 {
        bench.start(&format!("w{number}"));
    }
    let mut started = Vec::new();
    for _ in 0..50 {
        assert!(matches!(bench.next().await, BackendEvent::Started(_)));
        started.push(began.elapsed());
    }
    println!("20 after {:.3?}, 50 after {:.3?}", started[19], started[49]);
    // The last of thirty that wait for their turn. They may be late on a busy machine, and are never early.
    for (number, at) in started.iter().enumerate().skip(20) {
        let due = Duration::from_millis(50) * (number as u32 - 19);
        assert!(
            *at + Duration::from_millis(2) >= due,
            "number {number} has come after {at:?}, and was due after {due:?}"
        );
    }
    assert!(started[49] < Duration::from_secs(15), "{:?}", started[49]);
}
