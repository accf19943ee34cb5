//! Why TaskManagers do not come, as whoever waits for them hears it.

use flott_tests::eventually::{PATIENCE, eventually};

use crate::world::World;

/// Says `reason` and `words` by REST and in the list while a job waits, in a session with `settings`.
#[track_caller]
fn check(world: &World, settings: &[&str], reason: &str, words: &str) {
    let settings = settings.iter().flat_map(|setting| ["-D", setting]);
    world.sandbox.flott(["session", "start", "--backend", "kubernetes"].into_iter().chain(settings)).success();
    let run = ["run", "-d", "-t", "kubernetes-session", &world.program, "waits"];
    let job = world.sandbox.flott(run).success().job();
    let rest = world.rest();
    eventually(&format!("{reason:?}"), PATIENCE, || {
        let pending = rest.get(&format!("/flott/v1/jobs/{job}/pending"));
        let reasons = pending["reasons"].as_array().cloned().unwrap_or_default();
        let text = |pending: &serde_json::Value| pending["reason"].as_str().unwrap_or_default().to_owned();
        let is_told = reasons.iter().map(text).any(|text| text.contains(reason) && text.contains(words));
        if is_told { Ok(()) } else { Err(pending) }
    });
    world.sandbox.flott(["list", "-t", "kubernetes-session"]).success().prints(&[reason, words]);
    // It is no failure of the job.
    assert!(rest.exceptions(&job).is_empty(), "{:?}", rest.exceptions(&job));
    world.sandbox.flott(["session", "stop", "--backend", "kubernetes"]).success();
    world.nothing_is_left();
}

#[test]
fn why_taskmanagers_do_not_come_is_told_by_rest_and_in_the_list() {
    let test = "why_taskmanagers_do_not_come_is_told_by_rest_and_in_the_list";
    let Some(world) = World::new(test, "pending", "") else { return };
    let nowhere = ["kubernetes.taskmanager.node-selector=disk:none"];
    check(&world, &nowhere, "unschedulable: ", "didn't match Pod's node affinity/selector");
    let spec = "spec: {initContainers: [{name: first, image: 'lab/missing:1'}], containers: []}";
    let template = world.sandbox.write("first.yaml", spec);
    let missing = format!("kubernetes.pod-template-file.taskmanager={template}");
    check(&world, &[&missing], "image: ", "lab/missing:1");
}
