//! What it takes to collect the metrics of ten thousand subtasks, and what others notice of it: `cargo bench -p flott-dispatcher --bench
//! metrics`.
//!
//! A whole JobManager in this process, with a job of two vertices whose subtasks are played, and a client that collects over TCP. The
//! arithmetic: a subtask has seven series of some 275 bytes, so an answer has 19 MB, of which each byte is copied twice; the JobMaster makes
//! a view of its job in a few allocations a subtask.

#[path = "../tests/jobmanager/cluster.rs"]
#[allow(dead_code)]
mod cluster;
#[path = "../tests/jobmanager/graph.rs"]
#[allow(dead_code)]
mod graph;
#[path = "../tests/jobmanager/worker.rs"]
#[allow(dead_code)]
mod worker;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use cluster::{Cluster, job, submission};
use flott_core::{job_graph::document, metrics::proc};
use worker::{Tasks, Worker};

const PARALLELISM: usize = 5000;
const WORKERS: usize = 10;
const ROUNDS: usize = 30;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let cluster = Cluster::start().await;
    let address = cluster.manager.address().to_string();
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        let name = format!("flott-taskmanager-{number}");
        workers.push(Worker::start(&address, &name, PARALLELISM / WORKERS, Tasks::Run, None).await);
    }
    let mut graph = graph::graph(job(1));
    graph.configuration.insert("parallelism.default".to_owned(), PARALLELISM.to_string());
    let (status, answer) = cluster.post("/v1/jobs", submission(document::write(&graph), graph::program())).await;
    assert!(status.is_success(), "{answer}");
    let path = format!("/jobs/{}", job(1));
    while cluster.get(&path).await["vertices"][1]["tasks"]["RUNNING"] != PARALLELISM {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let mut views = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        drop(cluster.manager.dispatcher().running().await.unwrap());
        views.push(began.elapsed());
    }
    println!("the JobMaster's view, made and dropped: {}", told(&mut views));
    let alone = collected(&cluster, None).await;
    let plain = collected(&cluster, Some("identity")).await;
    let gzip = collected(&cluster, Some("gzip")).await;
    for (what, Collected { mut took, mut others, bytes, cpu }) in [("nothing", alone), ("plain", plain), ("gzip", gzip)]
    {
        println!(
            "{what}: {bytes} bytes in {}; CPU with the client {:.0} ms each; /overview meanwhile {}",
            told(&mut took),
            cpu.as_secs_f64() * 1e3 / ROUNDS as f64,
            told(&mut others)
        );
    }
}

struct Collected {
    took: Vec<Duration>,
    /// Requests of somebody else in that time.
    others: Vec<Duration>,
    bytes: usize,
    cpu: Duration,
}

/// Collects with an encoding; with none, waits as long instead.
async fn collected(cluster: &Cluster, encoding: Option<&str>) -> Collected {
    let ended = Arc::new(AtomicBool::new(false));
    let (client, url) = (cluster.client.clone(), cluster.url("/overview"));
    let other = tokio::spawn({
        let ended = ended.clone();
        async move {
            let mut took = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.get(&url).send().await.unwrap().bytes().await.unwrap();
                took.push(began.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            took
        }
    });
    let (before, mut took, mut bytes) = (cpu(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        match encoding {
            Some(encoding) => {
                let request = cluster.client.get(cluster.url("/metrics")).header("accept-encoding", encoding);
                let mut response = request.send().await.unwrap();
                bytes = 0;
                while let Some(piece) = response.chunk().await.unwrap() {
                    bytes += piece.len();
                }
            }
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        took.push(began.elapsed());
    }
    let cpu = cpu() - before;
    ended.store(true, Ordering::Relaxed);
    Collected { took, others: other.await.unwrap(), bytes, cpu }
}

fn cpu() -> Duration {
    proc::cpu(&std::fs::read_to_string("/proc/self/stat").unwrap(), 100).unwrap()
}

fn told(times: &mut [Duration]) -> String {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let at = |percent: usize| ms(times[(times.len() - 1) * percent / 100]);
    format!("{:.1} ms (p99 {:.1}, most {:.1})", at(50), at(99), ms(times[times.len() - 1]))
}
