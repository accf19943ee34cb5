use flott_kubernetes_lab::options::Isolation;

use super::support::{Namespace, isolation, options, own};

const READER: &str = "{apiVersion: v1, kind: Pod, metadata: {name: reader}, spec: {restartPolicy: Never, containers: \
    [{name: main, image: busybox, args: [-c, 'cat /etc/thing/key; exit 3'], volumeMounts: \
    [{name: thing, mountPath: /etc/thing}]}], volumes: [{name: thing, configMap: {name: thing}}]}}";

#[test]
fn without_isolation_containers_are_plain_processes_that_find_their_volumes() {
    let test = "without_isolation_containers_are_plain_processes_that_find_their_volumes";
    let mut options = options(1);
    options.node.isolation = Isolation::None;
    let Some(cluster) = own(test, options) else { return };
    assert_eq!(isolation(&cluster), "none");
    let here = Namespace::new(&cluster, "plain");
    here.kubectl(&["create", "configmap", "thing", "--from-literal=key=found"]);
    here.create(READER);
    let pod = here.until_phase("reader", "Failed");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 3);
    assert_eq!(here.kubectl(&["logs", "reader"]), "found");
    // The image's own executable is found, too.
    here.pod("server", &["serve", "0", "hello"], "");
    here.until_phase("server", "Running");
}
