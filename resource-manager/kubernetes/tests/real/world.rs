//! A cluster that tests share while they overlap, and words for what they do with it.

use std::{
    fs,
    io::Write,
    ops::ControlFlow,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use flott_core::config::Loader;
use flott_kubernetes::{Connection, KubernetesBackend, Place, Settings};
pub use flott_kubernetes_lab::command::run;
use flott_kubernetes_lab::{Cluster, Image, Options, command::output, skipped, wait::eventually};
use flott_resource_manager::backend::{BackendEvent, LossReason, Rejection, contract::Bench};

/// Enough for anything that works on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Workers named `missing…` get an image that is not there.
const MISSING_IMAGES: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: missing}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]}
  matchConditions:
  - name: missing
    expression: "has(object.metadata.labels) && object.metadata.labels[?'flott.dev/worker'].orValue('').startsWith('missing')"
  mutations:
  - patchType: JSONPatch
    jsonPatch: {expression: "[JSONPatch{op: 'replace', path: '/spec/containers/0/image', value: 'lab/missing'}]"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: missing}
spec: {policyName: missing}
"#;

/// A pod that the policy changes.
const PROBE: &str = "{apiVersion: v1, kind: Pod, metadata: {name: probe, labels: {flott.dev/worker: missing}}, \
                     spec: {containers: [{name: flott, image: busybox}]}}";

/// A cluster of which these tests know the containers.
pub fn options(nodes: u32) -> Options {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/play.sh");
    let image = Image {
        entrypoint: vec!["/bin/sh".into(), "/usr/local/bin/play".into()],
        files: [("/usr/local/bin/play".into(), script.into())].into(),
        user: Some(65532),
        ..Image::default()
    };
    Options::nodes(nodes).image("flott:dev", image)
}

/// One that others use too, so it must be left as it was found. `None`, aloud, where there is no toolchain.
pub fn shared(test: &str) -> Option<Arc<Cluster>> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let toolchain = skipped::without_toolchain(test)?;
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return Some(cluster);
    }
    let cluster = Arc::new(Cluster::start(&toolchain, options(1)).unwrap());
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}

/// One of one's own.
pub fn own(test: &str, options: Options) -> Option<Arc<Cluster>> {
    Some(Arc::new(Cluster::start(&skipped::without_toolchain(test)?, options).unwrap()))
}

/// Whether containers have limits of memory here; says aloud when `test` is skipped for want of them.
pub fn has_limits(cluster: &Cluster, test: &str) -> bool {
    let isolation = "jsonpath={.metadata.annotations.flott\\.dev/isolation}";
    let isolation = run(cluster.kubectl().args(["get", "node", "node-0", "-o", isolation]));
    let has_limits = isolation == "full, with limits of memory";
    if !has_limits {
        skipped::aloud(test, &format!("containers have no limits of memory here: isolation is {isolation}"));
    }
    has_limits
}

/// A namespace of a cluster, gone with this.
pub struct Namespace {
    pub cluster: Arc<Cluster>,
    pub name: String,
}

impl Namespace {
    /// A new one, in which pods can be made.
    pub fn new(cluster: Arc<Cluster>, name: &str) -> Self {
        run(cluster.kubectl().args(["create", "namespace", name]));
        let namespace = Self { cluster, name: name.to_owned() };
        eventually("a service account", || {
            let account = namespace.try_kubectl(&["get", "serviceaccount", "default", "-o", "name"])?;
            if account.is_empty() { Err(account) } else { Ok(()) }
        });
        namespace
    }

