//! Wrong values are refused, with a message that names them.

use flott_helm_tests::helm;

#[track_caller]
fn check(cases: &[(&[&str], &[&str])], test: &str) {
    let Some(helm) = helm::or_skipped(test) else { return };
    for (settings, words) in cases {
        helm.refuses(settings, words);
    }
}

#[test]
fn unknown_keys_are_named() {
    check(
        &[
            (&["mod=session"], &["mod"]),
            (&["jobmanager.replica=2"], &["jobmanager", "replica"]),
            (&["taskmanager.autoscaling.enable=true"], &["taskmanager", "autoscaling", "enable"]),
            (&["jobmanager.persistence.sise=1Gi"], &["persistence", "sise"]),
        ],
        "unknown_keys_are_named",
    );
}

#[test]
fn values_of_another_kind_are_named() {
    check(
        &[
            (&["mode=batch"], &["mode", "session", "application"]),
            (&["workers=pods"], &["workers", "standalone", "native"]),
            (&["image.pullPolicy=Sometimes"], &["pullPolicy", "IfNotPresent"]),
            (&["image.digest=latest"], &["image", "digest"]),
            (&["taskmanager.replicas=two"], &["replicas", "integer"]),
            (&["taskmanager.replicas=-1"], &["replicas"]),
            (&["clusterId=Flott"], &["clusterId"]),
            (&["service.type=External"], &["type", "NodePort"]),
            (&["config.rest.port=1"], &["config", "rest", "string"]),
            (&["application.jobGraph=s3://bucket/job.graph"], &["jobGraph", "local://"]),
            (&["jobmanager.persistence.size=much"], &["size"]),
        ],
        "values_of_another_kind_are_named",
    );
}

#[test]
fn names_that_fit_no_service_are_refused_with_what_to_set() {
    let test = "names_that_fit_no_service_are_refused_with_what_to_set";
    let Some(helm) = helm::or_skipped(test) else { return };
    let long = "a23456789-123456789-123456789-123456789-123456";
    for release in ["1st", long] {
        let error = helm.template_as(release, "apps", &[]).expect_err(release);
        assert!(error.contains("clusterId") && error.contains(release), "{error}");
        helm.template_as(release, "apps", &["--set", "clusterId=short"]).expect("clusterId helps");
    }
}

#[test]
fn what_the_chart_sets_itself_is_refused_with_the_value_to_use() {
    check(
        &[
            (&["config.security\\.token=secret"], &["config.security.token", "token.existingSecret"]),
            (&["config.rest\\.port=9000"], &["config.rest.port", "service.port"]),
            (&["config.cluster\\.backend=process"], &["config.cluster.backend", "workers"]),
            (
                &["taskmanager.resources.limits.memory=1Gi"],
                &["memory is one number", "config.taskmanager.memory.process.size"],
            ),
            (
                &["jobmanager.resources.requests.memory=1Gi"],
                &["memory is one number", "config.jobmanager.memory.process.size"],
            ),
        ],
        "what_the_chart_sets_itself_is_refused_with_the_value_to_use",
    );
}

#[test]
fn values_that_do_not_go_together_are_refused() {
    check(
        &[
            (&["config.taskmanager\\.memory\\.process\\.size=lots"], &["lots", "4 gb"]),
            (&["ingress.enabled=true", "ingress.hosts[0]=a"], &["service.enabled"]),
            (&["ingress.enabled=true", "service.enabled=true"], &["ingress.hosts"]),
            (&["workers=native", "taskmanager.autoscaling.enabled=true"], &["autoscaling", "standalone"]),
            (&["workers=native", "taskmanager.resources.limits.cpu=2"], &["config.taskmanager.cpu.cores"]),
            (&["jobmanager.replicas=2"], &["jobmanager.replicas", "highAvailability.enabled"]),
            (&["highAvailability.enabled=true"], &["highAvailability.storageDir", "checkpoints.persistence"]),
            (&["config.high-availability\\.type=storage"], &["set highAvailability.enabled"]),
            (&["config.kubernetes\\.service-account=x"], &["set serviceAccount"]),
            (
                &["taskmanager.autoscaling.enabled=true", "taskmanager.autoscaling.minReplicas=11"],
                &["minReplicas", "11", "10"],
            ),
            (
                &["config.execution\\.checkpointing\\.interval=5 s"],
                &["checkpoints.persistence", "execution.checkpointing.dir"],
            ),
        ],
        "values_that_do_not_go_together_are_refused",
    );
}
