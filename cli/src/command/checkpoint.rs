//! `flott checkpoint`.

use anyhow::Context;
use serde_json::json;

use crate::{
    arguments::{Arguments, Checkpoint},
    command::holder::holder,
    exit::{Code, CommandResult},
    operation, output, rest,
};

pub async fn run(arguments: &Arguments, options: &Checkpoint) -> CommandResult {
    let job = rest::job_id(&options.job)?;
    let (client, _) = holder(arguments, &options.target, job).await?;
    let as_json = options.json.json;
    if !as_json {
        println!("Triggering checkpoint for job {job}.");
        println!("Waiting for response...");
    }
    let path = format!("/v1/jobs/{job}/checkpoints");
    let (kind, named) = match options {
        Checkpoint { full: true, .. } => ("FULL", "(FULL)"),
        Checkpoint { incremental: true, .. } => ("INCREMENTAL", "(INCREMENTAL)"),
        Checkpoint { .. } => ("CONFIGURED", ""),
    };
    let id = operation::begin(&client, &path, &json!({ "checkpointType": kind })).await?;
    let done = operation::outcome(&client, &format!("{path}/{id}")).await?;
    let checkpoint = done["checkpointId"].as_u64().context("the JobManager does not say which checkpoint it was")?;
    let details = client.find(&format!("{path}/details/{checkpoint}")).await?;
    let location = details.as_ref().and_then(|details| details["external_path"].as_str());
    if as_json {
        output::json(&json!({ "job": job, "checkpoint": checkpoint, "location": location }))?;
    } else {
        println!("Checkpoint{named} {checkpoint} for job {job} completed.");
        if let Some(location) = location {
            println!("Path: {location}");
        }
        println!("You can resume your program from this checkpoint with the run command.");
    }
    Ok(Code::Done)
}
