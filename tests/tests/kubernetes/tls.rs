//! Clusters whose REST port speaks TLS, with certificates of a Secret.

use flott_tests::{certificates::Certificates, program::check_output};

use crate::world::World;

/// A world with certificates for the JobManager, and the authority's where clients find it.
fn world(test: &str, namespace: &'static str) -> Option<(World, Certificates)> {
    let world = World::new(test, namespace, "")?;
    let certificates = Certificates::new(world.sandbox.at("certificates"), &[&format!("demo.{namespace}")]);
    Some((world, certificates))
}

impl World {
    fn secret(&self, certificates: &Certificates, entries: &[&str]) {
        let file = |name: &&str| format!("--from-file={name}={}", certificates.path(name).display());
        let files: Vec<_> = entries.iter().map(file).collect();
        let line = ["create", "secret", "generic", "certificates"].into_iter().chain(files.iter().map(String::as_str));
        self.kubectl(&line.collect::<Vec<_>>());
    }
}

#[test]
fn clusters_speak_tls_with_their_pods_their_clients_and_the_kubelet() {
    let test = "clusters_speak_tls_with_their_pods_their_clients_and_the_kubelet";
    let Some((world, certificates)) = world(test, "tls") else { return };
    let ca = format!("security.ssl.rest.ca={}", certificates.path("ca.crt").display());
    let speaks = ["-D", "security.ssl.rest.enabled=true", "-D", &ca, "-D", "kubernetes.tls.secret=certificates"];
    let flott = |line: &[&str]| world.sandbox.flott(line.iter().chain(&speaks).copied());
    let start = ["session", "start", "--backend", "kubernetes"];
    flott(&start).refused(1, &["kubernetes.tls.secret", "\"certificates\"", "is not there"]);
    world.secret(&certificates, &["tls.crt", "tls.key"]);
    flott(&start).refused(1, &["kubernetes.tls.secret", "has no ca.crt"]);
    world.nothing_is_left();
    world.kubectl(&["delete", "secret", "certificates"]);
    world.secret(&certificates, &["tls.crt", "tls.key", "ca.crt"]);

    flott(&start).success().prints(&["Session cluster is running at https://demo.tls:8081"]);
    let out = world.output("out");
    let output = format!("output={out}");
    let run = ["run", "-t", "kubernetes-session", "-p", "2"];
    world.sandbox.flott([&run[..], &speaks, &[&world.program, "a", &output]].concat()).success();
    check_output(&out, 1000, 10);
    flott(&["list", "-a", "-t", "kubernetes-session"]).success().prints(&["FINISHED"]);
    // What a client without a word about TLS says is answered in its language, and nobody is talked to who is not trusted.
    world.sandbox.flott(["list", "-t", "kubernetes-session"]).says(&["this port speaks TLS"]);
    let stranger = Certificates::new(world.sandbox.at("others"), &["demo.tls"]);
    let other = format!("security.ssl.rest.ca={}", stranger.path("ca.crt").display());
    let list = ["list", "-t", "kubernetes-session", "-D", "security.ssl.rest.enabled=true", "-D", &other];
    world.sandbox.flott(list).refused(3, &["not trusted"]);
    let mounted = "jsonpath={.items[0].spec.volumes[?(@.name==\"flott-tls\")].secret.items[*].key}";
    let workers = ["get", "pods", "-l", "app.kubernetes.io/component=taskmanager", "-o", mounted];
    assert_eq!(world.kubectl(&workers), "ca.crt");
    flott(&["session", "stop", "--backend", "kubernetes"]).success();
    world.nothing_is_left();

    // One job, one cluster.
    let out = world.output("application");
    let output = format!("output={out}");
    let run = ["run", "-t", "kubernetes-application", "-p", "2"];
    world.sandbox.flott([&run[..], &speaks, &[&world.program, "a", &output]].concat()).success();
    check_output(&out, 1000, 10);
    world.nothing_is_left();
}
