//! `lab state` on a cluster.

use std::{path::Path, time::Duration};

use anyhow::Context;
use serde_json::Value;

use super::{VALUES, beats::Beats};
use crate::bench::{
    Bench, interrupt,
    rest::{Client, PAUSE, Program, SHORT_PAUSE},
};

const FILL_TIMEOUT: Duration = Duration::from_secs(600);
const RUN_TIMEOUT: Duration = Duration::from_secs(120);

/// A job that runs.
pub struct StateJob {
    pub id: String,
    /// The vertex with the values.
    pub vertex: String,
    pub beats: Beats,
    pub program: Program,
}

impl StateJob {
    /// Starts it at a parallelism, with its beats in `folder`, and waits until all keys have a value.
    pub fn start(bench: &Bench, client: &Client, folder: &Path, parallelism: u32) -> anyhow::Result<Self> {
        let sizes = &bench.sizes;
        let numbers = [("--keys", sizes.state_keys), ("--bytes", sizes.state_bytes), ("--rate", sizes.state_rate())];
        let mut arguments = vec!["state".to_owned(), "--beats".to_owned(), folder.display().to_string()];
        for (name, number) in numbers {
            arguments.extend([name.to_owned(), number.to_string()]);
        }
        let jar = client.upload(&bench.binaries.lab)?;
        let program = Program { jar, entry: None, arguments, parallelism, from: None };
        let id = client.run(&program)?;
        let keys = sizes.state_keys;
        let vertex = interrupt::wait_for("the filling of the state", FILL_TIMEOUT, PAUSE, || {
            let details = must_live(client, &id)?;
            let vertex = values_of(&details)?;
            let seen = vertex["metrics"]["read-records"].as_u64().unwrap_or_default();
            // Some of those that were seen are paced ones already: the source of the others has ended too.
            let filled = details["status-counts"]["FINISHED"].as_u64() > Some(0) && seen >= keys;
            Ok(filled.then(|| vertex["id"].as_str().map(str::to_owned)).flatten())
        })?;
        Ok(Self { id, vertex, beats: Beats::at(folder), program })
    }

    /// The path of a part of the job over REST.
    pub fn path(&self, part: &str) -> String {
        format!("/jobs/{}{part}", self.id)
    }

    /// Waits until all tasks run, of which `parallelism` hold values.
    pub fn all_run(&self, client: &Client, parallelism: u32) -> anyhow::Result<()> {
        interrupt::wait_for("the tasks of a job", RUN_TIMEOUT, SHORT_PAUSE, || {
            let Some(details) = client.try_get(&self.path("")) else { return Ok(None) };
            let vertices = details["vertices"].as_array().map_or(&[][..], Vec::as_slice);
            let running = |vertex: &Value| {
                let tasks = &vertex["tasks"];
                let count = |state: &str| tasks[state].as_u64().unwrap_or_default();
                count("RUNNING") + count("FINISHED") == vertex["parallelism"].as_u64().unwrap_or(u64::MAX)
            };
            let values = values_of(&details)?["parallelism"].as_u64() == Some(u64::from(parallelism));
            Ok((details["state"] == "RUNNING" && values && vertices.iter().all(running)).then_some(()))
        })
    }
}

fn must_live(client: &Client, id: &str) -> anyhow::Result<Value> {
    let details = client.get(&format!("/jobs/{id}"))?;
    let ended = matches!(details["state"].as_str(), Some("FAILED" | "CANCELED" | "FINISHED"));
    anyhow::ensure!(!ended, "the job is {}", details["state"]);
    Ok(details)
}

fn values_of(details: &Value) -> anyhow::Result<&Value> {
    let vertices = details["vertices"].as_array().context("the job has no vertices")?;
    let named = |vertex: &&Value| vertex["name"].as_str().is_some_and(|name| name.contains(VALUES));
    vertices.iter().find(named).context("the job has no vertex with values")
}
