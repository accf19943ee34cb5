//! A thousand pods against a real API server: `cargo bench -p flott-kubernetes --bench pods [-- PODS]`. A JSON line.
//!
//! The ResourceManager is asked for so many slots, has the backend ask for pods, is told that they run, has them register,
//! and releases them. The scheduler is the real one; the node is played by another process, which says of every pod that it
//! runs, so that only the control plane is measured. The workers are played by this one.
//!
//! The arithmetic: a pod is one request to create and one to delete, and some five events of the watch of 4 KB each, of
//! which the backend keeps the name, the shape and the state: less than 1 KB.

mod node;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use flott_core::{
    config::Loader,
    failure::Failure,
    id::{InstanceId, JobId, JobMasterEpoch, LeaderEpoch, WorkerId, WorkerKey},
    message::{FromWorker, Registration, ToWorker},
    resource::ResourceProfile,
    view::PendingReason,
};
use flott_kubernetes::{Connection, KubernetesBackend, Place, Settings};
use flott_kubernetes_lab::{Cluster, Options, Toolchain};
use flott_resource_manager::{
    Backend, BackendEvent, ConnectionNumber, Declaration, ResourceListener, ResourceManagerHandle,
    ResourceManagerService, WorkerPort, WorkerShape, WorkerSpec,
    backend::{Abilities, BackendWorker, BoxFuture, ListError},
};
use kube::{Client, Config, client::ClientBuilder, config::KubeConfigOptions};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const SHAPE: WorkerShape = WorkerShape { slots: 1, memory: 64 << 20, cpu_millicores: 10 };

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [role, kubeconfig] if role == "node" => node::play(kubeconfig).await,
        [] => measure(1000).await,
        [pods] => measure(pods.parse().context("how many pods?")?).await,
        _ => anyhow::bail!("usage: pods [PODS]"),
    }
}

/// A child that ends with this.
struct Node(std::process::Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it has ended already, or ends now
        let _ = self.0.wait();
    }
}

