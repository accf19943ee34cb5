//! `flott taskmanager`: a TaskManager in the foreground.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, anyhow, bail};
use flott_core::{
    config::{Configuration, keys},
    id::WorkerId,
    resource::ResourceProfile,
};
use flott_rpc::tls::Connector;
use flott_worker::{ExitReason, JobManagerAddress, MetricsOptions, Options, ProgramVariables, TaskManager as Worker};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    arguments::{Arguments, TaskManager},
    cluster,
    exit::{Code, CommandResult},
    log,
    settings::Settings,
    state_dir::{StateDir, private_dir},
};

pub fn run(arguments: &Arguments, options: &TaskManager) -> CommandResult {
    let settings = Settings::load(arguments)?;
    let config = &settings.config;
    let name = worker_name(config);
    let work_dir = match &options.work_dir {
        Some(dir) => dir.clone(),
        None => StateDir::open(arguments.state_dir.as_deref())?.path().join("taskmanagers").join(&name),
    };
    let log_dir = work_dir.join("logs");
    private_dir(&log_dir)?;
    let log_file = log_dir.join("taskmanager.log");
    let log_bytes = config.get(&keys::taskmanager::LOG_MAX_SIZE).bytes();
    log::start(options.log_to_file.then_some((log_file.as_path(), log_bytes)))?;
    let jobmanager = match (&options.jobmanager, &options.jobmanager_file) {
        (Some(address), _) => JobManagerAddress::Fixed(address.clone()),
        (None, Some(file)) => JobManagerAddress::File(file.clone()),
        (None, None) => return Err(anyhow!("which JobManager? give --jobmanager HOST:PORT").into()),
    };
    let mut worker = Options::new(WorkerId(name), jobmanager, work_dir, log_dir);
    fill(&mut worker, config)?;
    // Its own work is light, whatever its job processes do.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(serve(worker))
}

async fn serve(options: Options) -> CommandResult {
    let mut handle = Worker::start(options)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let reason = tokio::select! {
        reason = handle.wait() => reason?,
        _ = interrupt.recv() => stopped(&mut handle, "interrupted").await?,
        _ = terminate.recv() => stopped(&mut handle, "asked to end by SIGTERM").await?,
    };
    tracing::info!(?reason, "the TaskManager has ended");
    match reason {
        ExitReason::Stopped(_) | ExitReason::Shutdown(_) => Ok(Code::Done),
        ExitReason::Refused(why) => Err(anyhow!("the JobManager refused this TaskManager: {why}").into()),
    }
}

async fn stopped(
    handle: &mut flott_worker::TaskManagerHandle,
    reason: &str,
) -> Result<ExitReason, flott_worker::Error> {
    handle.stop(reason).await;
    handle.wait().await
}

fn fill(options: &mut Options, config: &Configuration) -> anyhow::Result<()> {
    let slots = config.get(&keys::taskmanager::NUMBER_OF_TASK_SLOTS);
    let memory = config.get(&keys::taskmanager::MEMORY_PROCESS_SIZE).bytes();
    // The range of the key keeps it within.
    let cpu_millicores = config
        .get(&keys::taskmanager::CPU_CORES)
        .map_or(1000, |cores| (cores * 1000.0 / f64::from(slots)).round() as u32);
    let slot = ResourceProfile { cpu_millicores, memory_bytes: memory / u64::from(slots) };
    options.slots = vec![slot; slots as usize];
    options.memory = memory;
    options.token = cluster::token(config);
    options.tls = Connector::of(config)?;
    options.data_bind = data_bind(config)?;
    options.metrics = config.get(&keys::taskmanager::METRICS_PORT).map(|ports| MetricsOptions {
        bind: options.data_bind.ip(),
        ports,
        token: config.get(&keys::security::METRICS_TOKEN),
    });
    options.host = match config.get(&keys::taskmanager::HOST) {
        Some(host) => host,
        None if options.data_bind.ip().is_unspecified() => host_name()?,
        None => options.data_bind.ip().to_string(),
    };
    options.heartbeat_interval = config.get(&keys::cluster::HEARTBEAT_INTERVAL);
    options.registration_timeout = config.get(&keys::taskmanager::REGISTRATION_TIMEOUT);
    options.cancellation_timeout = Some(config.get(&keys::taskmanager::CANCELLATION_TIMEOUT));
    options.log_bytes_max = config.get(&keys::taskmanager::LOG_MAX_SIZE).bytes();
    options.programs = ProgramVariables {
        passed: flott_kubernetes::settings::secret_variables(config)?,
        set: config.map(&keys::taskmanager::PROGRAM_ENV),
    };
    Ok(())
}

/// Where job processes listen. Beyond the loopback device only when the cluster has a token, or by explicit wish.
fn data_bind(config: &Configuration) -> anyhow::Result<SocketAddr> {
    let host = config.get(&keys::taskmanager::BIND_HOST);
    let ip: IpAddr = host
        .parse()
        .with_context(|| format!("{}: {host:?} is not an IP address", keys::taskmanager::BIND_HOST.key()))?;
    if !ip.is_loopback() && cluster::token(config).is_none() && !config.get(&keys::security::INSECURE) {
        bail!(
            "{} is {ip}, which others can reach: set {}, or {} to true",
            keys::taskmanager::BIND_HOST.key(),
            keys::security::TOKEN.key(),
            keys::security::INSECURE.key()
        );
    }
    Ok(SocketAddr::new(ip, config.get(&keys::taskmanager::DATA_PORT)))
}

fn host_name() -> anyhow::Result<String> {
    let name = nix::unistd::gethostname().context("the name of this host is not known: set taskmanager.host")?;
    Ok(name.to_string_lossy().into_owned())
}

/// The configured name, else one that no other TaskManager has.
fn worker_name(config: &Configuration) -> String {
    config.get(&keys::taskmanager::RESOURCE_ID).unwrap_or_else(|| {
        let host = host_name().unwrap_or_else(|_| "localhost".into());
        let life = flott_core::id::InstanceId::random().to_string();
        format!("{host}-{}", &life[..6])
    })
}
