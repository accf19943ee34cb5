//! A running JobManager: everything of this crate and of those below, put together.
//!
//! The endpoint listens before the store is open, so that a client's first request is waited with, not refused. The end
//! goes the other way round: jobs, workers, store, endpoint.
//!
//! # Layout
//! - `life`: what happens between the first request and the last: standing by, leading, ending

mod life;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use flott_core::{
    config::{
        Configuration,
        keys::{rest as keys, security},
    },
    id::JobId,
    status::JobStatus,
};
use flott_rpc::tls::{Acceptor, Connector, TlsError};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use life::Life;

use crate::{
    address,
    blobs::{BlobError, BlobStore},
    control::Control,
    dispatcher::{Dispatcher, Setup},
    error::Error,
    ha::SharedPrograms,
    jars::JarStore,
    options::Options,
    planner::{PlanError, Planner},
    rest::{self, Access, Context, OpenToAll},
    server,
    stores::StoreError,
};

/// Why a JobManager cannot start, or has ended early.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The endpoint's address cannot be used.
    #[error("cannot listen on {address}: {cause}{hint}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        cause: std::io::Error,
        /// What may help.
        hint: &'static str,
    },
    /// The endpoint would be open to everyone.
    #[error(transparent)]
    Open(#[from] OpenToAll),
    /// The state directory cannot be used.
    #[error("cannot use the state directory {path}: {cause}")]
    State {
        /// Which.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// The endpoint is to speak TLS, and cannot.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Blob storage cannot be opened.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// There is no backend.
    #[error("the cluster backend cannot be used: {0}")]
    Backend(String),
    /// The ResourceManager refused its options.
    #[error(transparent)]
    Resources(#[from] flott_resource_manager::Error),
    /// The one job's files cannot be read.
    #[error("cannot read {path}: {cause}")]
    Job {
        /// Which file.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// The one job's program gives no job.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The Dispatcher refused.
    #[error(transparent)]
    Dispatcher(#[from] Error),
    /// A part of the JobManager has a bug.
    #[error("a part of the JobManager has ended unexpectedly: {0}")]
    Crashed(String),
}

/// How a JobManager has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A session was shut down.
    ShutDown,
    /// The jobs were left to a later JobManager.
    Suspended,
    /// The one job has ended.
    Job {
        /// Its id.
        job: JobId,
        /// How it ended.
        status: JobStatus,
        /// What it failed of, on one line, if it has failed.
        cause: Option<String>,
    },
    /// The one job has not come.
    NoJob {
        /// Its id.
        job: JobId,
        /// For how long it was waited.
        waited: Duration,
    },
    /// It led, and does not any more. Its jobs run on, and are those of the one that leads now.
    Deposed,
    /// It stood by, and the one that led has shut the cluster down.
    Over,
}

/// A JobManager in this process.
#[derive(Debug)]
pub struct JobManager;

/// Holds on to a running JobManager.
#[derive(Debug)]
pub struct JobManagerHandle {
    address: SocketAddr,
    advertised: String,
    url: String,
    dispatcher: Dispatcher,
    end: CancellationToken,
    suspend: CancellationToken,
    outcome: watch::Receiver<Option<()>>,
    running: JoinHandle<Result<Outcome, StartError>>,
}

impl JobManager {
    /// Starts a JobManager: when this returns it listens. Jobs of an earlier life are recovered meanwhile.
    ///
    /// Must be called on a tokio runtime with more than one thread or one that is not blocked.
    ///
    /// # Errors
    /// [`StartError`] for an address, a token or a state directory that cannot be used. What is found later (a store in
    /// use, a job that is refused) is told by [`JobManagerHandle::wait`].
    pub async fn start(options: Options) -> Result<JobManagerHandle, StartError> {
        let configuration = &options.configuration;
        let acceptor = Acceptor::of(configuration)?;
        // Of one that is alone nobody asks whom it trusts.
        let leader = match &options.high_availability {
            Some(_) => Connector::of(configuration)?,
            None => None,
        };
        let (bind, port) = (configuration.get(&keys::BIND_ADDRESS), configuration.get(&keys::PORT));
        let listener = listen(&bind, port).await?;
        let address =
            listener.local_addr().map_err(|cause| StartError::Listen { address: bind.clone(), cause, hint: "" })?;
        let host = configuration.get(&keys::ADDRESS);
        let advertised = address::host_port(&host, address.port());
        let url = web_address(configuration, &advertised);
        let token = configuration.get(&security::TOKEN);
        let access = Access::new(address, &host, token, configuration.get(&security::INSECURE))?
            .with_metrics_token(configuration.get(&security::METRICS_TOKEN));

        let state = options.state_directory.clone();
        let blobs = blocking(move || {
            address::private_directory(&state)
                .map_err(|cause| StartError::State { path: state.display().to_string(), cause })?;
            Ok(BlobStore::open(state.join("blobs"))?)
        })
        .await?;
        let control = Control::default();
        let (checkpoints, programs) = match &options.high_availability {
            None => (options.state_directory.join("checkpoints").to_string_lossy().into_owned(), None),
            Some(ha) => {
                let programs = SharedPrograms::new(ha.directory.child("programs"), tokio::runtime::Handle::current());
                (ha.checkpoints(), Some(programs))
            }
        };
        let setup = Setup {
            configuration: configuration.clone(),
            retention: options.retention(),
            archive_directory: options.archive_directory.clone(),
            checkpoint_directory: checkpoints,
            is_session: options.job.is_none(),
        };
        let dispatcher = Dispatcher::new(setup, blobs, programs, control.clone());
        let (end, suspend, serving) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let context = Context {
            dispatcher: dispatcher.clone(),
            control: control.clone(),
            access,
            configuration: configuration.clone(),
            jars: jars(&options),
            planner: planner(&options),
            log_directory: options.log_directory.clone(),
            web_address: url.clone(),
            leader,
            upload_max: configuration.get(&keys::MAX_CONTENT_LENGTH).bytes(),
            end: end.clone(),
            open_api: Default::default(),
        };
        let server = tokio::spawn(server::serve(listener, acceptor, rest::router(Arc::new(context)), serving.clone()));
        tracing::info!(address = %url, "listening");

        let (told, outcome) = watch::channel(None);
        let life = Life {
            options,
            dispatcher: dispatcher.clone(),
            control,
            advertised: advertised.clone(),
            port: address.port(),
            end: end.clone(),
            suspend: suspend.clone(),
        };
        let running = tokio::spawn(async move {
            let outcome = life.run().await;
            serving.cancel();
            if let Err(error) = server.await {
                tracing::error!(%error, "the endpoint has crashed");
            }
            told.send_replace(Some(()));
            outcome
        });
        Ok(JobManagerHandle { address, advertised, url, dispatcher, end, suspend, outcome, running })
    }
}

impl JobManagerHandle {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `HOST:PORT` that clients and workers use.
    pub fn advertised(&self) -> &str {
        &self.advertised
    }

    /// The same with `http://` or `https://` before it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Dispatcher.
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Ends everything: cancels the jobs, stops the workers that the backend has started. Returns at once.
    pub fn shutdown(&self) {
        self.end.cancel();
    }

    /// Ends this JobManager alone: jobs and workers are left to the next one on the same state. Returns at once.
    pub fn suspend(&self) {
        self.suspend.cancel();
    }

    /// Waits for the end without taking the outcome. Cancel-safe.
    pub async fn ended(&self) {
        let mut outcome = self.outcome.clone();
        // A sender that is gone has ended too.
        let _ = outcome.wait_for(Option::is_some).await;
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// Why the JobManager could not go on.
    pub async fn wait(self) -> Result<Outcome, StartError> {
        self.running.await.unwrap_or_else(|error| Err(StartError::Crashed(error.to_string())))
    }
}

/// Uploaded programs, in a directory of their own if one is set, else where all JobManagers find them.
fn jars(options: &Options) -> JarStore {
    let state = &options.state_directory;
    match (options.configuration.get(&keys::UPLOAD_DIR), &options.high_availability) {
        (Some(set), _) => JarStore::new(set),
        (None, None) => JarStore::new(state.join("jars")),
        // Not among those: what is no copy of a shared one is removed.
        (None, Some(ha)) => {
            let share = ha.directory.child("jars");
            JarStore::shared(state.join("jar-copies"), share, tokio::runtime::Handle::current())
        }
    }
}

fn web_address(configuration: &Configuration, advertised: &str) -> String {
    let scheme = if configuration.get(&security::SSL_REST_ENABLED) { "https" } else { "http" };
    format!("{scheme}://{advertised}")
}

fn planner(options: &Options) -> Planner {
    Planner { scratch: options.state_directory.join("planning"), timeout: options.planning }
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((host, port)).await.map_err(|cause| {
        let hint = match cause.kind() {
            std::io::ErrorKind::AddrInUse => "; another process has that port: stop it, or set rest.port",
            std::io::ErrorKind::AddrNotAvailable => "; this host has no such address: set rest.bind-address",
            std::io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges: set rest.port",
            _ => "",
        };
        StartError::Listen { address: address::host_port(host, port), cause, hint }
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StartError> + Send + 'static,
) -> Result<T, StartError> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(StartError::Crashed(error.to_string())))
}
