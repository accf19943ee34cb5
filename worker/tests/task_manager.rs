//! A TaskManager against a JobManager of the tests' own, with real job processes.

#[path = "task_manager/fake.rs"]
mod fake;
#[path = "task_manager/programs.rs"]
mod programs;
#[path = "task_manager/roles.rs"]
mod roles;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use fake::{FakeJobManager, HANG, Peer};
use flott_core::{
    failure::{Domain, Failure, Retry},
    id::{AttemptId, AttemptNumber, Digest, JobId, LeaderEpoch, OperatorId, SubtaskIndex, VertexId},
    message::{FromWorker, HostToJob, JobToHost, JobToWorker, LogAnswer, LogRequest, ToWorker, WorkerToJob},
};
use flott_worker::{Error, ExitReason, JobManagerAddress, Options, TaskManager, TaskManagerHandle};
use tempfile::TempDir;

/// A TaskManager that is registered.
struct Cluster {
    jobmanager: FakeJobManager,
    peer: Peer,
    worker: TaskManagerHandle,
    dir: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut jobmanager = FakeJobManager::start().await;
        let mut options = jobmanager.options(dir.path());
        change(&mut options);
        let worker = TaskManager::start(options).unwrap();
        let (peer, _) = jobmanager.registered(1).await;
        Self { jobmanager, peer, worker, dir }
    }

    /// Starts `program` as the process of a fresh job.
    async fn run(&mut self, program: &[u8]) -> JobId {
        let job = JobId::random();
        let setup = self.jobmanager.setup(job, self.jobmanager.put(program));
        self.peer.start(&setup).await;
        job
    }

    fn log(&self, job: JobId, suffix: &str) -> String {
        let path = self.dir.path().join("log").join(format!("{job}.{suffix}"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn processes(&self) -> usize {
        entries(&self.dir.path().join("work/processes"))
    }
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

fn script(lines: &str) -> Vec<u8> {
    format!("#!/bin/sh\n{lines}\n").into_bytes()
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

/// Waits for what no one reports.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(HANG, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[track_caller]
fn check_failure(failure: &Failure, domain: Domain, retry: Retry, message: &str) {
    assert_eq!((failure.domain, failure.retry, &failure.message[..]), (domain, retry, message), "{}", failure.report());
    assert_eq!(failure.location.worker.as_ref().map(|worker| &worker.0[..]), Some("worker-1"));
}

/// How the loss of `program` is reported.
async fn check_end(program: &[u8], domain: Domain, retry: Retry, message: &str, cause: &str) {
    let mut cluster = Cluster::start().await;
    cluster.run(program).await;
    let (_, failure) = cluster.peer.lost().await;
    check_failure(&failure, domain, retry, message);
    assert!(failure.causes.join("\n").contains(cause), "{}", failure.report());
    assert_eq!(cluster.processes(), 0, "its directory is left");
}

#[tokio::test]
async fn registers_beats_and_takes_leave() {
    let dir = tempfile::tempdir().unwrap();
    let mut jobmanager = FakeJobManager::start().await;
    let mut options = jobmanager.options(dir.path());
    options.heartbeat_interval = Duration::from_millis(10);
    let mut worker = TaskManager::start(options).unwrap();
    let (mut peer, registration) = jobmanager.registered(4).await;
    assert_eq!((registration.pid, registration.slots.len(), registration.allocated), (std::process::id(), 1, vec![]));
    let heartbeat = peer.expect("heartbeat", |message| match message {
        FromWorker::Heartbeat(heartbeat) => Some(heartbeat),
        _ => None,
    });
    let heartbeat = heartbeat.await;
    assert_eq!(heartbeat.leader, LeaderEpoch(4));
    assert!(heartbeat.metrics.resident_bytes > 0);
    worker.stop("enough").await;
    let reason = peer.expect("goodbye", |message| match message {
        FromWorker::Goodbye { reason } => Some(reason),
        _ => None,
    });
    assert_eq!(reason.await, "enough");
    assert_eq!(worker.wait().await.unwrap(), ExitReason::Stopped("enough".into()));
}

#[tokio::test]
async fn process_comes_up_works_and_leaves_nothing() {
    let mut cluster = Cluster::start().await;
    let job = cluster.run(&roles::program("host")).await;
    let location = cluster.peer.ready().await;
    assert_eq!(location.data_address, ([127, 0, 0, 1], 4242).into());
    assert!(is_alive(location.pid));

    cluster
        .peer
        .say(job, JobToWorker::Host { process: location.process, message: JobToHost::Abort { kept: BTreeMap::new() } });
    let account = cluster.peer.expect("answer of the process", |message| match message {
        FromWorker::Job { message: WorkerToJob::Host { process, message: HostToJob::Aborted { result } }, .. } => {
            assert_eq!(process, location.process);
            result.err()
        }
        _ => None,
    });
    assert_eq!(
        account.await.message,
        r#"{"arguments": "one|two words", "core": "0", "graph": "{}", "leads its group": "true", "leads its session": "true", "mode": "host", "secrets of the TaskManager": "false", "setup file": "600", "worker": "worker-1"}"#
    );

    cluster.peer.say(job, JobToWorker::Forget);
    let freed = cluster.peer.expect("freed slot", |message| matches!(message, FromWorker::SlotFreed(_)).then_some(()));
    freed.await;
    until("the process ends", || !is_alive(location.pid)).await;
    until("its directory goes", || cluster.processes() == 0).await;
}

#[tokio::test]
async fn stop_ends_every_process_first() {
    let mut cluster = Cluster::start().await;
    cluster.run(&roles::program("host")).await;
    let location = cluster.peer.ready().await;
    cluster.worker.stop("maintenance").await;
    assert_eq!(cluster.worker.wait().await.unwrap(), ExitReason::Stopped("maintenance".into()));
    assert!(!is_alive(location.pid));
    assert_eq!(cluster.processes(), 0);
}

/// A program that no one but its TaskManager would ever end, and that says who it is.
fn lasting_program(pid_file: &Path) -> Vec<u8> {
    let file = pid_file.display();
    script(&format!("echo $$ > {file}.new\nmv {file}.new {file}\nexec sleep 100000"))
}

async fn pid_in(file: &Path) -> u32 {
    until("the program runs", || file.exists()).await;
    std::fs::read_to_string(file).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn dropped_task_manager_leaves_no_process() {
    let mut cluster = Cluster::start().await;
    let pid_file = cluster.dir.path().join("pid");
    cluster.run(&lasting_program(&pid_file)).await;
    let pid = pid_in(&pid_file).await;
    assert!(is_alive(pid));
    drop(cluster.worker);
    until("the process ends", || !is_alive(pid)).await;
}

#[tokio::test]
async fn killed_task_manager_leaves_nothing_outside_its_work_directory() {
    check_killed("work").await;
    check_killed(&deep(Path::new("work")).to_string_lossy()).await;
}

async fn check_killed(work: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut jobmanager = FakeJobManager::start().await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "roles::play", "--nocapture", "--quiet"])
        .env(roles::ROLE, "taskmanager")
        .env("TEST_ADDRESS", jobmanager.address.to_string())
        .env("TEST_DIR", dir.path())
        .env("TEST_WORK", work)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut peer, _) = jobmanager.registered(1).await;
    let pid_file = dir.path().join("pid");
    let program = jobmanager.put(&lasting_program(&pid_file));
    peer.start(&jobmanager.setup(JobId::random(), program)).await;
    let pid = pid_in(&pid_file).await;
    assert!(is_alive(pid));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the process ends", || !is_alive(pid)).await;

    let work_dir = dir.path().join(work);
    let processes = work_dir.join("processes");
    assert_eq!(entries(&processes), 1, "no one could clean up");
    let process = std::fs::read_dir(&processes).unwrap().next().unwrap().unwrap().file_name();
    let process = process.to_str().unwrap();
    for common in [Path::new("/tmp"), &std::env::temp_dir()] {
        let strangers = std::fs::read_dir(common).unwrap().flatten().map(|entry| entry.file_name());
        let left: Vec<_> = strangers.filter(|name| name.to_string_lossy().contains(process)).collect();
        assert!(left.is_empty(), "{left:?} is left in {}", common.display());
    }
    let _next = TaskManager::start(Options { work_dir, ..jobmanager.options(dir.path()) }).unwrap();
    assert_eq!(entries(&processes), 0, "the next life does");
}

/// A work directory whose sockets have paths that are too long.
fn deep(dir: &Path) -> PathBuf {
    dir.join("deep".repeat(40))
}

#[tokio::test]
async fn deep_work_directory_is_no_obstacle() {
    for role in ["host", "wanderer"] {
        let mut cluster = Cluster::with(|options| options.work_dir = deep(&options.work_dir)).await;
        let job = cluster.run(&roles::program(role)).await;
        let location = cluster.peer.ready().await;
        let processes = deep(&cluster.dir.path().join("work")).join("processes");
        let socket = processes.join(location.process.to_string()).join("host.sock");
        assert!(socket.exists(), "it is in its directory, and nowhere else");
        cluster.peer.say(job, JobToWorker::Forget);
        until("its directory goes", || entries(&processes) == 0).await;
    }
}

#[tokio::test]
async fn processes_in_deep_work_directories_are_told_apart() {
    let mut cluster = Cluster::with(|options| {
        options.slots = vec![options.slots[0]; 2];
        options.work_dir = deep(&options.work_dir);
    })
    .await;
    let program = cluster.jobmanager.put(&roles::program("host"));
    let mut jobs = Vec::new();
    for slot in 0..2 {
        let setup = cluster.jobmanager.setup(JobId::random(), program);
        jobs.push(setup.job);
        cluster.peer.give_slot(setup.job, slot).await;
        cluster.peer.say(setup.job, JobToWorker::StartProcess(Box::new(setup)));
    }
    let pids = [cluster.peer.ready().await.pid, cluster.peer.ready().await.pid];
    cluster.peer.say(jobs[0], JobToWorker::Forget);
    until("one process ends", || pids.iter().any(|pid| !is_alive(*pid))).await;
    let processes = deep(&cluster.dir.path().join("work")).join("processes");
    until("its directory goes", || entries(&processes) == 1).await;
    assert!(pids.iter().any(|pid| is_alive(*pid)), "the other lives on");
}

#[tokio::test]
async fn new_leader_finds_an_empty_worker() {
    let mut cluster = Cluster::start().await;
    let allocation = cluster.peer.give_slot(JobId::random(), 0).await;
    cluster.peer.link.close("torn");
    let (mut peer, registration) = cluster.jobmanager.registered(2).await;
    assert_eq!(registration.allocated[0].allocation, allocation);
    let freed = peer.expect("freed slot", |message| match message {
        FromWorker::SlotFreed(allocation) => Some(allocation),
        _ => None,
    });
    assert_eq!(freed.await, allocation);
}

#[tokio::test]
async fn torn_connection_loses_nothing_and_leaves_the_process_alone() {
    let mut cluster = Cluster::start().await;
    let job = cluster.run(&roles::program("host")).await;
    let location = cluster.peer.ready().await;
    let mut peer = cluster.peer;
    for tear in 0..5 {
        let message = JobToHost::Abort { kept: BTreeMap::new() };
        peer.say(job, JobToWorker::Host { process: location.process, message: message.clone() });
        if tear % 2 == 0 {
            // What was said last may or may not have left.
            peer.link.close("torn");
        }
        peer.say(job, JobToWorker::Host { process: location.process, message });
        if tear % 2 == 0 {
            peer = cluster.jobmanager.resumed(peer).await;
        }
        for _ in 0..2 {
            let answer = peer.expect("answer of the process", |message| match message {
                FromWorker::Job { message: WorkerToJob::Host { message: HostToJob::Aborted { .. }, .. }, .. } => {
                    Some(())
                }
                FromWorker::Job { message: WorkerToJob::ProcessLost { failure, .. }, .. } => {
                    panic!("{}", failure.report())
                }
                _ => None,
            });
            answer.await;
        }
    }
    assert!(is_alive(location.pid));
}

#[tokio::test]
async fn session_that_is_over_is_followed_by_a_new_life() {
    let mut cluster = Cluster::start().await;
    let pid_file = cluster.dir.path().join("pid");
    cluster.run(&lasting_program(&pid_file)).await;
    let pid = pid_in(&pid_file).await;
    cluster.peer.link.close("torn");
    cluster.jobmanager.peer().await.refuse("the grace is over").await;
    let (_peer, registration) = cluster.jobmanager.registered(1).await;
    assert!(!is_alive(pid), "nothing of the old life meets the new one");
    assert_eq!(registration.allocated, []);
}

#[tokio::test]
async fn older_leader_is_left() {
    let mut cluster = Cluster::start().await;
    cluster.peer.link.close("torn");
    let (peer, _) = cluster.jobmanager.registered(3).await;
    peer.link.close("torn again");
    let older = cluster.jobmanager.begun(2).await;
    let reason = older.link.closed().await.to_string();
    assert!(reason.contains("JobManager has leader epoch 2, which is older than 3"), "{reason}");
}

#[tokio::test]
async fn address_file_is_read_again_on_each_try() {
    let dir = tempfile::tempdir().unwrap();
    let mut jobmanager = FakeJobManager::start().await;
    let file = dir.path().join("address");
    let mut options = jobmanager.options(dir.path());
    options.jobmanager = JobManagerAddress::File(file.clone());
    let _worker = TaskManager::start(options).unwrap();
    std::fs::write(&file, "").unwrap();
    std::fs::write(&file, format!("{}\n", jobmanager.address)).unwrap();
    jobmanager.registered(1).await;
}

#[tokio::test]
async fn without_a_job_manager_it_gives_up() {
    let dir = tempfile::tempdir().unwrap();
    let jobmanager = FakeJobManager::start().await;
    let mut options = jobmanager.options(dir.path());
    options.jobmanager = JobManagerAddress::File(dir.path().join("absent"));
    options.registration_timeout = Duration::from_millis(20);
    let outcome = TaskManager::start(options).unwrap().wait().await;
    let Err(Error::NoJobManager { last, .. }) = outcome else { panic!("{outcome:?}") };
    assert!(last.contains("absent is not readable: No such file"), "{last}");
}

#[tokio::test]
async fn unwanted_task_manager_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut jobmanager = FakeJobManager::start().await;
    let mut worker = TaskManager::start(jobmanager.options(dir.path())).unwrap();
    let mut peer = jobmanager.begun(1).await;
    peer.registration().await;
    peer.send(ToWorker::Refused { reason: "the name is taken".into(), life_is_over: false });
    assert_eq!(worker.wait().await.unwrap(), ExitReason::Refused("the name is taken".into()));
}

#[tokio::test]
async fn life_that_was_given_up_is_followed_by_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut jobmanager = FakeJobManager::start().await;
    let _worker = TaskManager::start(jobmanager.options(dir.path())).unwrap();
    let (mut peer, first) = jobmanager.registered(1).await;
    let pid_file = dir.path().join("pid");
    let program = jobmanager.put(&lasting_program(&pid_file));
    peer.start(&jobmanager.setup(JobId::random(), program)).await;
    let pid = pid_in(&pid_file).await;

    peer.send(ToWorker::Refused { reason: "this life was given up".into(), life_is_over: true });
    let (_peer, second) = jobmanager.registered(1).await;
    assert!(!is_alive(pid), "nothing of the old life meets the new one");
    assert_ne!(second.instance, first.instance);
    assert_eq!((second.worker, second.started_at, second.allocated), (first.worker, first.started_at, Vec::new()));
}

#[tokio::test]
async fn work_directory_has_one_master() {
    let cluster = Cluster::start().await;
    let options = cluster.jobmanager.options(cluster.dir.path());
    assert!(matches!(TaskManager::start(options), Err(Error::InUse(_))));
}
