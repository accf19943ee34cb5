//! The mailbox around the [`Fleet`]: feeds in what is asked for and what the watch says, carries requests out, and tells
//! events. Decides nothing.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use flott_core::id::WorkerId;
use flott_resource_manager::{
    Backend, BackendEvent, WorkerSpec,
    backend::{Abilities, BackendWorker, BoxFuture, ListError},
};
use futures::StreamExt;
use kube::runtime::{WatchStreamExt, utils::Backoff, watcher};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    client::{Connection, WATCH_LASTS},
    error::ApiError,
    fleet::{Action, CreateEnd, Facts, Fleet, Input},
    observed::ObservedPod,
    requests::Requests,
    settings::Settings,
};

/// The backend's name in the configuration.
const NAME: &str = "kubernetes";
/// Events that wait to be read; more are kept back.
const EVENTS_MAX: usize = 1024;
/// Results of requests that wait; more requests wait with them.
const RESULTS_MAX: usize = 256;
/// Pause before the watch is opened again; doubles.
const WATCH_PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest such pause.
const WATCH_PAUSE_MAX: Duration = Duration::from_secs(2);
/// HTTP status of a version that is too old to be watched from.
const EXPIRED: u16 = 410;
/// Without trouble for so long, the next trouble is a new one.
const WATCH_QUIET: Duration = Duration::from_secs(10);
/// Pause after a list that could not be had.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Starts workers as pods.
pub struct KubernetesBackend {
    /// Never longer than what the slot manager has asked for, which bounds itself.
    commands: mpsc::UnboundedSender<Command>,
    events: Mutex<Option<mpsc::Receiver<BackendEvent>>>,
    /// Ends the service, not the pods.
    _end: DropGuard,
}

enum Command {
    Start(WorkerSpec),
    Stop(WorkerId),
    List(oneshot::Sender<Result<Vec<BackendWorker>, ListError>>),
}

impl KubernetesBackend {
    /// A backend for the pods of one cluster. It must be made on a Tokio runtime; it asks for what there is at once.
    pub fn new(connection: Connection, settings: Settings) -> Self {
        let (commands, mailbox) = mpsc::unbounded_channel();
        let (teller, events) = mpsc::channel(EVENTS_MAX);
        let end = CancellationToken::new();
        let service = Service {
            fleet: Fleet::new(settings.requests.container_start_timeout, settings.gang()),
            requests: Arc::new(Requests::new(connection, settings)),
            untold: VecDeque::new(),
            creating: BTreeMap::new(),
            tasks: JoinSet::new(),
            watch_trouble: None,
        };
        tokio::spawn(service.run(mailbox, teller, end.clone()));
        Self { commands, events: Mutex::new(Some(events)), _end: end.drop_guard() }
    }

    fn command(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("the kubernetes backend has ended");
        }
    }
}

impl Backend for KubernetesBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn abilities(&self) -> Abilities {
        Abilities { starts: true, workers_max: None }
    }

    fn start_worker(&self, spec: WorkerSpec) {
        self.command(Command::Start(spec));
    }

    fn stop_worker(&self, worker: &WorkerId) {
        self.command(Command::Stop(worker.clone()));
    }

    fn events(&self) -> Option<mpsc::Receiver<BackendEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BackendWorker>, ListError>> {
        let (answer, listed) = oneshot::channel();
        self.command(Command::List(answer));
        Box::pin(async move {
            let ended = |_| Err(ListError { backend: NAME, message: "the backend has ended".into() });
            listed.await.unwrap_or_else(ended)
        })
    }
}

/// What the tasks of the service bring back.
enum Brought {
    Input(Input),
    Listed(Result<Vec<Facts>, ApiError>, oneshot::Sender<Result<Vec<BackendWorker>, ListError>>),
}

struct Service {
    fleet: Fleet,
    requests: Arc<Requests>,
    /// Events that there is no room for yet.
    untold: VecDeque<BackendEvent>,
    /// Requests to create that can be called off.
    creating: BTreeMap<WorkerId, CancellationToken>,
    tasks: JoinSet<Option<Brought>>,
    /// Why pods are not watched.
    watch_trouble: Option<String>,
}

