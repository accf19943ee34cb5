//! `flott stop`.

use flott_core::{id::JobId, status::JobStatus};
use serde_json::json;

use crate::{
    arguments::{Arguments, Stop},
    command::{holder::holder, wait},
    exit::{Code, CommandResult, End},
    operation, output, rest,
    state_dir::StateDir,
};

pub async fn run(arguments: &Arguments, options: &Stop) -> CommandResult {
    let job = rest::job_id(&options.job)?;
    let directory = options.savepoint_path.as_deref().map(operation::absolute).transpose()?;
    let (client, state) = holder(arguments, &options.target, job).await?;
    let as_json = options.json.json;
    if !as_json {
        let how = if options.drain { "Draining" } else { "Suspending" };
        println!("{how} job \"{job}\" with a savepoint.");
        println!("Waiting for response...");
    }
    let body = json!({ "targetDirectory": directory, "drain": options.drain });
    let id = operation::begin(&client, &format!("/v1/jobs/{job}/stop"), &body).await?;
    let location = match operation::outcome(&client, &format!("/v1/jobs/{job}/savepoints/{id}")).await {
        Ok(done) => operation::location(&done)?,
        Err(end) => ended_with_its_cluster(&state, job, end)?,
    };
    if as_json {
        output::json(&json!({ "job": job, "location": location, "status": JobStatus::Finished }))?;
    } else {
        println!("Savepoint completed. Path: {location}");
    }
    Ok(Code::Done)
}

/// The cluster of a job that has one for itself goes away with it, perhaps before it was asked: then history knows.
fn ended_with_its_cluster(state: &StateDir, job: JobId, end: End) -> CommandResult<String> {
    let ended = wait::ended(state, job).filter(|view| view.status == JobStatus::Finished);
    let savepoint = ended.and_then(|view| view.checkpoints.latest_savepoint?.location);
    savepoint.filter(|_| end.code() == Code::Unreachable).ok_or(end)
}
