//! `flott jobmanager`: a JobManager in the foreground, for a session or for one job.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use flott_core::{
    config::{
        Configuration, keys,
        keys::{cluster::ClusterBackend, high_availability::HighAvailabilityType},
    },
    status::JobStatus,
    units,
};
use flott_dispatcher::{
    BackendContext, BackendFactory, HighAvailability, JobManager as Manager, JobSource, Options, Outcome, SingleJob,
    ha::LeaseRegister,
};
use flott_kubernetes::{Connection, KubernetesBackend, Place};
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
    cluster,
    ended::Ended,
    exit::{self, Code, CommandResult, End},
    kubernetes::{KeptBy, KubernetesLease},
    log,
    settings::Settings,
    state_dir::{ClusterDir, StateDir, private_dir},
};

/// How long the JobManager of a single job stays to be asked how it ended.
const LINGER: Duration = Duration::from_millis(200);
/// The same where clients are far away and look less often.
const LINGER_AFAR: Duration = Duration::from_secs(3);

pub fn run(arguments: &Arguments, options: &JobManager) -> CommandResult {
    let config = with_token(Settings::load(arguments)?.config)?;
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

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut manager = Options::new(config.clone(), dir.path(), runtime.block_on(backend(&config, &dir))?);
    manager.log_directory = Some(dir.logs());
    manager.archive_directory = Some(state.history());
    manager.job = single_job(options)?;
    manager.high_availability = runtime.block_on(high_availability(&config))?;
    let kept_by = runtime.block_on(kept_by(&config, options))?;
    let ended = runtime.block_on(serve(manager, options, kept_by));
    runtime.shutdown_timeout(Duration::from_secs(1));
    // A JobManager that cannot go on where another one was killed leaves its job to the next. One that is supervised
    // leaves all: were it started once more, it must find that its job is over.
    let own = !options.supervised;
    if own && (options.job_graph.is_some() || options.ends_with_client) && (ended.is_ok() || !recovers) {
        dir.clean_up();
    }
    ended
}

/// The Job of Kubernetes that is told how the one job ends, if there is one.
async fn kept_by(config: &Configuration, options: &JobManager) -> anyhow::Result<Option<KeptBy>> {
    match &options.outcome_job {
        Some(job) => Ok(Some(KeptBy::of(config, job).await?)),
        None => Ok(None),
    }
}

/// The one job, if this JobManager is for one.
fn single_job(options: &JobManager) -> anyhow::Result<Option<SingleJob>> {
    let (source, linger) = if let Some(graph) = &options.job_graph {
        let program =
            options.program.clone().ok_or_else(|| anyhow!("--job-graph needs the executable: give --program"))?;
        (JobSource::Files { graph: graph.clone(), program }, LINGER)
    } else if let Some(job) = &options.await_job {
        let patience = units::parse_duration(&options.patience)
            .map_err(|error| anyhow!("--patience {:?} {error}", options.patience))?;
        (JobSource::Awaited { job: job.parse()?, patience }, LINGER_AFAR)
    } else if let (Some(program), Some(job)) = (&options.application, &options.job_id) {
        let (program, arguments, entry) = (program.clone(), options.arguments.clone(), options.class.clone());
        (JobSource::Program { job: job.parse()?, program, arguments, entry }, LINGER_AFAR)
    } else {
        return Ok(None);
    };
    Ok(Some(SingleJob { source, linger }))
}

fn state_of(dir: &std::path::Path, arguments: &Arguments) -> anyhow::Result<StateDir> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let above = match parent {
        Some(parent) if parent.file_name().is_some_and(|name| name == "clusters") => parent.parent(),
        other => other,
    };
    StateDir::open(above.or(arguments.state_dir.as_deref()))
}

/// What a JobManager ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// With nothing: its jobs are left to the next one when this one is told to make room.
    Session,
    /// With its job.
    Job,
    /// With its job, which others of its kind go on with if it ends before. The exit code says how the job ended.
    Supervised,
    /// With its job, in a place where it is started again until it exits with 0.
    Application,
    /// With its client.
    Client,
}

impl Life {
    fn of(options: &JobManager) -> Self {
        match options {
            JobManager { ends_with_client: true, .. } => Self::Client,
            JobManager { supervised: true, outcome_file: Some(_), .. } => Self::Application,
            JobManager { supervised: true, .. } => Self::Supervised,
            JobManager { job_graph: Some(_), .. } => Self::Job,
            JobManager { await_job: Some(_), .. } | JobManager { application: Some(_), .. } => Self::Application,
            JobManager { .. } => Self::Session,
        }
    }
}

/// With the token of the environment, where the configuration has none.
fn with_token(mut config: Configuration) -> anyhow::Result<Configuration> {
    if let Some(token) = cluster::token(&config) {
        config.set(&keys::security::TOKEN, Some(token))?;
    }
    Ok(config)
}

