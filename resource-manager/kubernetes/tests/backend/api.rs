//! An API server in memory: pods and Deployments of one namespace, with watches, conflicts, quotas, gaps and outages, and a
//! node that plays every pod the moment it is created.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use flott_kubernetes::Connection;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The one namespace.
pub const NAMESPACE: &str = "test";

/// The server; clones share it. It ends with the test's runtime.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
}

struct Shared {
    cluster: Mutex<Cluster>,
    /// Grows with every change that streams should look at.
    changed: watch::Sender<u64>,
    /// Whether requests to create wait.
    held: watch::Sender<bool>,
    /// Requests to create that are under way, and the most that were.
    creating: AtomicUsize,
    creating_max: AtomicUsize,
}

/// What the node does with a new pod.
type Play = Box<dyn Fn(&mut Value) + Send>;

struct Cluster {
    version: u64,
    pods: BTreeMap<String, Value>,
    /// What happened, by version.
    history: Vec<(u64, &'static str, Value)>,
    /// Versions before this are forgotten.
    oldest: u64,
    /// Streams that began in an earlier epoch end.
    epoch: u64,
    deployment: Option<Value>,
    quota: Option<usize>,
    play: Play,
    /// Answers instead of what would be done, by verb.
    refusals: BTreeMap<&'static str, (u16, String)>,
    /// Whether a request to create is carried out and then not answered.
    loses_answers: bool,
    counts: BTreeMap<&'static str, u32>,
}

impl Api {
    pub async fn start() -> Self {
        let cluster = Cluster {
            version: 1,
            pods: BTreeMap::new(),
            history: Vec::new(),
            oldest: 0,
            epoch: 0,
            deployment: None,
            quota: None,
            play: Box::new(by_name),
            refusals: BTreeMap::new(),
            loses_answers: false,
            counts: BTreeMap::new(),
        };
        let shared = Arc::new(Shared {
            cluster: Mutex::new(cluster),
            changed: watch::Sender::new(0),
            held: watch::Sender::new(false),
            creating: AtomicUsize::new(0),
            creating_max: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let pods = "/api/v1/namespaces/{namespace}/pods";
        let router = Router::new()
            .route(pods, get(list_or_watch).post(create))
            .route(&format!("{pods}/{{name}}"), get(read).delete(delete))
            .route("/apis/apps/v1/namespaces/{namespace}/deployments/{name}", get(deployment))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, address }
    }

    pub fn connection(&self) -> Connection {
        let server = format!("http://{}", self.address);
        let mut config = kube::Config::new(server.parse().expect("an address"));
        config.default_retry = false;
        let client = kube::Client::try_from(config).expect("a client");
        Connection { watching: client.clone(), client, namespace: NAMESPACE.into(), server }
    }

    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.shared.cluster.lock().expect("no test panics within")
    }

    fn changed(&self) {
        self.shared.changed.send_modify(|changes| *changes += 1);
    }

    /// How often a verb was asked for.
    pub fn count(&self, verb: &str) -> u32 {
        self.cluster().counts.get(verb).copied().unwrap_or(0)
    }

    pub fn pods(&self) -> Vec<Value> {
        self.cluster().pods.values().cloned().collect()
    }

    /// From now on the node does this with new pods.
    pub fn play(&self, play: impl Fn(&mut Value) + Send + 'static) {
        self.cluster().play = Box::new(play);
    }

    pub fn set_deployment(&self, name: &str, uid: &str) {
        self.cluster().deployment = Some(json!({"metadata": {"name": name, "uid": uid}}));
    }

    pub fn set_quota(&self, pods: Option<usize>) {
        self.cluster().quota = pods;
    }

    /// From now on a verb is answered so.
    pub fn refuse(&self, verb: &'static str, code: u16, message: &str) {
        self.cluster().refusals.insert(verb, (code, message.into()));
    }

    pub fn allow(&self, verb: &'static str) {
        self.cluster().refusals.remove(verb);
    }

    /// Has requests to create wait, until they are not to.
    pub fn hold(&self, holds: bool) {
        self.shared.held.send_replace(holds);
    }

    /// How many requests to create are under way.
    pub fn creating(&self) -> usize {
        self.shared.creating.load(Ordering::SeqCst)
    }

    /// How many there were at most.
    pub fn creating_max(&self) -> usize {
        self.shared.creating_max.load(Ordering::SeqCst)
    }

    pub fn lose_answers(&self, loses: bool) {
        self.cluster().loses_answers = loses;
    }

    /// Changes the pod of that name, or the only one.
    pub fn change(&self, name: Option<&str>, change: impl FnOnce(&mut Value)) {
        let mut cluster = self.cluster();
        let name = match name {
            Some(name) => name.to_owned(),
            None => cluster.pods.keys().next().expect("a pod").clone(),
        };
        let mut pod = cluster.pods[&name].clone();
        change(&mut pod);
        cluster.put("MODIFIED", name, pod);
        drop(cluster);
        self.changed();
    }