    /// kubectl here, which has to succeed; what it prints.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        output(self.cluster.kubectl().args(["-n", &self.name]).args(arguments))
    }

    /// The name of the only pod.
    pub fn pod(&self) -> String {
        self.kubectl(&["get", "pods", "-o=jsonpath={.items[*].metadata.name}"])
    }

    /// The kubeconfig of a service account that may do this: verbs, and resources.
    pub fn account(&self, name: &str, rights: &[(&str, &str)]) -> std::path::PathBuf {
        self.kubectl(&["create", "serviceaccount", name]);
        for (number, (verbs, resources)) in rights.iter().enumerate() {
            let role = format!("{name}-{number}");
            let (verbs, resources) = (format!("--verb={verbs}"), format!("--resource={resources}"));
            self.kubectl(&["create", "role", &role, &verbs, &resources]);
            let (role_flag, account) = (format!("--role={role}"), format!("--serviceaccount={}:{name}", self.name));
            self.kubectl(&["create", "rolebinding", &role, &role_flag, &account]);
        }
        let token = self.kubectl(&["create", "token", name]);
        self.kubeconfig(name, &token)
    }

    /// The kubeconfig of whoever has this token.
    pub fn kubeconfig(&self, name: &str, token: &str) -> std::path::PathBuf {
        let config = self.kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"]);
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        config["users"][0]["user"] = serde_json::json!({"token": token});
        let path = self.cluster.directory().join(format!("{}-{name}.kubeconfig", self.name));
        fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// A bench of backends that are made with these keys.
    pub async fn bench(&self, keys: &[&str]) -> Bench {
        let file = format!("kubernetes.config.file={}", self.cluster.kubeconfig().display());
        let namespace = format!("kubernetes.namespace={}", self.name);
        let common = [
            "kubernetes.cluster-id=demo",
            "kubernetes.container.image.ref=flott:dev",
            "kubernetes.container-start.timeout=30 s",
            // A shell that has not come to its trap does not hear of its end.
            "kubernetes.taskmanager.termination-grace=2 s",
            &file,
            &namespace,
        ];
        let config = Loader::new().overrides(common.iter().chain(keys)).load().unwrap().config;
        let connection = Connection::open(&config).await.unwrap();
        let place = Place { address: "jobmanager:8081".into(), pod: None };
        let settings = Settings::read(&config, place).unwrap();
        let world = Self { cluster: self.cluster.clone(), name: String::new() };
        Bench::new(move || Arc::new(KubernetesBackend::new(connection.clone(), settings.clone())), world)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.cluster.kubectl().args(["delete", "namespace", &self.name, "--wait=false"]).output();
        }
    }
}

/// For a law of the contract, in a namespace of its own.
pub async fn contract_bench(law: &str) -> Option<Bench> {
    let cluster = shared(law)?;
    // Names of namespaces are shorter than those of laws.
    let namespace = Namespace::new(cluster, &law.replace('_', "-").chars().take(50).collect::<String>());
    if law == "what_cannot_be_started_is_rejected" {
        // Others do not make workers of that name.
        let _ = fed(namespace.cluster.kubectl().args(["apply", "-f", "-"]), MISSING_IMAGES).unwrap();
        eventually("the policy to be in force", || {
            let mut kubectl = namespace.cluster.kubectl();
            kubectl.args([
                "-n",
                &namespace.name,
                "create",
                "--dry-run=server",
                "-f",
                "-",
                "-o=jsonpath={.spec.containers[0].image}",
            ]);
            let image = fed(&mut kubectl, PROBE)?;
            if image == "lab/missing" { Ok(()) } else { Err(image) }
        });
    }
    let bench = namespace.bench(&["kubernetes.container-start.timeout=3 s"]).await;
    // The bench keeps the cluster; the namespace goes with it.
    std::mem::forget(namespace);
    Some(bench)
}

/// The next word of a delay, passing over others.
pub async fn delayed(bench: &mut Bench) -> (Rejection, String) {
    let found = bench.until(|event| match event {
        BackendEvent::Delayed { rejection, message, .. } => ControlFlow::Break((rejection, message)),
        _ => ControlFlow::Continue(()),
    });
    timely("a delay", found).await
}

/// The next rejection, passing over others.
pub async fn rejected(bench: &mut Bench) -> (Rejection, String) {
    let found = bench.until(|event| match event {
        BackendEvent::Rejected { rejection, message, .. } => ControlFlow::Break((rejection, message)),
        _ => ControlFlow::Continue(()),
    });
    timely("a rejection", found).await
}

/// The next loss, passing over others.
pub async fn lost(bench: &mut Bench) -> LossReason {
    let found = bench.until(|event| match event {
        BackendEvent::Lost { reason, .. } => ControlFlow::Break(reason),
        _ => ControlFlow::Continue(()),
    });
    timely("a loss", found).await
}

pub async fn started(bench: &mut Bench, worker: &str) {
    timely("a start", bench.expect_started(worker)).await;
}

pub async fn timely<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited for {what} in vain"))
}

/// Runs a command that reads `input`; what it prints.
fn fed(command: &mut Command, input: &str) -> Result<String, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}