impl Service {
    async fn run(
        mut self,
        mut mailbox: mpsc::UnboundedReceiver<Command>,
        teller: mpsc::Sender<BackendEvent>,
        end: CancellationToken,
    ) {
        let (progress, mut told) = mpsc::channel(RESULTS_MAX);
        let lasts = u32::try_from(WATCH_LASTS.as_secs()).unwrap_or(u32::MAX);
        let config = watcher::Config::default().labels(&self.requests.selector()).timeout(lasts);
        let watch = watcher(self.requests.watched_pods(), config).backoff(WatchPause::default());
        let mut watch = std::pin::pin!(watch);
        self.find_owner();
        loop {
            let tick = self.fleet.next_tick();
            tokio::select! {
                () = end.cancelled() => return,
                command = mailbox.recv() => match command {
                    Some(command) => self.command(command, &progress),
                    None => return,
                },
                event = watch.next() => match event {
                    Some(event) => self.watched(event, &progress),
                    None => return tracing::error!("the watch for pods has ended"),
                },
                Some(input) = told.recv() => self.handle(input, &progress),
                Some(brought) = self.tasks.join_next() => match brought {
                    Ok(Some(brought)) => self.brought(brought, &progress),
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "a request has crashed"),
                },
                permit = teller.reserve(), if !self.untold.is_empty() => match permit {
                    Ok(permit) => {
                        if let Some(event) = self.untold.pop_front() {
                            permit.send(event);
                        }
                    }
                    Err(_) => return tracing::debug!("nobody reads the events of the kubernetes backend any more"),
                },
                () = sleep_until(tick) => self.handle(Input::Tick, &progress),
            }
        }
    }

    /// Looks for the owner before the first pod is wanted.
    fn find_owner(&mut self) {
        let requests = self.requests.clone();
        self.tasks.spawn(async move {
            match requests.owner().await {
                Ok(Some(owner)) => {
                    tracing::info!(kind = owner.kind, name = owner.name, "TaskManager pods belong to it")
                }
                Ok(None) => {
                    tracing::warn!("nothing in the namespace keeps this JobManager: its pods stay when it is gone")
                }
                Err(error) => tracing::warn!(%error, "whom pods belong to is not known yet"),
            }
            None
        });
    }

    fn command(&mut self, command: Command, progress: &mpsc::Sender<Input>) {
        match command {
            Command::Start(spec) => self.handle(Input::Start(spec), progress),
            Command::Stop(worker) => self.handle(Input::Stop(worker), progress),
            Command::List(answer) => {
                let requests = self.requests.clone();
                self.tasks.spawn(async move { Some(Brought::Listed(requests.list().await, answer)) });
            }
        }
    }

    fn brought(&mut self, brought: Brought, progress: &mpsc::Sender<Input>) {
        match brought {
            Brought::Input(input) => {
                if let Input::Created { worker, .. } = &input {
                    self.creating.remove(worker);
                }
                self.handle(input, progress);
            }
            Brought::Listed(pods, answer) => {
                let workers = pods.map(|pods| {
                    self.handle(Input::Listed(pods), progress);
                    self.fleet.workers().into_iter().map(|spec| BackendWorker { spec }).collect()
                });
                let workers = workers.map_err(|error| ListError { backend: NAME, message: error.to_string() });
                // Whoever asked may have gone meanwhile: no matter.
                let _ = answer.send(workers);
            }
        }
    }

    fn watched(&mut self, event: watcher::Result<watcher::Event<ObservedPod>>, progress: &mpsc::Sender<Input>) {
        let facts = |pod: &ObservedPod| {
            let facts = Facts::of(pod);
            if facts.is_none() {
                tracing::warn!(
                    pod = pod.name(),
                    "a pod has the labels of a TaskManager and no worker in its annotations"
                );
            }
            facts
        };
        let input = match event {
            Ok(watcher::Event::Init) => Some(Input::RelistBegan),
            Ok(watcher::Event::InitApply(pod) | watcher::Event::Apply(pod)) => facts(&pod).map(Input::Seen),
            Ok(watcher::Event::Delete(pod)) => facts(&pod).map(Input::Removed),
            Ok(watcher::Event::InitDone) => Some(Input::RelistEnded),
            Err(watcher::Error::WatchError(status)) if status.code == EXPIRED => {
                return tracing::info!("the watch for pods has expired: all are listed anew");
            }
            Err(error) => return self.watch_failed(watch_error(error)),
        };
        if !matches!(input, Some(Input::RelistBegan)) && self.watch_trouble.take().is_some() {
            tracing::info!("pods are watched again");
        }
        if let Some(input) = input {
            self.handle(input, progress);
        }
    }

    /// Says so once for each kind of trouble.
    fn watch_failed(&mut self, trouble: String) {
        if self.watch_trouble.as_ref() != Some(&trouble) {
            tracing::warn!(error = trouble, "pods are not watched; it is tried again");
            self.watch_trouble = Some(trouble);
        }
    }

    fn handle(&mut self, input: Input, progress: &mpsc::Sender<Input>) {
        for action in self.fleet.handle(Instant::now(), input) {
            self.carry_out(action, progress);
        }
    }

    fn carry_out(&mut self, action: Action, progress: &mpsc::Sender<Input>) {
        let requests = self.requests.clone();
        match action {
            Action::Create { spec, group } => {
                let (call_off, progress) = (CancellationToken::new(), progress.clone());
                self.creating.insert(spec.worker.clone(), call_off.clone());
                self.tasks.spawn(async move {
                    let end = requests.create(&spec, group.as_ref(), &call_off, &progress).await;
                    if let CreateEnd::Failed(error) = &end {
                        tracing::warn!(worker = %spec.worker, %error, "no pod was created");
                    }
                    Some(Brought::Input(Input::Created { worker: spec.worker, end }))
                });
            }
            Action::CallOff(worker) => {
                if let Some(call_off) = self.creating.get(&worker) {
                    call_off.cancel();
                }
            }
            Action::Delete { worker, name, uid } => {
                self.tasks.spawn(async move {
                    let heard = requests.delete(&worker, &name, &uid).await;
                    Some(Brought::Input(Input::Deleted { worker, heard }))
                });
            }
            Action::Look => {
                self.tasks.spawn(async move {
                    loop {
                        match requests.list().await {
                            Ok(pods) => {
                                let uids = pods.into_iter().map(|facts| facts.uid).collect();
                                return Some(Brought::Input(Input::Looked(uids)));
                            }
                            Err(error) => tracing::debug!(%error, "which pods there are is not known yet"),
                        }
                        tokio::time::sleep(LOOK_AGAIN).await;
                    }
                });
            }
            Action::Tell(event) => self.untold.push_back(event),
        }
    }
}

/// What went wrong with the watch, in our words.
fn watch_error(error: watcher::Error) -> String {
    let said = |verb, error: &kube::Error| ApiError::new(verb, "pods", error).to_string();
    match error {
        watcher::Error::InitialListFailed(error) => said("list", &error),
        watcher::Error::WatchError(status) => said("watch", &kube::Error::Api(status)),
        watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => said("watch", &error),
        watcher::Error::NoResourceVersion => "cannot watch pods: the API server gives no resource version".into(),
    }
}

/// Pauses between tries to watch. Short: everything that is known of pods comes by the watch. They begin anew when there
/// was no trouble for long; that a list was begun says nothing yet.
#[derive(Debug, Default)]
struct WatchPause {
    latest: Option<(Instant, Duration)>,
}

impl Iterator for WatchPause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let pause = match self.latest {
            Some((at, pause)) if now.duration_since(at) < WATCH_QUIET => (pause * 2).min(WATCH_PAUSE_MAX),
            Some(_) | None => WATCH_PAUSE_FIRST,
        };
        self.latest = Some((now, pause));
        Some(pause)
    }
}

impl Backoff for WatchPause {
    fn reset(&mut self) {}
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
