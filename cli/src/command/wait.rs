//! `flott jobs wait`.

use std::time::Instant;

use anyhow::anyhow;
use flott_core::{id::JobId, units, view::JobView};
use serde_json::json;

use crate::{
    arguments::{Arguments, Jobs, Wait},
    cluster::Place,
    ended::Ended,
    exit::{Code, CommandResult, End},
    follow, kubernetes, output, rest, resumable,
    settings::Settings,
    state_dir::StateDir,
};

pub async fn run(arguments: &Arguments, jobs: &Jobs) -> CommandResult {
    let Jobs::Wait(options) = jobs;
    wait(arguments, options).await
}

async fn wait(arguments: &Arguments, options: &Wait) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let job = rest::job_id(&options.job)?;
    let timeout = options.timeout.as_deref().map(duration).transpose()?;
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    if let Some(ended) = kubernetes::ended(options.target.named(), &settings.config, job).await? {
        return report_told(&ended, options);
    }
    let place = Place::of(&options.target, &settings.config, &state).await?;
    let Some(client) = place.holding(job).await? else {
        // Its cluster may have ended with it; then history says how.
        let Some(view) = ended(&state, job) else { return Err(unknown(job, &place, &state)) };
        return report(&view, options);
    };
    match follow::to_end(&client, job, options.json.json, deadline).await {
        Ok(result) => {
            let resumable = if result.code() == Code::Done { None } else { resumable::of_job(&client, job).await };
            if options.json.json {
                let mut value =
                    json!({ "job": job, "status": result.application_status, "runtime": result.net_runtime });
                resumable.iter().for_each(|path| value["checkpoint"] = json!(path));
                output::json(&value)?;
            } else {
                follow::print_end(job, &result);
                resumable.iter().for_each(|path| eprintln!("{}", resumable::line(path)));
            }
            Ok(result.code())
        }
        Err(end) if end.code() == Code::Unreachable => match ended(&state, job) {
            Some(view) => report(&view, options),
            None => Err(end),
        },
        Err(end) => Err(end),
    }
}

fn duration(text: &str) -> anyhow::Result<std::time::Duration> {
    units::parse_duration(text).map_err(|error| anyhow!("--timeout {text:?} {error}"))
}

fn report(view: &JobView, options: &Wait) -> CommandResult {
    use flott_core::status::JobStatus;
    let code = match view.status {
        JobStatus::Finished => Code::Done,
        JobStatus::Canceled => Code::Cancelled,
        _ => Code::JobFailed,
    };
    let runtime = view.ended_at.unwrap_or(view.started_at).saturating_sub(view.started_at);
    let resumable = view.checkpoints.resumable().filter(|_| code != Code::Done);
    if options.json.json {
        let mut value = json!({ "job": view.job, "status": view.status, "runtime": runtime });
        resumable.iter().for_each(|path| value["checkpoint"] = json!(path));
        output::json(&value)?;
        return Ok(code);
    }
    if let (Code::JobFailed, Some(failure)) = (code, &view.failure) {
        eprintln!("flott: job {} failed: {}", view.job, failure.report());
    } else if code == Code::Cancelled {
        eprintln!("flott: job {} was cancelled", view.job);
    } else {
        println!("Job with JobID {} has finished.", view.job);
        println!("Job Runtime: {runtime} ms");
    }
    resumable.iter().for_each(|path| eprintln!("{}", resumable::line(path)));
    Ok(code)
}

/// What the last words of its cluster on Kubernetes say of a job.
fn report_told(ended: &Ended, options: &Wait) -> CommandResult {
    if options.json.json {
        output::json(ended)?;
    } else {
        println!("{}", kubernetes::told(ended));
    }
    Ok(ended.code())
}

/// How a job ended whose cluster is gone.
pub fn ended(state: &StateDir, job: JobId) -> Option<JobView> {
    let text = std::fs::read(state.history().join(format!("{job}.json"))).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The error for a job that no cluster knows.
pub fn unknown(job: JobId, place: &Place, state: &StateDir) -> End {
    let looked: Vec<_> = place.clients().iter().map(|client| client.address().to_owned()).collect();
    if looked.is_empty() {
        let dir = state.path().display();
        return End::new(
            Code::Unreachable,
            anyhow!("job {job} is not known, and no cluster is running (looked in {dir})"),
        );
    }
    End::new(Code::Usage, anyhow!("Could not find job {job} at {}", looked.join(", ")))
}
