//! The binaries.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

/// Where the release builds are.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub flott: PathBuf,
    pub lab: PathBuf,
    /// Folder for what is made once and used again.
    pub cache: PathBuf,
}

/// Builds the command and the workloads.
pub fn release(root: &Path) -> anyhow::Result<Binaries> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "flott-cli", "--package", "flott-lab"])
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("cargo build cannot be run")?;
    ensure!(status.success(), "cargo build failed: {status}");
    present(root)
}

/// What was built before.
pub fn present(root: &Path) -> anyhow::Result<Binaries> {
    let target = crate::workspace::target_directory(root)?;
    let release = target.join("release");
    let binaries = Binaries { flott: release.join("flott"), lab: release.join("lab"), cache: target.join("bench") };
    for binary in [&binaries.flott, &binaries.lab] {
        ensure!(binary.is_file(), "{} is not there", binary.display());
    }
    Ok(binaries)
}
