//! TaskManagers on nodes that are kept for them, of an image that is not for everybody.

use std::{collections::BTreeSet, fs};

use flott_kubernetes_lab::{Image, Options, image::Pull};
use serde_json::json;

use crate::{
    job::Job,
    leaders::children,
    world::{World, image, own, run},
};

const IMAGE: &str = "registry.lab/flott:1";
const SETTINGS: &str = "\
kubernetes.container.image.ref: registry.lab/flott:1
kubernetes.taskmanager.tolerations: key:kept-for,operator:Equal,value:flott,effect:NoSchedule
kubernetes.env.secretKeyRef: env:GREETING,secret:words,key:greeting
containerized.taskmanager.env.LEVEL: 9";

#[test]
fn taskmanagers_of_a_private_image_run_where_their_template_and_tolerations_let_them_with_words_of_a_secret() {
    let test =
        "taskmanagers_of_a_private_image_run_where_their_template_and_tolerations_let_them_with_words_of_a_secret";
    let private = Image { pull: Some(Pull::Private), ..image() };
    let Some(cluster) = own(test, Options::nodes(3).image(IMAGE, private)) else { return };
    // Two are kept for it, of which one is of the right kind.
    run(cluster.kubectl().args(["taint", "nodes", "node-1", "node-2", "kept-for=flott:NoSchedule"]));
    run(cluster.kubectl().args(["label", "nodes", "node-2", "disk=fast"]));
    let world = World::of(cluster, "placed", SETTINGS);
    world.kubectl(&["create", "secret", "generic", "words", "--from-literal=greeting=good morning"]);
    let start = ["session", "start", "--backend", "kubernetes", "-D", "kubernetes.jobmanager.start-timeout=4 s"];
    world.sandbox.flott(start).expect(5).says(&["is pending because of image", "pull access denied"]);
    world.nothing_is_left();

    let login = ["--docker-server=registry.lab", "--docker-username=flott", "--docker-password=secret"];
    world.kubectl(&[&["create", "secret", "docker-registry", "login"], &login[..]].concat());
    let shared = world.sandbox.at("shared");
    let template = json!({ "spec": {
        "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
            { "matchExpressions": [{ "key": "disk", "operator": "In", "values": ["fast"] }] },
        ] } } },
        "volumes": [{ "name": "shared", "hostPath": { "path": shared } }],
        "containers": [{ "name": "flott", "volumeMounts": [{ "name": "shared", "mountPath": shared }] }],
    } });
    let template = world.sandbox.write("taskmanager.yaml", template.to_string());
    let template = format!("kubernetes.pod-template-file.taskmanager={template}");
    let job = Job::start_with(&world, "2", &[&template, "kubernetes.container.image.pull-secrets=login"], &[]);

    let pods = world.pods("taskmanager");
    assert_eq!(pods.len(), 2, "{pods:?}");
    for pod in pods {
        assert_eq!(
            (&pod["spec"]["nodeName"], &pod["spec"]["containers"][0]["image"]),
            (&json!("node-2"), &json!(IMAGE))
        );
        let process = world.process("taskmanager", pod["metadata"]["name"].as_str().unwrap());
        let own = variables(process.as_raw());
        assert!(own.contains(&words()), "the words of the Secret are missing");
        assert!(own.iter().any(|variable| variable.starts_with("FLOTT_TOKEN=")), "it has a token");
        // Programs see what is meant for them, and nothing else of it.
        let programs = children(process);
        assert!(!programs.is_empty(), "{process} has no job process");
        for program in programs {
            let seen = variables(program);
            assert!(seen.contains(&words()) && seen.contains("LEVEL=9"), "{seen:?}");
            let others = ["FLOTT_TOKEN=", "FLOTT_POD_", "KUBERNETES_"];
            assert!(!seen.iter().any(|variable| others.iter().any(|other| variable.starts_with(other))), "{seen:?}");
        }
    }
    job.end();
}

fn words() -> String {
    "GREETING=good morning".to_owned()
}

fn variables(process: i32) -> BTreeSet<String> {
    let all = fs::read(format!("/proc/{process}/environ")).unwrap();
    all.split(|byte| *byte == 0).map(|one| String::from_utf8_lossy(one).into_owned()).collect()
}
