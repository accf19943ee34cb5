//! What is asked of the API server: each with a turn, a time limit, and more tries while that may help.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use flott_core::id::WorkerId;
use flott_resource_manager::WorkerSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::Request,
};
use tokio::sync::{OnceCell, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    client::Connection,
    error::{ApiError, Failure},
    fleet::{CreateEnd, Facts, Group, Input},
    labels::{self, Component},
    observed::ObservedPod,
    owner, pod, pod_group,
    settings::Settings,
};

/// Pause before the second try; doubles.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Pods in one answer to a list.
const PAGE: u32 = 250;

/// Makes requests about the pods of one cluster.
pub(crate) struct Requests {
    connection: Connection,
    settings: Settings,
    owner: OnceCell<Option<OwnerReference>>,
    /// Whether Volcano has been told of the gang.
    pod_group: OnceCell<()>,
    permits: Semaphore,
    pace: Mutex<crate::pace::Pace>,
}

impl Requests {
    pub(crate) fn new(connection: Connection, settings: Settings) -> Self {
        let requests = &settings.requests;
        Self {
            owner: OnceCell::new(),
            pod_group: OnceCell::new(),
            permits: Semaphore::new(requests.in_flight_max),
            pace: Mutex::new(crate::pace::Pace::per_second(requests.per_second)),
            connection,
            settings,
        }
    }

    pub(crate) fn pods(&self) -> Api<ObservedPod> {
        Api::namespaced(self.connection.client.clone(), &self.connection.namespace)
    }

    /// The same for whoever watches them.
    pub(crate) fn watched_pods(&self) -> Api<ObservedPod> {
        Api::namespaced(self.connection.watching.clone(), &self.connection.namespace)
    }

    pub(crate) fn selector(&self) -> String {
        labels::selector(&self.settings.cluster, Component::TaskManager)
    }

