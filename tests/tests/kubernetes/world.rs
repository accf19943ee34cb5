//! A cluster that tests share while they overlap, and a namespace and a sandbox for each.

use std::{
    fs,
    io::Write,
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError, Weak},
};

pub use flott_kubernetes_lab::command::run;
use flott_kubernetes_lab::{Cluster, Image, Options, command::output, skipped};
use flott_tests::{
    binaries::binary,
    eventually::{PATIENCE, eventually},
    forward::Forward,
    program::{slim, test_program},
    rest::Rest,
    sandbox::Sandbox,
};
use nix::unistd::Pid;
use serde_json::Value;

/// The user of the image, as a number, so that pods that must not be root can be seen not to be.
const USER: u32 = 65532;
/// What the JobManager needs, and no more.
pub const RIGHTS: [(&str, &str); 2] = [("get,list,watch,create,delete", "pods"), ("get", "deployments.apps")];

/// One that others use too. `None`, aloud, where there is no toolchain, or where pods have no network of their own.
fn shared(test: &str) -> Option<Arc<Cluster>> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let toolchain = skipped::without_toolchain(test)?;
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = match shared.upgrade() {
        Some(cluster) => cluster,
        None => {
            let cluster = Arc::new(Cluster::start(&toolchain, with_image(Options::nodes(1))).unwrap());
            *shared = Arc::downgrade(&cluster);
            cluster
        }
    };
    is_isolated(&cluster, test).then_some(cluster)
}

/// One of one's own, which may be damaged.
pub fn own(test: &str, options: Options) -> Option<Arc<Cluster>> {
    let toolchain = skipped::without_toolchain(test)?;
    let cluster = Arc::new(Cluster::start(&toolchain, with_image(options)).unwrap());
    is_isolated(&cluster, test).then_some(cluster)
}

fn with_image(options: Options) -> Options {
    options.image("flott:dev", image())
}

/// An image with Flott and the word count.
pub fn image() -> Image {
    let program = |name: &str| (format!("/usr/local/bin/{name}"), PathBuf::from(binary(name)));
    let files = [program("flott"), program("wordcount")].into();
    Image { entrypoint: vec!["flott".into()], files, user: Some(USER), ..Image::default() }
}

fn is_isolated(cluster: &Cluster, test: &str) -> bool {
    let isolation = isolation(cluster);
    let is_full = isolation.starts_with("full");
    if !is_full {
        skipped::aloud(test, &format!("pods have no network of their own here: isolation is {isolation}"));
    }
    is_full
}

fn isolation(cluster: &Cluster) -> String {
    let isolation = "jsonpath={.metadata.annotations.flott\\.dev/isolation}";
    run(cluster.kubectl().args(["get", "node", "node-0", "-o", isolation]))
}

/// A namespace of a cluster, and a client's place whose directory `shared` all pods see.
pub struct World {
    /// The tests' own program.
    pub program: String,
    pub sandbox: Sandbox,
    pub cluster: Arc<Cluster>,
    pub namespace: &'static str,
}

impl World {
    /// A new one, with more lines in the client's configuration. Its JobManagers have the service account `flott`.
    pub fn new(test: &str, namespace: &'static str, lines: &str) -> Option<Self> {
        Some(Self::of(shared(test)?, namespace, lines))
    }

    /// The same of a given cluster.
    pub fn of(cluster: Arc<Cluster>, namespace: &'static str, lines: &str) -> Self {
        let sandbox = Sandbox::new();
        let shared = sandbox.at("shared");
        fs::create_dir(&shared).unwrap();
        // Pods are another user.
        for path in [sandbox.path().to_owned(), PathBuf::from(&shared)] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let template = sandbox.write("pod.yaml", template(&shared, ""));
        let kubeconfig = cluster.kubeconfig();
        let common = [
            format!("kubernetes.config.file: {}", kubeconfig.display()),
            format!("kubernetes.namespace: {namespace}"),
            "kubernetes.cluster-id: demo".to_owned(),
            "kubernetes.container.image.ref: flott:dev".to_owned(),
            "kubernetes.jobmanager.service-account: flott".to_owned(),
            format!("kubernetes.pod-template-file.default: {template}"),
            "taskmanager.cpu.cores: 0.5".to_owned(),
        ];
        let given: Vec<_> = lines.lines().map(|line| line.split(':').next().unwrap_or_default()).collect();
        let common = common.iter().filter(|line| !given.iter().any(|key| line.starts_with(&format!("{key}:"))));
        let all: Vec<_> = common.map(String::as_str).chain(lines.lines()).collect();
        sandbox.configure(&all.join("\n"));
        let program = slim(&test_program(), sandbox.path());
        let world = Self { program, sandbox, cluster, namespace };
        run(world.cluster.kubectl().args(["create", "namespace", namespace]));
        eventually("a service account", PATIENCE, || {
            world.try_kubectl(&["get", "serviceaccount", "default", "-o", "name"]).map(drop)
        });
        world.account("flott", &RIGHTS);
        world
    }

