//! Watches a job to its end, showing progress on standard error.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use flott_core::{id::JobId, status::JobStatus};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    exit::{Code, CommandResult, End},
    output,
    rest::{Client, RestError},
};

/// First pause between two looks; each is longer than the one before, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(4);
/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// Between two lines of progress when standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a JobManager may be away before a follower gives up.
const AWAY_MAX: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Answer {
    status: Phase,
    #[serde(rename = "job-execution-result")]
    result: Option<JobResult>,
}

#[derive(Deserialize)]
struct Phase {
    id: String,
}

/// How a job ended, as REST says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobResult {
    /// `SUCCEEDED`, `FAILED` or `CANCELED`.
    pub application_status: String,
    /// Milliseconds.
    pub net_runtime: u64,
    /// What ended it.
    pub failure_cause: Option<FailureCause>,
    /// Results by name.
    #[serde(default)]
    pub accumulator_results: Value,
}

/// What ended a job.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureCause {
    /// The whole report, several lines.
    pub stack_trace: String,
}

impl JobResult {
    /// The exit code for this end.
    pub fn code(&self) -> Code {
        match self.application_status.as_str() {
            "SUCCEEDED" => Code::Done,
            "CANCELED" => Code::Cancelled,
            _ => Code::JobFailed,
        }
    }
}

/// The result of a job that has ended; nothing while it runs.
pub async fn result(client: &Client, job: JobId) -> Result<Option<JobResult>, RestError> {
    let answer: Answer = client.get(&format!("/v1/jobs/{job}/execution-result")).await?;
    Ok(answer.result.filter(|_| answer.status.id == "COMPLETED"))
}

/// Waits until `job` has ended. Progress is shown unless `quiet`. A deadline that passes is an error.
pub async fn to_end(client: &Client, job: JobId, quiet: bool, deadline: Option<Instant>) -> CommandResult<JobResult> {
    let mut progress = Progress::new(quiet);
    let mut pause = PAUSE_MIN;
    let mut away_since: Option<Instant> = None;
    loop {
        match result(client, job).await {
            Ok(Some(result)) => {
                progress.show(client, job, true).await;
                return Ok(result);
            }
            Ok(None) => {
                away_since = None;
                progress.show(client, job, false).await;
            }
            // A JobManager that is being restarted answers again soon.
            Err(error @ RestError::Unreachable { .. }) => {
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() > AWAY_MAX {
                    return Err(error.into());
                }
            }
            Err(error) => return Err(error.into()),
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(End::new(Code::TimedOut, anyhow::anyhow!("job {job} had not ended when the time was up")));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}

/// Waits until `job` has left INITIALIZING.
pub async fn until_begun(client: &Client, job: JobId, timeout: Duration) -> CommandResult<()> {
    #[derive(Deserialize)]
    struct Status {
        status: JobStatus,
    }
    let deadline = Instant::now() + timeout;
    let mut pause = PAUSE_MIN;
    loop {
        // A JobManager that was started for this job may answer before it has read it.
        match client.get::<Status>(&format!("/v1/jobs/{job}/status")).await {
            Ok(status) if status.status != JobStatus::Initializing => return Ok(()),
            Ok(_) => {}
            Err(RestError::Refused(refused)) if refused.status == 404 => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            let error =
                anyhow::anyhow!("job {job} was still INITIALIZING after {} s (client.timeout)", timeout.as_secs());
            return Err(End::new(Code::TimedOut, error));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}

/// Prints how a job ended, in Flink's words.
pub fn print_end(job: JobId, result: &JobResult) {
    match result.code() {
        Code::Done => {
            println!("Program execution finished");
            println!("Job with JobID {job} has finished.");
            println!("Job Runtime: {} ms", result.net_runtime);
            print_accumulators(&result.accumulator_results);
        }
        Code::Cancelled => eprintln!("flott: job {job} was cancelled"),
        _ => {
            let report =
                result.failure_cause.as_ref().map_or("no cause was kept", |cause| cause.stack_trace.trim_end());
            eprintln!("flott: job {job} failed: {report}");
        }
    }
}

fn print_accumulators(results: &Value) {
    let Some(results) = results.as_object().filter(|results| !results.is_empty()) else { return };
    println!("Accumulator Results:");
    for (name, value) in results {
        match value.as_str() {
            Some(text) => println!("- {name}: {text}"),
            None => println!("- {name}: {value}"),
        }
    }
}

struct Progress {
    quiet: bool,
    terminal: bool,
    lines: usize,
    state: String,
    shown_at: Option<Instant>,
    before: Vec<(u64, u64)>,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { quiet, terminal, lines: 0, state: String::new(), shown_at: None, before: Vec::new() }
    }

    /// Shows state, records and rates: redrawn on a terminal, a line when something changes elsewhere.
    async fn show(&mut self, client: &Client, job: JobId, last: bool) {
        if self.quiet {
            return;
        }
        let due = self.shown_at.is_none_or(|at| at.elapsed() >= if self.terminal { PAUSE_MAX } else { LINE_INTERVAL });
        let Ok(details) = client.get::<Value>(&format!("/v1/jobs/{job}")).await else { return };
        let state = details["state"].as_str().unwrap_or("?").to_owned();
        if !due && !last && state == self.state {
            return;
        }
        let elapsed = self.shown_at.map(|at| at.elapsed().as_secs_f64());
        let text = self.text(&details, &state, elapsed);
        let mut err = std::io::stderr().lock();
        if self.terminal {
            // Up to the first line of what was drawn before, and clear to the end of the screen.
            let up = if self.lines > 0 { format!("\x1b[{}A\r\x1b[J", self.lines) } else { String::new() };
            let _ = write!(err, "{up}{text}");
            self.lines = text.lines().count();
        } else {
            let _ = write!(err, "{text}");
        }
        self.state = state;
        self.shown_at = Some(Instant::now());
    }

    fn text(&mut self, details: &Value, state: &str, elapsed: Option<f64>) -> String {
        let name = details["name"].as_str().unwrap_or("?");
        let seconds = details["duration"].as_u64().unwrap_or(0) as f64 / 1000.0;
        let mut text = format!("{name}: {state} after {seconds:.1} s\n");
        let vertices = details["vertices"].as_array().map_or(&[][..], Vec::as_slice);
        let mut now = Vec::new();
        for (index, vertex) in vertices.iter().enumerate() {
            let figure = |key: &str| vertex["metrics"][key].as_u64().unwrap_or(0);
            let (records_in, records_out) = (figure("read-records"), figure("write-records"));
            let before = self.before.get(index).copied().unwrap_or((records_in, records_out));
            let rate = |now: u64, before: u64| match elapsed {
                Some(elapsed) if elapsed > 0.0 => now.saturating_sub(before) as f64 / elapsed,
                _ => 0.0,
            };
            let tasks = vertex["tasks"].as_object();
            let running = tasks.and_then(|tasks| tasks.get(state)).and_then(Value::as_u64);
            text.push_str(&format!(
                "  {:<50} {:>3}/{:<3} in {:>9} ({:>8}/s)  out {:>9} ({:>8}/s)\n",
                shortened(vertex["name"].as_str().unwrap_or("?"), 50),
                running.unwrap_or(0),
                vertex["parallelism"].as_u64().unwrap_or(0),
                output::count(records_in as f64),
                output::count(rate(records_in, before.0)),
                output::count(records_out as f64),
                output::count(rate(records_out, before.1)),
            ));
            now.push((records_in, records_out));
        }
        self.before = now;
        text
    }
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}
