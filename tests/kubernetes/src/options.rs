//! What can be chosen about a cluster.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::image::{self, Image};

/// Choices for a whole cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Options {
    /// How many nodes it starts with: `node-0`, `node-1` …
    pub nodes: u32,
    /// What each node has.
    pub node: NodeOptions,
    /// Images by reference or pattern.
    pub images: BTreeMap<String, Image>,
    /// Ports of this machine's loopback that pods reach at their own, as they do the API server's.
    pub reach: Vec<u16>,
    /// The API server's port; `None` takes a free one.
    pub api_port: Option<u16>,
    /// How long a node may be silent before it is taken for lost. Its pods are evicted 2 s later.
    pub node_grace: Duration,
}

/// Choices for a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeOptions {
    /// As quantities of Kubernetes: `16`, `500m`.
    pub cpu: String,
    /// As quantities of Kubernetes: `64Gi`. The machine need not have it.
    pub memory: String,
    /// How many pods fit.
    pub pods: u32,
    /// Extended resources, by name.
    pub resources: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints, as `key=value:Effect`.
    pub taints: Vec<String>,
    /// Whether containers get mounts, a network and limits of their own.
    pub isolation: Isolation,
}

/// Whether containers get mounts, a network and limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// If the machine lets us; what is missing is said in the node's log and on its Node.
    Auto,
    /// Or the node does not start.
    Full,
    /// Plain processes in the machine's network: service names do not resolve, and pods share ports.
    None,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1,
            node: NodeOptions::default(),
            images: image::common(),
            reach: Vec::new(),
            api_port: None,
            node_grace: Duration::from_secs(10),
        }
    }
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            cpu: "16".to_owned(),
            memory: "64Gi".to_owned(),
            pods: 110,
            resources: BTreeMap::new(),
            labels: BTreeMap::new(),
            taints: Vec::new(),
            isolation: Isolation::Auto,
        }
    }
}

impl Options {
    /// A cluster with so many nodes.
    pub fn nodes(nodes: u32) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// With one more image.
    #[must_use]
    pub fn image(mut self, reference: &str, image: Image) -> Self {
        self.images.insert(reference.to_owned(), image);
        self
    }

    /// With the image `flott:dev`, which has the executable in it that is given.
    #[must_use]
    pub fn flott(self, executable: PathBuf) -> Self {
        self.image("flott:dev", Image::of_executable(executable))
    }
}

impl Isolation {
    /// As on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Full => "full",
            Self::None => "none",
        }
    }
}
