//! `flott list`.

use std::collections::BTreeSet;

use flott_core::{id::JobId, status::JobStatus, view::JobView};
use serde::{Deserialize, Serialize};

use crate::{
    arguments::{Arguments, List},
    cluster::{self, Place},
    exit::{Code, CommandResult},
    output,
    pending::{self, Reason},
    rest::Client,
    resumable,
    settings::Settings,
    state_dir::StateDir,
};

mod lost;
mod unsaved;

/// A job as listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Job {
    jid: JobId,
    name: String,
    state: JobStatus,
    start_time: i64,
    #[serde(default)]
    end_time: i64,
    #[serde(default)]
    duration: i64,
    /// The cluster that knows it; absent when its cluster has ended with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pending: Vec<Reason>,
    /// What a job that has not ended has last started over from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latest_failure: Option<String>,
    /// That the latest checkpoint of a job that has not ended has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed_checkpoint: Option<String>,
    /// What a job that was cancelled or has failed can be taken up from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checkpoint: Option<String>,
}

#[derive(Deserialize)]
struct Overview {
    jobs: Vec<Job>,
}

pub async fn run(arguments: &Arguments, options: &List) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let place = Place::of(&options.target, &settings.config, &state).await?;
    // None of them means the first two, as in Flink.
    let neither = !options.running && !options.scheduled && !options.all;
    let (running, scheduled) = (options.running || options.all || neither, options.scheduled || options.all || neither);
    if !options.json.json {
        println!("Waiting for response...");
    }
    let mut jobs = Vec::new();
    for client in place.clients() {
        jobs.extend(of_cluster(client, matches!(place, Place::One(_)), options.all).await?);
    }
    if options.all && matches!(place, Place::Own(_)) {
        let known: BTreeSet<JobId> = jobs.iter().map(|job| job.jid).collect();
        jobs.extend(history(&state).into_iter().filter(|job| !known.contains(&job.jid)));
    }
    jobs.sort_by_key(|job| (job.start_time, job.jid));
    let wanted = |job: &&Job| match group(job.state) {
        Group::Running => running,
        Group::Scheduled => scheduled,
        Group::Ended => options.all,
    };
    let jobs: Vec<&Job> = jobs.iter().filter(wanted).collect();
    let lost = if options.all && matches!(place, Place::Own(_)) { lost::jobs(&state) } else { Vec::new() };
    // What is known is printed all the same.
    let end = match place {
        Place::One(_) => Ok(Code::Done),
        Place::Own(_) => cluster::session(&state).await.map(|_| Code::Done),
    };
    if options.json.json {
        output::json(&serde_json::json!({ "jobs": jobs, "lost": lost }))?;
        return end;
    }
    let of = |wanted: Group| jobs.iter().copied().filter(move |job| group(job.state) == wanted).collect::<Vec<_>>();
    let section = |jobs: &[&Job], title: &str, none: &str| match jobs {
        // Of a cluster that does not answer nobody knows that it has none.
        [] if end.is_err() => {}
        [] => println!("{none}"),
        jobs => print(jobs, title),
    };
    if running {
        section(
            &of(Group::Running),
            "------------------ Running/Restarting Jobs -------------------",
            "No running jobs.",
        );
    }
    if scheduled {
        section(
            &of(Group::Scheduled),
            "----------------------- Scheduled Jobs -----------------------",
            "No scheduled jobs.",
        );
    }
    if options.all {
        section(
            &of(Group::Ended),
            "---------------------- Terminated Jobs -----------------------",
            "No terminated jobs.",
        );
    }
    lost::print(&lost);
    end
}

#[derive(PartialEq, Eq)]
enum Group {
    Running,
    Scheduled,
    Ended,
}

fn group(state: JobStatus) -> Group {
    match state {
        JobStatus::Created | JobStatus::Initializing => Group::Scheduled,
        JobStatus::Failed | JobStatus::Canceled | JobStatus::Finished => Group::Ended,
        JobStatus::Running
        | JobStatus::Failing
        | JobStatus::Cancelling
        | JobStatus::Restarting
        | JobStatus::Suspended
        | JobStatus::Reconciling => Group::Running,
    }
}

fn print(jobs: &[&Job], title: &str) {
    println!("{title}");
    for job in jobs {
        println!("{} : {} : {} ({})", output::local_time(job.start_time), job.jid, job.name, job.state);
        for reason in &job.pending {
            println!("    {reason}");
        }
        if let Some(failure) = &job.latest_failure {
            println!("    latest failure: {failure}");
        }
        if let Some(failed) = &job.failed_checkpoint {
            println!("    latest checkpoint: {failed}");
        }
        if let Some(path) = &job.checkpoint {
            println!("    latest state: {path}");
        }
    }
    println!("--------------------------------------------------------------");
}

async fn of_cluster(client: &Client, named: bool, all: bool) -> CommandResult<Vec<Job>> {
    let overview: Overview = match client.get("/v1/jobs/overview").await {
        Ok(overview) => overview,
        // One of several may just be ending; one that was named must answer.
        Err(_) if !named => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut jobs = overview.jobs;
    for job in &mut jobs {
        job.address = Some(client.address().to_owned());
        if !job.state.is_terminal() {
            // A job that has just ended is not waiting.
            job.pending = pending::reasons(client, job.jid).await.unwrap_or_default();
            job.latest_failure = latest_failure(client, job.jid).await;
            job.failed_checkpoint = unsaved::of_job(client, job.jid).await;
        } else if all && job.state != JobStatus::Finished {
            job.checkpoint = resumable::of_job(client, job.jid).await;
        }
    }
    Ok(jobs)
}

/// In a line; `None` for a job that has not failed yet.
async fn latest_failure(client: &Client, job: JobId) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Exceptions {
        exception_history: History,
    }
    #[derive(Deserialize)]
    struct History {
        entries: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        stacktrace: String,
    }
    let path = format!("/v1/jobs/{job}/exceptions?maxExceptions=1");
    let exceptions: Exceptions = client.get(&path).await.ok()?;
    Some(exceptions.exception_history.entries.first()?.stacktrace.lines().next()?.to_owned())
}

fn history(state: &StateDir) -> Vec<Job> {
    let Ok(entries) = std::fs::read_dir(state.history()) else { return Vec::new() };
    let views = entries.flatten().filter_map(|entry| {
        let view: JobView = serde_json::from_slice(&std::fs::read(entry.path()).ok()?).ok()?;
        let resumable = view.checkpoints.resumable().filter(|_| view.status != JobStatus::Finished);
        let (start, end) = (view.started_at as i64, view.ended_at.map_or(-1, |end| end as i64));
        Some(Job {
            checkpoint: resumable.map(str::to_owned),
            jid: view.job,
            name: view.name,
            state: view.status,
            start_time: start,
            end_time: end,
            duration: end - start,
            address: None,
            pending: Vec::new(),
            latest_failure: None,
            failed_checkpoint: None,
        })
    });
    views.collect()
}
