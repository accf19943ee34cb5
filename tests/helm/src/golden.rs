//! Files that are kept as something else says.

use std::fs;

use serde_json::Value;

use crate::workspace;

/// Set to something, files are rewritten instead of compared.
const REWRITE: &str = "FLOTT_REWRITE_GOLDEN";

/// Wants the file at `path` to hold `text`.
#[track_caller]
pub fn check(path: &str, text: &str) {
    if !rewritten(path, text) {
        assert!(workspace::text(path) == text, "{path} is not current: set {REWRITE}=1 to rewrite it");
    }
}

/// Wants the file at `path` to hold the same YAML documents as `text`: versions of `helm` write them differently.
#[track_caller]
pub fn check_documents(path: &str, text: &str) {
    if !rewritten(path, text) {
        let (found, wanted) = (documents(&workspace::text(path)), documents(text));
        assert!(found == wanted, "{path} is not what the chart renders: set {REWRITE}=1 to rewrite it");
    }
}

/// The documents of a YAML text, empty ones apart.
#[track_caller]
pub fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

#[track_caller]
fn rewritten(path: &str, text: &str) -> bool {
    let rewrite = std::env::var_os(REWRITE).is_some_and(|value| !value.is_empty());
    if rewrite {
        fs::write(workspace::path(path), text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    rewrite
}
