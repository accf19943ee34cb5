//! Where things are in the working tree.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A path of the working tree, by its path from the root.
pub fn path(of: &str) -> PathBuf {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate is two folders below the root");
    root.join(of)
}

/// The text of a file of the working tree.
#[track_caller]
pub fn text(of: &str) -> String {
    fs::read_to_string(path(of)).unwrap_or_else(|error| panic!("{of}: {error}"))
}

/// The sets of values that every test of the chart is made with: `helm/flott/ci`, by name.
#[track_caller]
pub fn value_sets() -> Vec<String> {
    files("helm/flott/ci")
}

/// The YAML files of a folder, by their path from the root, in order.
#[track_caller]
pub fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.expect("a folder can be listed").file_name().to_string_lossy().into_owned());
    let mut files: Vec<_> =
        names.filter(|name| name.ends_with(".yaml")).map(|name| format!("{folder}/{name}")).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} holds nothing to test with");
    files
}