    /// A template for pods of the JobManager whose state directory outlives them, as the value of its key.
    pub fn lasting(&self) -> String {
        let state = self.output("jobmanager");
        let volume = format!(", {{name: flott-work, hostPath: {{path: '{state}'}}}}");
        let template = self.sandbox.write("jobmanager.yaml", template(&self.sandbox.at("shared"), &volume));
        format!("kubernetes.pod-template-file.jobmanager={template}")
    }

    /// A service account that may do this: verbs, and resources.
    pub fn account(&self, name: &str, rights: &[(&str, &str)]) {
        self.kubectl(&["create", "serviceaccount", name]);
        for (number, (verbs, resources)) in rights.iter().enumerate() {
            let role = format!("{name}-{number}");
            let (verbs, resources) = (format!("--verb={verbs}"), format!("--resource={resources}"));
            self.kubectl(&["create", "role", &role, &verbs, &resources]);
            let (role_flag, account) =
                (format!("--role={role}"), format!("--serviceaccount={}:{name}", self.namespace));
            self.kubectl(&["create", "rolebinding", &role, &role_flag, &account]);
        }
        for (verbs, resources) in rights {
            let verb = verbs.split(',').next().unwrap_or_default();
            resources.split(',').for_each(|resource| self.until_allowed(name, verb, resource));
        }
    }

    /// Waits until a service account may do this: the API server takes a moment to learn of a new role.
    #[track_caller]
    pub fn until_allowed(&self, account: &str, verb: &str, resource: &str) {
        let whom = format!("--as=system:serviceaccount:{}:{account}", self.namespace);
        let can = ["auth", "can-i", "--quiet", verb, resource, &whom];
        eventually(&format!("{account} to be allowed to {verb} {resource}"), PATIENCE, || self.try_kubectl(&can));
    }

    /// The kubeconfig of whoever has this token, at this server instead of the real one if one is given.
    pub fn kubeconfig(&self, name: &str, token: &str, server: Option<&str>) -> String {
        let config = self.kubectl(&["config", "view", "--raw", "--flatten", "-o", "json"]);
        let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
        config["users"][0]["user"] = serde_json::json!({ "token": token });
        if let Some(server) = server {
            config["clusters"][0]["cluster"]["server"] = server.into();
        }
        self.sandbox.write(&format!("{name}.kubeconfig"), config.to_string())
    }

