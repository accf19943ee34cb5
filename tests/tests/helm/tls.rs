//! A session whose REST port speaks TLS, with certificates that the chart makes.

use flott_tests::{
    program::{check_output, test_program},
    rest::Rest,
    sandbox::Sandbox,
};

use crate::release::{Release, cluster};

/// Where the shared claim is mounted.
const SHARED: &str = "/var/lib/flott-checkpoints";
const SETTINGS: &[&str] = &[
    "workers=native",
    "tls.enabled=true",
    "checkpoints.persistence.enabled=true",
    "config.taskmanager\\.memory\\.process\\.size=512 mb",
    "config.taskmanager\\.cpu\\.cores=0.5",
];

#[test]
fn a_session_makes_its_certificates_keeps_them_and_is_talked_to_by_tls_alone() {
    let Some(cluster) = cluster("a_session_makes_its_certificates_keeps_them_and_is_talked_to_by_tls_alone") else {
        return;
    };
    let sandbox = Sandbox::new();
    let release = Release::install(&cluster, "sealed", SETTINGS);
    release.helm("test", &[]);
    let authority = || {
        let template = "--output=go-template={{index .data \"ca.crt\" | base64decode}}";
        release.kubectl(&["get", "secret", "sealed-tls", template])
    };
    let made = authority();
    let client = release.client();
    client.rest.try_get("/overview").refused(400, &["speaks TLS"]);

    // As NOTES has it.
    let ca = format!("security.ssl.rest.ca={}", sandbox.write("ca.crt", &made));
    let (url, token) = (format!("https://{}", client.address), format!("security.token={}", release.token()));
    let known = ["-m", &url, "-D", &token, "-D", &ca, "-D", "security.ssl.rest.server-name=sealed.apps"];
    let output = format!("output={SHARED}/sealed");
    let program = test_program();
    let run = [&["run", "-p", "2"], &known[..], &[&*program, "a", &output]].concat();
    sandbox.flott(run).success();
    check_output(release.directory("sealed-checkpoints").join("sealed").to_str().unwrap(), 1000, 10);
    sandbox.flott(["list", "-a"].iter().chain(&known)).success().prints(&["FINISHED"]);
    // By name, since this one takes no other word for it: the forwarded port is on this machine.
    let here = Rest::new(&client.address.replace("127.0.0.1", "localhost")).trusting(made.as_bytes());
    assert_eq!(here.with_token(&release.token()).get("/overview")["jobs-finished"], 1);
    drop(client);

    release.upgrade(&[SETTINGS, &["config.heartbeat\\.timeout=9 s"]].concat());
    assert_eq!(authority(), made, "an upgrade keeps the certificates");
    release.helm("test", &[]);
    release.uninstall(&["persistentvolumeclaim/sealed-checkpoints"]);
}
