//! Programs that do not do as they should.

use super::*;

#[tokio::test]
async fn exit_code_comes_with_the_last_words() {
    let program = script("echo to the log >&2\necho no such table >&2\nexit 3");
    check_end(&program, Domain::User, Retry::Restart, "app ended with exit code 3", "no such table").await;
}

#[tokio::test]
async fn signals_are_named() {
    let segfault = script("kill -SEGV $$");
    check_end(&segfault, Domain::User, Retry::Restart, "app was killed by SIGSEGV", "memory").await;
    let killed = script("kill -KILL $$");
    check_end(&killed, Domain::Environment, Retry::Restart, "app was killed by SIGKILL", "from outside").await;
}

#[tokio::test]
async fn program_that_never_executes_is_named() {
    let message = "app ended with exit code 0 before its job was over";
    check_end(&script("exit 0"), Domain::User, Retry::Restart, message, "execute()").await;
}

#[tokio::test]
async fn program_for_another_machine_is_fatal() {
    let message = "app is not an executable for this machine";
    check_end(b"\x7fELF", Domain::User, Retry::Never, message, "cut off").await;
    check_end(b"echo no", Domain::User, Retry::Never, message, "neither").await;
    let message = "the interpreter or dynamic loader that app needs is not on this machine";
    check_end(b"#!/no/such/interpreter\n", Domain::User, Retry::Never, message, "No such file").await;
}

#[tokio::test]
async fn unfit_process_is_fatal_with_its_own_account() {
    check_end(&roles::program("unfit"), Domain::User, Retry::Never, "planned something else", "").await;
}

#[tokio::test]
async fn missing_blob_is_fatal_and_damaged_one_is_not() {
    let mut cluster = Cluster::start().await;
    let absent = Digest::of(b"absent");
    let setup = cluster.jobmanager.setup(JobId::random(), absent);
    cluster.peer.start(&setup).await;
    let (_, failure) = cluster.peer.lost().await;
    check_failure(
        &failure,
        Domain::Environment,
        Retry::Never,
        &format!("the program (blob {absent}) is not available"),
    );
    assert_eq!(failure.causes, ["the JobManager does not have it"]);

    cluster.jobmanager.put_as(absent, b"something else");
    cluster.peer.say(setup.job, JobToWorker::StartProcess(Box::new(setup)));
    let (_, failure) = cluster.peer.lost().await;
    assert_eq!(failure.retry, Retry::Restart);
    assert!(failure.causes[0].starts_with("what was transferred has another digest"), "{}", failure.report());
    assert_eq!(entries(&cluster.dir.path().join("work/blobs")), 1, "only the graph is kept");
}

#[tokio::test]
async fn blob_is_fetched_once_for_all_jobs() {
    let mut cluster = Cluster::with(|options| options.slots = vec![options.slots[0]; 4]).await;
    let program = cluster.jobmanager.put(&roles::program("host"));
    for slot in 0..4 {
        let setup = cluster.jobmanager.setup(JobId::random(), program);
        cluster.peer.give_slot(setup.job, slot).await;
        cluster.peer.say(setup.job, JobToWorker::StartProcess(Box::new(setup)));
    }
    for _ in 0..4 {
        cluster.peer.ready().await;
    }
    assert_eq!(cluster.jobmanager.served.lock().unwrap().len(), 2, "one program and one graph");
}

#[tokio::test]
async fn gigabytes_of_output_are_bounded_and_readable() {
    let mut cluster = Cluster::with(|options| options.log_bytes_max = 1 << 20).await;
    let job = cluster.run(&script("head -c 50000000 /dev/zero | tr '\\0' x\necho the end\nexit 1")).await;
    cluster.peer.lost().await;
    let (newest, before) = (cluster.log(job, "out"), cluster.log(job, "out.1"));
    assert!(newest.len() + before.len() <= 1 << 20, "{} and {}", newest.len(), before.len());
    assert!(newest.ends_with("the end\n"));
    assert!(newest.starts_with("[flott: earlier output is in "));

    let request = LogRequest { request: 9, file: Some(format!("{job}.out")), offset: -8, length_max: 100 };
    cluster.peer.send(ToWorker::ReadLog(request));
    let chunk = cluster.peer.expect("log", |message| match message {
        FromWorker::Log(chunk) => Some(chunk),
        _ => None,
    });
    let chunk = chunk.await;
    assert_eq!(chunk.request, 9);
    let Ok(LogAnswer::Piece { bytes, .. }) = chunk.result else { panic!("{chunk:?}") };
    assert_eq!(&bytes[..], b"the end\n");
}

#[tokio::test]
async fn program_that_never_gets_ready_is_killed() {
    let mut cluster = Cluster::with(|options| options.process_start_timeout = Duration::from_millis(50)).await;
    cluster.run(&script("exec sleep 1000")).await;
    let (_, failure) = cluster.peer.lost().await;
    let message = "program did not reach execute() in host mode within 0.05 s";
    check_failure(&failure, Domain::User, Retry::Restart, message);
}

#[tokio::test]
async fn deaf_task_cannot_hold_its_job() {
    let mut cluster = Cluster::with(|options| options.cancellation_timeout = Some(Duration::from_millis(50))).await;
    let job = cluster.run(&roles::program("host")).await;
    let process = cluster.peer.ready().await.process;
    let attempt = AttemptId {
        vertex: VertexId::of_chain(OperatorId::from_uid("v")),
        subtask: SubtaskIndex(0),
        attempt: AttemptNumber(0),
    };
    cluster.peer.say(job, JobToWorker::Host { process, message: JobToHost::Cancel(vec![attempt]) });
    let (lost, failure) = cluster.peer.lost().await;
    assert_eq!(lost, process);
    let message = "1 cancelled task(s) did not stop within 0.05 s; the job process was killed";
    check_failure(&failure, Domain::User, Retry::Restart, message);
}

#[tokio::test]
async fn process_that_takes_too_much_memory_is_named() {
    let mut cluster = Cluster::with(|options| {
        options.memory = 150 << 20;
        options.memory_interval = Duration::from_millis(10);
    })
    .await;
    cluster.run(&roles::program("glutton")).await;
    let (_, failure) = cluster.peer.lost().await;
    assert!(failure.message.starts_with("OutOfMemory: the job process took "), "{}", failure.report());
    assert_eq!(failure.domain, Domain::Environment);
}

#[tokio::test]
async fn stubborn_process_is_ended_by_force() {
    let mut cluster = Cluster::with(|options| {
        options.ask_grace = Duration::from_millis(10);
        options.terminate_grace = Duration::from_millis(10);
    })
    .await;
    let job = cluster.run(&roles::program("stubborn")).await;
    let location = cluster.peer.ready().await;
    cluster.peer.say(job, JobToWorker::Forget);
    until("the process ends", || !is_alive(location.pid)).await;
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_killed() {
    let mut cluster = Cluster::start().await;
    let pid_file = cluster.dir.path().join("pid");
    let lines = format!("setsid sleep 1000 &\necho $! > {}\nexit 3", pid_file.display());
    cluster.run(&script(&lines)).await;
    cluster.peer.lost().await;
    let pid: u32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    until("the stray ends", || !is_alive(pid)).await;
}
