use serde_json::{Value, json};

use super::*;

fn pod(value: Value) -> ObservedPod {
    serde_json::from_value(value).expect("a pod")
}

#[track_caller]
fn check_waiting(value: Value, rejection: Rejection, message: &str, is_usual: bool) {
    match phase(&pod(value), "flott") {
        Phase::Waiting(obstacle) => {
            assert_eq!((obstacle.rejection, &*obstacle.message, obstacle.is_usual), (rejection, message, is_usual));
        }
        other => panic!("expected it to wait, got {other:?}"),
    }
}

#[track_caller]
fn check_ended(value: Value, expected: LossReason) {
    assert_eq!(phase(&pod(value), "flott"), Phase::Ended(expected));
}

fn waits(reason: &str, message: &str) -> Value {
    json!({"name": "flott", "image": "x", "state": {"waiting": {"reason": reason, "message": message}}})
}

fn ended(code: i32, reason: &str) -> Value {
    json!([{"name": "flott", "state": {"terminated": {"exitCode": code, "reason": reason, "message": "bye\nbye"}}}])
}

#[test]
fn pods_without_a_node_say_what_the_scheduler_says() {
    let unscheduled = |reason: &str| {
        json!({"status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": reason, "message": "0/3 nodes:\n  no room"}]}})
    };
    check_waiting(json!({}), Rejection::Unschedulable, "no node was looked for yet", true);
    check_waiting(unscheduled("Unschedulable"), Rejection::Unschedulable, "0/3 nodes: no room", false);
    check_waiting(unscheduled("SchedulerError"), Rejection::Unschedulable, "SchedulerError: 0/3 nodes: no room", false);
    check_waiting(unscheduled("SchedulingGated"), Rejection::Queued, "0/3 nodes: no room", false);
}

#[test]
fn pods_with_a_node_say_what_their_containers_wait_for() {
    let on_node = |init: Value, main: Value| json!({"spec": {"nodeName": "n1"}, "status": {"initContainerStatuses": init, "containerStatuses": [main]}});
    let none = Value::Null;
    check_waiting(json!({"spec": {"nodeName": "n1"}}), Rejection::Spawn, "node n1 has not begun with it", true);
    let creating = json!({"name": "flott", "state": {"waiting": {"reason": "ContainerCreating"}}});
    check_waiting(on_node(none.clone(), creating.clone()), Rejection::Spawn, "on node n1: ContainerCreating", true);
    let pull = waits("ErrImagePull", "not found");
    check_waiting(on_node(none.clone(), pull), Rejection::Image, "on node n1: image x: ErrImagePull: not found", false);
    let config = waits("CreateContainerConfigError", "secret \"s\" not found");
    let words = "on node n1: CreateContainerConfigError: secret \"s\" not found";
    check_waiting(on_node(none, config), Rejection::Spawn, words, false);
    let mut init = waits("InvalidImageName", "no name");
    init["name"] = "setup".into();
    let words = "on node n1: container setup: image x: InvalidImageName: no name";
    check_waiting(on_node(json!([init]), creating), Rejection::Image, words, false);
}

#[test]
fn a_running_container_is_a_running_worker_also_when_its_neighbours_wait() {
    let statuses = json!([{"name": "side", "state": {"waiting": {"reason": "ErrImagePull"}}},
        {"name": "flott", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]);
    let pod = pod(json!({"spec": {"nodeName": "n1"}, "status": {"phase": "Pending", "containerStatuses": statuses}}));
    assert_eq!(phase(&pod, "flott"), Phase::Running);
}

#[test]
fn ends_are_told_apart() {
    let by_itself = |code, reason| json!({"status": {"phase": "Failed", "containerStatuses": ended(code, reason)}});
    check_ended(by_itself(3, "Error"), LossReason::Exited { code: 3 });
    check_ended(by_itself(0, "Completed"), LossReason::Exited { code: 0 });
    check_ended(by_itself(137, "OOMKilled"), LossReason::OutOfMemory);
    check_ended(by_itself(137, "Error"), LossReason::Killed { signal: 9 });
    check_ended(by_itself(143, "Error"), LossReason::Killed { signal: 15 });
    check_ended(by_itself(128, "StartError"), LossReason::Failed("StartError: bye bye".into()));
    let forgotten = LossReason::NodeLost("its node came back without it".into());
    check_ended(by_itself(137, "ContainerStatusUnknown"), forgotten);
    let by_node = |reason: &str| json!({"status": {"phase": "Failed", "reason": reason, "message": "low on memory"}});
    check_ended(by_node("Evicted"), LossReason::Evicted("low on memory".into()));
    check_ended(by_node("Preempting"), LossReason::Preempted("Preempting: low on memory".into()));
    check_ended(by_node("NodeShutdown"), LossReason::NodeLost("NodeShutdown: low on memory".into()));
    check_ended(by_node("OutOfcpu"), LossReason::Failed("OutOfcpu: low on memory".into()));
    let mut deleted = by_itself(0, "Completed");
    deleted["metadata"] = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    check_ended(deleted, LossReason::Deleted);
}

#[test]
fn what_others_ended_it_for_is_told_rather_than_how_it_took_it() {
    let disrupted = |reason: &str, code: i32| {
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"nodeName": "n1"},
            "status": {"phase": "Failed", "containerStatuses": ended(code, "Error"), "conditions": [
                {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "go"}]}})
    };
    check_ended(disrupted("PreemptionByScheduler", 143), LossReason::Preempted("go".into()));
    check_ended(disrupted("EvictionByEvictionAPI", 0), LossReason::Evicted("go".into()));
    check_ended(disrupted("DeletionByTaintManager", 143), LossReason::NodeLost("node n1: go".into()));
    check_ended(disrupted("DeletionByPodGC", 143), LossReason::NodeLost("node n1: go".into()));
}

#[test]
fn a_pod_that_is_removed_unseen_ended_as_it_last_looked() {
    let check = |value: Value, expected: LossReason| assert_eq!(loss_of_removed(&pod(value), "flott"), expected);
    check(json!({"status": {"phase": "Running"}}), LossReason::Deleted);
    let ended = json!({"status": {"phase": "Failed", "containerStatuses": ended(137, "OOMKilled")}});
    check(ended, LossReason::OutOfMemory);
    let evicted = json!({"status": {"phase": "Running", "conditions": [
        {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "go"}]}});
    check(evicted, LossReason::Evicted("go".into()));
}

#[test]
fn long_messages_are_cut_between_characters() {
    let text = short(&"ä ".repeat(600));
    assert!(text.chars().count() == MESSAGE_MAX + 1 && text.ends_with('…'));
}
