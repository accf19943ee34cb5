//! `flott cancel`.

use reqwest::Method;
use serde_json::json;

use crate::{
    arguments::{Arguments, Cancel},
    cluster::Place,
    command::wait::unknown,
    exit::{Code, CommandResult},
    output, rest,
    settings::Settings,
    state_dir::StateDir,
};

pub async fn run(arguments: &Arguments, options: &Cancel) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    let job = rest::job_id(&options.job)?;
    let place = Place::of(options.target.jobmanager.as_deref(), &settings.config, &state).await?;
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
