//! What is kept as the chart says: the table in its README, and the plain manifests.

use flott_helm_tests::{golden, helm, manifests::Manifests, values_table, workspace};

const README: &str = "helm/flott/README.md";
const VALUES: &str = "helm/flott/values.yaml";
const BEGIN: &str = "<!-- values: made of values.yaml by tests/helm -->\n";
const END: &str = "<!-- end of values -->";

#[test]
fn the_readme_tells_of_all_values() {
    let readme = workspace::text(README);
    let (before, rest) = readme.split_once(BEGIN).expect("the table has a beginning");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    let table = values_table::markdown(&workspace::text(VALUES));
    golden::check(README, &format!("{before}{BEGIN}\n{table}\n{END}{after}"));
}

/// Values of a set of plain manifests, and what is rendered with them.
const PLAIN: &str = "deploy/kubernetes/values";

#[test]
fn plain_manifests_are_what_the_chart_renders() {
    let Some(helm) = helm::or_skipped("plain_manifests_are_what_the_chart_renders") else { return };
    for values in workspace::files(PLAIN) {
        let text = helm.template_as("flott", "flott", &["--values", &values]).unwrap_or_else(|error| panic!("{error}"));
        let of = |pair: &(&str, &str)| !pair.1.contains("helm.sh/hook");
        let documents: Vec<_> =
            text.split("---\n").map(|document| ("", document)).filter(of).map(|(_, text)| text).collect();
        let head =
            format!("# Made of the chart with {values}: `FLOTT_REWRITE_GOLDEN=1 cargo test -p flott-helm-tests`\n");
        let file = values.replace("/values/", "/");
        golden::check_documents(&file, &(head + &documents.join("---\n")));
        let manifests = Manifests::of(&workspace::text(&file));
        assert!(manifests.kind("Secret").is_empty(), "{file} would hold a token that everyone knows");
    }
}
