//! What a JobManager does in the background: it is begun by a request, and asked for until it has ended.

use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    exit::{Code, CommandResult, End},
    rest::Client,
};

/// First pause between two looks; each is longer than the one before, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(4);
/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Begun {
    request_id: String,
}

#[derive(Deserialize)]
struct Answer {
    status: Phase,
    operation: Option<Value>,
}

#[derive(Deserialize)]
struct Phase {
    id: String,
}

/// Begins one; gives the id under which its outcome is read.
pub async fn begin(client: &Client, path: &str, body: &Value) -> CommandResult<String> {
    let begun: Begun = client.json(client.request(Method::POST, path).json(body)).await?;
    Ok(begun.request_id)
}

/// Waits until the one that is shown at `path` has ended, and gives what it has done. How long that takes at most is the
/// JobManager's (`execution.checkpointing.timeout`).
///
/// # Errors
/// Why it was not done, on one line.
pub async fn outcome(client: &Client, path: &str) -> CommandResult<Value> {
    let mut pause = PAUSE_MIN;
    loop {
        let answer: Answer = client.get(path).await?;
        if answer.status.id == "COMPLETED" {
            let operation = answer.operation.unwrap_or_default();
            return match operation["failure-cause"]["stack-trace"].as_str() {
                Some(report) => Err(End::new(Code::Usage, anyhow!(one_line(report)))),
                None => Ok(operation),
            };
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}

fn one_line(report: &str) -> String {
    let lines: Vec<_> = report.lines().map(|line| line.trim().trim_start_matches("Caused by: ")).collect();
    lines.join(": ")
}

/// Where a savepoint is that was taken.
pub fn location(operation: &Value) -> anyhow::Result<String> {
    operation["location"].as_str().map(str::to_owned).context("the JobManager does not say where the savepoint is")
}

/// A directory as the user wrote it, for who has another working directory.
pub fn absolute(location: &str) -> anyhow::Result<String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let absolute = std::path::absolute(location).with_context(|| format!("{location:?} is no path"))?;
    absolute.into_os_string().into_string().map_err(|path| anyhow!("{path:?} is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_told_in_one_line() {
        assert_eq!(one_line("no\nCaused by: disk full\nCaused by: too small\n"), "no: disk full: too small");
    }

    #[test]
    fn relative_paths_are_made_absolute_and_urls_left_alone() {
        assert_eq!(absolute("s3://bucket/a").unwrap(), "s3://bucket/a");
        assert_eq!(absolute("/a/b").unwrap(), "/a/b");
        let here = std::env::current_dir().unwrap().join("a");
        assert_eq!(absolute("a").unwrap(), here.to_str().unwrap());
    }
}