    /// kubectl in the namespace, which has to succeed; what it prints.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("kubectl {}: {error}", arguments.join(" ")))
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        output(self.cluster.kubectl().args(["-n", self.namespace]).args(arguments))
    }

    /// The same as nobody, at no server, but what the arguments say.
    pub fn anonymously(&self, arguments: &[&str]) -> Result<String, String> {
        let mut kubectl = self.cluster.kubectl();
        kubectl.env("KUBECONFIG", "/dev/null").args(["-n", self.namespace, "--insecure-skip-tls-verify"]);
        output(kubectl.args(arguments))
    }

    /// Makes objects.
    #[track_caller]
    pub fn create(&self, yaml: &str) {
        let mut command = self.cluster.kubectl();
        command.args(["-n", self.namespace, "create", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut kubectl = command.spawn().unwrap();
        kubectl.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
        assert!(kubectl.wait().unwrap().success(), "{yaml}");
    }

    /// Evicts a pod by the API, as `kubectl drain` does.
    #[track_caller]
    pub fn evict(&self, pod: &str) {
        let body = serde_json::json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": pod, "namespace": self.namespace },
        });
        let file = self.sandbox.write("eviction.json", body.to_string());
        let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", self.namespace);
        self.kubectl(&["create", "--raw", &path, "-f", &file]);
    }

    /// What there is of Flott clusters in the namespace.
    pub fn objects(&self) -> Vec<String> {
        let kinds = "deployments,replicasets,jobs,pods,services,configmaps,secrets,leases";
        let found = self.kubectl(&["get", kinds, "-l", "app.kubernetes.io/name=flott", "-o", "name"]);
        found.lines().map(str::to_owned).collect()
    }

    /// Pods of a component that are not about to go.
    pub fn pods(&self, component: &str) -> Vec<Value> {
        let selector = format!("app.kubernetes.io/component={component}");
        let pods: Value = serde_json::from_str(&self.kubectl(&["get", "pods", "-l", &selector, "-o", "json"])).unwrap();
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect()
    }

    /// The REST endpoint of a JobManager that is ready.
    #[track_caller]
    pub fn rest(&self) -> Client {
        eventually("a JobManager that answers", PATIENCE, || {
            let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
            let mut last = "none is ready".to_owned();
            // That of a lost node counts as ready for a while.
            for pod in self.pods("jobmanager").into_iter().filter(is_ready) {
                let mut kubectl = self.cluster.kubectl();
                kubectl.args(["-n", self.namespace]);
                match Forward::start(kubectl, pod["metadata"]["name"].as_str().unwrap_or_default(), 8081) {
                    Ok(forward) => return Ok(self.client(forward)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn client(&self, forward: Forward) -> Client {
        let token = self.kubectl(&["get", "secret", "demo-token", "-o=go-template={{.data.token | base64decode}}"]);
        let rest = Rest::new(forward.address()).with_token(&token);
        Client { rest, _forward: forward }
    }

    /// Waits until the container of a pod has been started again.
    #[track_caller]
    pub fn until_restarted(&self, pod: &str) {
        eventually(&format!("{pod} to be started again"), PATIENCE, || {
            let restarts = "jsonpath={.status.containerStatuses[0].restartCount}";
            let restarts = self.try_kubectl(&["get", "pod", pod, "-o", restarts])?;
            if restarts == "0" { Err(restarts) } else { Ok(()) }
        });
    }

    /// Whether containers have limits of memory here; says aloud what is left out where they do not.
    pub fn limits_memory(&self, test: &str) -> bool {
        let isolation = isolation(&self.cluster);
        let is_limited = isolation == "full, with limits of memory";
        if !is_limited {
            skipped::aloud(test, &format!("containers have no limits of memory here: isolation is {isolation}"));
        }
        is_limited
    }

    /// The process of a pod, which is one of this machine: `jobmanager` or `taskmanager`.
    #[track_caller]
    pub fn process(&self, verb: &str, pod: &str) -> Pid {
        flott_tests::pod::process(self.namespace, verb, pod)
    }

    /// Wants nothing to be there now.
    #[track_caller]
    pub fn nothing_is_left(&self) {
        // What the garbage collector does not wait for: a ReplicaSet that has no pods.
        eventually("nothing to be left", PATIENCE, || {
            let left = self.objects();
            if left.is_empty() { Ok(()) } else { Err(left.join(", ")) }
        });
    }

    /// Starts a session with these settings.
    #[track_caller]
    pub fn start_session(&self, settings: &[&str]) {
        let settings = settings.iter().flat_map(|setting| ["-D", setting]);
        self.sandbox.flott(["session", "start", "--backend", "kubernetes"].into_iter().chain(settings)).success();
    }

    /// Stops it, and wants nothing to be left.
    #[track_caller]
    pub fn stop_session(&self) {
        self.sandbox.flott(["session", "stop", "--backend", "kubernetes"]).success();
        self.nothing_is_left();
    }

    /// A path that all pods see.
    pub fn shared(&self, name: &str) -> String {
        self.sandbox.at(&format!("shared/{name}"))
    }

    /// A directory that all pods can write to.
    pub fn output(&self, name: &str) -> String {
        let path = self.shared(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        path
    }
}

/// A JobManager as it is reached from outside of the cluster.
pub struct Client {
    rest: Rest,
    _forward: Forward,
}

impl Deref for Client {
    type Target = Rest;

    fn deref(&self) -> &Rest {
        &self.rest
    }
}

/// A pod that sees the directory `shared`, with more volumes.
fn template(shared: &str, volumes: &str) -> String {
    format!(
        "spec:\n  volumes: [{{name: shared, hostPath: {{path: '{shared}'}}}}{volumes}]\n  containers:\n  - name: flott\n    \
         volumeMounts: [{{name: shared, mountPath: '{shared}'}}]\n"
    )
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seen = self.try_kubectl(&["get", "all,events"]).unwrap_or_else(|error| error);
            eprintln!("what was there in namespace {}:\n{seen}", self.namespace);
            let selector = ["-l", "app.kubernetes.io/component=jobmanager", "--tail=60", "--prefix"];
            eprintln!("{}", self.try_kubectl(&[&["logs"], &selector[..]].concat()).unwrap_or_else(|error| error));
        }
        let _ = self.cluster.kubectl().args(["delete", "namespace", self.namespace, "--wait=false"]).output();
        // Else the sandbox would find the pods' processes.
        let pods = ["delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false"];
        let _ = self.cluster.kubectl().args(["-n", self.namespace]).args(pods).output();
    }
}
