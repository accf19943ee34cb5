//! Clusters of real processes that are killed and stopped by a plan: `cargo xtask chaos`. The runner is a binary of `tests/`, as
//! it needs what the end-to-end tests need; this builds it with all that it starts.

use std::{path::Path, process::Command};

use anyhow::{Context, ensure};
use clap::Args;

use crate::workspace;

/// Which plans.
#[derive(Args)]
pub struct Options {
    /// The first seed; its plan is printed, and carried out
    #[arg(long, required_unless_present = "regressions")]
    seed: Option<u64>,
    /// Goes on with the next seeds for so long, and prints a line for each
    #[arg(long)]
    minutes: Option<u64>,
    /// The seeds that have found something before
    #[arg(long, conflicts_with_all = ["seed", "minutes"])]
    regressions: bool,
    /// Without other parallelisms and barriers that overtake, as the seeds of `--regressions`
    #[arg(long)]
    plain: bool,
    /// Without buckets (which need `moto_server`), state on disk, networks that tear, and JobManagers that stand by
    #[arg(long, conflicts_with = "plain")]
    local: bool,
    /// With release builds, which are faster and find other things
    #[arg(long)]
    release: bool,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let Options { seed, minutes, regressions, plain, local, release } = options;
    let root = workspace::root()?;
    build(&root, *release)?;
    let profile = if *release { "release" } else { "debug" };
    let runner = workspace::target_directory(&root)?.join(profile).join("chaos");
    let regressions = regressions.then(|| "regressions".to_owned());
    let scope = plain.then_some("plain").or(local.then_some("local")).map(str::to_owned);
    let numbers = [seed, minutes].into_iter().flatten().map(u64::to_string);
    let arguments = scope.into_iter().chain(numbers).chain(regressions);
    let status =
        Command::new(&runner).args(arguments).status().with_context(|| format!("cannot run {}", runner.display()))?;
    ensure!(status.success(), "{}: {status}", runner.display());
    Ok(())
}

fn build(root: &Path, release: bool) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--quiet", "--package", "flott-cli", "--package", "flott-tests", "--bins"])
        .args(["--features", "flott-tests/s3,flott-tests/disk"])
        .current_dir(root);
    if release {
        command.arg("--release");
    }
    let status = command.status().context("cargo build cannot be run")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(())
}
