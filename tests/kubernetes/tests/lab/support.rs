//! A cluster that tests share while they overlap, and words for what they do with it.

use std::{
    fs,
    io::Write,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use flott_kubernetes_lab::{Cluster, Image, Options, command::output, skipped, toolchain::Tool};
pub use flott_kubernetes_lab::{command::run, wait::eventually};
use serde_json::Value;

/// Enough for anything that works on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What containers of these tests run.
pub const IMAGE: &str = "lab-pod:dev";

/// One that others use too, so it must be left as it was found. `None`, aloud, where there is no toolchain.
#[track_caller]
pub fn shared(test: &str) -> Option<Arc<Cluster>> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let toolchain = skipped::without_toolchain(test)?;
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return Some(cluster);
    }
    let kubectl = Image::of_executable(toolchain.path(Tool::Kubectl));
    let cluster = Arc::new(Cluster::start(&toolchain, options(1).image("kubectl:dev", kubectl)).unwrap());
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}

/// One of one's own.
#[track_caller]
pub fn own(test: &str, options: Options) -> Option<Cluster> {
    Some(Cluster::start(&skipped::without_toolchain(test)?, options).unwrap())
}

/// Whether containers have mounts and networks of their own here; says aloud when `test` is skipped for want of them.
pub fn is_isolated(cluster: &Cluster, test: &str) -> bool {
    let isolation = isolation(cluster);
    let isolated = isolation.starts_with("full");
    if !isolated {
        skipped::aloud(test, &format!("containers are plain processes here: isolation is {isolation}"));
    }
    isolated
}

/// What the first node says of how its containers are kept apart.
pub fn isolation(cluster: &Cluster) -> String {
    let isolation = "jsonpath={.metadata.annotations.flott\\.dev/isolation}";
    run(cluster.kubectl().args(["get", "node", "node-0", "-o", isolation]))
}

/// So many nodes, and the image of these tests.
pub fn options(nodes: u32) -> Options {
    Options::nodes(nodes).image(IMAGE, Image::of_executable(env!("CARGO_BIN_EXE_lab-pod").into()))
}

/// A namespace of a cluster, gone with this.
pub struct Namespace<'a> {
    pub cluster: &'a Cluster,
    name: &'a str,
}

impl<'a> Namespace<'a> {
    /// A new one, in which pods can be made.
    #[track_caller]
    pub fn new(cluster: &'a Cluster, name: &'a str) -> Self {
        let namespace = Self { cluster, name };
        run(cluster.kubectl().args(["create", "namespace", name]));
        eventually("a service account", || {
            let account = namespace.try_kubectl(&["get", "serviceaccount", "default", "-o", "name"])?;
            if account.is_empty() { Err(account) } else { Ok(()) }
        });
        namespace
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name
    }

    /// kubectl here, which has to succeed; what it prints.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    /// kubectl here; what it prints, or what it complains of.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        output(self.cluster.kubectl().args(["-n", self.name]).args(arguments))
    }

    /// Makes objects.
    #[track_caller]
    pub fn create(&self, yaml: &str) {
        let mut command = self.cluster.kubectl();
        command.args(["-n", self.name, "create", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut kubectl = command.spawn().unwrap();
        kubectl.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
        assert!(kubectl.wait().unwrap().success(), "{yaml}");
    }

    /// A pod of the image of these tests, which runs once.
    #[track_caller]
    pub fn pod(&self, name: &str, arguments: &[&str], more: &str) {
        let arguments = serde_json::to_string(arguments).unwrap();
        self.create(&format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, labels: {{app: {name}}}}}, spec: {{restartPolicy: Never, \
             terminationGracePeriodSeconds: 1, containers: [{{name: main, image: '{IMAGE}', args: {arguments}{more}}}]}}}}"
        ));
    }

    /// A pod as the API server has it.
    #[track_caller]
    pub fn get(&self, pod: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", "pod", pod, "-o", "json"])).unwrap()
    }

    /// Waits until a pod is in a phase; gives it.
    #[track_caller]
    pub fn until_phase(&self, pod: &str, phase: &str) -> Value {
        self.until(pod, &format!("{pod} to be {phase}"), |found| found["status"]["phase"] == phase)
    }

    /// Waits until a pod is as `accept` wants it; gives it.
    #[track_caller]
    pub fn until(&self, pod: &str, what: &str, accept: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let found = self.get(pod);
            if accept(&found) { Ok(found) } else { Err(format!("{:#}", found["status"])) }
        })
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let _ = self.cluster.kubectl().args(["delete", "namespace", self.name, "--wait=false"]).output();
    }
}

/// Command lines of processes, but this one's, that have `text` in them.
pub fn running(text: &str) -> Vec<String> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let numbered = processes.filter(|path| {
        path.file_name().is_some_and(|name| {
            name.to_str().is_some_and(|name| name != own && name.bytes().all(|byte| byte.is_ascii_digit()))
        })
    });
    let lines = numbered.filter_map(|path| {
        let words = fs::read(path.join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&words).replace('\0', " ").trim().to_owned())
    });
    lines.filter(|line| line.contains(text)).collect()
}
