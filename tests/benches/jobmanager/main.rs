//! The memory of a whole JobManager with a thousand pods: `cargo bench -p flott-tests --bench jobmanager [-- PODS]`, after `cargo build
//! --release -p flott-cli -p flott-tests`; with `--profile dev`, of debug builds. Two JSON lines: of pods that are requested, registered and
//! released, and of a job.
//!
//! The JobManager is a process of its own, outside of the cluster, with the Kubernetes backend; API server, scheduler and etcd are real. So
//! many TaskManagers are there to be always, until the cluster is shut down. The next JobManager has as many; then a job takes a slot of each, in which every subtask of the one vertex sends to every
//! one of the other. A node in name only says of each pod that it runs, and this process plays the
//! TaskManagers: each has a connection, registers, offers its slot, reports its tasks as running, and sends heartbeats. So the JobManager
//! does all that it does with real ones, but for checkpoints.

mod counted;
#[path = "../../../resource-manager/kubernetes/benches/pods/node.rs"]
mod node;
#[path = "../../../dispatcher/tests/jobmanager/worker.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod worker;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    path::Path,
    process::{Child, Command},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use flott_kubernetes_lab::{Cluster, Options, Toolchain};
use flott_tests::{command::Running, program::test_program, rest::Rest, sandbox::Sandbox};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config, ResourceExt,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;
use tokio::sync::mpsc;
use worker::{Tasks, Worker};

/// How long all pods may take to come, and all tasks to run.
const PATIENCE: Duration = Duration::from_secs(400);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [role, kubeconfig] if role == "node" => runtime()?.block_on(node::play(kubeconfig)),
        [] => measure(1000),
        [pods] => measure(pods.parse().context("how many pods?")?),
        _ => anyhow::bail!("usage: jobmanager [PODS]"),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// A child that ends with this.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill(); // it has ended already, or ends now
        let _ = self.0.wait();
    }
}

fn measure(pods: u32) -> anyhow::Result<()> {
    let mut options = Options::nodes(0);
    options.node_grace = Duration::from_secs(3600);
    let cluster = Cluster::start(&Toolchain::find()?, options)?;
    let kubeconfig = cluster.kubeconfig();
    node::register(&cluster)?;
    let node = Node(Command::new(std::env::current_exe()?).arg("node").arg(&kubeconfig).spawn()?);

    println!("{}", requested_and_released(pods, &kubeconfig)?);
    println!("{}", with_job(pods, &kubeconfig)?);
    // Before the cluster, lest it complain.
    drop(node);
    drop(cluster);
    Ok(())
}

/// A JobManager that wants so many TaskManagers.
fn start(sandbox: &Sandbox, pods: u32, kubeconfig: &Path) -> anyhow::Result<(Running, String)> {
    sandbox.configure(&format!(
        "cluster.backend: kubernetes\nkubernetes.config.file: {}\nkubernetes.cluster-id: many\n\
         kubernetes.container.image.ref: x\nkubernetes.request.rate: 200\ntaskmanager.numberOfTaskSlots: 1\n\
         taskmanager.memory.process.size: 64 mb\ntaskmanager.cpu.cores: 0.01\nheartbeat.timeout: 10 min\n\
         slot.request.timeout: 10 min\nslotmanager.number-of-slots.min: {pods}\nexecution.checkpointing.dir: {}",
        kubeconfig.display(),
        sandbox.at("checkpoints")
    ));
    let mut jobmanager = sandbox.start_flott(["jobmanager"]);
    jobmanager.until_printed("the JobManager listens on http://");
    let address = address(&jobmanager)?;
    Ok((jobmanager, address))
}

/// Plays the TaskManagers of pods, for as long as the runtime lives.
fn play_all(runtime: &tokio::runtime::Runtime, kubeconfig: &Path, address: &str) {
    let (told, running) = mpsc::unbounded_channel();
    let kubeconfig = kubeconfig.to_owned();
    runtime.spawn(async move {
        if let Err(error) = watch_pods(&kubeconfig, told).await {
            eprintln!("pods are not watched: {error:#}");
        }
    });
    runtime.spawn(play(address.to_owned(), running));
}

/// Waits until all are there; how long that has taken since they were asked for.
fn all_registered(address: &str, pods: u32, demanded: Instant) -> anyhow::Result<(Rest, Duration)> {
    let rest = Rest::new(address);
    until(|| rest.try_get("/overview").body["taskmanagers"] == pods)?;
    Ok((rest, demanded.elapsed()))
}

