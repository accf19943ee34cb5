//! A release of the chart in a namespace of its own.

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use flott_kubernetes_lab::{Cluster, Image, Options, skipped};
use flott_tests::{
    binaries::{binary, shipped},
    eventually::{PATIENCE, eventually},
    forward::Forward,
    rest::Rest,
};
use serde_json::Value;

/// The image that the chart names when it is told nothing: that of its application's version.
pub const IMAGE: &str = "flott:0.1.0";
/// The namespace, in which pods must be restricted.
pub const NAMESPACE: &str = "apps";
/// Everything that a release may consist of.
pub const KINDS: &str = "deployments,replicasets,jobs,pods,services,endpointslices,configmaps,secrets,serviceaccounts,roles,rolebindings,\
                     persistentvolumeclaims,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers,ingresses";

/// A cluster with two nodes, which tests share while they overlap; where there can be none, says that `test` is skipped.
pub fn cluster(test: &str) -> Option<Arc<Cluster>> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    skipped::without_toolchain(test)?;
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return Some(cluster);
    }
    let cluster = Arc::new(own(test, Options::nodes(2))?);
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}

/// One of one's own, which may be damaged; where there can be none, says that `test` is skipped.
pub fn own(test: &str, options: Options) -> Option<Cluster> {
    let toolchain = skipped::without_toolchain(test)?;
    let flott = Image::of_executable(PathBuf::from(binary("flott")));
    let cluster = Cluster::start(&toolchain, options.image(IMAGE, flott)).expect("a cluster starts");
    with_namespace(&cluster);
    Some(cluster)
}

fn with_namespace(cluster: &Cluster) {
    let kubectl = |arguments: &[&str]| done(cluster.kubectl().args(arguments));
    kubectl(&["create", "namespace", NAMESPACE]);
    kubectl(&["label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted"]);
}

/// What a PodMonitor is, as far as the chart makes one.
const POD_MONITOR: &str = include_str!("podmonitor.yaml");

/// Tells the cluster what a PodMonitor is, as the Prometheus Operator does where it is installed. Harmless twice.
pub fn with_pod_monitors(cluster: &Cluster) {
    // One at a time: tests share the cluster.
    static TELLING: Mutex<()> = Mutex::new(());
    let _telling = TELLING.lock().unwrap_or_else(PoisonError::into_inner);
    let file = cluster.directory().join("podmonitor.yaml");
    std::fs::write(&file, POD_MONITOR).expect("the cluster's directory can be written to");
    done(cluster.kubectl().args(["apply", "--server-side", "--filename"]).arg(&file));
    let name = "customresourcedefinition/podmonitors.monitoring.coreos.com";
    done(cluster.kubectl().args(["wait", "--for=condition=Established", "--timeout=60s", name]));
}

/// Wants a command to succeed; gives what it printed.
#[track_caller]
pub fn done(command: &mut Command) -> String {
    let line = format!("{command:?}");
    let output = output(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} from {line}\n{out}\n{err}", output.status);
    out.into_owned()
}

#[track_caller]
fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"))
}

/// A release that is installed. It is called as its cluster.
pub struct Release<'a> {
    pub cluster: &'a Cluster,
    pub name: &'static str,
}

impl<'a> Release<'a> {
    /// Installs the chart and waits until all is ready.
    #[track_caller]
    pub fn install(cluster: &'a Cluster, name: &'static str, settings: &[&str]) -> Self {
        let release = Self { cluster, name };
        release.helm("install", &[&[&*shipped("helm/flott"), "--wait", "--timeout=2m"], &*set(settings)].concat());
        release
    }

