use std::collections::BTreeSet;

use super::rules::rule;
use crate::workspace::Metadata;

/// One line for each arrow between crates of the workspace that no rule allows.
pub fn broken(metadata: &Metadata) -> Vec<String> {
    let members: Vec<_> =
        metadata.packages.iter().filter(|package| metadata.workspace_members.contains(&package.id)).collect();
    let names: BTreeSet<_> = members.iter().map(|package| package.name.as_str()).collect();
    let mut broken = Vec::new();
    for package in members {
        let name = &package.name;
        let manifest = package.manifest_path.strip_prefix(&metadata.workspace_root).unwrap_or(&package.manifest_path);
        let folder = manifest.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
        let Some(rule) = rule(name, &folder) else {
            broken.push(format!("{name} ({folder}) has no rule: say in xtask/src/layers/rules.rs what it may know"));
            continue;
        };
        for dependency in &package.dependencies {
            let other = dependency.name.as_str();
            // A crate may name itself in its own examples and tests.
            if dependency.path.is_none() || !names.contains(other) || other == name || rule.allows(other) {
                continue;
            }
            let kind = dependency.kind.as_deref().unwrap_or("normal");
            let rule = rule.describe();
            broken.push(format!("{name} -> {other} ({kind} dependency in {}): {name} {rule}", manifest.display()));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::{Dependency, Package};

    fn package(name: &str, folder: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, kind)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
            path: Some(PathBuf::from("/w").join(name)),
        });
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            manifest_path: PathBuf::from("/w").join(folder).join("Cargo.toml"),
            dependencies: dependencies.collect(),
        }
    }

    #[track_caller]
    fn check(packages: Vec<Package>, expected: &[&str]) {
        let workspace_members = packages.iter().map(|package| package.id.clone()).collect();
        let metadata = Metadata {
            packages,
            workspace_members,
            workspace_root: PathBuf::from("/w"),
            target_directory: PathBuf::from("/w/target"),
        };
        assert_eq!(broken(&metadata), expected);
    }

    #[test]
    fn arrows_down_are_allowed() {
        check(
            vec![
                package("flott-core", "core", &[]),
                package("flott-rpc", "rpc", &[("flott-core", None)]),
                package("flott", "api", &[("flott-core", None), ("flott", Some("dev"))]),
                package("wordcount", "examples/wordcount", &[("flott", None)]),
                package("flott-tests", "tests", &[("flott-core", None), ("flott", Some("dev"))]),
            ],
            &[],
        );
    }

    #[test]
    fn arrows_up_and_sideways_are_named_with_their_rule() {
        check(
            vec![
                package("flott-core", "core", &[("flott-rpc", Some("dev"))]),
                package("flott-rpc", "rpc", &[]),
                package("wordcount", "examples/wordcount", &[("flott-core", None)]),
                package("xtask", "xtask", &[("flott-tests", None)]),
                package("flott-tests", "tests", &[]),
            ],
            &[
                "flott-core -> flott-rpc (dev dependency in core/Cargo.toml): flott-core may know no other crate of the workspace",
                "wordcount -> flott-core (normal dependency in examples/wordcount/Cargo.toml): wordcount may know only flott, flott-cep, flott-kafka, flott-parquet",
                "xtask -> flott-tests (normal dependency in xtask/Cargo.toml): xtask may know every crate but flott-tests, flott-helm-tests, xtask",
            ],
        );
    }

    #[test]
    fn a_crate_that_nobody_thought_of_needs_a_rule() {
        check(
            vec![package("flott-sql", "sql", &[])],
            &["flott-sql (sql) has no rule: say in xtask/src/layers/rules.rs what it may know"],
        );
    }
}