/// Requests of the whole process, and its memory, from the first pod that is asked for until none is left.
fn requested_and_released(pods: u32, kubeconfig: &Path) -> anyhow::Result<String> {
    let (sandbox, runtime) = (Sandbox::new(), runtime()?);
    let path = sandbox.at("counted.kubeconfig");
    let counts = runtime.block_on(counted::open(kubeconfig, Path::new(&path)))?;
    let (mut jobmanager, address) = start(&sandbox, pods, Path::new(&path))?;
    let pid = jobmanager.pid();
    let before = resident(pid, "VmRSS")?;
    play_all(&runtime, kubeconfig, &address);
    let demanded = Instant::now();
    let (rest, up) = all_registered(&address, pods, demanded)?;
    let registered = resident(pid, "VmRSS")?;

    let released = Instant::now();
    rest.request(reqwest::Method::DELETE, "/cluster", |request| request).expect(200);
    let mut peak: f64 = 0.0;
    until(|| {
        peak = peak.max(resident(pid, "VmHWM").unwrap_or_default());
        jobmanager.has_ended().is_some()
    })?;
    let of = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    Ok(format!(
        "{{\"pods\": {pods}, \"up_s\": {:.1}, \"released_s\": {:.1}, \"creates\": {}, \"deletes\": {}, \"deleted_pods\": {}, \"watches\": {}, \"others\": {}, \
         \"resident_mib_before\": {before:.1}, \"resident_mib_registered\": {registered:.1}, \"resident_mib_peak\": {peak:.1}}}",
        up.as_secs_f64(),
        released.elapsed().as_secs_f64(),
        of(&counts.creates),
        of(&counts.deletes),
        counts.deleted(),
        of(&counts.watches),
        of(&counts.others),
    ))
}

/// Memory with a job whose every subtask sends to every other one.
fn with_job(pods: u32, kubeconfig: &Path) -> anyhow::Result<String> {
    let (sandbox, runtime) = (Sandbox::new(), runtime()?);
    let (jobmanager, address) = start(&sandbox, pods, kubeconfig)?;
    let pid = jobmanager.pid();
    let before = resident(pid, "VmRSS")?;
    play_all(&runtime, kubeconfig, &address);

    let demanded = Instant::now();
    let (rest, up) = all_registered(&address, pods, demanded)?;
    let registered = resident(pid, "VmRSS")?;
    let registered_peak = resident(pid, "VmHWM")?;

    let hold = format!("hold={}", sandbox.at("never"));
    let parallelism = pods.to_string();
    let submitted = Instant::now();
    let run = ["run", "-d", "-m", &address, "-p", &parallelism, &test_program(), "held", &hold];
    let job = sandbox.flott(run).success().job();
    until(|| {
        let details = rest.try_get(&format!("/v1/jobs/{job}")).body;
        let vertices = details["vertices"].as_array().cloned().unwrap_or_default();
        let run = |vertex: &Value| vertex["tasks"]["RUNNING"] == vertex["parallelism"];
        !vertices.is_empty() && vertices.iter().all(run)
    })?;
    let deployed = submitted.elapsed();
    let all_run = resident(pid, "VmRSS")?;
    rest.cancel(&job);
    let figures = format!(
        "{{\"pods\": {pods}, \"up_s\": {:.1}, \"deployed_s\": {:.1}, \"resident_mib_before\": {before:.1}, \
         \"resident_mib_registered\": {registered:.1}, \"resident_mib_registered_peak\": {registered_peak:.1}, \
         \"resident_mib_job_runs\": {all_run:.1}, \"resident_mib_peak\": {:.1}}}",
        up.as_secs_f64(),
        deployed.as_secs_f64(),
        resident(pid, "VmHWM")?,
    );
    jobmanager.signal(nix::sys::signal::Signal::SIGTERM);
    jobmanager.end();
    Ok(figures)
}

fn address(jobmanager: &Running) -> anyhow::Result<String> {
    let said = jobmanager.out() + &jobmanager.err();
    let address = said.split("listens on http://").nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(address.context("no address")?.to_owned())
}

fn until(mut is_so: impl FnMut() -> bool) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        ensure!(Instant::now() < deadline, "nothing happens any more");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Tells the workers whose pods run, with `true`, and those whose pods shall end or are gone.
async fn watch_pods(kubeconfig: &Path, told: mpsc::UnboundedSender<(String, bool)>) -> anyhow::Result<()> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let pods: Api<Pod> = Api::default_namespaced(Client::try_from(config)?);
    let config = watcher::Config::default().labels("app.kubernetes.io/component=taskmanager");
    let seen = watcher(pods, config).default_backoff().touched_objects();
    seen.map_err(anyhow::Error::from)
        .try_for_each(|pod| {
            let spec = pod.annotations().get("flott.dev/worker-spec").and_then(|spec| serde_json::from_str(spec).ok());
            let worker = spec.and_then(|spec: Value| Some(spec["worker"].as_str()?.to_owned()));
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
            let ends = pod.metadata.deletion_timestamp.is_some();
            if let Some(worker) = worker.filter(|_| ends || phase == "Running") {
                let _ = told.send((worker, !ends)); // whoever listens may have ended
            }
            std::future::ready(Ok(()))
        })
        .await
}

/// Plays the workers of pods.
async fn play(address: String, mut running: mpsc::UnboundedReceiver<(String, bool)>) {
    let mut workers = BTreeMap::new();
    while let Some((name, runs)) = running.recv().await {
        if !runs {
            workers.remove(&name);
        } else if let Entry::Vacant(place) = workers.entry(name) {
            let worker = Worker::start(&address, place.key(), 1, Tasks::Run, None).await;
            place.insert(worker);
        }
    }
}

/// Memory of a process in MiB.
fn resident(pid: u32, which: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()).context("no such figure")?.parse()?;
    Ok(kib / 1024.0)
}
