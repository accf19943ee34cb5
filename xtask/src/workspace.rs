use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The folder of the workspace's manifest.
pub fn root() -> anyhow::Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").context("run this as `cargo xtask`, so that Cargo says where")?;
    let root = Path::new(&own).parent().context("xtask lies in no workspace")?;
    ensure!(root.join("Cargo.lock").exists(), "{} is no workspace", root.display());
    Ok(root.to_owned())
}

/// Where Cargo puts what it builds.
pub fn target_directory(root: &Path) -> anyhow::Result<PathBuf> {
    Ok(metadata(root)?.target_directory)
}

/// What `cargo metadata` says, as far as it is needed here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    pub workspace_members: Vec<String>,
    pub workspace_root: PathBuf,
    pub target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub struct Package {
    pub id: String,
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

/// A dependency as a manifest declares it.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `None` is a normal one; else `build` or `dev`.
    pub kind: Option<String>,
    /// Set for a crate that lies on this disk.
    pub path: Option<PathBuf>,
}

/// Asks Cargo about the workspace.
pub fn metadata(root: &Path) -> anyhow::Result<Metadata> {
    let said = cargo(root, &["metadata", "--format-version", "1"])?;
    serde_json::from_str(&said).context("cargo metadata says what is not understood")
}

/// What a command of Cargo prints.
pub fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let what = arguments.first().copied().unwrap_or_default();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cargo {what} cannot be run"))?;
    ensure!(output.status.success(), "cargo {what} failed: {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("cargo {what} prints what is not UTF-8"))
}
