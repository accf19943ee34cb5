//! The plain manifests of `deploy/kubernetes`, without Helm, as docs/deployment.md has it.

use std::path::{Path, PathBuf};

use flott_kubernetes_lab::{Cluster, Image, Options, skipped};
use flott_tests::{
    binaries::{binary, shipped},
    eventually::{PATIENCE, eventually},
    forward::Forward,
    program::{slim, test_program},
    sandbox::Sandbox,
};

use crate::{
    application::readable,
    release::{IMAGE, KINDS, done},
};

const NAMESPACE: &str = "flott";
const TOKEN: &str = "of-the-hand";
const OF_FLOTT: [&str; 2] = ["--selector", "app.kubernetes.io/name=flott"];

struct Manifests {
    cluster: Cluster,
}

impl Manifests {
    #[track_caller]
    fn kubectl(&self, arguments: &[&str]) -> String {
        done(self.cluster.kubectl().args(["--namespace", NAMESPACE]).args(arguments))
    }

    /// Applies the file of that name, does something with what it makes, and deletes it.
    #[track_caller]
    fn with(&self, name: &str, use_it: impl FnOnce()) {
        let file = shipped(&format!("deploy/kubernetes/{name}.yaml"));
        self.kubectl(&["apply", "--filename", &file]);
        use_it();
        self.kubectl(&["delete", "--filename", &file]);
        eventually(&format!("nothing to be left of {name}"), PATIENCE, || {
            let left = self.kubectl(&[&["get", KINDS, "--output=name"][..], &OF_FLOTT].concat());
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
    }

    /// Runs a job in a session.
    #[track_caller]
    fn run(&self, sandbox: &Sandbox, program: &str) {
        self.kubectl(&["rollout", "status", "deployment/flott", "--timeout=120s"]);
        let pod = "--output=jsonpath={.items[0].metadata.name}";
        let pod = self.kubectl(&["get", "pods", "--selector=app.kubernetes.io/component=jobmanager", pod]);
        let mut kubectl = self.cluster.kubectl();
        kubectl.args(["--namespace", NAMESPACE]);
        let forward = Forward::start(kubectl, &pod, 8081).unwrap();
        let token = format!("security.token={TOKEN}");
        let run = ["run", "-m", forward.address(), "-D", &token, program, "a"];
        sandbox.flott(run).success().prints(&["Program execution finished"]);
    }
}

#[test]
fn plain_manifests_make_clusters_that_run_jobs_and_are_deleted_whole() {
    let test = "plain_manifests_make_clusters_that_run_jobs_and_are_deleted_whole";
    let Some(toolchain) = skipped::without_toolchain(test) else { return };
    let sandbox = Sandbox::new();
    let (graph, program) = (sandbox.at("job.graph"), slim(&test_program(), sandbox.path()));
    sandbox.flott(["plan", "-o", &graph, &program, "a"]).success();
    // The application is in the image.
    let mut image = Image::of_executable(PathBuf::from(binary("flott")));
    for (path, file) in [("/opt/flott/job/job.graph", &graph), ("/opt/flott/job/program", &program)] {
        readable(Path::new(file));
        image.files.insert(path.to_owned(), PathBuf::from(file));
    }
    let cluster = Cluster::start(&toolchain, Options::nodes(2).image(IMAGE, image)).expect("a cluster starts");
    done(cluster.kubectl().args(["create", "namespace", NAMESPACE]));
    let manifests = Manifests { cluster };
    let token = format!("--from-literal=token={TOKEN}");
    manifests.kubectl(&["create", "secret", "generic", "flott-token", &token]);

    manifests.with("session", || manifests.run(&sandbox, &program));
    manifests.with("session-native", || manifests.run(&sandbox, &program));
    manifests.with("application", || {
        let complete = ["wait", "job", "--for=condition=Complete", "--timeout=120s"];
        manifests.kubectl(&[&complete[..], &OF_FLOTT].concat());
    });
}
