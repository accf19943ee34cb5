//! Why pods do not run, and how they end.

use std::time::Duration;

use flott_resource_manager::backend::{LossReason, Rejection};

use crate::world::{Namespace, delayed, has_limits, lost, options, own, rejected, run, shared, started};

#[tokio::test]
async fn a_pod_without_room_is_kept_and_explained_in_the_words_of_the_scheduler() {
    let Some(cluster) = shared("a_pod_without_room_is_kept_and_explained_in_the_words_of_the_scheduler") else {
        return;
    };
    let here = Namespace::new(cluster, "unschedulable");
    let mut bench = here.bench(&["kubernetes.taskmanager.node-selector=disk:none"]).await;
    bench.start("a");
    let (rejection, message) = delayed(&mut bench).await;
    assert_eq!(rejection, Rejection::Unschedulable);
    assert!(message.contains("didn't match Pod's node affinity/selector"), "{message}");
    assert_eq!(bench.listed().await, ["a"]);
    run(here.cluster.kubectl().args(["label", "node", "node-0", "disk=none"]));
    started(&mut bench, "a").await;
    run(here.cluster.kubectl().args(["label", "node", "node-0", "disk-"]));
}

#[tokio::test]
async fn an_image_that_does_not_come_is_explained_and_then_given_up() {
    let Some(cluster) = shared("an_image_that_does_not_come_is_explained_and_then_given_up") else { return };
    let here = Namespace::new(cluster, "image");
    let mut bench =
        here.bench(&["kubernetes.container.image.ref=lab/missing:1", "kubernetes.container-start.timeout=3 s"]).await;
    bench.start("a");
    let (rejection, message) = delayed(&mut bench).await;
    assert_eq!(rejection, Rejection::Image);
    assert!(message.contains("lab/missing:1") && message.contains("ErrImagePull"), "{message}");
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Image);
    assert!(message.starts_with("not running 3 s after it was given a node"), "{message}");
    assert!(bench.listed().await.is_empty());
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_named() {
    let Some(cluster) = shared("a_quota_that_is_used_up_is_named") else { return };
    let here = Namespace::new(cluster, "quota");
    here.kubectl(&["create", "quota", "few", "--hard=pods=1"]);
    let mut bench = here.bench(&[]).await;
    bench.start("a");
    started(&mut bench, "a").await;
    bench.start("b");
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Quota);
    assert!(message.contains("exceeded quota: few"), "{message}");
}

#[tokio::test]
async fn pods_pass_the_restricted_profile_unless_a_template_breaks_it() {
    let Some(cluster) = shared("pods_pass_the_restricted_profile_unless_a_template_breaks_it") else { return };
    let here = Namespace::new(cluster, "restricted");
    here.kubectl(&["label", "namespace", "restricted", "pod-security.kubernetes.io/enforce=restricted"]);
    let mut bench = here.bench(&[]).await;
    bench.start("a");
    started(&mut bench, "a").await;
    let template = here.cluster.directory().join("privileged.yaml");
    std::fs::write(&template, "spec: {hostNetwork: true, containers: []}").unwrap();
    let mut bench = here.bench(&[&format!("kubernetes.pod-template-file.default={}", template.display())]).await;
    bench.start("b");
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Admission);
    assert!(
        message.contains("violates PodSecurity \"restricted:latest\"") && message.contains("hostNetwork"),
        "{message}"
    );
}

#[tokio::test]
async fn a_description_that_the_api_does_not_take_is_invalid() {
    let Some(cluster) = shared("a_description_that_the_api_does_not_take_is_invalid") else { return };
    let here = Namespace::new(cluster, "invalid");
    let mut bench = here.bench(&["kubernetes.taskmanager.labels=team:not a label"]).await;
    bench.start("a");
    let (rejection, message) = rejected(&mut bench).await;
    assert_eq!(rejection, Rejection::Invalid);
    assert!(message.contains("not a label"), "{message}");
}

#[tokio::test]
async fn more_memory_than_the_limit_is_out_of_memory() {
    let test = "more_memory_than_the_limit_is_out_of_memory";
    let Some(cluster) = shared(test) else { return };
    if !has_limits(&cluster, test) {
        return;
    }
    let here = Namespace::new(cluster, "oom");
    let mut bench = here.bench(&[]).await;
    bench.start("glutton");
    assert_eq!(lost(&mut bench).await, LossReason::OutOfMemory);
}

#[tokio::test]
async fn evictions_and_deletions_are_told_apart() {
    let Some(cluster) = own("evictions_and_deletions_are_told_apart", options(1)) else { return };
    let here = Namespace::new(cluster, "evicted");
    let mut bench = here.bench(&[]).await;
    bench.start("a");
    started(&mut bench, "a").await;
    here.kubectl(&["delete", "pod", &here.pod(), "--wait=false"]);
    assert_eq!(lost(&mut bench).await, LossReason::Deleted);

    bench.start("b");
    started(&mut bench, "b").await;
    // Forced, as nothing in this namespace controls the pod: there is no JobManager.
    run(here.cluster.kubectl().args(["drain", "node-0", "--force", "--delete-emptydir-data", "--timeout=60s"]));
    match lost(&mut bench).await {
        LossReason::Evicted(why) => assert!(why.contains("Eviction API"), "{why}"),
        other => panic!("expected an eviction, got {other:?}"),
    }
    run(here.cluster.kubectl().args(["uncordon", "node-0"]));

    bench.start("c");
    started(&mut bench, "c").await;
    here.cluster.evict("evicted", &here.pod(), "memory", Duration::ZERO).unwrap();
    match lost(&mut bench).await {
        LossReason::Evicted(why) => assert!(why.contains("memory"), "{why}"),
        other => panic!("expected an eviction, got {other:?}"),
    }
    assert!(bench.listed().await.is_empty());
}

#[tokio::test]
async fn a_pod_of_lower_priority_is_preempted() {
    let mut one_pod = options(1);
    // Room for one worker, and not for two.
    one_pod.node.memory = "1500Mi".into();
    let Some(cluster) = own("a_pod_of_lower_priority_is_preempted", one_pod) else { return };
    let here = Namespace::new(cluster, "preempted");
    run(here.cluster.kubectl().args(["create", "priorityclass", "high", "--value=1000"]));
    let mut low = here.bench(&[]).await;
    low.start("a");
    started(&mut low, "a").await;
    let mut high = here.bench(&["kubernetes.cluster-id=other", "kubernetes.priority-class=high"]).await;
    high.start("b");
    match lost(&mut low).await {
        LossReason::Preempted(why) => assert!(why.contains("preempt"), "{why}"),
        other => panic!("expected a preemption, got {other:?}"),
    }
    started(&mut high, "b").await;
}

#[tokio::test]
async fn a_node_that_crashes_takes_its_pods_with_it() {
    // Where no node is left, Kubernetes takes the network for broken and removes nothing.
    let Some(cluster) = own("a_node_that_crashes_takes_its_pods_with_it", options(2)) else { return };
    let here = Namespace::new(cluster, "crashed");
    let mut bench = here.bench(&[]).await;
    bench.start("a");
    started(&mut bench, "a").await;
    let node = here.kubectl(&["get", "pods", "-o=jsonpath={.items[0].spec.nodeName}"]);
    here.cluster.crash_node(&node).unwrap();
    match lost(&mut bench).await {
        LossReason::NodeLost(why) => assert!(why.contains(&node), "{why}"),
        other => panic!("expected the node to be lost, got {other:?}"),
    }
    assert!(bench.listed().await.is_empty());
}
