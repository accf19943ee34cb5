//! What the API server says of the chart: nothing.

use std::fs;

use flott_tests::binaries::shipped;

use crate::release::{cluster, done, with_pod_monitors};

#[test]
fn the_api_server_takes_every_set_of_values() {
    let Some(cluster) = cluster("the_api_server_takes_every_set_of_values") else { return };
    with_pod_monitors(&cluster);
    // A namespace of its own: releases of other tests are in theirs.
    done(cluster.kubectl().args(["create", "namespace", "dry"]));
    let sets = fs::read_dir(shipped("helm/flott/ci")).unwrap().map(|entry| entry.unwrap().path());
    let mut count = 0;
    for values in sets {
        let line = ["install", "demo", &*shipped("helm/flott"), "--namespace", "dry", "--dry-run=server", "--values"];
        done(cluster.helm().args(line).arg(&values));
        // Helm asks for no admission, kubectl does: of pods, of quantities, of names.
        let line =
            ["template", "demo", &*shipped("helm/flott"), "--namespace", "dry", "--kube-version=1.36.0", "--values"];
        let manifests = done(cluster.helm().args(line).arg(&values));
        let file = cluster.directory().join("manifests.yaml");
        fs::write(&file, manifests).unwrap();
        let line = ["apply", "--namespace", "dry", "--dry-run=server", "--filename"];
        let output = cluster.kubectl().args(line).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{}: {said}", values.display());
        count += 1;
    }
    assert!(count >= 5, "{count}");
}