async fn measure(pods: u32) -> anyhow::Result<()> {
    let mut options = Options::nodes(0);
    options.node_grace = Duration::from_secs(3600);
    let cluster = Cluster::start(&Toolchain::find()?, options)?;
    let kubeconfig = cluster.kubeconfig();
    node::register(&cluster)?;
    let node = Command::new(std::env::current_exe()?).arg("node").arg(&kubeconfig).spawn()?;
    let node = Node(node);

    let counts = Arc::new(Counts::default());
    let kubeconfig = kube::config::Kubeconfig::read_from(&kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.default_retry = false;
    let client = ClientBuilder::try_from(config)?.with_layer(&Counting(counts.clone())).build();
    let before = resident("VmRSS")?;
    let figures = run(client, pods, &counts).await?;
    let peak = resident("VmHWM")?;
    println!(
        "{{\"pods\": {pods}, {figures}, {}, \"resident_mib_before\": {:.1}, \"resident_mib_peak\": {:.1}}}",
        counts.shown(),
        before,
        peak
    );
    // Before the cluster, lest it complain.
    drop(node);
    drop(cluster);
    Ok(())
}

async fn run(client: Client, pods: u32, counts: &Counts) -> anyhow::Result<String> {
    let keys = ["kubernetes.cluster-id=many", "kubernetes.container.image.ref=x", "kubernetes.request.rate=200"];
    let config = Loader::new().overrides(keys).load()?.config;
    let settings = Settings::read(&config, Place { address: "jobmanager:8081".into(), pod: None })?;
    let connection =
        Connection { watching: client.clone(), client, namespace: "default".into(), server: String::new() };
    let (seen, mut running) = mpsc::unbounded_channel();
    let backend = Arc::new(Seen { backend: KubernetesBackend::new(connection, settings), seen: seen.clone() });

    let mut options = flott_resource_manager::Options::new(LeaderEpoch(1), "jobmanager:8081");
    options.slot_manager.worker = SHAPE;
    options.slot_manager.idle_timeout = Duration::from_millis(100);
    options.slot_manager.heartbeat_timeout = Duration::from_secs(3600);
    let (told, mut messages) = mpsc::unbounded_channel();
    let world = Arc::new(Workers { told });
    let (service, handle) = ResourceManagerService::new(options, backend, world.clone(), world)?;
    let end = CancellationToken::new();
    tokio::spawn(service.run(end.clone()));
    // A demand shall find a JobManager that is up: what there is has been listed, the watch runs, and the owner was looked for.
    handle.overview().await?;
    tokio::time::timeout(Duration::from_secs(60), async {
        while counts.get.load(Ordering::Relaxed) < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .context("the backend does not get ready")?;

    let job = JobId::from_bytes([1; 16]);
    let demanded = Instant::now();
    let needs = BTreeMap::from([(ResourceProfile::ANY, pods)]);
    handle.declare(Declaration::new(job, JobMasterEpoch(1), needs));
    let answers = handle.clone();
    tokio::spawn(async move {
        while let Some((worker, message)) = messages.recv().await {
            if let ToWorker::AllocateSlot(grant) = message {
                let _ = answers.from_worker(worker, FromWorker::SlotAllocated(grant.allocation)).await;
            }
        }
    });
    let mut registered = 0;
    let mut gone = 0;
    while registered < pods {
        match next(&mut running).await? {
            Some(worker) => {
                registered += 1;
                register(&handle, worker, registered).await?;
            }
            None => gone += 1,
        }
    }
    ensure!(gone == 0, "{gone} pods were lost");
    let up = demanded.elapsed();
    let first = counts.first_create().context("no pod was asked for")?.duration_since(demanded);
    let released = Instant::now();
    handle.withdraw(job, JobMasterEpoch(1));
    while gone < pods {
        if next(&mut running).await?.is_none() {
            gone += 1;
        }
    }
    let down = released.elapsed();
    end.cancel();
    Ok(format!(
        "\"demand_to_create_ms\": {:.1}, \"up_s\": {:.2}, \"down_s\": {:.2}",
        first.as_secs_f64() * 1e3,
        up.as_secs_f64(),
        down.as_secs_f64()
    ))
}

/// A worker whose pod runs, or `None` for one that is gone.
async fn next(running: &mut mpsc::UnboundedReceiver<Option<WorkerId>>) -> anyhow::Result<Option<WorkerId>> {
    let next = tokio::time::timeout(Duration::from_secs(120), running.recv()).await;
    next.context("nothing happens any more")?.context("the backend has ended")
}

async fn register(handle: &ResourceManagerHandle, worker: WorkerId, number: u32) -> anyhow::Result<()> {
    let mut instance = [0; 16];
    instance[..4].copy_from_slice(&number.to_be_bytes());
    let registration = Registration {
        worker,
        instance: InstanceId::from_bytes(instance),
        pid: 1,
        host: "10.0.0.1".into(),
        cpu_cores: 1,
        physical_memory: 1 << 30,
        memory: SHAPE.memory,
        slots: vec![SHAPE.slot()],
        allocated: Vec::new(),
        started_at: u64::from(number),
        version: "0".into(),
    };
    Ok(handle.worker_registered(registration, ConnectionNumber(number.into())).await?)
}

/// The backend, overheard.
struct Seen {
    backend: KubernetesBackend,
    seen: mpsc::UnboundedSender<Option<WorkerId>>,
}

impl Backend for Seen {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn abilities(&self) -> Abilities {
        self.backend.abilities()
    }

    fn start_worker(&self, spec: WorkerSpec) {
        self.backend.start_worker(spec);
    }

    fn stop_worker(&self, worker: &WorkerId) {
        self.backend.stop_worker(worker);
    }

    fn events(&self) -> Option<mpsc::Receiver<BackendEvent>> {
        let mut events = self.backend.events()?;
        let (sender, receiver) = mpsc::channel(1024);
        let seen = self.seen.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let word = match &event {
                    BackendEvent::Started(worker) => Some(Some(worker.clone())),
                    BackendEvent::Lost { .. } | BackendEvent::Rejected { .. } => Some(None),
                    BackendEvent::Delayed { .. } | BackendEvent::Leaving { .. } => None,
                };
                let _ = sender.send(event).await;
                if let Some(word) = word {
                    let _ = seen.send(word);
                }
            }
        });
        Some(receiver)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BackendWorker>, ListError>> {
        self.backend.list()
    }
}

struct Workers {
    told: mpsc::UnboundedSender<(WorkerKey, ToWorker)>,
}

impl WorkerPort for Workers {
    fn send(&self, to: &WorkerKey, message: ToWorker) {
        let _ = self.told.send((to.clone(), message));
    }

    fn disconnect(&self, _: &WorkerKey, _: &str) {}
}

impl ResourceListener for Workers {
    fn pending(&self, _: JobId, _: Vec<PendingReason>) {}

    fn worker_lost(&self, _: &WorkerKey, _: &Failure) {}
}

/// Requests as they leave.
#[derive(Default)]
struct Counts {
    post: AtomicU64,
    delete: AtomicU64,
    get: AtomicU64,
    /// Requests to create and to delete that are under way, and the most that were.
    under_way: AtomicU64,
    under_way_max: AtomicU64,
    creates: Mutex<Vec<Instant>>,
}

impl Counts {
    fn creates(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.creates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first_create(&self) -> Option<Instant> {
        self.creates().first().copied()
    }

    /// The most requests to create that were sent within a second.
    fn busiest_second(&self) -> usize {
        let creates = self.creates();
        let second = Duration::from_secs(1);
        let sent = |since: Instant| creates.iter().filter(|at| **at >= since && **at < since + second).count();
        creates.iter().map(|at| sent(*at)).max().unwrap_or(0)
    }

    fn shown(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (post, delete, get) = (of(&self.post), of(&self.delete), of(&self.get));
        format!(
            "\"creates\": {post}, \"deletes\": {delete}, \"lists_watches_and_gets\": {get}, \"at_once_max\": {}, \
             \"creates_in_a_second_max\": {}",
            of(&self.under_way_max),
            self.busiest_second()
        )
    }
}

struct Counting(Arc<Counts>);

impl<S> tower::Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { counts: self.0.clone(), inner }
    }
}

#[derive(Clone)]
struct Counted<S> {
    counts: Arc<Counts>,
    inner: S,
}

impl<S, B> tower::Service<axum::http::Request<B>> for Counted<S>
where
    S: tower::Service<axum::http::Request<B>, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: axum::http::Request<B>) -> Self::Future {
        let counts = self.counts.clone();
        let count = match request.method().as_str() {
            "POST" => {
                counts.creates().push(Instant::now());
                &counts.post
            }
            "DELETE" => &counts.delete,
            _ => {
                counts.get.fetch_add(1, Ordering::Relaxed);
                return Box::pin(self.inner.call(request));
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        let now = counts.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        counts.under_way_max.fetch_max(now, Ordering::Relaxed);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            counts.under_way.fetch_sub(1, Ordering::Relaxed);
            answer
        })
    }
}

/// Memory of this process in MiB.
fn resident(which: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()).context("no such figure")?.parse()?;
    Ok(kib / 1024.0)
}
