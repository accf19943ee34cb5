//! `flott savepoint`.

use anyhow::{Context, anyhow};
use serde_json::json;

use crate::{
    arguments::{Arguments, Savepoint},
    cluster::Place,
    command::wait::unknown,
    exit::{Code, CommandResult, End},
    operation, output, rest,
    settings::Settings,
    state_dir::StateDir,
};

pub async fn run(arguments: &Arguments, options: &Savepoint) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let place = Place::of(&options.target, &settings.config, &state).await?;
    match &options.dispose {
        Some(path) => dispose(&place, path, options.json.json).await,
        None => take(&place, &state, options).await,
    }
}

async fn take(place: &Place, state: &StateDir, options: &Savepoint) -> CommandResult {
    let as_json = options.json.json;
    let job = rest::job_id(options.job.as_deref().context("which job?")?)?;
    let directory = options.directory.as_deref().map(operation::absolute).transpose()?;
    let Some(client) = place.holding(job).await? else { return Err(unknown(job, place, state)) };
    if !as_json {
        println!("Triggering savepoint for job {job}.");
    }
    let body = json!({ "target-directory": directory, "cancel-job": false });
    let id = operation::begin(&client, &format!("/v1/jobs/{job}/savepoints"), &body).await?;
    if options.detached {
        if as_json {
            output::json(&json!({ "job": job, "trigger": id }))?;
        } else {
            println!("Savepoint begun, triggerId: {id}");
        }
        return Ok(Code::Done);
    }
    if !as_json {
        println!("Waiting for response...");
    }
    let done = operation::outcome(&client, &format!("/v1/jobs/{job}/savepoints/{id}")).await?;
    let location = operation::location(&done)?;
    if as_json {
        output::json(&json!({ "job": job, "location": location }))?;
    } else {
        println!("Savepoint completed. Path: {location}");
        println!("You can resume your program from this savepoint with the run command.");
    }
    Ok(Code::Done)
}

/// Any JobManager can remove any savepoint that it reaches.
async fn dispose(place: &Place, path: &str, as_json: bool) -> CommandResult {
    let Some(client) = place.clients().first() else {
        let error = anyhow!("no cluster is running that could remove {path}: start a session, or name one with -m");
        return Err(End::new(Code::Unreachable, error));
    };
    let absolute = operation::absolute(path)?;
    if !as_json {
        println!("Disposing savepoint '{path}'.");
        println!("Waiting for response...");
    }
    let id = operation::begin(client, "/v1/savepoint-disposal", &json!({ "savepoint-path": absolute })).await?;
    operation::outcome(client, &format!("/v1/savepoint-disposal/{id}")).await?;
    if as_json {
        output::json(&json!({ "savepoint": absolute, "disposed": true }))?;
    } else {
        println!("Savepoint '{path}' disposed.");
    }
    Ok(Code::Done)
}
