//! `flott logs`.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use flott_core::id::JobId;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{
    arguments::{Arguments, Logs},
    cluster::Place,
    command::wait::{ended, unknown},
    exit::{Code, CommandResult},
    follow, output,
    rest::{self, Client, RestError},
    settings::Settings,
    state_dir::StateDir,
};

/// Between two looks at a log that is followed.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(300);
/// Bytes asked for at a time.
const PIECE: u64 = 1 << 20;

#[derive(Deserialize)]
struct JobLogs {
    logs: Vec<Log>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Log {
    worker: String,
    name: String,
    size: u64,
}

pub async fn run(arguments: &Arguments, options: &Logs) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let job = rest::job_id(&options.job)?;
    let place = Place::of(&options.target, &settings.config, &state).await?;
    let Some(client) = place.holding(job).await? else {
        let kept = kept_files(&state, job, options.stdout);
        if kept.is_empty() && ended(&state, job).is_none() {
            return Err(unknown(job, &place, &state));
        }
        return print_kept(&kept, options);
    };
    if options.json.json {
        output::json(&serde_json::json!({ "job": job, "logs": logs(&client, job, options.stdout).await? }))?;
        return Ok(Code::Done);
    }
    let mut printer = Printer::default();
    loop {
        // Looked at first: what is written before the end is read after it.
        let over = !options.follow || follow::result(&client, job).await?.is_some();
        for log in logs(&client, job, options.stdout).await? {
            printer.catch_up(&client, &log).await?;
        }
        if over {
            return Ok(Code::Done);
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

async fn logs(client: &Client, job: JobId, stdout: bool) -> Result<Vec<Log>, RestError> {
    let mut found: JobLogs = client.get(&format!("/flott/v1/jobs/{job}/logs")).await?;
    found.logs.retain(|log| is_wanted(&log.name, stdout));
    // The older part of a log that was begun anew comes before the newer.
    found.logs.sort_by(|a, b| (&a.worker, b.name.len(), &a.name).cmp(&(&b.worker, a.name.len(), &b.name)));
    Ok(found.logs)
}

fn is_wanted(name: &str, stdout: bool) -> bool {
    let stem = name.strip_suffix(".1").unwrap_or(name);
    stem.ends_with(if stdout { ".out" } else { ".log" })
}

#[derive(Default)]
struct Printer {
    printed: BTreeMap<(String, String), u64>,
    last: Option<(String, String)>,
}

impl Printer {
    async fn catch_up(&mut self, client: &Client, log: &Log) -> CommandResult<()> {
        let key = (log.worker.clone(), log.name.clone());
        let mut from = self.printed.get(&key).copied().unwrap_or(0);
        if log.size < from {
            // It was begun anew.
            from = 0;
        }
        while from < log.size {
            let path = format!("/v1/taskmanagers/{}/logs/{}?offset={from}&length={PIECE}", log.worker, log.name);
            let answer = client.send(client.request(Method::GET, &path)).await?;
            let bytes = answer.bytes().await?;
            if bytes.is_empty() {
                break;
            }
            self.title(&key);
            std::io::stdout().write_all(&bytes)?;
            from += bytes.len() as u64;
        }
        self.printed.insert(key, from);
        Ok(())
    }

    fn title(&mut self, key: &(String, String)) {
        if self.last.as_ref() != Some(key) {
            eprintln!("==> {}/{} <==", key.0, key.1);
            self.last = Some(key.clone());
        }
    }
}

/// Logs that TaskManagers of ended clusters have left in their directories.
fn kept_files(state: &StateDir, job: JobId, stdout: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for cluster in state.clusters() {
        collect(cluster.path(), &job.to_string(), stdout, 4, &mut found);
    }
    found.sort_by(|a, b| (a.parent(), b.as_os_str().len(), a).cmp(&(b.parent(), a.as_os_str().len(), b)));
    found
}

fn collect(dir: &Path, job: &str, stdout: bool, depth: u32, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => collect(&path, job, stdout, depth - 1, found),
            Ok(kind) if kind.is_file() && name.starts_with(job) && is_wanted(&name, stdout) => found.push(path),
            Ok(_) | Err(_) => {}
        }
    }
}

fn print_kept(files: &[PathBuf], options: &Logs) -> CommandResult {
    if options.json.json {
        let logs: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        output::json(&serde_json::json!({ "job": options.job, "files": logs }))?;
        return Ok(Code::Done);
    }
    for path in files {
        eprintln!("==> {} <==", path.display());
        std::io::copy(&mut std::fs::File::open(path)?, &mut std::io::stdout())?;
    }
    Ok(Code::Done)
}
