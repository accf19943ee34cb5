//! Finds the clusters of this user, starts and ends them.

use std::{
    ffi::OsString,
    fs::File,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use flott_core::{
    config::{Configuration, environment, keys},
    id::JobId,
};
use reqwest::Method;

use crate::{
    arguments::Target,
    exit::{Code, CommandResult, End},
    kubernetes::{self, Kubernetes},
    rest::{Client, RestError},
    settings,
    state_dir::{ClusterDir, StateDir, private_dir},
};

/// Between two looks whether a JobManager answers.
/// Bytes that last words may take on a disk that is full.
const WORDS_MAX: i64 = 4096;
const LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// How long a cluster may take to end in order.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The token to show: the configured one, else that of the environment.
pub fn token(config: &Configuration) -> Option<String> {
    config.get(&keys::security::TOKEN).or_else(|| std::env::var(environment::TOKEN).ok().filter(|t| !t.is_empty()))
}

/// A client for the cluster in `dir`, if a JobManager answers there.
pub async fn answering(dir: &ClusterDir) -> Option<Client> {
    let client = client_of(dir)?;
    let found = client.find("/v1/overview").await;
    matches!(found, Ok(Some(_))).then_some(client)
}

/// The session of this user, if there is one that answers.
///
/// # Errors
/// When there is one that ended without a word: its jobs are still to be taken up, and who would use it must know.
pub async fn session(state: &StateDir) -> CommandResult<Option<Client>> {
    let dir = state.session();
    match (answering(&dir).await, dir.address()) {
        (Some(client), _) => Ok(Some(client)),
        // It takes its address away when it ends in order.
        (None, Some(address)) => {
            let error = anyhow!(
                "the JobManager of the session, {address}, does not answer: `flott session start` takes up what it left, \
                 `flott session stop` gives it up"
            );
            Err(End::new(Code::Unreachable, error))
        }
        (None, None) => Ok(None),
    }
}

/// A client for the address that is written in `dir`, with the token of that cluster.
fn client_of(dir: &ClusterDir) -> Option<Client> {
    let address = dir.address()?;
    let text = std::fs::read_to_string(dir.config_file()).unwrap_or_default();
    let loaded = flott_core::config::Loader::new().file("config.yaml", &text).load().ok()?;
    Client::new(&address, token(&loaded.config), &loaded.config).ok()
}

/// Where a command about jobs should look.
pub enum Place {
    /// One JobManager that was named.
    One(Client),
    /// Every cluster of this user that answers.
    Own(Vec<Client>),
}

impl Place {
    /// By `-m` or `-t`, else by configuration, else all clusters of this user.
    pub async fn of(target: &Target, config: &Configuration, state: &StateDir) -> CommandResult<Self> {
        let target = target.named();
        if kubernetes::is_meant(target, config) {
            return Ok(Self::One(Kubernetes::of(config).await?.client(config).await?));
        }
        match target {
            Some("remote") => return Ok(Self::One(Client::new(&configured(config), token(config), config)?)),
            Some("local" | "cluster" | "yarn-cluster" | "yarn-per-job" | "yarn-application") | None => {}
            Some(address) => return Ok(Self::One(Client::new(address, token(config), config)?)),
        }
        if target.is_none() && is_configured(config) {
            return Ok(Self::One(Client::new(&configured(config), token(config), config)?));
        }
        let mut clients = Vec::new();
        for dir in state.clusters() {
            clients.extend(answering(&dir).await);
        }
        Ok(Self::Own(clients))
    }

    /// The clients.
    pub fn clients(&self) -> &[Client] {
        match self {
            Self::One(client) => std::slice::from_ref(client),
            Self::Own(clients) => clients,
        }
    }

    /// The cluster that knows `job`.
    pub async fn holding(&self, job: JobId) -> CommandResult<Option<Client>> {
        for client in self.clients() {
            match client.find(&format!("/v1/jobs/{job}/status")).await {
                Ok(Some(_)) => return Ok(Some(client.clone())),
                Ok(None) => {}
                // Of several clusters one may just be ending; of one that was named it matters.
                Err(error) if matches!(self, Self::One(_)) => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok(None)
    }
}

/// Whether the configuration names a JobManager.
pub fn is_configured(config: &Configuration) -> bool {
    config.is_set(&keys::rest::ADDRESS)
}

/// The configured address.
pub fn configured(config: &Configuration) -> String {
    format!("{}:{}", config.get(&keys::rest::ADDRESS), config.get(&keys::rest::PORT))
}

/// What kind of cluster is started, as arguments of `flott jobmanager`.
#[derive(Debug, Default)]
pub struct Launch {
    /// More arguments.
    pub arguments: Vec<OsString>,
    /// Whether the cluster ends with this process, however that ends: the child's standard input tells it.
    pub ends_with_client: bool,
}

/// Starts a JobManager in `dir` in the background and waits until it answers. The child is given too, so that its
/// starter can tell when it ends.
pub async fn launch(dir: &ClusterDir, config: &Configuration, launch: Launch) -> CommandResult<(Client, Child)> {
    private_dir(dir.path())?;
    private_dir(&dir.logs())?;
    settings::write(config, &dir.config_file())?;
    match std::fs::remove_file(dir.address_file()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    let out_path = out_file(dir);
    let out = File::create(&out_path).and_then(|out| reserve(&out).map(|()| out));
    let out = out.with_context(|| format!("cannot write {}", out_path.display()))?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("jobmanager")
        .arg("--cluster-dir")
        .arg(dir.path())
        .arg("--config")
        .arg(dir.config_file())
        .arg("--log-to-file")
        .args(launch.arguments)
        .args(launch.ends_with_client.then_some("--ends-with-client"))
        .stdin(if launch.ends_with_client { Stdio::piped() } else { Stdio::null() })
        .stdout(out.try_clone()?)
        .stderr(out);
    // What this client was given by its environment is in the configuration file already.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("FLOTT_") && name != environment::LOG) {
            command.env_remove(&name);
        }
    }
    // SAFETY: setsid is async-signal-safe, and touches nothing of this process.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(std::io::Error::from));
    }
    let mut child = command.spawn().context("cannot start the JobManager")?;
    let timeout = config.get(&keys::client::TIMEOUT);
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(client) = client_of(dir)
            && client.find("/v1/config").await.is_ok()
        {
            return Ok((client, child));
        }
        if let Some(status) = child.try_wait()? {
            let said = last_words(dir);
            return Err(End::new(Code::Usage, anyhow!("the JobManager ended ({status}) before it answered: {said}")));
        }
        if Instant::now() >= deadline {
            // It is ours and has answered nobody yet.
            let _ = child.kill();
            let _ = child.wait();
            let error = anyhow!("the JobManager did not answer within {} s (client.timeout)", timeout.as_secs());
            return Err(End::new(Code::TimedOut, error));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// Room for some last words, lest a JobManager that finds its disk full cannot say so.
fn reserve(out: &File) -> std::io::Result<()> {
    use nix::{
        errno::Errno,
        fcntl::{FallocateFlags, fallocate},
    };
    match fallocate(out, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, WORDS_MAX) {
        Err(error @ (Errno::ENOSPC | Errno::EDQUOT)) => Err(error.into()),
        // A filesystem that does not know how gives what it has.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn out_file(dir: &ClusterDir) -> PathBuf {
    dir.logs().join("jobmanager.out")
}

/// The last line that the JobManager of `dir` printed before it ended.
pub fn last_words(dir: &ClusterDir) -> String {
    let text = std::fs::read_to_string(out_file(dir)).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or("it said nothing");
    line.strip_prefix("flott: ").unwrap_or(line).to_owned()
}

/// Tells a cluster to end, and waits until nothing answers any more.
pub async fn stop(client: &Client) -> CommandResult<()> {
    match client.send(client.request(Method::DELETE, "/v1/cluster")).await {
        Ok(_) | Err(RestError::Unreachable { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    while client.find("/v1/config").await.is_ok() {
        if Instant::now() >= deadline {
            let error = anyhow!("the cluster at {} had not ended after {} s", client.address(), STOP_TIMEOUT.as_secs());
            return Err(End::new(Code::TimedOut, error));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Waits for a JobManager that this process started to be gone with all it has started.
pub async fn ended(child: &mut Child) -> CommandResult<()> {
    let deadline = Instant::now() + STOP_TIMEOUT;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            let error = anyhow!("the JobManager (pid {}) had not ended after {} s", child.id(), STOP_TIMEOUT.as_secs());
            return Err(End::new(Code::TimedOut, error));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}

/// Waits until the JobManager of `dir` is gone: its pid file is locked for as long as it lives.
pub async fn gone(dir: &ClusterDir) -> CommandResult<()> {
    let deadline = Instant::now() + STOP_TIMEOUT;
    while dir.is_locked()? {
        if Instant::now() >= deadline {
            let error =
                anyhow!("the JobManager of {} had not ended after {} s", dir.path().display(), STOP_TIMEOUT.as_secs());
            return Err(End::new(Code::TimedOut, error));
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    Ok(())
}
