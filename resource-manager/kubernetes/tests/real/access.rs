//! Rights, credentials, and an API server that is away.

use flott_resource_manager::backend::{LossReason, Rejection};

use crate::world::{Namespace, delayed, lost, options, own, rejected, shared, started, timely};

/// What the JobManager needs, and no more.
const RIGHTS: [(&str, &str); 2] = [("get,list,watch,create,delete", "pods"), ("get", "deployments.apps")];

fn key(kubeconfig: &std::path::Path) -> String {
    format!("kubernetes.config.file={}", kubeconfig.display())
}

#[tokio::test]
async fn the_rights_that_are_documented_are_enough_and_pods_go_with_their_deployment() {
    let test = "the_rights_that_are_documented_are_enough_and_pods_go_with_their_deployment";
    let Some(cluster) = shared(test) else { return };
    let here = Namespace::new(cluster, "rights");
    here.kubectl(&["create", "deployment", "demo", "--image=flott:dev", "--replicas=0"]);
    let mut bench = here.bench(&[&key(&here.account("jobmanager", &RIGHTS))]).await;
    bench.start("a");
    started(&mut bench, "a").await;
    bench.start("b");
    started(&mut bench, "b").await;
    bench.stop("a");
    assert_eq!(lost(&mut bench).await, LossReason::Stopped);
    here.kubectl(&["delete", "deployment", "demo"]);
    // By the garbage collector.
    assert_eq!(lost(&mut bench).await, LossReason::Deleted);
    assert!(bench.listed().await.is_empty());
}

#[tokio::test]
async fn a_missing_right_is_named_by_verb_and_resource() {
    let Some(cluster) = shared("a_missing_right_is_named_by_verb_and_resource") else { return };
    let here = Namespace::new(cluster, "denied");
    let nothing = here.account("nobody", &[]);
    let mut bench = here.bench(&[&key(&nothing)]).await;
    bench.start("a");
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Access);
    assert!(message.contains("cannot get resource \"deployments\" in API group \"apps\""), "{message}");
    let error = bench.backend().list().await.unwrap_err().to_string();
    assert!(error.contains("cannot list pods: no role allows it"), "{error}");
    let looking = here.account("reader", &[("get,list,watch", "pods"), ("get", "deployments.apps")]);
    let mut bench = here.bench(&[&key(&looking)]).await;
    bench.start("a");
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Access);
    assert!(message.contains("cannot create resource \"pods\""), "{message}");
}

#[tokio::test]
async fn credentials_that_have_expired_are_told() {
    let Some(cluster) = shared("credentials_that_have_expired_are_told") else { return };
    let here = Namespace::new(cluster, "expired");
    let mut bench = here.bench(&[&key(&here.kubeconfig("stale", "no-token-any-more"))]).await;
    bench.start("a");
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Access);
    assert!(message.contains("does not accept the credentials"), "{message}");
}

#[tokio::test]
async fn a_restart_of_the_api_server_costs_nothing_but_time() {
    let Some(cluster) = own("a_restart_of_the_api_server_costs_nothing_but_time", options(1)) else { return };
    let here = Namespace::new(cluster, "restart");
    let mut bench = here.bench(&[]).await;
    bench.start("a");
    bench.start("b");
    timely("two starts", async { (bench.next().await, bench.next().await) }).await;
    here.cluster.stop_api_server().unwrap();
    bench.start("c");
    let (rejection, message) = delayed(&mut bench).await;
    assert_eq!(rejection, Rejection::Unreachable);
    assert!(message.contains("the API server is not reached"), "{message}");
    bench.stop("a");
    here.cluster.start_api_server().unwrap();
    let mut seen = Vec::new();
    timely("the events of what was asked for meanwhile", async {
        while seen.len() < 2 {
            seen.push(format!("{:?}", bench.next().await));
        }
    })
    .await;
    seen.sort();
    assert!(seen[0].contains("Lost") && seen[0].contains("\"a\"") && seen[0].contains("Stopped"), "{seen:?}");
    assert!(seen[1].contains("Started") && seen[1].contains("\"c\""), "{seen:?}");
    assert_eq!(bench.listed().await, ["b", "c"]);
}