    /// Puts a pod there that nobody here has asked for.
    pub fn put(&self, pod: Value) {
        let name = pod["metadata"]["name"].as_str().expect("a name").to_owned();
        self.cluster().put("ADDED", name, pod);
        self.changed();
    }

    /// Takes the only pod away, without a word of its node.
    pub fn remove(&self) {
        let mut cluster = self.cluster();
        let name = cluster.pods.keys().next().expect("a pod").clone();
        let pod = cluster.pods[&name].clone();
        cluster.remove(&name, pod);
        drop(cluster);
        self.changed();
    }

    /// Ends all streams.
    pub fn disconnect(&self) {
        self.cluster().epoch += 1;
        self.changed();
    }

    /// Ends all streams and forgets what happened: those that come back find that they have missed something.
    pub fn forget(&self) {
        let mut cluster = self.cluster();
        cluster.epoch += 1;
        cluster.version += 10;
        cluster.oldest = cluster.version;
        cluster.history.clear();
        drop(cluster);
        self.changed();
    }
}

impl Cluster {
    fn put(&mut self, kind: &'static str, name: String, mut pod: Value) {
        self.version += 1;
        pod["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.history.push((self.version, kind, pod.clone()));
        self.pods.insert(name, pod);
    }

    fn remove(&mut self, name: &str, mut pod: Value) {
        self.version += 1;
        pod["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.pods.remove(name);
        self.history.push((self.version, "DELETED", pod));
    }

    /// Counts a request; says what it is answered with if it is refused.
    fn refusal(&mut self, verb: &'static str) -> Option<Response> {
        *self.counts.entry(verb).or_default() += 1;
        self.refusals.get(verb).map(|(code, message)| failure(*code, "", message))
    }
}

/// Workers named `broken…` end with code 7, those named `missing…` have no image, others run.
pub fn by_name(pod: &mut Value) {
    let spec: Value =
        serde_json::from_str(pod["metadata"]["annotations"]["flott.dev/worker-spec"].as_str().unwrap_or("null"))
            .expect("JSON");
    let worker = spec["worker"].as_str().unwrap_or_default().to_owned();
    pod["spec"]["nodeName"] = "node-0".into();
    if worker.starts_with("missing") {
        waiting(pod, "ErrImagePull", "no such image");
    } else {
        running(pod);
    }
}

pub fn running(pod: &mut Value) {
    pod["status"] = json!({"phase": "Running", "containerStatuses": [
        {"name": "flott", "image": "x", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]});
}

pub fn waiting(pod: &mut Value, reason: &str, message: &str) {
    pod["status"] = json!({"phase": "Pending", "containerStatuses": [
        {"name": "flott", "image": "x", "state": {"waiting": {"reason": reason, "message": message}}}]});
}

pub fn ended(pod: &mut Value, code: i32, reason: &str) {
    pod["status"] = json!({"phase": "Failed", "containerStatuses": [
        {"name": "flott", "image": "x", "state": {"terminated": {"exitCode": code, "reason": reason}}}]});
}

fn failure(code: u16, reason: &str, message: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message});
    (StatusCode::from_u16(code).expect("a code"), Json(status)).into_response()
}

type Server = State<Arc<Shared>>;

async fn create(State(shared): Server, Json(pod): Json<Value>) -> Response {
    let now = shared.creating.fetch_add(1, Ordering::SeqCst) + 1;
    shared.creating_max.fetch_max(now, Ordering::SeqCst);
    // It is there for as long as the test.
    let _ = shared.held.subscribe().wait_for(|held| !held).await;
    let answer = create_now(&shared, pod);
    shared.creating.fetch_sub(1, Ordering::SeqCst);
    answer
}

fn create_now(shared: &Shared, mut pod: Value) -> Response {
    let answer = {
        let mut cluster = shared.cluster.lock().expect("no test panics within");
        if let Some(refusal) = cluster.refusal("create") {
            return refusal;
        }
        let name = pod["metadata"]["name"].as_str().expect("a name").to_owned();
        if cluster.pods.contains_key(&name) {
            return failure(409, "AlreadyExists", &format!("pods \"{name}\" already exists"));
        }
        if cluster.quota.is_some_and(|quota| cluster.pods.len() >= quota) {
            let message =
                format!("pods \"{name}\" is forbidden: exceeded quota: small, requested: pods=1, limited: pods=1");
            return failure(403, "Forbidden", &message);
        }
        let uid = format!("uid-{}", cluster.version);
        pod["metadata"]["uid"] = uid.into();
        pod["status"] = json!({"phase": "Pending"});
        let answer = pod.clone();
        cluster.put("ADDED", name.clone(), pod.clone());
        (cluster.play)(&mut pod);
        cluster.put("MODIFIED", name.clone(), pod.clone());
        if pod["status"]["phase"] == "Running"
            && pod["metadata"]["annotations"]["flott.dev/worker-spec"]
                .as_str()
                .is_some_and(|spec| spec.contains("broken"))
        {
            ended(&mut pod, 7, "Error");
            cluster.put("MODIFIED", name, pod);
        }
        if cluster.loses_answers { Err(()) } else { Ok(answer) }
    };
    shared.changed.send_modify(|changes| *changes += 1);
    match answer {
        Ok(answer) => (StatusCode::CREATED, Json(answer)).into_response(),
        Err(()) => failure(504, "Timeout", "the answer is lost"),
    }
}

async fn read(State(shared): Server, Path((_, name)): Path<(String, String)>) -> Response {
    let mut cluster = shared.cluster.lock().expect("no test panics within");
    if let Some(refusal) = cluster.refusal("get") {
        return refusal;
    }
    match cluster.pods.get(&name) {
        Some(pod) => Json(pod.clone()).into_response(),
        None => failure(404, "NotFound", &format!("pods \"{name}\" not found")),
    }
}

async fn delete(State(shared): Server, Path((_, name)): Path<(String, String)>, body: Bytes) -> Response {
    {
        let mut cluster = shared.cluster.lock().expect("no test panics within");
        if let Some(refusal) = cluster.refusal("delete") {
            return refusal;
        }
        let Some(mut pod) = cluster.pods.get(&name).cloned() else {
            return failure(404, "NotFound", &format!("pods \"{name}\" not found"));
        };
        let options: Value = serde_json::from_slice(&body).unwrap_or_default();
        let wanted = &options["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != pod["metadata"]["uid"] {
            return failure(409, "Conflict", "the uid in the precondition is another one");
        }
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        cluster.put("MODIFIED", name.clone(), pod.clone());
        ended(&mut pod, 0, "Completed");
        cluster.put("MODIFIED", name.clone(), pod.clone());
        cluster.remove(&name, pod);
    }
    shared.changed.send_modify(|changes| *changes += 1);
    Json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})).into_response()
}

