//! What users link is light.
//!
//! `cargo tree` of the one crate says what it brings along with its default features; `cargo metadata` would add what others of
//! the workspace ask of the crates that they share.

use std::path::Path;

use super::rules::{HEAVY, LIGHT};
use crate::workspace;

/// One line for each heavy crate that the users' library brings along, with the way it came.
pub fn broken(root: &Path) -> anyhow::Result<Vec<String>> {
    let tree = workspace::cargo(root, &["tree", "--package", LIGHT, "--edges", "normal", "--prefix", "depth"])?;
    Ok(in_tree(&tree))
}

/// Lines are a depth and a crate, each below the last one that is less deep.
fn in_tree(tree: &str) -> Vec<String> {
    let mut way: Vec<&str> = Vec::new();
    let mut broken: Vec<String> = Vec::new();
    for line in tree.lines() {
        let digits = line.find(|character: char| !character.is_ascii_digit()).unwrap_or(line.len());
        let (depth, rest) = line.split_at(digits);
        let (Ok(depth), Some(name)) = (depth.parse::<usize>(), rest.split(' ').next()) else { continue };
        way.truncate(depth);
        // What is heavy brings heavy things along: the first on the way tells enough.
        let within = way.iter().any(|above| HEAVY.contains(above));
        way.push(name);
        if HEAVY.contains(&name) && !within {
            broken.push(format!("{LIGHT} must not bring {name} along: {}", way.join(" -> ")));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_crate_is_found_however_deep() {
        let tree =
            "0flott v0.1.0 (/w/api)\n1flott-runtime v0.1.0\n2tokio v1.0.0\n3hyper v1.0.0\n4h2 v0.4.0\n1serde v1.0.0\n";
        assert_eq!(in_tree(tree), ["flott must not bring hyper along: flott -> flott-runtime -> tokio -> hyper"]);
    }

    #[test]
    fn light_ones_are_fine() {
        assert!(in_tree("0flott v0.1.0 (/w/api)\n1bytes v1.0.0\n2serde v1.0.0 (*)\n").is_empty());
    }
}
