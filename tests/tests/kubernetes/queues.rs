//! What pods are marked with for the queues of batch schedulers, as the API server has it. The schedulers themselves are not there: of
//! Volcano, the kind of object that it reads is (`volcano.yaml`).

use flott_kubernetes_lab::Options;
use flott_tests::eventually::{PATIENCE, eventually};
use serde_json::Value;

use crate::{
    job::name,
    world::{RIGHTS, World, own},
};

const POD_GROUP: &str = include_str!("volcano.yaml");
const KUEUE_GROUP: &str = "kueue.x-k8s.io/pod-group-name";

#[track_caller]
fn until_pods(world: &World, count: usize) -> Vec<Value> {
    eventually(&format!("{count} TaskManagers"), PATIENCE, || {
        let pods = world.pods("taskmanager");
        if pods.len() == count { Ok(pods) } else { Err(pods.iter().map(name).collect::<Vec<_>>().join(", ")) }
    })
}

/// The group of Kueue's that a pod is in, with its declared size.
fn kueue_group(pod: &Value) -> Option<(String, String)> {
    let metadata = &pod["metadata"];
    let total = &metadata["annotations"]["kueue.x-k8s.io/pod-group-total-count"];
    Some((metadata["labels"][KUEUE_GROUP].as_str()?.to_owned(), total.as_str()?.to_owned()))
}

#[test]
fn pods_carry_what_the_queue_systems_look_for() {
    let Some(world) = World::new("pods_carry_what_the_queue_systems_look_for", "queues", "kubernetes.queue: team-a")
    else {
        return;
    };
    let kueue = [("kueue.x-k8s.io/queue-name", "team-a")];
    let yunikorn = [("applicationId", "demo"), ("queue", "team-a")];
    let volcano = [("scheduling.volcano.sh/queue-name", "team-a")];
    let all = [&kueue[..], &yunikorn, &volcano].concat();
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 4] = [
        ("all", &all, "default-scheduler"),
        ("kueue", &kueue, "default-scheduler"),
        ("yunikorn", &yunikorn, "yunikorn"),
        ("volcano", &volcano, "volcano"),
    ];
    for (system, labels, scheduler) in cases {
        let system = format!("kubernetes.queue-system={system}");
        world.start_session(&[&system, "slotmanager.number-of-slots.min=1"]);
        let pod = &until_pods(&world, 1)[0];
        for (key, value) in &all {
            let expected = if labels.contains(&(key, value)) { Value::from(*value) } else { Value::Null };
            assert_eq!(pod["metadata"]["labels"][key], expected, "{key} for {system}");
        }
        assert_eq!(pod["spec"]["schedulerName"], scheduler, "{system}");
        world.stop_session();
    }
}

#[test]
fn a_group_of_kueue_is_filled_once_whatever_becomes_of_the_jobmanager_and_of_pods() {
    let test = "a_group_of_kueue_is_filled_once_whatever_becomes_of_the_jobmanager_and_of_pods";
    let Some(world) = World::new(test, "kueue", "kubernetes.queue: team-a") else { return };
    // As Kueue's webhook does: a pod gets no node before it is let in.
    let template = world
        .sandbox
        .write("gated.yaml", "spec: {schedulingGates: [{name: kueue.x-k8s.io/admission}], containers: []}");
    let template = format!("kubernetes.pod-template-file.taskmanager={template}");
    // Of three pods that are to be let in together two are asked for before the JobManager ends.
    world.kubectl(&["create", "quota", "few", "--hard=pods=3"]);
    let gang = ["kubernetes.queue-system=kueue", "kubernetes.gang-minimum=3", "slotmanager.number-of-slots.min=3"];
    world.start_session(&[&gang[..], &[&template]].concat());
    let group = |pods: &[Value]| {
        let groups: Vec<_> = pods.iter().map(kueue_group).collect();
        assert!(groups[0].is_some() && groups.iter().all(|group| *group == groups[0]), "{groups:?}");
        groups[0].clone().unwrap()
    };
    let begun = group(&until_pods(&world, 2));
    assert_eq!(begun.1, "3");
    let before = name(&world.pods("jobmanager")[0]);
    world.kubectl(&["delete", "pod", &before, "--grace-period=0", "--force"]);
    world.kubectl(&["delete", "quota", "few"]);
    // The next one fills the group that it finds.
    let pods = until_pods(&world, 3);
    assert_eq!(group(&pods), begun);

    // It is let in, and loses one: that is replaced by itself, since Kueue would take it for one too many.
    for pod in &pods {
        world.kubectl(&[
            "patch",
            "pod",
            &name(pod),
            "--type=json",
            "-p=[{\"op\":\"remove\",\"path\":\"/spec/schedulingGates\"}]",
        ]);
    }
    eventually("all to run", PATIENCE, || {
        let overview = world.rest().get("/overview");
        if overview["taskmanagers"] == 3 { Ok(()) } else { Err(overview) }
    });
    let lost = name(&pods[0]);
    world.kubectl(&["delete", "pod", &lost, "--wait=false"]);
    let next = eventually("another pod", PATIENCE, || {
        let known: Vec<_> = pods.iter().map(name).collect();
        let found = world.pods("taskmanager");
        let next = found.iter().find(|pod| !known.contains(&name(pod))).cloned();
        next.ok_or_else(|| found.iter().map(name).collect::<Vec<_>>().join(", "))
    });
    assert_eq!(kueue_group(&next), None);
    assert_eq!(next["metadata"]["labels"]["kueue.x-k8s.io/queue-name"], "team-a");
    world.stop_session();
}

