//! `flott session …` for a session on Kubernetes.

use std::time::{Duration, Instant};

use flott_kubernetes::cluster::{
    find,
    head::{HeadKind, HeadState},
    remove,
    spec::Work,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    exit::{Code, CommandResult},
    kubernetes::{Kubernetes, launch},
    output,
    rest::Client,
    settings::Settings,
};

/// How long jobs may take to be cancelled before their cluster goes all the same.
const CANCEL_MAX: Duration = Duration::from_secs(30);
/// Between two looks at them.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

pub async fn start(as_json: crate::arguments::Json, settings: &Settings) -> CommandResult {
    let launched = launch(&settings.config, Work::Session).await?;
    let (address, kubernetes) = (launched.kubernetes.address(), &launched.kubernetes);
    let url = launched.client.as_ref().map_or_else(|_| format!("http://{address}"), Client::url);
    if as_json.json {
        let (cluster, namespace) = (kubernetes.cluster.as_str(), &kubernetes.connection.namespace);
        output::json(&json!({ "address": address, "url": url, "cluster": cluster, "namespace": namespace }))?;
    } else {
        println!("Session cluster is running at {url}");
    }
    Ok(Code::Done)
}

pub async fn stop(as_json: crate::arguments::Json, settings: &Settings) -> CommandResult {
    let kubernetes = Kubernetes::of(&settings.config).await?;
    let Kubernetes { connection, cluster } = &kubernetes;
    let heads = find::heads(connection, cluster).await?;
    if heads.iter().any(|head| head.state == HeadState::Whole) {
        let client = kubernetes.client(&settings.config).await?;
        if let Err(error) = cancel_jobs(&client).await {
            eprintln!("flott: warning: its jobs go without being cancelled first: {error}");
        }
    }
    let left = find::remains(connection, cluster).await?;
    let Some(head) = remove::remove(connection, cluster).await? else {
        // Somebody has deleted the head, and all the rest has gone after it.
        if left.is_empty() {
            return Err(kubernetes.missing().into());
        }
        return told(as_json, &kubernetes, "cluster");
    };
    told(as_json, &kubernetes, head.kind.noun())
}

fn told(as_json: crate::arguments::Json, kubernetes: &Kubernetes, noun: &str) -> CommandResult {
    let (cluster, namespace) = (kubernetes.cluster.as_str(), &kubernetes.connection.namespace);
    if as_json.json {
        output::json(&json!({ "cluster": cluster, "namespace": namespace, "running": false }))?;
    } else {
        println!("The {noun} {cluster} in namespace {namespace} has been removed.");
    }
    Ok(Code::Done)
}

/// Cancels what runs and waits for its end, so that nothing is cut off in the middle.
async fn cancel_jobs(client: &Client) -> CommandResult<()> {
    let deadline = Instant::now() + CANCEL_MAX;
    for job in running(client).await? {
        client.send(client.request(Method::PATCH, &format!("/v1/jobs/{job}?mode=cancel"))).await?;
    }
    while !running(client).await?.is_empty() {
        if Instant::now() >= deadline {
            return Err(anyhow::anyhow!("they had not ended after {} s", CANCEL_MAX.as_secs()).into());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

async fn running(client: &Client) -> CommandResult<Vec<String>> {
    let answer: Value = client.get("/v1/jobs").await?;
    let jobs = answer["jobs"].as_array().map_or(&[][..], Vec::as_slice);
    let ended = |job: &&Value| ["FINISHED", "FAILED", "CANCELED"].iter().any(|end| job["status"] == *end);
    let running = jobs.iter().filter(|job| !ended(job));
    Ok(running.filter_map(|job| job["id"].as_str().map(str::to_owned)).collect())
}

pub async fn status(as_json: crate::arguments::Json, settings: &Settings) -> CommandResult {
    let kubernetes = Kubernetes::of(&settings.config).await?;
    let kind = find::heads(&kubernetes.connection, &kubernetes.cluster).await?.first().map(|head| head.kind);
    let client = kubernetes.client(&settings.config).await?;
    let overview: Value = client.get("/v1/overview").await?;
    if as_json.json {
        output::json(&json!({ "running": true, "address": client.address(), "overview": overview }))?;
        return Ok(Code::Done);
    }
    match kind {
        Some(HeadKind::Job) => println!("A cluster of one job is running at {}", client.url()),
        Some(HeadKind::Deployment) | None => println!("Session cluster is running at {}", client.url()),
    }
    super::print_figures(&overview);
    Ok(Code::Done)
}
