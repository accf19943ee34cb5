use serde_json::Value;

use super::support::{Namespace, shared};

#[test]
fn init_containers_run_first_and_sidecars_beside() {
    let Some(cluster) = shared("init_containers_run_first_and_sidecars_beside") else { return };
    let here = Namespace::new(&cluster, "inits");
    here.create(
        "{apiVersion: v1, kind: Pod, metadata: {name: family}, spec: {restartPolicy: Never, \
         terminationGracePeriodSeconds: 1, volumes: [{name: shared, emptyDir: {}}], initContainers: [\
         {name: first, image: busybox, args: [-c, 'echo first > /shared/order'], volumeMounts: &mounts \
         [{name: shared, mountPath: /shared}]}, {name: beside, image: busybox, restartPolicy: Always, args: [-c, \
         'echo beside >> /shared/order; sleep 1000'], volumeMounts: *mounts}], containers: [{name: main, image: busybox, \
         args: [-c, 'until grep beside /shared/order; do sleep 0.1; done; cat /shared/order'], volumeMounts: *mounts}]}}",
    );
    let pod = here.until_phase("family", "Succeeded");
    assert_eq!(here.kubectl(&["logs", "family", "-c", "main"]), "beside\nfirst\nbeside");
    let inits = &pod["status"]["initContainerStatuses"];
    assert_eq!(inits[0]["state"]["terminated"]["reason"], "Completed", "{inits:#}");
    // Process 1 of a container hears nothing of signals that it has no handler for: it was killed after its grace.
    assert_eq!(inits[1]["state"]["terminated"]["exitCode"], 137, "{inits:#}");
    assert_eq!(inits[1]["restartCount"], 0, "{inits:#}");
}

#[test]
fn a_container_that_fails_is_started_again_and_its_last_log_is_kept() {
    let test = "a_container_that_fails_is_started_again_and_its_last_log_is_kept";
    let Some(cluster) = shared(test) else { return };
    let here = Namespace::new(&cluster, "again");
    here.create(
        "{apiVersion: v1, kind: Pod, metadata: {name: again}, spec: {containers: [{name: main, image: busybox, \
         args: [-c, 'echo life; exit 7']}]}}",
    );
    let pod = here.until("again", "a second failure", |pod| {
        let status = &pod["status"]["containerStatuses"][0];
        status["restartCount"].as_u64() >= Some(1) && status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    });
    assert_eq!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 7);
    assert_eq!(here.kubectl(&["logs", "again", "--previous"]), "life");
}

#[test]
fn a_container_that_fails_its_liveness_probe_is_ended() {
    let Some(cluster) = shared("a_container_that_fails_its_liveness_probe_is_ended") else { return };
    let here = Namespace::new(&cluster, "liveness");
    let probe = ", livenessProbe: {exec: {command: [cat, /no/such/file]}, periodSeconds: 1, failureThreshold: 1}";
    here.pod("ill", &["serve", "8000", "hello"], probe);
    let pod = here.until_phase("ill", "Failed");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
    let events = here.kubectl(&["get", "events", "-o", "jsonpath={.items[?(@.reason==\"Unhealthy\")].message}"]);
    assert!(events.starts_with("Liveness probe failed"), "{events}");
}

#[test]
fn pods_reach_the_api_server_as_their_service_account() {
    let Some(cluster) = shared("pods_reach_the_api_server_as_their_service_account") else { return };
    let here = Namespace::new(&cluster, "accounts");
    let pod = |name: &str, words: &str| {
        here.create(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{restartPolicy: Never, containers: \
             [{{name: main, image: 'kubectl:dev', args: [{words}]}}]}}}}"
        ));
    };
    pod("me", "auth, whoami, -o, 'jsonpath={.status.userInfo.username}'");
    here.until_phase("me", "Succeeded");
    assert_eq!(here.kubectl(&["logs", "me"]), "system:serviceaccount:accounts:default");
    pod("denied", "get, pods");
    here.until_phase("denied", "Failed");
    let log = here.kubectl(&["logs", "denied"]);
    assert!(log.contains(r#"cannot list resource "pods""#), "{log}");
}

#[test]
fn pods_that_nowhere_fit_or_exceed_a_quota_say_so() {
    let Some(cluster) = shared("pods_that_nowhere_fit_or_exceed_a_quota_say_so") else { return };
    let here = Namespace::new(&cluster, "limits-of-all");
    here.pod("giant", &["serve", "8000", "hello"], ", resources: {requests: {cpu: '1000'}}");
    let scheduled = |pod: &Value| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|one| one["type"] == "PodScheduled")
    };
    let pod = here.until("giant", "a verdict of the scheduler", |pod| scheduled(pod).is_some());
    assert_eq!(scheduled(&pod).unwrap()["reason"], "Unschedulable");
    here.kubectl(&["create", "quota", "few", "--hard=pods=1"]);
    let refused = super::support::eventually("the quota to hold", || {
        let dry_run = ["run", "second", "--image=busybox", "--dry-run=server"];
        match here.try_kubectl(&dry_run) {
            Ok(allowed) => Err(allowed),
            Err(refused) => Ok(refused),
        }
    });
    assert!(refused.contains("exceeded quota: few"), "{refused}");
}
