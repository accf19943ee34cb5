//! `flott jobmanager`: a JobManager in the foreground, for a session or for one job.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use flott_core::config::{Configuration, keys, keys::cluster::ClusterBackend};
use flott_dispatcher::{BackendContext, BackendFactory, JobManager as Manager, Options, Outcome, SingleJob};
use flott_resource_manager::{
    Backend,
    backend::{
        process::{ProcessBackend, ProcessOptions, WorkerCommand},
        standalone::Standalone,
    },
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    arguments::{Arguments, JobManager},
    exit::{Code, CommandResult, End},
    log,
    settings::Settings,
    state_dir::{ClusterDir, StateDir, private_dir},
};

/// How long the JobManager of a single job stays to be asked how it ended.
const LINGER: Duration = Duration::from_millis(200);

pub fn run(arguments: &Arguments, options: &JobManager) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let config = settings.config;
    let state = match &options.cluster_dir {
        // The state directory is two levels up, or one for the session: see `state_dir`.
        Some(dir) => state_of(dir, arguments)?,
        None => StateDir::open(arguments.state_dir.as_deref())?,
    };
    let dir = options.cluster_dir.clone().map_or_else(|| state.session(), ClusterDir::at);
    let _lock = dir.lock()?;
    let recovers = dir.path().join("jobs").exists();
    private_dir(&dir.logs())?;
    let log_file = dir.logs().join("jobmanager.log");
    let log_bytes = config.get(&keys::taskmanager::LOG_MAX_SIZE).bytes();
    log::start(options.log_to_file.then_some((log_file.as_path(), log_bytes)))?;
    crate::settings::write(&config, &dir.config_file())?;

    let mut manager = Options::new(config.clone(), dir.path(), backend(&config, &dir)?);
    manager.log_directory = Some(dir.logs());
    manager.archive_directory = Some(state.history());
    if let Some(graph) = &options.job_graph {
        let program =
            options.program.clone().ok_or_else(|| anyhow!("--job-graph needs the executable: give --program"))?;
        manager.job = Some(SingleJob { graph: graph.clone(), program, linger: LINGER });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(serve(manager, options.ends_with_client));
    runtime.shutdown_timeout(Duration::from_secs(1));
    // A JobManager that cannot go on where another one was killed leaves its job to the next.
    if (options.job_graph.is_some() || options.ends_with_client) && (ended.is_ok() || !recovers) {
        dir.clean_up();
    }
    ended
}

fn state_of(dir: &std::path::Path, arguments: &Arguments) -> anyhow::Result<StateDir> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let above = match parent {
        Some(parent) if parent.file_name().is_some_and(|name| name == "clusters") => parent.parent(),
        other => other,
    };
    StateDir::open(above.or(arguments.state_dir.as_deref()))
}

async fn serve(options: Options, ends_with_client: bool) -> CommandResult {
    // The jobs of a session are left to the next JobManager when this one is told to make room.
    let is_session = options.job.is_none() && !ends_with_client;
    let handle = Manager::start(options).await?;
    tracing::info!(address = handle.advertised(), "the JobManager is up");
    eprintln!("flott: the JobManager listens on http://{}", handle.advertised());
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        () = handle.ended() => {}
        _ = interrupt.recv() => handle.shutdown(),
        _ = terminate.recv() => if is_session { handle.suspend() } else { handle.shutdown() },
        () = client_gone(ends_with_client) => {
            tracing::warn!("the client of this cluster is gone; ending");
            handle.shutdown();
        }
    }
    match handle.wait().await {
        Ok(Outcome::Job { job, status }) => {
            tracing::info!(%job, %status, "the job has ended, and this JobManager with it");
            Ok(Code::Done)
        }
        Ok(Outcome::ShutDown | Outcome::Suspended) => Ok(Code::Done),
        Err(error) => {
            tracing::error!(%error, "the JobManager ends");
            Err(End::new(Code::Usage, error))
        }
    }
}

/// Pends for as long as the client lives, who holds the other end of standard input; for ever if there is none.
async fn client_gone(watched: bool) {
    if !watched {
        return std::future::pending().await;
    }
    let (gone, told) = tokio::sync::oneshot::channel();
    // A thread, since reading standard input blocks; it does not keep the process.
    std::thread::spawn(move || {
        // Whatever the reason for the end of input is, nobody is there any more.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = gone.send(());
    });
    let _ = told.await;
}

fn backend(config: &Configuration, dir: &ClusterDir) -> anyhow::Result<BackendFactory> {
    let dir = dir.clone();
    match config.get(&keys::cluster::BACKEND) {
        ClusterBackend::Standalone => {
            Ok(Box::new(|_: &BackendContext| Ok(Arc::new(Standalone::default()) as Arc<dyn Backend>)))
        }
        ClusterBackend::Process => Ok(Box::new(move |context: &BackendContext| {
            let program = std::env::current_exe().map_err(|error| error.to_string())?;
            let address_file = context.address_file.clone();
            let workers = dir.path().join("workers");
            let work_dir = workers.clone();
            let config_file = dir.config_file();
            let command = move |spec: &flott_resource_manager::WorkerSpec| {
                let mut command = WorkerCommand::taskmanager(&program, "", spec);
                // The file, not the address: a worker outlives this JobManager and finds the next one by it.
                command.arguments.splice(1..3, ["--jobmanager-file".into(), address_file.clone().into()]);
                command.arguments.extend(["--config".into(), config_file.clone().into()]);
                command.arguments.extend(["--work-dir".into(), workers.join(spec.worker.to_string()).into()]);
                command.arguments.push("--log-to-file".into());
                command
            };
            let mut options = ProcessOptions::new(dir.path(), command);
            options.record_dir = dir.path().join("processes");
            options.work_dir = Some(work_dir);
            let backend = ProcessBackend::new(options).map_err(|error| error.to_string())?;
            Ok(Arc::new(backend) as Arc<dyn Backend>)
        })),
        ClusterBackend::Kubernetes => {
            anyhow::bail!("cluster.backend: kubernetes is not part of this build; use process or standalone")
        }
    }
}
