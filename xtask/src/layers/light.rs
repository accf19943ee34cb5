use std::collections::{BTreeMap, VecDeque};

use super::rules::{HEAVY, LIGHT};
use crate::workspace::Metadata;

/// One line for each heavy crate that the users' library brings along, with the way it came.
pub fn broken(metadata: &Metadata) -> Vec<String> {
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let nodes: BTreeMap<&str, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let member = |package: &&crate::workspace::Package| {
        package.name == LIGHT && metadata.workspace_members.contains(&package.id)
    };
    let Some(start) = metadata.packages.iter().find(member) else {
        return vec![format!("there is no crate {LIGHT} in the workspace")];
    };
    // The crate that brought each one along; breadth first, so ways are the shortest.
    let mut came_by: BTreeMap<&str, Option<&str>> = BTreeMap::from([(start.id.as_str(), None)]);
    let mut queue = VecDeque::from([start.id.as_str()]);
    let mut broken = Vec::new();
    while let Some(id) = queue.pop_front() {
        let name = names.get(id).copied().unwrap_or(id);
        if HEAVY.contains(&name) {
            broken.push(format!("{LIGHT} must not bring {name} along: {}", way(id, &came_by, &names)));
            continue;
        }
        for dependency in nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default() {
            let normal = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            if normal && !came_by.contains_key(dependency.pkg.as_str()) {
                came_by.insert(&dependency.pkg, Some(id));
                queue.push_back(&dependency.pkg);
            }
        }
    }
    broken
}

fn way(id: &str, came_by: &BTreeMap<&str, Option<&str>>, names: &BTreeMap<&str, &str>) -> String {
    let steps = std::iter::successors(Some(id), |id| came_by.get(id).copied().flatten());
    let mut steps: Vec<_> = steps.map(|id| names.get(id).copied().unwrap_or(id)).collect();
    steps.reverse();
    steps.join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arrows: &[(&str, &str, Option<&str>)], expected: &[&str]) {
        let mut names: Vec<&str> = arrows.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
        names.sort_unstable();
        names.dedup();
        let packages: Vec<_> = names
            .iter()
            .map(|name| serde_json::json!({"id": name, "name": name, "manifest_path": "/w/x", "dependencies": []}))
            .collect();
        let nodes: Vec<_> = names
            .iter()
            .map(|name| {
                let deps: Vec<_> = arrows
                    .iter()
                    .filter(|(from, ..)| from == name)
                    .map(|(_, to, kind)| serde_json::json!({"pkg": to, "dep_kinds": [{"kind": kind}]}))
                    .collect();
                serde_json::json!({"id": name, "deps": deps})
            })
            .collect();
        let metadata = serde_json::json!({
            "packages": packages, "workspace_members": ["flott"], "workspace_root": "/w",
            "target_directory": "/w/target", "resolve": {"nodes": nodes},
        });
        assert_eq!(broken(&serde_json::from_value(metadata).expect("metadata")), expected);
    }

    #[test]
    fn a_heavy_crate_is_found_however_deep() {
        check(
            &[("flott", "flott-runtime", None), ("flott-runtime", "tokio", None), ("tokio", "hyper", None)],
            &["flott must not bring hyper along: flott -> flott-runtime -> tokio -> hyper"],
        );
    }

    #[test]
    fn tools_of_build_and_test_do_not_count() {
        check(&[("flott", "reqwest", Some("dev")), ("flott", "tokio", None), ("tokio", "rustls", Some("build"))], &[]);
    }
}