async fn deployment(State(shared): Server, Path((_, name)): Path<(String, String)>) -> Response {
    let mut cluster = shared.cluster.lock().expect("no test panics within");
    if let Some(refusal) = cluster.refusal("get deployments") {
        return refusal;
    }
    match cluster.deployment.as_ref().filter(|deployment| deployment["metadata"]["name"] == name.as_str()) {
        Some(deployment) => Json(deployment.clone()).into_response(),
        None => failure(404, "NotFound", &format!("deployments.apps \"{name}\" not found")),
    }
}

async fn list_or_watch(State(shared): Server, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let selector = query.get("labelSelector").cloned().unwrap_or_default();
    if query.get("watch").is_some_and(|watch| watch == "true") {
        let since = query.get("resourceVersion").and_then(|version| version.parse().ok()).unwrap_or(0);
        return stream(shared, since, selector);
    }
    let mut cluster = shared.cluster.lock().expect("no test panics within");
    if let Some(refusal) = cluster.refusal("list") {
        return refusal;
    }
    let items: Vec<_> = cluster.pods.values().filter(|pod| is_selected(pod, &selector)).cloned().collect();
    let version = cluster.version.to_string();
    Json(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": version}, "items": items}))
        .into_response()
}

fn is_selected(pod: &Value, selector: &str) -> bool {
    let mut terms = selector.split(',').filter(|term| !term.is_empty());
    terms.all(|term| term.split_once('=').is_some_and(|(key, value)| pod["metadata"]["labels"][key] == value))
}

fn stream(shared: Arc<Shared>, since: u64, selector: String) -> Response {
    let epoch = {
        let mut cluster = shared.cluster.lock().expect("no test panics within");
        if let Some(refusal) = cluster.refusal("watch") {
            return refusal;
        }
        cluster.epoch
    };
    let changes = shared.changed.subscribe();
    let events = futures::stream::unfold(Some((shared, since, changes)), move |state| {
        let selector = selector.clone();
        async move {
            let (shared, since, mut changes) = state?;
            loop {
                changes.borrow_and_update();
                {
                    let cluster = shared.cluster.lock().expect("no test panics within");
                    if cluster.epoch != epoch {
                        return None;
                    }
                    if since < cluster.oldest {
                        let gone = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                            "status": "Failure", "code": 410, "reason": "Expired", "message": "too old resource version"}});
                        return Some((Ok::<_, std::io::Error>(format!("{gone}\n")), None));
                    }
                    let news = cluster.history.iter().filter(|(version, ..)| *version > since);
                    let lines: String = news
                        .filter(|(.., pod)| is_selected(pod, &selector))
                        .map(|(_, kind, pod)| format!("{}\n", json!({"type": kind, "object": pod})))
                        .collect();
                    if !lines.is_empty() {
                        let version = cluster.version;
                        drop(cluster);
                        return Some((Ok(lines), Some((shared, version, changes))));
                    }
                }
                changes.changed().await.ok()?;
            }
        }
    });
    Body::from_stream(events).into_response()
}
