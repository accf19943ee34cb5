use crate::world::World;

const START: [&str; 4] = ["session", "start", "--backend", "kubernetes"];

#[track_caller]
fn check(world: &World, settings: &[&str], code: i32, parts: &[&str]) {
    let defines = settings.iter().flat_map(|setting| ["-D", setting]);
    world.sandbox.flott(START.into_iter().chain(defines)).expect(code).says(parts);
    world.nothing_is_left();
}

#[test]
fn what_cannot_be_made_is_told_and_nothing_is_left() {
    let Some(world) = World::new("what_cannot_be_made_is_told_and_nothing_is_left", "refused", "") else { return };
    check(&world, &["kubernetes.cluster-id=Demo"], 1, &["kubernetes.cluster-id: \"Demo\" is no cluster id"]);
    let template = world.sandbox.write("wrong.yaml", "spec:\n  containers: [\n");
    let key = format!("kubernetes.pod-template-file.jobmanager={template}");
    check(&world, &[&key], 1, &["pod template", "wrong.yaml", "no YAML", "line 2"]);
    let template = world.sandbox.write("computed.yaml", "spec: {containers: [], restartPolicy: Always}");
    let key = format!("kubernetes.pod-template-file.taskmanager={template}");
    check(&world, &[&key], 1, &["computed.yaml", "Flott computes spec.restartPolicy"]);

    let soon = "kubernetes.jobmanager.start-timeout=4 s";
    let missing = ["kubernetes.container.image.ref=lab/missing:1", soon];
    check(&world, &missing, 5, &["did not answer in time", "is pending because of image", "lab/missing:1"]);
    let crash = ["kubernetes.container.image.ref=busybox", "kubernetes.pod-template-file.default="];
    let template = world.sandbox.write("user.yaml", "spec: {securityContext: {runAsUser: 1000}, containers: []}");
    let as_user = format!("kubernetes.pod-template-file.jobmanager={template}");
    check(&world, &[crash[0], &as_user], 1, &["ended before it answered", "exit code", "jobmanager"]);
    world.kubectl(&["create", "quota", "none", "--hard=pods=0"]);
    check(&world, &[soon], 5, &["it has no pod yet", "exceeded quota"]);
    world.kubectl(&["delete", "quota", "none"]);
}

#[test]
fn rights_that_are_missing_are_named() {
    let Some(world) = World::new("rights_that_are_missing_are_named", "rights", "") else { return };
    let of_jobmanager = "the service account \"default\" of namespace \"rights\", which the JobManager would have, may not \
                         get, list, watch, create, delete pods and get deployments";
    check(&world, &["kubernetes.jobmanager.service-account=default"], 1, &[of_jobmanager]);

    world.account("nobody", &[]);
    let token = world.kubectl(&["create", "token", "nobody"]);
    let nobody = format!("kubernetes.config.file={}", world.kubeconfig("nobody", &token, None));
    check(&world, &[&nobody], 1, &["cannot get deployments \"demo\": no role allows it"]);

    // Everything but Services: what was made before is removed again.
    let rights = [
        ("get,create,patch,delete", "deployments.apps,jobs.batch"),
        ("get,create,delete", "configmaps,secrets"),
        ("get", "services"),
        ("get,list", "pods"),
    ];
    world.account("almost", &rights);
    let token = world.kubectl(&["create", "token", "almost"]);
    let almost = format!("kubernetes.config.file={}", world.kubeconfig("almost", &token, None));
    check(&world, &[&almost], 1, &["cannot create services \"demo\": no role allows it"]);
}

#[test]
fn an_api_server_that_cannot_be_used_is_told() {
    let Some(world) = World::new("an_api_server_that_cannot_be_used_is_told", "unusable", "") else { return };
    let missing = format!("kubernetes.config.file={}", world.sandbox.at("none"));
    check(&world, &[&missing], 1, &["no way to the Kubernetes API is configured", "none"]);
    let stale = format!("kubernetes.config.file={}", world.kubeconfig("stale", "expired", None));
    check(&world, &[&stale], 1, &["does not accept the credentials"]);
    let closed = closed_port();
    let away = world.kubeconfig("away", "any", Some(&format!("https://127.0.0.1:{closed}")));
    let away = format!("kubernetes.config.file={away}");
    check(&world, &[&away], 3, &["the API server is not reached", "refused"]);
    let list = ["list", "-t", "kubernetes-session", "-D", &away];
    world.sandbox.flott(list).refused(3, &["the API server is not reached"]);
}

/// A port at which nothing listens: it was just given back.
fn closed_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
