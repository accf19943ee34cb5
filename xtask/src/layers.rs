//! The floors of the house: which crate may know which.
//!
//! Dependencies point down. The rules are an explicit list rather than numbers of floors, so that a new arrow is a
//! change that someone sees. They hold for normal, build and dev dependencies alike.

use anyhow::bail;

use crate::workspace;

mod arrows;
mod light;
mod rules;

/// Prints every broken rule, and fails if there is one.
pub fn run() -> anyhow::Result<()> {
    let root = workspace::root()?;
    let metadata = workspace::metadata(&root)?;
    let mut broken = arrows::broken(&metadata);
    broken.extend(light::broken(&root)?);
    for line in &broken {
        eprintln!("{line}");
    }
    if !broken.is_empty() {
        bail!("{} dependencies break the layering", broken.len());
    }
    println!("layers: {} crates keep to their floors", metadata.workspace_members.len());
    Ok(())
}
