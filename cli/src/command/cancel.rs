//! `flott cancel`.

use anyhow::Context;
use flott_core::id::JobId;
use reqwest::Method;
use serde_json::json;

use crate::{
    arguments::{Arguments, Cancel},
    cluster::Place,
    command::wait::unknown,
    exit::{Code, CommandResult},
    operation, output,
    rest::{self, Client},
    settings::Settings,
    state_dir::StateDir,
};

pub async fn run(arguments: &Arguments, options: &Cancel) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    // Of `-s X` alone, X is the job, as in Flink.
    let (savepoint, job) = match (&options.with_savepoint, &options.job) {
        (Some(Some(job)), None) => (Some(None), Some(job)),
        (savepoint, job) => (savepoint.as_ref().map(Option::as_deref), job.as_ref()),
    };
    let job = rest::job_id(job.context("which job? give its id")?)?;
    let place = Place::of(&options.target, &settings.config, &state).await?;
    if let Some(directory) = savepoint {
        let Some(client) = place.holding(job).await? else { return Err(unknown(job, &place, &state)) };
        return with_savepoint(&client, job, directory, options.json.json).await;
    }
    if !options.json.json {
        println!("Cancelling job {job}.");
    }
    let Some(client) = place.holding(job).await? else { return Err(unknown(job, &place, &state)) };
    client.send(client.request(Method::PATCH, &format!("/v1/jobs/{job}?mode=cancel"))).await?;
    if options.json.json {
        output::json(&json!({ "job": job, "cancelled": true }))?;
    } else {
        println!("Cancelled job {job}.");
    }
    Ok(Code::Done)
}

async fn with_savepoint(client: &Client, job: JobId, directory: Option<&str>, as_json: bool) -> CommandResult {
    let directory = directory.map(operation::absolute).transpose()?;
    if !as_json {
        let to = directory.as_deref().unwrap_or("the configured directory");
        println!("Cancelling job {job} with savepoint to {to}.");
    }
    let body = json!({ "target-directory": directory, "cancel-job": true });
    let id = operation::begin(client, &format!("/v1/jobs/{job}/savepoints"), &body).await?;
    let done = operation::outcome(client, &format!("/v1/jobs/{job}/savepoints/{id}")).await?;
    let location = operation::location(&done)?;
    if as_json {
        output::json(&json!({ "job": job, "cancelled": true, "location": location }))?;
    } else {
        println!("Cancelled job {job}. Savepoint stored in {location}.");
    }
    Ok(Code::Done)
}
