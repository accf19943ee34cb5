//! Clients of a cluster of one job that are killed before it has its job.

use std::net::TcpListener;

use flott_tests::eventually::{PATIENCE, eventually};

use crate::world::{World, run};

/// A name that pods wait for a node of, which no node has at first.
const LATER: &str = "kubernetes.jobmanager.node-selector: abandoned:later\n\
                     kubernetes.jobmanager.start-timeout: 15 s\n\
                     kubernetes.finished-ttl: 1 s";
const RUN: [&str; 3] = ["run", "-t", "kubernetes-application"];

#[test]
fn what_a_client_leaves_that_is_killed_before_its_job_is_there_goes_and_the_name_is_free() {
    let test = "what_a_client_leaves_that_is_killed_before_its_job_is_there_goes_and_the_name_is_free";
    let Some(world) = World::new(test, "abandoned", LATER) else { return };
    let line = [&RUN[..], &[&world.program, "a"]].concat();

    // Who says whether Secrets may be made does not answer, so that the head sleeps on.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = "validatingwebhookconfiguration/abandoned";
    world.create(&format!(
        "{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {{name: abandoned}}, \
         webhooks: [{{name: nobody.flott.dev, admissionReviewVersions: [v1], sideEffects: None, timeoutSeconds: 30, \
         clientConfig: {{url: 'https://{}/'}}, namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: abandoned}}}}, \
         rules: [{{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [secrets]}}]}}]}}",
        nobody.local_addr().unwrap()
    ));
    let client = world.sandbox.start_flott(&line);
    eventually("the head of the cluster, asleep", PATIENCE, || {
        let suspended = world.try_kubectl(&["get", "job", "demo", "-o", "jsonpath={.spec.suspend}"])?;
        if suspended == "true" { Ok(()) } else { Err(suspended) }
    });
    client.kill();
    run(world.cluster.kubectl().args(["delete", hook]));
    drop(nobody);
    assert!(world.pods("jobmanager").is_empty(), "nothing runs before all is there");
    world.sandbox.flott(["list", "-t", "kubernetes-application"]).refused(3, &["is being made by another client"]);

    // The next of that name removes it, and is killed when the head is awake, before the JobManager can be told of the job.
    let mut client = world.sandbox.start_flott(&line);
    client.until_printed("removing what a client has left of cluster demo");
    client.until_printed("is pending because of unschedulable");
    client.kill();
    run(world.cluster.kubectl().args(["label", "node", "node-0", "abandoned=later"]));
    world.nothing_is_left();

    world.sandbox.flott(&line).success().prints(&["Program execution finished"]);
    world.nothing_is_left();
}
