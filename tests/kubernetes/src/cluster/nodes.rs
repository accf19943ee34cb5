use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use nix::{sys::signal::Signal, unistd::Pid};

use super::{Cluster, END_GRACE, NETWORK, NODE};
use crate::{options::NodeOptions, process::Process, wait};

/// How long the kernel may take to see that a control group has no processes any more.
const EMPTY_BOUND: Duration = Duration::from_secs(5);

/// The kubelet that runs containers as processes.
const KUBELET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kubelet");

impl Cluster {
    /// Adds a node, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn add_node(&self, name: &str, options: &NodeOptions) -> anyhow::Result<()> {
        ensure!(is_node(name), "node {name:?}: names of nodes begin with {NODE:?}");
        let runs = self.processes().get_mut(name).is_some_and(Process::runs);
        ensure!(!runs, "node {name:?} runs already");
        self.spawn_node(name, options)?;
        self.until_node_is_ready(name)
    }

    /// Ends a node in order: its containers are asked to end, and those that do not are killed.
    ///
    /// # Errors
    /// When there is no such node, or it does not end.
    pub fn stop_node(&self, name: &str) -> anyhow::Result<()> {
        end_node(self.node(name)?, Signal::SIGTERM)
    }

    /// Kills a node: its containers are gone with it, and nobody tells the API server.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn crash_node(&self, name: &str) -> anyhow::Result<()> {
        end_node(self.node(name)?, Signal::SIGKILL)
    }

    fn node(&self, name: &str) -> anyhow::Result<Process> {
        self.processes().remove(name).with_context(|| format!("there is no node {name:?}"))
    }

    /// Cuts a node off: the API server hears nothing from it, and its pods neither hear nor are heard. Its containers run on.
    ///
    /// # Errors
    /// When there is no such node, or it cannot be done.
    pub fn cut_off_node(&self, name: &str) -> anyhow::Result<()> {
        self.signal_node(name, Signal::SIGSTOP)?;
        self.set_cables(name, "down")
    }

    /// Ends what [`Cluster::cut_off_node`] has begun.
    ///
    /// # Errors
    /// When there is no such node, or it cannot be done.
    pub fn reconnect_node(&self, name: &str) -> anyhow::Result<()> {
        self.set_cables(name, "up")?;
        self.signal_node(name, Signal::SIGCONT)
    }

    /// Cables of pods are named for the subnet of their node.
    fn set_cables(&self, node: &str, state: &str) -> anyhow::Result<()> {
        let Some(network) = self.processes().get(NETWORK).map(Process::pid) else {
            return Ok(()); // plain processes have none
        };
        let subnet = fs::read_to_string(self.directory.join(node).join("subnet"));
        let subnet = subnet.with_context(|| format!("{node} has told no subnet"))?;
        let script = format!(
            "for end in /sys/class/net/v{}-*; do [ ! -e \"$end\" ] || ip link set \"${{end##*/}}\" {state}; done",
            subnet.trim()
        );
        let mut command = Command::new("nsenter");
        command.args(["--target", &network.to_string(), "--net", "--"]);
        // /sys shows the devices of the network in which it was mounted.
        command.args(["unshare", "--mount", "--", "sh", "-ec", &format!("mount -t sysfs sysfs /sys && {script}")]);
        let output = command.output().context("nsenter cannot be run")?;
        let err = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cables of {node} cannot be set {state}: {}", err.trim());
        Ok(())
    }

    /// Has the node of a pod evict it, as it does when it has too little of `resource`: `memory`, `disk` or `pids`. For
    /// `pressure` the scheduler then places nothing there.
    ///
    /// # Errors
    /// When the pod does not run.
    pub fn evict(&self, namespace: &str, pod: &str, resource: &str, pressure: Duration) -> anyhow::Result<()> {
        let node = self.kubectl_does(&["-n", namespace, "get", "pod", pod, "-o=jsonpath={.spec.nodeName}"])?;
        ensure!(!node.is_empty(), "pod {namespace}/{pod} is on no node");
        let request = format!("evict {namespace} {pod} {resource} 0 {}\n", pressure.as_secs_f64());
        let answer = ask(&self.directory.join(&node).join("control"), &request);
        let answer = answer.with_context(|| format!("{node} cannot be asked"))?;
        ensure!(answer == "done", "{node}: {answer}");
        Ok(())
    }

    fn signal_node(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        self.processes().get_mut(name).with_context(|| format!("there is no node {name:?}"))?.signal(signal)
    }

    pub(super) fn spawn_node(&self, name: &str, options: &NodeOptions) -> anyhow::Result<()> {
        self.credentials.node(name)?;
        let file = |name: &str| self.credentials.file(name);
        let mut command = Command::new("python3");
        command.arg(KUBELET).args(["--node-name", name]);
        command.arg("--kubeconfig").arg(self.credentials.kubeconfig(name));
        command.arg("--names-kubeconfig").arg(self.credentials.kubeconfig("names"));
        command.arg("--root").arg(self.directory.join(name));
        command.arg("--images").arg(self.directory.join("images.json"));
        command.arg("--tls-cert").arg(file("kubelet-server.crt")).arg("--tls-key").arg(file("kubelet-server.key"));
        command.arg("--client-ca").arg(file("ca.crt"));
        command.args(["--cpu", &options.cpu, "--memory", &options.memory, "--max-pods", &options.pods.to_string()]);
        command.args(["--isolation", options.isolation.name()]);
        for (option, values) in [("--resource", &options.resources), ("--label", &options.labels)] {
            for (key, value) in values {
                command.args([option, &format!("{key}={value}")]);
            }
        }
        for taint in &options.taints {
            command.args(["--taint", taint]);
        }
        for port in &self.settings.options.reach {
            command.args(["--reach", &port.to_string()]);
        }
        // Ten signs of life in the time after which silence counts as loss.
        let beat = self.settings.options.node_grace.as_secs_f64() / 10.0;
        command.args(["--heartbeat", &beat.to_string()]);
        if let Some(network) = self.processes().get(NETWORK) {
            command.args(["--network", &network.pid().to_string()]);
        }
        // Its modules are compiled in memory: nothing is written beside the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        self.spawn(name, command)
    }

    pub(super) fn until_node_is_ready(&self, name: &str) -> anyhow::Result<()> {
        let ready = "-o=jsonpath={.status.conditions[?(@.type==\"Ready\")].status} {.spec.taints}";
        self.until_api_server_says(&format!("{name} to be ready"), &["get", "node", name, ready], |out| {
            out.starts_with("True") && !out.contains("node.kubernetes.io/")
        })
    }
}

/// A line to a node, and its answer.
fn ask(socket: &Path, line: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(wait::PATIENCE))?;
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

/// Ends the process of a node, and removes what is left of its containers.
pub fn end_node(process: Process, signal: Signal) -> anyhow::Result<()> {
    let pid = process.pid();
    process.end(signal, END_GRACE)?;
    remove_leftovers(pid);
    Ok(())
}

/// Whether a process is a node's.
pub fn is_node(name: &str) -> bool {
    name.starts_with(NODE)
}

/// Where control groups are, by controller or all in one.
const CGROUPS: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu"];

/// Removes what nodes that were killed could not: the control groups of containers, which have died with them. They are
/// named for the process of their node.
fn remove_leftovers(node: Pid) {
    let prefix = format!("flott-lab-{node}-");
    for base in CGROUPS {
        let entries = fs::read_dir(base).into_iter().flatten().flatten();
        for group in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)) {
            let _ = wait::until("control groups to be empty", EMPTY_BOUND, || Ok(remove_group(&group.path())));
        }
    }
}

/// Whether it is gone.
fn remove_group(group: &Path) -> bool {
    let children = fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path());
    for child in children.filter(|path| path.is_dir()) {
        let _ = fs::remove_dir(child);
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}
