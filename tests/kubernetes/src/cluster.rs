//! A cluster, from its start to its end.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

mod nodes;
mod start;
mod status;

pub use status::Status;

use crate::{
    Options, Toolchain,
    credentials::Credentials,
    options::NodeOptions,
    process::{Life, Process},
    toolchain::Tool,
};

/// Names of the processes.
const ETCD: &str = "etcd";
const API_SERVER: &str = "kube-apiserver";
const CONTROLLER_MANAGER: &str = "kube-controller-manager";
const SCHEDULER: &str = "kube-scheduler";
const NETWORK: &str = "network";
const NODE: &str = "node-";

/// What is kept in the directory of a running cluster beside its processes.
const SETTINGS: &str = "cluster.json";

/// How long nodes have to end their containers, and etcd to close its files.
const END_GRACE: Duration = Duration::from_secs(10);

/// What a cluster was started with.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    toolchain: Toolchain,
    options: Options,
    ports: crate::control_plane::Ports,
}

/// A cluster. One that a test has started ends when this is dropped, or when the test's process ends in whatever way.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    settings: Settings,
    credentials: Credentials,
    life: Life,
    processes: Mutex<BTreeMap<String, Process>>,
    /// Set for one whose directory goes with it.
    temporary: Option<tempfile::TempDir>,
}

impl Cluster {
    /// Starts one that ends with the value that is given back, in a temporary directory.
    ///
    /// # Errors
    /// When a process does not do its part in time; what it has printed is in the error.
    pub fn start(toolchain: &Toolchain, options: Options) -> anyhow::Result<Self> {
        let temporary = tempfile::Builder::new().prefix("flott-kubernetes-").tempdir()?;
        let directory = fs::canonicalize(temporary.path())?;
        let mut cluster = Self::prepare(toolchain, options, directory, Life::WithUs)?;
        cluster.temporary = Some(temporary);
        cluster.bring_up()?;
        Ok(cluster)
    }

    /// Starts one that runs on until [`Cluster::end`], also when this process has ended.
    ///
    /// # Errors
    /// As for [`Cluster::start`], and when one runs in the directory.
    pub fn start_detached(toolchain: &Toolchain, options: Options, directory: &Path) -> anyhow::Result<Self> {
        if Process::names(directory).iter().any(|name| Process::recorded(directory, name).is_some_and(|mut p| p.runs()))
        {
            bail!("a cluster runs in {}: end it with `cargo xtask kubernetes down`", directory.display());
        }
        Self::remove_state(directory)?;
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let cluster = Self::prepare(toolchain, options, fs::canonicalize(directory)?, Life::Detached)?;
        match cluster.bring_up() {
            Ok(()) => Ok(cluster),
            Err(error) => {
                cluster.end()?;
                Err(error)
            }
        }
    }

    /// The one that was started detached in a directory.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(SETTINGS);
        let text = fs::read(&path).with_context(|| format!("no cluster was started in {}", directory.display()))?;
        let settings: Settings =
            serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))?;
        let directory = fs::canonicalize(directory)?;
        let processes = Process::names(&directory)
            .into_iter()
            .filter_map(|name| Some((name.clone(), Process::recorded(&directory, &name)?)))
            .collect();
        Ok(Self {
            credentials: Credentials::of(&directory, settings.ports.api),
            directory,
            settings,
            life: Life::Detached,
            processes: Mutex::new(processes),
            temporary: None,
        })
    }

    /// The kubeconfig of someone who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.credentials.kubeconfig("admin")
    }

    /// The API server's address.
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.settings.ports.api)
    }

    /// What its first nodes have.
    pub fn node_options(&self) -> &NodeOptions {
        &self.settings.options.node
    }

    /// Where the cluster has its files: logs in `log`.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// kubectl as someone who may do everything.
    pub fn kubectl(&self) -> Command {
        self.with_kubeconfig(Tool::Kubectl)
    }

    /// helm as someone who may do everything, with a home of its own.
    pub fn helm(&self) -> Command {
        let mut command = self.with_kubeconfig(Tool::Helm);
        let home = self.directory.join("helm");
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, home.join(variable.to_lowercase()));
        }
        command
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<String, Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_kubeconfig(&self, tool: Tool) -> Command {
        let mut command = self.settings.toolchain.command(tool);
        command.env("KUBECONFIG", self.kubeconfig()).stdin(Stdio::null());
        command
    }

    /// Ends all that runs, nodes with their containers first. The directory stays, for whoever wants to read the logs.
    ///
    /// # Errors
    /// When a process cannot be ended, or a container is left.
    pub fn end(self) -> anyhow::Result<()> {
        self.end_all()
    }

    /// Kills the API server; etcd keeps what it knew.
    ///
    /// # Errors
    /// When it is not there, or cannot be killed.
    pub fn stop_api_server(&self) -> anyhow::Result<()> {
        let process = self.processes().remove(API_SERVER).context("the API server does not run")?;
        process.end(Signal::SIGKILL, END_GRACE)
    }

    /// Starts the API server again, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_api_server(&self) -> anyhow::Result<()> {
        ensure!(!self.processes().contains_key(API_SERVER), "the API server runs already");
        let command = self.control_plane().api_server();
        self.spawn(API_SERVER, command)?;
        self.until_api_server_is_ready()
    }

    fn end_all(&self) -> anyhow::Result<()> {
        let mut processes = self.processes();
        let nodes: Vec<_> = processes.keys().filter(|name| nodes::is_node(name)).cloned().collect();
        for name in &nodes {
            if let Some(process) = processes.get_mut(name) {
                let _ = process.signal(Signal::SIGTERM); // all at once; each is awaited below
                let _ = process.signal(Signal::SIGCONT);
            }
        }
        let mut ended = Ok(());
        for name in nodes {
            if let Some(node) = processes.remove(&name) {
                ended = ended.and(nodes::end_node(node, Signal::SIGTERM));
            }
        }
        // All but etcd hold nothing that would be lost.
        let kill = Signal::SIGKILL;
        let others = [
            (SCHEDULER, kill),
            (CONTROLLER_MANAGER, kill),
            (API_SERVER, kill),
            (NETWORK, kill),
            (ETCD, Signal::SIGTERM),
        ];
        for (name, signal) in others {
            if let Some(process) = processes.remove(name) {
                ended = ended.and(process.end(signal, END_GRACE));
            }
        }
        ended
    }

    /// Removes what an earlier cluster has left in its directory, and nothing else.
    fn remove_state(directory: &Path) -> anyhow::Result<()> {
        if directory.join(SETTINGS).exists() {
            fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.life == Life::Detached {
            return;
        }
        let ended = self.end_all();
        if std::thread::panicking() || std::env::var_os("FLOTT_TESTS_KEEP").is_some() {
            if let Some(temporary) = self.temporary.take() {
                eprintln!("the cluster's files are kept in {}", temporary.keep().display());
            }
        } else if let Err(error) = ended {
            panic!("the cluster in {} does not end: {error:#}", self.directory.display());
        }
    }
}