#[test]
fn a_gang_of_volcano_has_a_pod_group_or_says_what_it_lacks() {
    let test = "a_gang_of_volcano_has_a_pod_group_or_says_what_it_lacks";
    let settings = "kubernetes.queue: team-a\nkubernetes.queue-system: volcano\nkubernetes.gang-minimum: 2\n\
                    slotmanager.number-of-slots.min: 2\ntaskmanager.memory.process.size: 512 mb";
    // One of its own: kinds of objects are of all namespaces.
    let Some(cluster) = own(test, Options::nodes(1)) else { return };
    let world = World::of(cluster, "volcano", settings);
    let refused = ["session", "start", "--backend", "kubernetes"];
    world.sandbox.flott(refused).refused(1, &["which the JobManager would have, may not create, patch podgroups"]);
    world.nothing_is_left();

    world.account("grouping", &RIGHTS);
    // kubectl makes no role about what is not there, and cannot ask whether it is in force.
    world.create(ROLE);
    eventually("a session", PATIENCE, || {
        let account = ["-D", "kubernetes.jobmanager.service-account=grouping"];
        let started = world.sandbox.flott(refused.into_iter().chain(account));
        if started.status.success() { Ok(()) } else { Err(started.err) }
    });
    let hold = format!("hold={}", world.shared("never"));
    let job =
        world.sandbox.flott(["run", "-t", "kubernetes-session", "-d", &world.program, "held", &hold]).success().job();
    eventually("the reason in the list", PATIENCE, || {
        let listed = world.sandbox.flott(["list", "-t", "kubernetes-session"]).success().out;
        let told = listed.contains("invalid: cannot create podgroups.scheduling.volcano.sh")
            && listed.contains("there is no CustomResourceDefinition podgroups.scheduling.volcano.sh");
        if told && listed.contains(&job) { Ok(()) } else { Err(listed) }
    });
    assert!(world.pods("taskmanager").is_empty());

    // It is installed, and what waits goes on.
    world.create(POD_GROUP);
    let pods = until_pods(&world, 2);
    let get = ["get", "podgroups.scheduling.volcano.sh", "-o", "json"];
    let groups: Value = serde_json::from_str(&world.kubectl(&get)).unwrap();
    assert_eq!(groups["items"].as_array().map(Vec::len), Some(1), "{groups}");
    let group = &groups["items"][0];
    assert_eq!(group["metadata"]["name"], "demo-taskmanagers");
    let resources = serde_json::json!({ "cpu": "1000m", "memory": "1073741824" });
    assert_eq!(group["spec"], serde_json::json!({ "minMember": 2, "queue": "team-a", "minResources": resources }));
    for pod in &pods {
        assert_eq!(pod["metadata"]["annotations"]["scheduling.k8s.io/group-name"], "demo-taskmanagers");
        assert_eq!(pod["spec"]["schedulerName"], "volcano");
        assert_eq!(pod["metadata"]["ownerReferences"], group["metadata"]["ownerReferences"]);
    }

    // The next JobManager finds it, and another size is told.
    let before = name(&world.pods("jobmanager")[0]);
    let mut map: Value =
        serde_json::from_str(&world.kubectl(&["get", "configmap", "demo-config", "-o", "json"])).unwrap();
    let file = map["data"]["config.yaml"].as_str().unwrap();
    let larger = file.replace("gang-minimum\": \"2\"", "gang-minimum\": \"3\"");
    let larger = larger.replace("number-of-slots.min\": \"2\"", "number-of-slots.min\": \"3\"");
    map["data"]["config.yaml"] = Value::from(larger);
    let file = world.sandbox.write("config.json", map.to_string());
    world.kubectl(&["replace", "-f", &file]);
    world.kubectl(&["delete", "pod", &before, "--grace-period=0", "--force"]);
    until_pods(&world, 3);
    let minimum = world.kubectl(&[
        "get",
        "podgroups.scheduling.volcano.sh",
        "demo-taskmanagers",
        "-o=jsonpath={.spec.minMember}",
    ]);
    assert_eq!(minimum, "3");
    world.stop_session();
    eventually("the group to be gone", PATIENCE, || {
        let left = world.kubectl(&["get", "podgroups.scheduling.volcano.sh", "-o", "name"]);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: pod-groups}
rules:
- {apiGroups: [scheduling.volcano.sh], resources: [podgroups], verbs: [create, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: pod-groups}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: pod-groups}
subjects: [{kind: ServiceAccount, name: grouping}]
";
