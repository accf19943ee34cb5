//! The binaries of the cluster: built once from the modules that `tools/` pins, and kept where all working trees find them.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

mod build;

/// Overrides where binaries are kept.
const CACHE: &str = "FLOTT_KUBERNETES_CACHE";

/// What pins the versions of everything that is built.
const PINS: [&str; 2] = [include_str!("../tools/go.sum"), include_str!("../tools/helm/go.sum")];

/// A directory with all binaries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Toolchain {
    directory: PathBuf,
}

/// A binary of the toolchain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Etcd,
    ApiServer,
    ControllerManager,
    Scheduler,
    Kubectl,
    Helm,
}

impl Tool {
    /// All of them, in the order in which they are built.
    pub const ALL: [Self; 6] =
        [Self::Etcd, Self::ApiServer, Self::ControllerManager, Self::Scheduler, Self::Kubectl, Self::Helm];

    /// The file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
        }
    }
}

impl Toolchain {
    /// The one that has been built.
    ///
    /// # Errors
    /// When it has not been.
    pub fn find() -> anyhow::Result<Self> {
        let directory = cache()?.join(version());
        if !directory.is_dir() {
            bail!("{} is not there: `cargo xtask kubernetes build` makes it, in some ten minutes", directory.display());
        }
        Ok(Self { directory })
    }

    /// The one that has been built, or is built now, once at a time on this machine. Says on standard error what it does.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn build() -> anyhow::Result<Self> {
        let cache = cache()?;
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        let directory = cache.join(version());
        build::all(&directory)?;
        Ok(Self { directory })
    }

    /// Where the binaries are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The path of a binary.
    pub fn path(&self, tool: Tool) -> PathBuf {
        self.directory.join(tool.name())
    }

    /// A command that has not been started.
    pub fn command(&self, tool: Tool) -> Command {
        Command::new(self.path(tool))
    }
}

/// The version of Kubernetes, as in `v1.36.3`.
pub fn kubernetes_version() -> &'static str {
    pinned(include_str!("../tools/go.mod"), "k8s.io/kubernetes")
}

/// The version of Helm.
pub fn helm_version() -> &'static str {
    pinned(include_str!("../tools/helm/go.mod"), "helm.sh/helm/v4")
}

/// The version of a module that a go.mod requires.
fn pinned(go_mod: &'static str, module: &str) -> &'static str {
    let mut requirements =
        go_mod.lines().map(|line| line.trim().trim_start_matches("require ")).filter_map(|line| line.split_once(' '));
    let version = requirements.find(|(name, _)| *name == module).map(|(_, version)| version);
    version.and_then(|version| version.split_whitespace().next()).unwrap_or("v0.0.0")
}

/// Names a directory for what is pinned and how it is built: another of either is another toolchain.
fn version() -> String {
    let mut hasher = blake3::Hasher::new();
    for part in PINS.into_iter().chain(build::RECIPE) {
        hasher.update(part.as_bytes());
        hasher.update(b"\0");
    }
    let digest = hasher.finalize().to_hex();
    format!("{}-{}", kubernetes_version(), digest.get(..8).unwrap_or_default())
}

/// Where toolchains are kept.
fn cache() -> anyhow::Result<PathBuf> {
    let given = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let below = |home: OsString, path: &str| Path::new(&home).join(path);
    given(CACHE)
        .map(PathBuf::from)
        .or_else(|| given("XDG_CACHE_HOME").map(|home| below(home, "flott/kubernetes")))
        .or_else(|| given("HOME").map(|home| below(home, ".cache/flott/kubernetes")))
        .with_context(|| format!("neither {CACHE} nor XDG_CACHE_HOME nor HOME is set: binaries have no place"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_are_pinned() {
        assert!(kubernetes_version().starts_with("v1.36."), "{}", kubernetes_version());
        assert!(helm_version().starts_with("v4."), "{}", helm_version());
    }

    #[test]
    fn a_module_that_is_not_required_has_no_version() {
        assert_eq!(pinned("module a\n\nrequire k8s.io/kubernetes-else v1.2.3\n", "k8s.io/kubernetes"), "v0.0.0");
    }
}