    /// Runs `helm verb name arguments…`.
    #[track_caller]
    pub fn helm(&self, verb: &str, arguments: &[&str]) -> String {
        let own = [verb, self.name, "--namespace", NAMESPACE];
        let output = output(self.cluster.helm().args(own).args(arguments));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "helm {verb}: {out}\n{err}\n{}", self.seen());
        out.into_owned()
    }

    /// Installs another revision and waits until all is ready.
    #[track_caller]
    pub fn upgrade(&self, settings: &[&str]) {
        self.helm("upgrade", &[&[&*shipped("helm/flott"), "--wait", "--timeout=2m"], &*set(settings)].concat());
    }

    /// Runs `kubectl arguments…` in the namespace.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        done(self.cluster.kubectl().args(["--namespace", NAMESPACE]).args(arguments))
    }

    /// A thing, or a list of them.
    #[track_caller]
    pub fn get(&self, arguments: &[&str]) -> Value {
        let text = self.kubectl(&[&["get", "--output=json"], arguments].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{text}"))
    }

    /// Its Jobs.
    #[track_caller]
    pub fn jobs(&self) -> Vec<Value> {
        let selector = format!("app.kubernetes.io/instance={}", self.name);
        self.get(&["jobs", "--selector", &selector])["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until its only Job has a condition.
    #[track_caller]
    pub fn until_job(&self, condition: &str) {
        eventually(&format!("the Job to be {condition}"), PATIENCE * 2, || {
            let jobs = self.jobs();
            let conditions = jobs.first().and_then(|job| job["status"]["conditions"].as_array().cloned());
            let has = |one: &Value| one["type"] == condition && one["status"] == "True";
            if conditions.into_iter().flatten().any(|one| has(&one)) { Ok(()) } else { Err(self.seen()) }
        });
    }

    /// Pods of a component that are not about to go.
    #[track_caller]
    pub fn pods(&self, component: &str) -> Vec<Value> {
        let selector = format!("app.kubernetes.io/instance={},app.kubernetes.io/component={component}", self.name);
        let pods = self.get(&["pods", "--selector", &selector])["items"].as_array().cloned().unwrap_or_default();
        pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect()
    }

    /// Names and uids of those pods.
    #[track_caller]
    pub fn pod_uids(&self, component: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pods = self.pods(component);
        let mut pods: Vec<_> =
            pods.iter().map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]))).collect();
        pods.sort();
        pods
    }

    /// Waits until a JobManager answers whose pod is none of `others`.
    #[track_caller]
    pub fn until_led(&self, others: &[(String, String)]) {
        eventually("a JobManager to be ready", PATIENCE * 2, || {
            let pods = self.pods("jobmanager");
            let is_ready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == true;
            let is_new = |pod: &Value| others.iter().all(|(_, uid)| pod["metadata"]["uid"].as_str() != Some(uid));
            if pods.iter().any(|pod| is_new(pod) && is_ready(pod)) { Ok(()) } else { Err(self.seen()) }
        });
    }

    /// Deletes the JobManager's pod, and waits until the next one leads.
    #[track_caller]
    pub fn replace_jobmanager(&self, options: &[&str]) {
        let before = self.pod_uids("jobmanager");
        let name = &before.first().expect("there is a JobManager").0;
        self.kubectl(&[&["delete", "pod", name], options].concat());
        self.until_led(&before[..1]);
    }

    /// The token.
    #[track_caller]
    pub fn token(&self) -> String {
        self.secret(&format!("{}-token", self.name), "token")
    }

    /// An entry of a Secret.
    #[track_caller]
    pub fn secret(&self, name: &str, key: &str) -> String {
        let template = format!("--output=go-template={{{{index .data {key:?} | base64decode}}}}");
        self.kubectl(&["get", "secret", name, &template])
    }

    /// Does what NOTES tells people to do: the token is that of the Secret, and what the port is forwarded to is there.
    #[track_caller]
    pub fn notes_can_be_followed(&self) {
        let notes = done(self.cluster.helm().args(["get", "notes", self.name, "--namespace", NAMESPACE]));
        let kubectl = self.cluster.kubectl();
        let (program, environment) = (PathBuf::from(kubectl.get_program()), kubectl.get_envs());
        let environment = environment.filter_map(|(name, value)| Some((name, value?)));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", program.parent().expect("a directory").display());
        let line = notes.lines().find(|line| line.trim_start().starts_with("export FLOTT_TOKEN=")).expect("a token");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{line}; printf %s \"$FLOTT_TOKEN\"")]).envs(environment).env("PATH", path);
        assert_eq!(done(&mut shell), self.token(), "{notes}");
        let head = notes.split(" port-forward ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a head");
        self.kubectl(&["get", head]);
    }

    /// A client, as NOTES tells people to be one.
    #[track_caller]
    pub fn client(&self) -> Client {
        let pods = self.pod_uids("jobmanager");
        self.client_of(&pods.first().expect("there is a JobManager").0, 8081, &self.token())
    }

    /// A client of a port of a pod.
    #[track_caller]
    pub fn client_of(&self, pod: &str, port: u16, token: &str) -> Client {
        let mut kubectl = self.cluster.kubectl();
        kubectl.args(["--namespace", NAMESPACE]);
        let forward = Forward::start(kubectl, pod, port).unwrap_or_else(|error| panic!("{error}\n{}", self.seen()));
        let address = forward.address().to_owned();
        Client { rest: Rest::new(&address).with_token(token), address, _forward: forward }
    }

    /// The directory of this machine that a claim is bound to.
    #[track_caller]
    pub fn directory(&self, claim: &str) -> PathBuf {
        let volume = eventually("the claim to be bound", PATIENCE, || {
            let found = self.get(&["persistentvolumeclaim", claim]);
            found["spec"]["volumeName"].as_str().map(str::to_owned).ok_or(found)
        });
        let found = self.get(&["persistentvolume", &volume]);
        PathBuf::from(found["spec"]["hostPath"]["path"].as_str().expect("volumes are directories"))
    }

    /// Uninstalls, and wants nothing to be left but what is named.
    #[track_caller]
    pub fn uninstall(&self, kept: &[&str]) {
        self.helm("uninstall", &["--wait", "--timeout=2m"]);
        let selector = format!("app.kubernetes.io/instance={}", self.name);
        eventually("nothing to be left of the release", PATIENCE * 2, || {
            let left = self.kubectl(&["get", KINDS, "--selector", &selector, "--output=name"]);
            let records =
                self.kubectl(&["get", "secrets", "--selector", &format!("name={}", self.name), "--output=name"]);
            let left: Vec<_> = left.lines().chain(records.lines()).map(str::to_owned).collect();
            if left == kept { Ok(()) } else { Err(left.join("\n")) }
        });
    }

    /// What the API server knows, for people who read of a failure.
    pub fn seen(&self) -> String {
        let one = |arguments: &[&str]| {
            let output = output(self.cluster.kubectl().args(["--namespace", NAMESPACE]).args(arguments));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let selector = format!("app.kubernetes.io/instance={}", self.name);
        let logs = ["logs", "--selector", &selector, "--tail=15", "--prefix", "--ignore-errors"];
        [one(&["get", "pods,jobs", "--output=wide"]), one(&["get", "events", "--sort-by=.lastTimestamp"]), one(&logs)]
            .join("\n")
    }
}

fn set<'a>(settings: &[&'a str]) -> Vec<&'a str> {
    settings.iter().flat_map(|setting| ["--set", setting]).collect()
}

/// A way to the JobManager of a pod.
pub struct Client {
    /// Asks it.
    pub rest: Rest,
    /// HOST:PORT on this machine.
    pub address: String,
    _forward: Forward,
}
