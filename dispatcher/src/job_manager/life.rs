//! The life of a JobManager: it stands by, if there are others, leads, and ends.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use flott_core::{
    id::{JobId, LeaderEpoch},
    message::PlanRequest,
    status::JobStatus,
};
use flott_resource_manager::{ResourceManagerHandle, ResourceManagerService};
use flott_snapshot::Directory;
use tokio::{sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

use super::{Outcome, StartError, blocking, planner};
use crate::{
    address,
    control::Control,
    dispatcher::{Dispatcher, Leading},
    error::Error,
    ha::{Candidature, HighAvailability, Network, Resignation, Standing},
    options::{BackendContext, JobSource, Options, SingleJob},
    planner::PlanJob,
    stores::{JobStore, SharedStore, SledStore, StoreError},
};

/// How often the log of jobs is read again because another one has written to it meanwhile.
const BEGINNINGS_MAX: usize = 5;

/// What happens between the first request and the last.
pub(super) struct Life {
    pub options: Options,
    pub dispatcher: Dispatcher,
    pub control: Control,
    pub advertised: String,
    pub port: u16,
    pub end: CancellationToken,
    pub suspend: CancellationToken,
}

impl Life {
    pub async fn run(mut self) -> Result<Outcome, StartError> {
        let result = match self.options.high_availability.clone() {
            None => self.lead(None).await,
            Some(ha) => self.stand(&ha).await,
        };
        if result.is_err() {
            // Requests that wait for the start are told that there is none.
            self.dispatcher.resign(self.options.drain).await;
        }
        result
    }

    /// Stands by until it has the lease, leads then, and gives it back.
    async fn stand(&mut self, ha: &HighAvailability) -> Result<Outcome, StartError> {
        // Of this JobManager alone: it is worth as much to clients as the one that leads.
        let file = Options::address_file(&self.options.state_directory);
        let address = AddressFile::write(&file, &self.advertised).await?;
        let host = ha.host.as_ref();
        let own = host.map_or_else(|| self.advertised.clone(), |host| address::host_port(host, self.port));
        let candidature = Candidature::begin(ha.register.clone(), Network::default(), ha.name.clone(), own, ha.timing);
        let outcome = match self.until_elected(candidature.standing()).await {
            Some(outcome) => Ok(outcome),
            None => self.lead(Some((ha, &candidature))).await,
        };
        candidature.resign(Resignation::of(&outcome)).await;
        // Jobs run on behind one that is deposed, too: who asks for them hears that nobody answers, not that there are none.
        if !matches!(outcome, Ok(Outcome::Suspended | Outcome::Deposed)) {
            address.remove().await;
        }
        outcome
    }

    /// Waits until this one is to lead. Else says how it has ended.
    async fn until_elected(&self, mut standing: watch::Receiver<Standing>) -> Option<Outcome> {
        loop {
            let now = standing.borrow_and_update().clone();
            match now {
                Standing::By { leader } => {
                    tracing::info!(leader = leader.as_deref().unwrap_or("none"), "standing by");
                    self.dispatcher.stand_by(leader);
                }
                Standing::Leads => {
                    self.dispatcher.open();
                    return None;
                }
                Standing::Lost(_) => return Some(Outcome::Deposed),
                Standing::Over => return Some(Outcome::Over),
            }
            tokio::select! {
                changed = standing.changed() => if changed.is_err() { return Some(Outcome::Deposed) },
                () = self.end.cancelled() => return Some(Outcome::Suspended),
                () = self.suspend.cancelled() => return Some(Outcome::Suspended),
            }
        }
    }

    async fn lead(&mut self, elected: Option<(&HighAvailability, &Candidature)>) -> Result<Outcome, StartError> {
        let opened = match elected {
            None => {
                let directory = SledStore::directory(&self.options.state_directory);
                blocking(move || {
                    let (store, leader) = begin(SledStore::open(&directory)?)?;
                    Ok((store, leader, CancellationToken::new()))
                })
                .await
            }
            Some((ha, _)) => {
                let directory = ha.directory.child("jobs");
                blocking(move || begin_shared(&directory)).await
            }
        };
        let (store, leader, deposed) = match opened {
            Err(StartError::Store(StoreError::Deposed(why))) => {
                tracing::warn!(why, "another JobManager leads");
                return Ok(Outcome::Deposed);
            }
            opened => opened?,
        };
        // Only the owner of the store says where it is: two JobManagers of one directory would overwrite each other.
        let shared = elected.and_then(|(ha, _)| ha.address_file());
        let address_file = shared.unwrap_or_else(|| Options::address_file(&self.options.state_directory));
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

        let leading = Leading { store: Arc::clone(&store), resources: resources.clone(), leader };
        self.dispatcher.lead(leading).await?;
        tracing::info!(epoch = leader.0, "leading");

        let outcome = tokio::select! {
            outcome = self.until_end() => outcome,
            why = until_deposed(&deposed, &store, elected) => {
                tracing::warn!(why, "this JobManager does not lead any more; its jobs run on");
                Ok(Outcome::Deposed)
            }
        };
        let suspended = matches!(outcome, Ok(Outcome::Suspended | Outcome::Deposed));
        let patience = if matches!(outcome, Ok(Outcome::Deposed)) { Duration::ZERO } else { self.options.drain };
        self.conclude(&resources, suspended, patience).await;
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
        let job = match &single.source {
            JobSource::Files { graph, program } => self.submit_files(graph.clone(), program.clone()).await?,
            JobSource::Awaited { job, patience } => {
                match tokio::time::timeout(*patience, self.dispatcher.known(*job)).await {
                    Ok(known) => known?,
                    Err(_) => return Ok(Outcome::NoJob { job: *job, waited: *patience }),
                }
                *job
            }
            JobSource::Program { job, program, arguments, entry } => {
                self.submit_program(*job, program, arguments, entry.clone()).await?
            }
        };
        let status = self.dispatcher.ended(job).await?;
        let cause = if status == JobStatus::Failed { self.cause(job).await } else { None };
        tokio::select! {
            () = tokio::time::sleep(single.linger) => {}
            () = self.end.cancelled() => {}
            () = self.suspend.cancelled() => {}
        }
        Ok(Outcome::Job { job, status, cause })
    }

    /// What a job has failed of. It is for people: where it is not known any more, the end counts all the same.
    async fn cause(&self, job: JobId) -> Option<String> {
        Some(self.dispatcher.job(job).await.ok()?.view.failure.as_ref()?.to_string())
    }

    async fn submit_files(&self, graph: PathBuf, program: PathBuf) -> Result<JobId, StartError> {
        let document = blocking(move || {
            std::fs::read(&graph).map_err(|cause| StartError::Job { path: graph.display().to_string(), cause })
        })
        .await?;
        self.submit(document, program).await
    }

    /// Plans a program and submits its job. One that an earlier life of this JobManager has submitted is not planned again,
    /// as the plan might be another one.
    async fn submit_program(
        &self,
        job: JobId,
        program: &Path,
        arguments: &[String],
        entry: Option<String>,
    ) -> Result<JobId, StartError> {
        if self.dispatcher.knows(job) {
            return Ok(job);
        }
        let configuration = &self.options.configuration;
        let shown = configuration.shown().zip(configuration.entries());
        let public = shown.filter(|(shown, real)| shown == real);
        let request = PlanRequest {
            job: Some(job),
            name: None,
            entry,
            // All but secrets, which would be readable to whoever may read the job.
            configuration: public.map(|(_, (key, value))| (key.to_owned(), value.to_owned())).collect(),
        };
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let planner = planner(&self.options);
        let plan = PlanJob { program: program.to_owned(), name, arguments: arguments.to_vec(), request };
        let (_, document) = planner.plan(plan).await?;
        self.submit(document, program.to_owned()).await
    }

    async fn submit(&self, document: Vec<u8>, program: PathBuf) -> Result<JobId, StartError> {
        let blobs = self.dispatcher.blobs().clone();
        let program = blocking(move || {
            std::fs::metadata(&program)
                .map_err(|cause| StartError::Job { path: program.display().to_string(), cause })?;
            Ok(blobs.put_file(&program, u64::MAX)?)
        })
        .await?;
        match self.dispatcher.submit(document.into(), Some(program)).await {
            // An earlier life of this JobManager has seen it end.
            Err(Error::Over(job)) => Ok(job),
            submitted => Ok(submitted?),
        }
    }

    async fn conclude(&self, resources: &ResourceManagerHandle, suspended: bool, patience: Duration) {
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
        self.dispatcher.resign(patience).await;
    }
}

fn begin(store: impl JobStore) -> Result<(Arc<dyn JobStore>, LeaderEpoch), StartError> {
    let leader = store.begin_leadership()?;
    Ok((Arc::new(store), leader))
}

/// One that led may have written in the midst: then its last words are read too. The token tells when another one leads.
fn begin_shared(directory: &Directory) -> Result<(Arc<dyn JobStore>, LeaderEpoch, CancellationToken), StartError> {
    let mut tries = 0;
    loop {
        let deposed = CancellationToken::new();
        let store = SharedStore::open(directory.clone(), tokio::runtime::Handle::current(), deposed.clone())?;
        match begin(store) {
            Ok((store, leader)) => return Ok((store, leader, deposed)),
            Err(StartError::Store(StoreError::Deposed(_))) if tries < BEGINNINGS_MAX => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Pends while this JobManager leads, and says why it does not any more.
async fn until_deposed(
    deposed: &CancellationToken,
    store: &Arc<dyn JobStore>,
    elected: Option<(&HighAvailability, &Candidature)>,
) -> String {
    let Some((ha, candidature)) = elected else { return std::future::pending().await };
    tokio::select! {
        () = deposed.cancelled() => "another one has written to the log of jobs".to_owned(),
        why = candidature.lost() => why,
        never = look_now_and_then(store, ha.timing.renewal) => match never {},
    }
}

/// Looks at intervals whether another one has written to the log of jobs. Who had the lease before may have begun to lead behind this one,
/// and be gone since: TaskManagers follow neither then, and where no job writes anything, nothing else tells.
async fn look_now_and_then(store: &Arc<dyn JobStore>, interval: Duration) -> Infallible {
    loop {
        tokio::time::sleep(interval).await;
        let looking = Arc::clone(store);
        match spawn_blocking(move || looking.look()).await {
            // Of another one the store's token tells.
            Ok(Ok(()) | Err(StoreError::Deposed(_))) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the log of jobs is not to be seen as it should be, nor whether another JobManager leads")
            }
            Err(error) => tracing::warn!(%error, "looking whether another JobManager leads has crashed"),
        }
    }
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
