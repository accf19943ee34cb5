use flott_core::config::Loader;

use super::*;

fn awaited() -> Work {
    Work::Awaited { job: "0123".into(), patience: Duration::from_secs(60) }
}

fn read(keys: &[&str], work: Work) -> Result<ClusterSpec, Error> {
    let keys = ["kubernetes.cluster-id=demo"].iter().chain(keys);
    let config = Loader::new().overrides(keys).load().expect("known keys").config;
    ClusterSpec::read(&config, "ns", work, "t0ken")
}

/// The configuration that pods read.
fn told(spec: &ClusterSpec) -> BTreeMap<String, String> {
    let loaded = Loader::new().file("config.yaml", &spec.files[CONFIG]).load().expect("a file that daemons can read");
    loaded.config.entries().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[track_caller]
fn check_error(keys: &[&str], work: Work, expected: &str) {
    assert_eq!(read(keys, work).expect_err(expected).to_string(), expected);
}

#[test]
fn pods_are_told_the_settings_of_the_client_without_its_files_and_its_secrets() {
    let keys = [
        "kubernetes.context=mine",
        "kubernetes.config.file=/home/me/.kube/config",
        "security.token=mine",
        "taskmanager.numberOfTaskSlots=3",
        "pipeline.global-job-parameters.greeting=\"it's\"",
    ];
    let spec = read(&keys, Work::Session).expect("a spec");
    let told = told(&spec);
    let expected = [
        ("cluster.backend", "kubernetes"),
        ("cluster.id", "demo"),
        ("execution.checkpointing.interval", "0 ms"),
        ("kubernetes.cluster-id", "demo"),
        ("kubernetes.namespace", "ns"),
        ("pipeline.global-job-parameters.greeting", "\"it's\""),
        ("rest.address", "demo.ns"),
        ("rest.bind-address", "0.0.0.0"),
        ("rest.port", "8081"),
        ("taskmanager.bind-host", "0.0.0.0"),
        ("taskmanager.numberOfTaskSlots", "3"),
    ];
    let told: Vec<_> = told.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(told, expected);
    assert_eq!(spec.secrets, BTreeMap::from([("token".to_owned(), "t0ken".to_owned())]));
}

#[test]
fn free_settings_that_are_secrets_are_left_out_with_a_word() {
    let spec = read(&["pipeline.global-job-parameters.password=x", "execution.checkpointing.dir=s3://b/c"], awaited());
    let spec = spec.expect("a spec");
    assert!(!spec.files[CONFIG].contains("password"), "{}", spec.files[CONFIG]);
    assert_eq!(spec.notes.len(), 1);
    assert!(spec.notes[0].starts_with("pipeline.global-job-parameters.password is left out"), "{}", spec.notes[0]);
}

#[test]
fn certificates_are_those_of_the_pods_and_not_files_of_the_client() {
    let keys = [
        "security.ssl.rest.enabled=true",
        "security.ssl.rest.ca=/home/me/ca.pem",
        "kubernetes.tls.secret=certificates",
        "execution.checkpointing.dir=s3://b/c",
    ];
    let spec = read(&keys, Work::Session).expect("a spec");
    assert_eq!(spec.pod.tls, Some(TlsSecret { secret: "certificates".into(), has_key: true }));
    let told = told(&spec);
    let expected = [
        ("security.ssl.rest.enabled", "true"),
        ("security.ssl.rest.certificate", "/etc/flott-tls/tls.crt"),
        ("security.ssl.rest.key", "/etc/flott-tls/tls.key"),
        ("security.ssl.rest.ca", "/etc/flott-tls/ca.crt"),
        ("security.ssl.rest.server-name", "demo.ns"),
        ("kubernetes.tls.secret", "certificates"),
    ];
    for (key, value) in expected {
        assert_eq!(told.get(key).map(String::as_str), Some(value), "{key}");
    }
    let named = read(&[&keys[..], &["security.ssl.rest.server-name=jm.example"]].concat(), awaited()).expect("a spec");
    assert!(named.files[CONFIG].contains("jm.example"), "{}", named.files[CONFIG]);
    let missing = "kubernetes.tls.secret: it must be set, since security.ssl.rest.enabled is true: the Secret with tls.crt, tls.key \
                   and ca.crt for the pods";
    check_error(&keys[..2], Work::Session, missing);
    let idle = "kubernetes.tls.secret: set security.ssl.rest.enabled to true with it, or leave it out";
    check_error(&keys[2..], Work::Session, idle);
}

#[test]
fn checkpoints_need_a_place_that_pods_share() {
    check_error(
        &["execution.checkpointing.interval=1 s"],
        Work::Session,
        "execution.checkpointing.interval: checkpoints need a place that all pods reach, an object store or a volume: set \
         execution.checkpointing.dir",
    );
    let spec = read(&["execution.checkpointing.dir=s3://b/c", "execution.checkpointing.interval=1 s"], Work::Session);
    let spec = spec.expect("a spec");
    assert_eq!(told(&spec).get("execution.checkpointing.interval").map(String::as_str), Some("1 s"));
    assert!(spec.notes.is_empty(), "{:?}", spec.notes);
    let without = read(&["execution.checkpointing.interval=0"], Work::Session).expect("a spec");
    assert!(without.notes.is_empty(), "{:?}", without.notes);
}

#[test]
fn names_and_paths_that_are_none_are_refused() {
    let id = "kubernetes.cluster-id: \"Demo\" is no cluster id: it must have 1 to 45 lower-case letters, digits and `-`, begin \
              with a letter and not end with `-`";
    check_error(&["kubernetes.cluster-id=Demo"], Work::Session, id);
    for path in ["opt/program", "/", "/opt/", ""] {
        let work = Work::Program(ImageProgram { path: path.into(), ..ImageProgram::default() });
        check_error(
            &[],
            work,
            &format!("program: {path:?} is no program in the image: write local:///PATH, with three slashes"),
        );
    }
}

#[test]
fn the_template_of_task_managers_travels_with_the_configuration() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("pod.yaml");
    std::fs::write(&path, "spec: {containers: [{name: side, image: x}]}").expect("it can be written");
    let key = format!("kubernetes.pod-template-file.default={}", path.display());
    let spec = read(&[&key], Work::Session).expect("a spec");
    assert!(spec.files[TASKMANAGER_TEMPLATE].contains("side"));
    let file = told(&spec).get("kubernetes.pod-template-file.taskmanager").cloned();
    assert_eq!(file.as_deref(), Some("/etc/flott/taskmanager-pod-template.yaml"));
    assert_eq!(spec.pod.template.spec.expect("a spec").containers[0].name, "side");
    std::fs::write(&path, "spec: {nodeNme: x, containers: []}").expect("it can be written");
    let error = read(&[&key], Work::Session).expect_err("no field of that name").to_string();
    assert!(error.ends_with("a pod has no field spec.nodeNme"), "{error}");
}

#[test]
fn several_job_managers_agree_on_who_leads_and_share_what_they_remember() {
    check_error(
        &["kubernetes.jobmanager.replicas=2"],
        Work::Session,
        "kubernetes.jobmanager.replicas: 2 JobManagers must agree on who leads: set high-availability.type to kubernetes",
    );
    let elected = ["kubernetes.jobmanager.replicas=2", "high-availability.type=kubernetes"];
    check_error(
        &elected,
        Work::Session,
        "high-availability.storageDir: high-availability.type is kubernetes, which needs a directory that all pods reach",
    );
    let shared = [&elected[..], &["high-availability.storageDir=s3://b/c"]].concat();
    check_error(
        &shared,
        awaited(),
        "kubernetes.jobmanager.replicas: a cluster of one job has one JobManager, which Kubernetes starts again where it ends",
    );
    let spec = read(&shared, Work::Session).expect("a spec");
    assert_eq!((spec.replicas, spec.elected), (2, true));
    // Their checkpoints are there too.
    assert!(spec.notes.is_empty() && !told(&spec).contains_key("execution.checkpointing.interval"));
    let spec = read(&shared[1..], awaited()).expect("a spec");
    assert_eq!((spec.replicas, spec.elected), (1, true));
}
