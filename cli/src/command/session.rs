//! `flott session start|stop|status`.

use flott_core::config::keys::{self, cluster::ClusterBackend};
use serde_json::json;

use crate::{
    arguments::{Arguments, Backend, Json, Session, SessionBackend, SessionStart},
    cluster::{self, Launch},
    exit::{Code, CommandResult, End},
    output,
    settings::Settings,
    state_dir::StateDir,
};

mod kubernetes;

pub async fn run(arguments: &Arguments, session: &Session) -> CommandResult {
    let state = StateDir::open(arguments.state_dir.as_deref())?;
    match session {
        Session::Start(options) => start(arguments, options, &state).await,
        Session::Stop(options) => match on_kubernetes(arguments, options.backend)? {
            Some(settings) => kubernetes::stop(options.json, &settings).await,
            None => stop(options.json, &state).await,
        },
        Session::Status(options) => match on_kubernetes(arguments, options.backend)? {
            Some(settings) => kubernetes::status(options.json, &settings).await,
            None => status(options.json, &state).await,
        },
    }
}

impl Backend {
    /// As a setting.
    fn setting(self) -> Option<String> {
        let name = match self.backend? {
            SessionBackend::Process => "process",
            SessionBackend::Kubernetes => "kubernetes",
        };
        Some(format!("{}={name}", keys::cluster::BACKEND.key()))
    }
}

/// The settings, if they are about a session on Kubernetes.
fn on_kubernetes(arguments: &Arguments, backend: Backend) -> anyhow::Result<Option<Settings>> {
    let more: Vec<_> = backend.setting().into_iter().collect();
    let settings = Settings::load_with(arguments, &more)?;
    Ok((settings.config.get(&keys::cluster::BACKEND) == ClusterBackend::Kubernetes).then_some(settings))
}

async fn start(arguments: &Arguments, options: &SessionStart, state: &StateDir) -> CommandResult {
    let mut more: Vec<_> = options.backend.setting().into_iter().collect();
    more.extend(options.slots.map(|slots| format!("{}={slots}", keys::taskmanager::NUMBER_OF_TASK_SLOTS.key())));
    let mut settings = Settings::load_with(arguments, &more)?;
    if let Some(workers) = options.workers {
        let slots = settings.config.get(&keys::taskmanager::NUMBER_OF_TASK_SLOTS);
        settings.config.set(&keys::slots::NUMBER_OF_SLOTS_MIN, workers.saturating_mul(slots))?;
    }
    if settings.config.get(&keys::cluster::BACKEND) == ClusterBackend::Kubernetes {
        return kubernetes::start(options.json, &settings).await;
    }
    let dir = state.session();
    if let Some(client) = cluster::answering(&dir).await {
        let error =
            anyhow::anyhow!("a session is running already at {}; end it with `flott session stop`", client.url());
        return Err(error.into());
    }
    let (client, child) = cluster::launch(&dir, &settings.config, Launch::default()).await?;
    if options.json.json {
        output::json(&json!({ "address": client.address(), "url": client.url(), "pid": child.id() }))?;
    } else {
        println!("Session cluster is running at {}", client.url());
    }
    Ok(Code::Done)
}

async fn stop(options: Json, state: &StateDir) -> CommandResult {
    let client = match cluster::session(state).await {
        Ok(Some(client)) => client,
        Ok(None) => return Err(none(state)),
        Err(end) => {
            let dir = state.session();
            if !dir.is_locked()? {
                std::fs::remove_file(dir.address_file())?;
                return Err(none(state));
            }
            return Err(end);
        }
    };
    cluster::stop(&client).await?;
    cluster::gone(&state.session()).await?;
    if options.json {
        output::json(&json!({ "address": client.address(), "running": false }))?;
    } else {
        println!("Session cluster at {} has been stopped.", client.url());
    }
    Ok(Code::Done)
}

async fn status(options: Json, state: &StateDir) -> CommandResult {
    let session = cluster::session(state).await;
    let Ok(Some(client)) = session else {
        if options.json {
            output::json(&json!({ "running": false }))?;
        }
        return Err(session.err().unwrap_or_else(|| none(state)));
    };
    let overview: serde_json::Value = client.get("/v1/overview").await?;
    if options.json {
        output::json(&json!({ "running": true, "address": client.address(), "overview": overview }))?;
        return Ok(Code::Done);
    }
    println!("Session cluster is running at {}", client.url());
    print_figures(&overview);
    Ok(Code::Done)
}

fn print_figures(overview: &serde_json::Value) {
    let figure = |key: &str| overview[key].as_u64().unwrap_or(0);
    println!(
        "{} TaskManagers, {} of {} slots free; jobs: {} running, {} finished, {} cancelled, {} failed",
        figure("taskmanagers"),
        figure("slots-available"),
        figure("slots-total"),
        figure("jobs-running"),
        figure("jobs-finished"),
        figure("jobs-cancelled"),
        figure("jobs-failed"),
    );
}

fn none(state: &StateDir) -> End {
    let dir = state.path().display();
    End::new(Code::Unreachable, anyhow::anyhow!("no session cluster is running (looked in {dir})"))
}
