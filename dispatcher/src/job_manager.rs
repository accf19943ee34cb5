//! A running JobManager: everything of this crate and of those below, put together.
//!
//! The endpoint listens before the store is open, so that a client's first request is waited with, not refused. The end
//! goes the other way round: jobs, workers, store, endpoint.

use std::{net::SocketAddr, path::Path, sync::Arc};

use flott_core::{
    config::keys::{rest as keys, security},
    id::JobId,
    status::JobStatus,
};
use flott_resource_manager::{ResourceManagerHandle, ResourceManagerService};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use crate::{
    address,
    blobs::{BlobError, BlobStore},
    control::Control,
    dispatcher::{Dispatcher, Leading},
    error::Error,
    jars::JarStore,
    options::{BackendContext, Options, SingleJob},
    planner::Planner,
    rest::{self, Access, Context, OpenToAll},
    server,
    stores::{JobStore, SledStore, StoreError},
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
    /// The Dispatcher refused.
    #[error(transparent)]
    Dispatcher(#[from] Error),
    /// A part of the JobManager has a bug.
    #[error("a part of the JobManager has ended unexpectedly: {0}")]
    Crashed(String),
}

/// How a JobManager has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    },
}

/// A JobManager in this process.
#[derive(Debug)]
pub struct JobManager;

/// Holds on to a running JobManager.
#[derive(Debug)]
pub struct JobManagerHandle {
    address: SocketAddr,
    advertised: String,
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
        let (bind, port) = (configuration.get(&keys::BIND_ADDRESS), configuration.get(&keys::PORT));
        let listener = listen(&bind, port).await?;
        let address =
            listener.local_addr().map_err(|cause| StartError::Listen { address: bind.clone(), cause, hint: "" })?;
        let host = configuration.get(&keys::ADDRESS);
        let advertised = address::host_port(&host, address.port());
        let token = configuration.get(&security::TOKEN);
        let access = Access::new(address, &host, token, configuration.get(&security::INSECURE))?;

        let state = options.state_directory.clone();
        let blobs = blocking(move || {
            address::private_directory(&state)
                .map_err(|cause| StartError::State { path: state.display().to_string(), cause })?;
            Ok(BlobStore::open(state.join("blobs"))?)
        })
        .await?;
        let control = Control::default();
        let archive = options.archive_directory.clone();
        let checkpoints = options.state_directory.join("checkpoints");
        let dispatcher =
            Dispatcher::new(configuration.clone(), options.retention(), archive, checkpoints, blobs, control.clone());
        let (end, suspend, serving) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let context = Context {
            dispatcher: dispatcher.clone(),
            control: control.clone(),
            access,
            configuration: configuration.clone(),
            jars: JarStore::new(options.jars_directory()),
            planner: Planner { scratch: options.state_directory.join("planning"), timeout: options.planning },
            log_directory: options.log_directory.clone(),
            web_address: format!("http://{advertised}"),
            upload_max: configuration.get(&keys::MAX_CONTENT_LENGTH).bytes(),
            end: end.clone(),
            open_api: Default::default(),
        };
        let server = tokio::spawn(server::serve(listener, rest::router(Arc::new(context)), serving.clone()));
        tracing::info!(address = %advertised, "listening");