async fn serve(options: Options, arguments: &JobManager, kept_by: Option<KeptBy>) -> CommandResult {
    let life = Life::of(arguments);
    let handle = Manager::start(options).await?;
    tracing::info!(address = handle.advertised(), "the JobManager is up");
    exit::say(&format!("the JobManager listens on {}", handle.url()));
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        () = handle.ended() => {}
        _ = interrupt.recv() => handle.shutdown(),
        _ = terminate.recv() => match life {
            Life::Session | Life::Supervised | Life::Application => handle.suspend(),
            Life::Job | Life::Client => handle.shutdown(),
        },
        () = client_gone(life == Life::Client) => {
            tracing::warn!("the client of this cluster is gone; ending");
            handle.shutdown();
        }
    }
    let outcome = handle.wait().await;
    if let Some(file) = &arguments.outcome_file {
        note(&outcome, file);
    }
    match outcome {
        Ok(Outcome::Job { job, status, cause }) => {
            tracing::info!(%job, %status, "the job has ended, and this JobManager with it");
            if let Some(kept_by) = kept_by {
                let ended = Ended { job, status: Some(status) };
                return Ok(tokio::select! {
                    code = kept_by.tell(&ended, cause.as_deref()) => code,
                    // The next one finds that the job has ended, and tells it.
                    _ = terminate.recv() => Code::Terminated,
                });
            }
            Ok(match (life, status) {
                (Life::Supervised, JobStatus::Failed) => Code::JobFailed,
                (Life::Supervised, JobStatus::Canceled) => Code::Cancelled,
                _ => Code::Done,
            })
        }
        Ok(Outcome::NoJob { job, waited }) => {
            tracing::error!(%job, waited_s = waited.as_secs(), "the job was not submitted in time; there is nothing to do");
            Ok(Code::Done)
        }
        Ok(Outcome::Deposed) => {
            tracing::warn!("another JobManager leads; this one ends, and stands by when it is started again");
            Ok(Code::Deposed)
        }
        Ok(Outcome::Over) => {
            tracing::info!("the cluster was shut down by the JobManager that led");
            Ok(Code::Done)
        }
        Ok(Outcome::Suspended) if matches!(life, Life::Supervised | Life::Application) => Ok(Code::Terminated),
        Ok(Outcome::ShutDown | Outcome::Suspended) => Ok(Code::Done),
        Err(error) => {
            tracing::error!(%error, "the JobManager ends");
            Err(End::new(Code::Usage, error))
        }
    }
}

/// Leaves word of how the one job has ended. It is for people who come later; the end does not depend on it.
fn note<E>(outcome: &Result<Outcome, E>, file: &std::path::Path) {
    let Some(outcome) = outcome.as_ref().ok().and_then(Ended::of) else { return };
    let written = serde_json::to_vec(&outcome).map_err(std::io::Error::from);
    if let Err(error) = written.and_then(|text| std::fs::write(file, text)) {
        tracing::warn!(file = %file.display(), %error, "how the job has ended is not written");
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

/// How this JobManager takes part, where there are several.
async fn high_availability(config: &Configuration) -> anyhow::Result<Option<HighAvailability>> {
    let host = nix::unistd::gethostname()?.to_string_lossy().into_owned();
    let register: Option<Arc<dyn LeaseRegister>> = match config.get(&keys::high_availability::TYPE) {
        HighAvailabilityType::None => return Ok(None),
        HighAvailabilityType::Storage => None,
        HighAvailabilityType::Kubernetes => Some(Arc::new(KubernetesLease::of(config).await?)),
    };
    // In a pod, `rest.address` is the Service of all JobManagers.
    let own = std::env::var("FLOTT_POD_IP").ok().filter(|address| !address.is_empty());
    Ok(Some(HighAvailability::of(config, &host, own, register)?))
}

async fn backend(config: &Configuration, dir: &ClusterDir) -> anyhow::Result<BackendFactory> {
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
            let connection = Connection::open(config).await?;
            // Downward API; not there outside of the cluster.
            let pod = std::env::var("FLOTT_POD_NAME").ok().filter(|name| !name.is_empty());
            // Mistakes are told before anything is started; the address, which is known later, is none of them.
            let mut settings = flott_kubernetes::Settings::read(config, Place { address: String::new(), pod })?;
            tracing::info!(server = connection.server, namespace = connection.namespace, cluster = %settings.cluster, "TaskManagers are pods");
            let is_alone = config.get(&keys::high_availability::TYPE) == HighAvailabilityType::None;
            if is_alone && !config.is_set(&keys::checkpointing::DIR) {
                tracing::warn!(
                    "checkpoints go to the state directory, which TaskManager pods do not share: set {} to an object store, or to a \
                     volume that all pods mount, or no job survives the loss of a pod",
                    keys::checkpointing::DIR.key()
                );
            }
            Ok(Box::new(move |context: &BackendContext| {
                settings.pods.jobmanager.clone_from(&context.address);
                Ok(Arc::new(KubernetesBackend::new(connection, settings)) as Arc<dyn Backend>)
            }))
        }
    }
}