    /// Creates a worker's pod; says on `progress` that it is tried again.
    pub(crate) async fn create(
        &self,
        worker: &WorkerSpec,
        group: Option<&Group>,
        call_off: &CancellationToken,
        progress: &mpsc::Sender<Input>,
    ) -> CreateEnd {
        let mut tries = Tries::new(self.settings.requests.retry_timeout);
        let mut latest: Option<ApiError> = None;
        loop {
            let turn = tokio::select! {
                biased;
                () = call_off.cancelled() => None,
                turn = self.turn() => turn,
            };
            let Some(turn) = turn else {
                return latest.map_or(CreateEnd::NotSent, CreateEnd::Failed);
            };
            let result = self.create_once(worker, group).await;
            drop(turn);
            let error = match result {
                Ok((name, uid)) => return CreateEnd::Created { name, uid },
                Err(error) => error,
            };
            let Some(pause) = tries.pause(&error) else { return CreateEnd::Failed(error) };
            tracing::debug!(worker = %worker.worker, %error, "creating a pod is tried again");
            // A service that is gone needs no telling.
            let _ = progress.send(Input::CreateFails { worker: worker.worker.clone(), error: error.clone() }).await;
            latest = Some(error);
            tokio::select! {
                () = call_off.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Deletes that very pod. `false` when it was given up.
    pub(crate) async fn delete(&self, worker: &WorkerId, name: &str, uid: &str) -> bool {
        let mut tries = Tries::new(self.settings.requests.retry_timeout);
        loop {
            let Some(turn) = self.turn().await else { return false };
            let result = self.delete_once(name, uid).await;
            drop(turn);
            let Err(error) = result else { return true };
            let Some(pause) = tries.pause(&error) else {
                tracing::error!(%worker, %error, "a pod is left behind");
                return false;
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Everything that there is.
    pub(crate) async fn list(&self) -> Result<Vec<Facts>, ApiError> {
        let (pods, selector) = (self.pods(), self.selector());
        let mut found = Vec::new();
        let mut parameters = ListParams::default().labels(&selector).limit(PAGE);
        loop {
            let page = self.timely("list", "pods", pods.list(&parameters)).await?;
            found.extend(page.items.iter().filter_map(Facts::of));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// Whom pods belong to; asked once.
    pub(crate) async fn owner(&self) -> Result<Option<&OwnerReference>, ApiError> {
        let find = || async {
            let found = owner::find(&self.connection, &self.settings.cluster, self.settings.own_pod.as_deref());
            let limit = self.settings.requests.timeout;
            let late = |_| ApiError::late("get", "deployments", limit);
            tokio::time::timeout(limit, found).await.map_err(late).flatten()
        };
        Ok(self.owner.get_or_try_init(find).await?.as_ref())
    }

    async fn create_once(&self, worker: &WorkerSpec, group: Option<&Group>) -> Result<(String, String), ApiError> {
        let owner = self.owner().await?;
        if self.settings.pods.queue.has_pod_group() {
            self.pod_group.get_or_try_init(|| self.apply_pod_group(owner, worker)).await?;
        }
        let pod = pod::taskmanager(&self.settings.cluster, &self.settings.pods, owner, worker, group);
        let name = pod.metadata.name.clone().unwrap_or_default();
        let internal = |error: &dyn std::fmt::Display| ApiError {
            verb: "create",
            resource: "pods".into(),
            failure: Failure::Other(error.to_string()),
        };
        let body = serde_json::to_vec(&pod).map_err(|error| internal(&error))?;
        let path = format!("/api/v1/namespaces/{}/pods", self.connection.namespace);
        let parameters = PostParams { field_manager: Some("flott".into()), ..PostParams::default() };
        let mut request = Request::new(path).create(&parameters, body).map_err(|error| internal(&error))?;
        request.extensions_mut().insert("create");
        let answer = self.timely("create", "pods", self.connection.client.request::<ObservedPod>(request)).await;
        match answer {
            Ok(pod) => Ok((name, pod.metadata.uid.unwrap_or_default())),
            Err(ApiError { failure: Failure::Conflict(message), .. }) => self.existing(worker, name, message).await,
            Err(error) => Err(error),
        }
    }

    /// Tells Volcano how many pods are let in together.
    async fn apply_pod_group(&self, owner: Option<&OwnerReference>, worker: &WorkerSpec) -> Result<(), ApiError> {
        let group = pod_group::of(&self.settings.cluster, &self.settings.pods, owner, worker);
        let (name, resource) = (self.settings.cluster.pod_group(), pod_group::resource());
        let groups: Api<DynamicObject> =
            Api::namespaced_with(self.connection.client.clone(), &self.connection.namespace, &resource);
        // An earlier JobManager may have made it, of another size.
        let parameters = PatchParams::apply("flott").force();
        let group = Patch::Apply(&group);
        let applied = groups.patch(&name, &parameters, &group);
        match self.timely("create", &format!("podgroups.{} {name:?}", pod_group::GROUP), applied).await {
            Ok(_) => Ok(()),
            Err(ApiError { failure: Failure::NotFound(message), verb, resource }) => {
                Err(ApiError { failure: Failure::Invalid(pod_group::missing(&message)), verb, resource })
            }
            Err(error) => Err(error),
        }
    }

    /// There is a pod of that name: an earlier try may have made it.
    async fn existing(&self, worker: &WorkerSpec, name: String, message: String) -> Result<(String, String), ApiError> {
        let resource = format!("pods {name:?}");
        let (pods, found) = (self.pods(), |failure| ApiError { verb: "create", resource: "pods".into(), failure });
        let Some(pod) = self.timely("get", &resource, pods.get_opt(&name)).await? else {
            // It has just gone.
            return Err(found(Failure::Busy(message)));
        };
        let instance = pod.metadata.labels.as_ref().and_then(|labels| labels.get(labels::INSTANCE));
        let is_ours = instance.is_some_and(|instance| instance == self.settings.cluster.as_str());
        match Facts::of(&pod).filter(|facts| is_ours && facts.spec.worker == worker.worker) {
            Some(facts) if facts.is_being_deleted => Err(found(Failure::Busy(format!("{message}, and is ending")))),
            Some(facts) => Ok((name, facts.uid)),
            None => Err(found(Failure::Conflict(format!(
                "{message}, and is no TaskManager of cluster {}: remove it, or choose another kubernetes.cluster-id",
                self.settings.cluster
            )))),
        }
    }

    async fn delete_once(&self, name: &str, uid: &str) -> Result<(), ApiError> {
        let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
        let parameters = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let resource = format!("pods {name:?}");
        let pods = self.pods();
        match self.timely("delete", &resource, pods.delete(name, &parameters)).await {
            Ok(_) => Ok(()),
            // It has gone, or there is another one of that name.
            Err(ApiError { failure: Failure::NotFound(_) | Failure::Conflict(_), .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits for a turn; `None` when there will be none any more.
    async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let permit = self.permits.acquire().await.ok()?;
        let wait = self.pace.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Some(permit)
    }

    async fn timely<T>(
        &self,
        verb: &'static str,
        resource: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, ApiError> {
        let limit = self.settings.requests.timeout;
        match tokio::time::timeout(limit, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(ApiError::new(verb, resource, &error)),
            Err(_) => Err(ApiError::late(verb, resource, limit)),
        }
    }
}

/// Tries of one request.
struct Tries {
    until: Instant,
    pause: Duration,
}

impl Tries {
    fn new(bound: Duration) -> Self {
        Self { until: Instant::now() + bound, pause: PAUSE_FIRST }
    }

    /// How long to wait before the next try, if there is one.
    fn pause(&mut self, error: &ApiError) -> Option<Duration> {
        if !error.is_passing() || Instant::now() + self.pause > self.until {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }
}
