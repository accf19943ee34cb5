//! Jobs with a cluster of their own whose JobManager is gone before they ended: nothing answers for them, but all that is
//! needed to go on with them is in their directory.

use std::path::Path;

use flott_core::{id::JobId, job_graph::document};
use serde::Serialize;

use crate::state_dir::{ClusterDir, StateDir};

/// Such a job.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lost {
    jid: JobId,
    name: String,
    /// What starts its JobManager again.
    command: Vec<String>,
}

/// All of them.
pub fn jobs(state: &StateDir) -> Vec<Lost> {
    let clusters = state.clusters();
    clusters.iter().filter_map(|dir| of_cluster(state, dir)).collect()
}

fn of_cluster(state: &StateDir, dir: &ClusterDir) -> Option<Lost> {
    let (graph_file, program) = (dir.path().join("staging/job.graph"), dir.path().join("staging/program"));
    // A JobManager makes its pid file first, holds it for as long as it lives, and removes it at the end of its job.
    if !dir.pid_file().exists() || dir.is_locked().unwrap_or(true) {
        return None;
    }
    let graph = document::read(&std::fs::read(&graph_file).ok()?).ok()?;
    if state.history().join(format!("{}.json", graph.job_id)).exists() {
        return None;
    }
    let path = |path: &Path| path.display().to_string();
    let command = [
        "flott",
        "jobmanager",
        "--cluster-dir",
        &path(dir.path()),
        "--config",
        &path(&dir.config_file()),
        "--job-graph",
        &path(&graph_file),
        "--program",
        &path(&program),
    ];
    Some(Lost { jid: graph.job_id, name: graph.name, command: command.map(str::to_owned).into() })
}

/// Prints them, if there are any.
pub fn print(jobs: &[Lost]) {
    if jobs.is_empty() {
        return;
    }
    println!("------------------------- Lost Jobs --------------------------");
    for job in jobs {
        println!("{} : {} (LOST)", job.jid, job.name);
        let words: Vec<_> = job.command.iter().map(|word| quoted(word)).collect();
        println!("    its JobManager is gone; to go on with it: {}", words.join(" "));
    }
    println!("--------------------------------------------------------------");
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    if word.chars().all(|c| c.is_alphanumeric() || "/.-_:=".contains(c)) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_blanks_and_quotes_are_one_word() {
        assert_eq!(quoted("/a/b-c_1.d"), "/a/b-c_1.d");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
    }
}
