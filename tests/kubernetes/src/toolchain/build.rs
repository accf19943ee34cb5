use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, bail, ensure};

use super::{Tool, helm_version, kubernetes_version};

/// Where the modules are that pin what is built.
const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tools");

/// What decides, besides the pins, what comes out.
pub const RECIPE: [&str; 2] = ["-trimpath -ldflags='-s -w'", "CGO_ENABLED=0"];

/// Builds all binaries into `directory`, which appears when it is whole.
pub fn all(directory: &Path) -> anyhow::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let lock = beside(directory, "lock");
    let lock = File::create(&lock).with_context(|| format!("cannot write {}", lock.display()))?;
    lock.lock().context("cannot lock the cache of binaries")?;
    if directory.is_dir() {
        return Ok(()); // another has built it meanwhile
    }
    // Only the holder of the lock writes here, so what is there was left by one that was killed, and goes on from there.
    let partial = beside(directory, "partial");
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    for tool in Tool::ALL {
        let began = Instant::now();
        one(tool, &partial.join(tool.name()))?;
        eprintln!("{} is built ({} s)", tool.name(), began.elapsed().as_secs());
    }
    fs::rename(&partial, directory).with_context(|| format!("cannot rename {}", partial.display()))
}

/// A path beside the directory; its name has dots in it.
fn beside(directory: &Path, suffix: &str) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

fn one(tool: Tool, out: &Path) -> anyhow::Result<()> {
    let (module, package) = source(tool);
    let mut command = Command::new("go");
    command
        .args(["build", "-trimpath", "-buildvcs=false", "-mod=readonly"])
        .arg(format!("-ldflags=-s -w{}", stamps(tool)));
    command.arg("-o").arg(out).arg(package);
    command.current_dir(Path::new(TOOLS).join(module)).env("CGO_ENABLED", "0");
    match command.status() {
        Ok(status) => ensure!(status.success(), "go build {package}: {status}"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("go is not on PATH: Go 1.26 or newer builds the Kubernetes of the tests")
        }
        Err(error) => return Err(error).context("go cannot be run"),
    }
    Ok(())
}

/// The folder of the module that pins a tool, and its package.
fn source(tool: Tool) -> (&'static str, &'static str) {
    match tool {
        Tool::Etcd => (".", "go.etcd.io/etcd/server/v3"),
        Tool::ApiServer => (".", "k8s.io/kubernetes/cmd/kube-apiserver"),
        Tool::ControllerManager => (".", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        Tool::Scheduler => (".", "k8s.io/kubernetes/cmd/kube-scheduler"),
        Tool::Kubectl => (".", "k8s.io/kubernetes/cmd/kubectl"),
        Tool::Helm => ("helm", "helm.sh/helm/v4/cmd/helm"),
    }
}

/// What the releases of these projects have their linker write into them: without it, they take themselves for version 0.
fn stamps(tool: Tool) -> String {
    match tool {
        Tool::Etcd => String::new(),
        Tool::ApiServer | Tool::ControllerManager | Tool::Scheduler | Tool::Kubectl => {
            let version = kubernetes_version();
            let mut numbers = version.trim_start_matches('v').split('.');
            let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
            let stamp = |name: &str, value: &str| format!(" -X k8s.io/component-base/version.{name}={value}");
            stamp("gitVersion", version) + &stamp("gitMajor", major) + &stamp("gitMinor", minor)
        }
        Tool::Helm => format!(" -X helm.sh/helm/v4/internal/version.version={}", helm_version()),
    }
}
