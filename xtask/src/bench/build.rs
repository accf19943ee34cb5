//! The binaries.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

/// Where the release builds are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// Client and daemons.
    pub flott: PathBuf,
    /// The workloads.
    pub lab: PathBuf,
    /// The simulation; there only when it was asked for.
    pub deploy: PathBuf,
    /// The Nexmark queries; there only when they were asked for.
    pub nexmark: PathBuf,
    /// Folder for what is made once and used again.
    pub cache: PathBuf,
}

/// What is needed beside the command and the lab.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    pub simulation: bool,
    pub nexmark: bool,
}

/// Builds the command and the workloads, and what else is needed.
pub fn release(root: &Path, parts: Parts) -> anyhow::Result<()> {
    build(root, &["--package", "flott-cli", "--package", "flott-lab", "--features", "flott-lab/disk"])?;
    if parts.nexmark {
        build(root, &["--package", "flott-nexmark"])?;
    }
    if parts.simulation {
        build(root, &["--package", "flott-tests", "--bin", "deploy-10k"])?;
    }
    Ok(())
}

fn build(root: &Path, what: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release"])
        .args(what)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cargo build cannot be run")?;
    ensure!(status.success(), "cargo build {}: {status}", what.join(" "));
    Ok(())
}

/// What was built.
pub fn present(root: &Path, parts: Parts) -> anyhow::Result<Binaries> {
    let target = crate::workspace::target_directory(root)?;
    let release = |name| target.join("release").join(name);
    let binaries = Binaries {
        flott: release("flott"),
        lab: release("lab"),
        deploy: release("deploy-10k"),
        nexmark: release("nexmark"),
        cache: target.join("bench"),
    };
    let more = [(parts.simulation, &binaries.deploy), (parts.nexmark, &binaries.nexmark)];
    let more = more.into_iter().filter_map(|(needed, binary)| needed.then_some(binary));
    let needed = [&binaries.flott, &binaries.lab].into_iter().chain(more);
    for binary in needed {
        ensure!(binary.is_file(), "{} is not there", binary.display());
    }
    Ok(binaries)
}
