//! Watches a job to its end, showing progress on standard error.

use std::{
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use flott_core::{id::JobId, status::JobStatus};
use serde::Deserialize;
use serde_json::Value;

mod rate;

use crate::{
    exit::{Code, CommandResult, End},
    output,
    pending::{self, Reason},
    rest::{Client, RestError},
};
use rate::Rate;

/// First pause between two looks; each is longer than the one before, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(4);
/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(250);
/// Between two lines of progress when standard error is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a job waits before it is told what for.
const WAIT_MIN: Duration = Duration::from_secs(1);
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
    began: Instant,
    shown_at: Option<Instant>,
    /// Of records in and out, for each vertex.
    rates: Vec<(Rate, Rate)>,
    waiting: Waiting,
}

/// What a job waits for, told once it has waited for a while: a moment of it is part of every start.
#[derive(Default)]
struct Waiting {
    since: Option<Instant>,
    reasons: Vec<Reason>,
}

impl Waiting {
    fn look(&mut self, reasons: Vec<Reason>) {
        if reasons.is_empty() {
            *self = Self::default();
        } else if self.since.get_or_insert_with(Instant::now).elapsed() >= WAIT_MIN {
            self.reasons = reasons;
        }
    }
}

impl Progress {
    fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            quiet,
            terminal,
            lines: 0,
            state: String::new(),
            began: Instant::now(),
            shown_at: None,
            rates: Vec::new(),
            waiting: Waiting::default(),
        }
    }

    /// Shows state, records, rates, and what the job waits for: redrawn on a terminal, elsewhere a line when something
    /// changes.
    async fn show(&mut self, client: &Client, job: JobId, last: bool) {
        if self.quiet {
            return;
        }
        let due = self.shown_at.is_none_or(|at| at.elapsed() >= if self.terminal { PAUSE_MAX } else { LINE_INTERVAL });
        let Ok(details) = client.get::<Value>(&format!("/v1/jobs/{job}")).await else { return };
        let state = details["state"].as_str().unwrap_or("?").to_owned();
        let vertices = self.vertices(&details, &state);
        let told = self.waiting.reasons.clone();
        let may_wait = ["CREATED", "SCHEDULED"].iter().any(|state| details["status-counts"][state].as_u64() > Some(0));
        // A job that has just ended is not waiting.
        let reasons =
            if may_wait && !last { pending::reasons(client, job).await.unwrap_or_default() } else { Vec::new() };
        self.waiting.look(reasons);
        let news = state != self.state || (self.waiting.reasons != told && !self.waiting.reasons.is_empty());
        if !due && !last && !news {
            return;
        }
        let name = details["name"].as_str().unwrap_or("?");
        let seconds = details["duration"].as_u64().unwrap_or(0) as f64 / 1000.0;
        let mut text = format!("{name}: {state} after {seconds:.1} s\n{vertices}");
        for reason in &self.waiting.reasons {
            text.push_str(&format!("  {reason}\n"));
        }
        let mut err = std::io::stderr().lock();
        if self.terminal {
            // Up to the first line of what was drawn before, and clear to the end of the screen.
            let up = if self.lines > 0 { format!("\x1b[{}A\r\x1b[J", self.lines) } else { String::new() };
            let _ = write!(err, "{up}{text}");
            let width = terminal_width().unwrap_or(usize::MAX);
            self.lines = text.lines().map(|line| line.chars().count().div_ceil(width).max(1)).sum();
        } else {
            let _ = write!(err, "{text}");
        }
        self.state = state;
        self.shown_at = Some(Instant::now());
    }

    /// A line for each vertex.
    fn vertices(&mut self, details: &Value, state: &str) -> String {
        let now = self.began.elapsed();
        let mut text = String::new();
        let vertices = details["vertices"].as_array().map_or(&[][..], Vec::as_slice);
        self.rates.resize_with(vertices.len(), Default::default);
        for (vertex, rates) in vertices.iter().zip(&mut self.rates) {
            let figure = |key: &str| vertex["metrics"][key].as_u64().unwrap_or(0);
            let (records_in, records_out) = (figure("read-records"), figure("write-records"));
            let tasks = vertex["tasks"].as_object();
            let running = tasks.and_then(|tasks| tasks.get(state)).and_then(Value::as_u64);
            text.push_str(&format!(
                "  {:<50} {:>3}/{:<3} in {:>9} ({:>8}/s)  out {:>9} ({:>8}/s)\n",
                shortened(vertex["name"].as_str().unwrap_or("?"), 50),
                running.unwrap_or(0),
                vertex["parallelism"].as_u64().unwrap_or(0),
                output::count(records_in as f64),
                output::count(rates.0.look(now, records_in)),
                output::count(records_out as f64),
                output::count(rates.1.look(now, records_out)),
            ));
        }
        text
    }
}

/// Columns of the terminal that standard error is: longer lines take several.
fn terminal_width() -> Option<usize> {
    let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize`, which lives through the call.
    let outcome = unsafe { nix::libc::ioctl(nix::libc::STDERR_FILENO, nix::libc::TIOCGWINSZ, &raw mut size) };
    (outcome == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}

fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}
