use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Mutex,
};

use anyhow::{Context, anyhow, ensure};
use serde_json::Value;

use super::{CONTROLLER_MANAGER, Cluster, ETCD, NETWORK, SCHEDULER, SETTINGS, Settings};
use crate::{
    Options, Toolchain,
    control_plane::{ControlPlane, Ports},
    credentials::Credentials,
    options::Isolation,
    ports,
    process::{Life, Process},
    volumes,
    wait::{self, PATIENCE},
};

/// What those who look up names for the nodes may do: they are the cluster's DNS.
const NAMES_ROLE: [&str; 5] =
    ["create", "clusterrole", "lab-names", "--verb=list,watch", "--resource=endpointslices.discovery.k8s.io"];

/// A network of its own for all pods, alive as long as the process that holds it: when that is gone, so is every trace.
const BRIDGE: &str = "ip link set lo up && ip link add br0 type bridge && ip link set br0 up && exec sleep infinity";

impl Cluster {
    pub(super) fn prepare(
        toolchain: &Toolchain,
        options: Options,
        directory: PathBuf,
        life: Life,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(directory.join("log")).with_context(|| format!("cannot make {}", directory.display()))?;
        let api = options.api_port.map_or_else(|| ports::free(&[]), Ok)?;
        let etcd = ports::free(&[api])?;
        let etcd_peers = ports::free(&[api, etcd])?;
        let settings = Settings { toolchain: toolchain.clone(), options, ports: Ports { api, etcd, etcd_peers } };
        let credentials = Credentials::of(&directory, api);
        credentials.make()?;
        fs::write(directory.join(SETTINGS), serde_json::to_vec_pretty(&settings)?)?;
        fs::write(directory.join("images.json"), serde_json::to_vec_pretty(&settings.options.images)?)?;
        Ok(Self { directory, settings, credentials, life, processes: Mutex::default(), temporary: None })
    }

    /// Starts everything, and waits until pods could be made and would be run.
    pub(super) fn bring_up(&self) -> anyhow::Result<()> {
        let command = self.control_plane().etcd();
        self.spawn(ETCD, command)?;
        self.start_api_server()?;
        let command = self.control_plane().controller_manager();
        self.spawn(CONTROLLER_MANAGER, command)?;
        let command = self.control_plane().scheduler();
        self.spawn(SCHEDULER, command)?;
        self.kubectl_does(&NAMES_ROLE)?;
        self.kubectl_does(&[
            "create",
            "clusterrolebinding",
            "lab-names",
            "--clusterrole=lab-names",
            "--user=lab-names",
        ])?;
        self.kubectl_creates(&volumes::all(&self.directory))?;
        self.start_network()?;
        for number in 0..self.settings.options.nodes {
            self.spawn_node(&format!("node-{number}"), &self.settings.options.node.clone())?;
        }
        self.until_api_server_says("a service account", &["get", "serviceaccount", "default", "-o", "name"], |out| {
            !out.is_empty()
        })?;
        for number in 0..self.settings.options.nodes {
            self.until_node_is_ready(&format!("node-{number}"))?;
        }
        Ok(())
    }

    pub(super) fn control_plane(&self) -> ControlPlane<'_> {
        ControlPlane {
            toolchain: &self.settings.toolchain,
            directory: &self.directory,
            credentials: &self.credentials,
            ports: self.settings.ports,
            node_grace: self.settings.options.node_grace,
        }
    }

    pub(super) fn spawn(&self, name: &str, command: Command) -> anyhow::Result<()> {
        let process = Process::start(&self.directory, name, command, self.life)?;
        self.processes().insert(name.to_owned(), process);
        Ok(())
    }

    pub(super) fn until_api_server_is_ready(&self) -> anyhow::Result<()> {
        self.until_api_server_says("the API server to be ready", &["get", "--raw", "/readyz"], |out| out == "ok")
    }

    /// Waits for an answer. A process that ends meanwhile ends the wait.
    pub(super) fn until_api_server_says(
        &self,
        what: &str,
        arguments: &[&str],
        accept: impl Fn(&str) -> bool,
    ) -> anyhow::Result<()> {
        let mut kubectl = self.kubectl();
        kubectl.args(arguments).args(["--request-timeout", "5s"]).stderr(Stdio::null());
        wait::until(what, PATIENCE, || {
            for process in self.processes().values_mut() {
                process.must_run()?;
            }
            let output = kubectl.output().context("kubectl cannot be run")?;
            Ok(output.status.success() && accept(String::from_utf8_lossy(&output.stdout).trim()))
        })
        .map_err(|error| anyhow!("{error:#}\n{}", self.last_words()))
    }

    /// Ends of the logs of all that runs.
    fn last_words(&self) -> String {
        let words = |(name, process): (&String, &Process)| format!("-- {name}\n{}", process.last_words());
        self.processes().iter().map(words).collect::<Vec<_>>().join("\n")
    }

    /// kubectl, which has to succeed.
    pub(super) fn kubectl_does(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.kubectl().args(arguments).output().context("kubectl cannot be run")?;
        let err = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), err.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Creates objects.
    fn kubectl_creates(&self, objects: &Value) -> anyhow::Result<()> {
        let path = self.directory.join("objects.json");
        fs::write(&path, objects.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
        self.kubectl_does(&["create", "-f", &path.to_string_lossy()]).map(drop)
    }

    /// Starts the network of the pods, where the machine lets us have one.
    fn start_network(&self) -> anyhow::Result<()> {
        if self.settings.options.node.isolation == Isolation::None || !may_have_networks() {
            return Ok(());
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "--", "sh", "-c", BRIDGE]);
        self.spawn(NETWORK, command)
    }
}

/// Whether this process may make networks with bridges in them.
fn may_have_networks() -> bool {
    let script = "ip link add br0 type bridge && ip link add veth0 type veth peer name veth1";
    let tried = Command::new("unshare").args(["--net", "--", "sh", "-c", script]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}
