//! A real Kubernetes on this machine, by hand: `cargo xtask kubernetes`. The work is done by the crate of the tests.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use flott_kubernetes_lab::{Cluster, Image, Options as ClusterOptions, Toolchain, options};

use crate::workspace;

/// What to do.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
    /// Where the cluster has its files
    #[arg(long, global = true, default_value = "target/kubernetes")]
    run_dir: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// Build etcd, the Kubernetes binaries, kubectl and helm, unless that is done; print where they are
    Build,
    /// Start a cluster, and print its kubeconfig
    Up(Up),
    /// End the cluster with all that runs on it
    Down,
    /// Say what runs of the cluster
    Status,
    /// Do something to a node
    Node {
        #[arg(value_enum)]
        what: WhatWithNode,
        /// node-0, node-1 …
        name: String,
    },
    /// Have its node evict a pod, as it does when it is low on memory
    Evict {
        pod: String,
        #[arg(short, long, default_value = "default")]
        namespace: String,
        /// memory, disk or pids
        #[arg(long, default_value = "memory")]
        resource: String,
        /// For how many seconds the node says that it has too little
        #[arg(long, default_value_t = 0)]
        pressure: u64,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum WhatWithNode {
    /// Start one, or one that has ended again
    Add,
    /// End it in order
    Stop,
    /// Kill it with its containers
    Crash,
    /// Let it neither hear nor be heard; its containers run on
    CutOff,
    /// End that
    Reconnect,
}

#[derive(Args)]
struct Up {
    /// How many nodes
    #[arg(long, default_value_t = 1)]
    nodes: u32,
    /// Port of the API server; a free one by default
    #[arg(long)]
    api_port: Option<u16>,
    /// More images: REFERENCE=EXECUTABLE, which becomes the entry point
    #[arg(long = "image", value_name = "REFERENCE=EXECUTABLE", value_parser = image)]
    images: Vec<(String, PathBuf)>,
    /// Ports of this machine's loopback that pods reach at their own
    #[arg(long, value_name = "PORT")]
    reach: Vec<u16>,
    /// CPUs of each node
    #[arg(long, default_value = "16")]
    cpu: String,
    /// Memory of each node
    #[arg(long, default_value = "64Gi")]
    memory: String,
    /// Seconds of silence after which a node counts as lost
    #[arg(long, default_value_t = 10)]
    node_grace: u64,
    /// Whether containers get mounts, a network and limits of their own
    #[arg(long, value_enum, default_value_t = Isolation::Auto)]
    isolation: Isolation,
}

#[derive(Clone, Copy, ValueEnum)]
enum Isolation {
    /// If this machine lets us
    Auto,
    /// Or fail
    Full,
    /// Plain processes
    None,
}

pub fn run(options: Options) -> anyhow::Result<()> {
    let Options { action, run_dir } = options;
    let run_dir = workspace::root()?.join(run_dir);
    match action {
        Action::Build => {
            println!("{}", Toolchain::build()?.directory().display());
            Ok(())
        }
        Action::Up(up) => start(up, &run_dir),
        Action::Down => {
            Cluster::open(&run_dir)?.end()?;
            println!("ended");
            Ok(())
        }
        Action::Status => status(&run_dir),
        Action::Node { what, name } => node(&Cluster::open(&run_dir)?, what, &name),
        Action::Evict { pod, namespace, resource, pressure } => {
            Cluster::open(&run_dir)?.evict(&namespace, &pod, &resource, Duration::from_secs(pressure))
        }
    }
}

fn start(up: Up, run_dir: &std::path::Path) -> anyhow::Result<()> {
    let toolchain = Toolchain::build()?;
    let mut options = ClusterOptions::nodes(up.nodes);
    options.api_port = up.api_port;
    options.reach = up.reach;
    options.node_grace = Duration::from_secs(up.node_grace);
    options.node.cpu = up.cpu;
    options.node.memory = up.memory;
    options.node.isolation = match up.isolation {
        Isolation::Auto => options::Isolation::Auto,
        Isolation::Full => options::Isolation::Full,
        Isolation::None => options::Isolation::None,
    };
    let flott = workspace::target_directory(&workspace::root()?)?.join("debug/flott");
    if flott.is_file() {
        options = options.flott(flott);
    } else {
        eprintln!("there is no image flott:dev: {} is not built (cargo build -p flott-cli)", flott.display());
    }
    for (reference, executable) in up.images {
        let executable = std::fs::canonicalize(&executable)
            .with_context(|| format!("image {reference}: {}", executable.display()))?;
        options = options.image(&reference, Image::of_executable(executable));
    }
    let cluster = Cluster::start_detached(&toolchain, options, run_dir)?;
    println!("Kubernetes {} runs at {}", flott_kubernetes_lab::toolchain::kubernetes_version(), cluster.server());
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("export PATH={}:$PATH", toolchain.directory().display());
    Ok(())
}

fn node(cluster: &Cluster, what: WhatWithNode, name: &str) -> anyhow::Result<()> {
    match what {
        WhatWithNode::Add => cluster.add_node(name, cluster.node_options()),
        WhatWithNode::Stop => cluster.stop_node(name),
        WhatWithNode::Crash => cluster.crash_node(name),
        WhatWithNode::CutOff => cluster.cut_off_node(name),
        WhatWithNode::Reconnect => cluster.reconnect_node(name),
    }
}

fn status(run_dir: &std::path::Path) -> anyhow::Result<()> {
    let cluster = Cluster::open(run_dir)?;
    let status = cluster.status();
    for (name, pid, runs) in &status.processes {
        println!("{name:<24} {pid:>8} {}", if *runs { "runs" } else { "HAS ENDED" });
    }
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    let ended = status.processes.iter().filter(|(_, _, runs)| !runs).count();
    ensure!(ended == 0, "{ended} of {} processes have ended", status.processes.len());
    ensure!(!status.processes.is_empty(), "the cluster in {} has ended", cluster.directory().display());
    Ok(())
}

fn image(text: &str) -> Result<(String, PathBuf), String> {
    let (reference, executable) = text.split_once('=').ok_or("REFERENCE=EXECUTABLE is wanted")?;
    Ok((reference.to_owned(), PathBuf::from(executable)))
}