        let (told, outcome) = watch::channel(None);
        let life = Life {
            options,
            dispatcher: dispatcher.clone(),
            control,
            advertised: advertised.clone(),
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
        Ok(JobManagerHandle { address, advertised, dispatcher, end, suspend, outcome, running })
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

/// What happens between the first request and the last.
struct Life {
    options: Options,
    dispatcher: Dispatcher,
    control: Control,
    advertised: String,
    end: CancellationToken,
    suspend: CancellationToken,
}

impl Life {
    async fn run(mut self) -> Result<Outcome, StartError> {
        let result = self.lead().await;
        if result.is_err() {
            // Requests that wait for the start are told that there is none.
            self.dispatcher.resign(self.options.drain).await;
        }
        result
    }

    async fn lead(&mut self) -> Result<Outcome, StartError> {
        let directory = SledStore::directory(&self.options.state_directory);
        let (store, leader) = blocking(move || {
            let store: Arc<dyn JobStore> = Arc::new(SledStore::open(&directory)?);
            let leader = store.begin_leadership()?;
            Ok((store, leader))
        })
        .await?;
        // Only the owner of the store says where it is: two JobManagers of one directory would overwrite each other.
        let address_file = Options::address_file(&self.options.state_directory);
        let address = AddressFile::write(&address_file, &self.advertised).await?;

        let backend = BackendContext {
            address: self.advertised.clone(),
            address_file,
            state_directory: self.options.state_directory.clone(),
        };
        let factory = std::mem::replace(&mut self.options.backend, Box::new(|_| Err("it was made already".to_owned())));
        let backend = factory(&backend).map_err(StartError::Backend)?;
        let options = self.options.resources(leader, &self.advertised);
        let listener = Arc::new(self.control.clone());
        let (service, resources) = ResourceManagerService::new(options, backend, listener.clone(), listener)?;
        self.control.attach(leader, resources.clone());
        let managing = CancellationToken::new();
        let manager = tokio::spawn(service.run(managing.clone()));

        let leading = Leading { store, resources: resources.clone(), leader };
        self.dispatcher.lead(leading).await?;
        tracing::info!(epoch = leader.0, "leading");

        let outcome = self.until_end().await;
        let suspended = matches!(outcome, Ok(Outcome::Suspended));
        self.conclude(&resources, suspended).await;
        managing.cancel();
        if let Err(error) = manager.await {
            tracing::error!(%error, "the ResourceManager has crashed");
        }
        if !suspended {
            address.remove().await;
        }
        outcome
    }

    /// Waits for the reason to end.
    async fn until_end(&self) -> Result<Outcome, StartError> {
        let work = async {
            match &self.options.job {
                Some(job) => self.run_single(job).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = self.end.cancelled() => Ok(Outcome::ShutDown),
            () = self.suspend.cancelled() => Ok(Outcome::Suspended),
        }
    }

    async fn run_single(&self, single: &SingleJob) -> Result<Outcome, StartError> {
        let blobs = self.dispatcher.blobs().clone();
        let SingleJob { graph, program, linger } = single.clone();
        let (document, program) = blocking(move || {
            let document =
                std::fs::read(&graph).map_err(|cause| StartError::Job { path: graph.display().to_string(), cause })?;
            std::fs::metadata(&program)
                .map_err(|cause| StartError::Job { path: program.display().to_string(), cause })?;
            Ok((document, blobs.put_file(&program, u64::MAX)?))
        })
        .await?;
        let job = match self.dispatcher.submit(document.into(), Some(program)).await {
            // An earlier life of this JobManager has seen it end.
            Err(Error::Over(job)) => job,
            submitted => submitted?,
        };
        let status = self.dispatcher.ended(job).await?;
        tokio::select! {
            () = tokio::time::sleep(linger) => {}
            () = self.end.cancelled() => {}
            () = self.suspend.cancelled() => {}
        }
        Ok(Outcome::Job { job, status })
    }

    async fn conclude(&self, resources: &ResourceManagerHandle, suspended: bool) {
        if suspended {
            self.dispatcher.suspend();
        } else {
            let left = self.dispatcher.drain(self.options.drain).await;
            if left > 0 {
                tracing::warn!(jobs = left, "ending with jobs that would not end");
            }
            if let Err(error) = resources.stop_workers("the cluster is shut down").await {
                tracing::warn!(%error, "workers may be left running");
            }
        }
        self.dispatcher.resign(self.options.drain).await;
    }
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

/// The file in which clients and workers look for the address.
struct AddressFile {
    path: std::path::PathBuf,
    content: String,
}

impl AddressFile {
    async fn write(path: &Path, address: &str) -> Result<Self, StartError> {
        let file = Self { path: path.to_owned(), content: address.to_owned() };
        let (path, content) = (file.path.clone(), file.content.clone());
        blocking(move || {
            address::write_file(&path, &content)
                .map_err(|cause| StartError::State { path: path.display().to_string(), cause })
        })
        .await?;
        Ok(file)
    }

    /// Takes the file away, unless another JobManager has written its own by now.
    async fn remove(self) {
        let removed = spawn_blocking(move || match std::fs::read_to_string(&self.path) {
            Ok(content) if content.trim() == self.content => std::fs::remove_file(&self.path),
            _ => Ok(()),
        });
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(%error, "the address file cannot be removed");
        }
    }
}
