//! One executable in its modes: this one. Started by itself it checks; started with a mode it is the program.

use std::{
    env, fs,
    path::Path,
    process::{Command, ExitCode, Output},
};

use flott::Environment;
use flott_core::{
    failure::Failure,
    id::{Digest, JobId, JobSecret, ProcessId, WorkerId},
    job_graph::{JobGraph, document},
    message::{
        EXIT_EXECUTED_TWICE, EXIT_OTHER_PROTOCOL, HOST_PROTOCOL, HostSetup, HostToWorker, JobSetup, PlanRequest,
        WorkerToHost, environment as variables,
    },
};
use flott_rpc::{Connection, Event, Options, carrier::unix};

/// What the program does, chosen by its first argument.
fn program(what: &str) -> ExitCode {
    let env = Environment::new();
    let numbers = env.sequence(1, 10).name("numbers");
    match what {
        "sound" => drop(numbers.map(|n| n + 1).write_text("relative/out")),
        "chancy" => drop(numbers.map(|n| n + 1).name(format!("made by {}", std::process::id())).discard()),
        "no-sink" => {}
        "silent" => return ExitCode::SUCCESS,
        "twice" => {
            numbers.discard();
            let _ = env.execute("first");
            println!("the first has run");
        }
        "collects-twice" => {
            let collected = numbers.collect();
            let result = env.execute("first").unwrap();
            println!("{:?}", result.collected(&collected).unwrap());
            Environment::new().sequence(1, 10).discard();
        }
        "writes-after" | "connects-after" | "starts-after" | "spins-after" | "panics-after" | "exits-after"
        | "aborts-after" => {
            numbers.discard();
            env.execute("a job").unwrap();
            after(what);
            println!("{what} is done");
        }
        "other-mode" => {
            if env.configuration("pipeline.name").as_deref() == Some("wanted") {
                numbers.discard();
            }
        }
        other => panic!("no program {other:?}"),
    }
    match env.execute("a job") {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(3)
        }
    }
}

/// What must not happen when a program is planned.
fn after(what: &str) {
    match what {
        "writes-after" => fs::write("after", "").unwrap(),
        "connects-after" => drop(std::net::TcpListener::bind("127.0.0.1:0").unwrap()),
        "starts-after" => drop(Command::new("/bin/sh").args(["-c", "echo > after"]).status().unwrap()),
        "spins-after" => loop {
            std::hint::spin_loop();
        },
        "panics-after" => panic!("enough"),
        "exits-after" => std::process::exit(9),
        "aborts-after" => std::process::abort(),
        other => panic!("nothing is known of {other:?}"),
    }
}

fn started(directory: &Path, what: &str, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg("program").arg(what).current_dir(directory).envs(environment.iter().copied());
    command.output().unwrap()
}

fn plan(directory: &Path, what: &str, request: &PlanRequest) -> Result<JobGraph, String> {
    let file = directory.join("job.graph");
    let _ = fs::remove_file(&file);
    let request = serde_json::to_string(request).unwrap();
    let environment =
        [(variables::MODE, "plan"), (variables::PLAN_OUTPUT, "job.graph"), (variables::PLAN_REQUEST, &request)];
    let output = started(directory, what, &environment);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.stdout, b"");
    match output.status.code() {
        Some(0) => fs::read(&file).map_err(|error| error.to_string()).map(|bytes| document::read(&bytes).unwrap()),
        Some(EXIT_EXECUTED_TWICE) => Err(format!("executed twice {stderr}")),
        code => {
            assert!(!file.exists(), "{code:?}");
            Err(stderr)
        }
    }
}

/// Starts the program as a TaskManager does, from another directory; its first words come back.
fn host(directory: &Path, what: &str, graph: &JobGraph) -> (Result<ProcessId, Failure>, i32) {
    let process = ProcessId::random();
    let setup = HostSetup {
        process,
        setup: JobSetup {
            job: graph.job_id,
            name: graph.name.clone(),
            graph: Digest::of(b""),
            program: graph.program.digest,
            program_name: graph.program.file_name.clone(),
            arguments: graph.program.arguments.clone(),
            secret: JobSecret::random(),
            // What the cluster adds must not change the plan.
            configuration: [("parallelism.default".to_owned(), "7".to_owned())].into(),
        },
        graph_file: directory.join("job.graph").to_str().unwrap().to_owned(),
        slots: 1,
        data_bind: "127.0.0.1:0".parse().unwrap(),
        data_host: "127.0.0.1".to_owned(),
        worker: WorkerId("tm".to_owned()),
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let setup_file = elsewhere.path().join("setup");
    fs::write(&setup_file, serde_json::to_vec(&setup).unwrap()).unwrap();
    let socket = elsewhere.path().join("socket");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = unix::listen(&socket).await.unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["program", what])
            .current_dir(elsewhere.path())
            .env(variables::MODE, "host")
            .env(variables::HOST_SOCKET, &socket)
            .env(variables::HOST_SETUP, &setup_file)
            .env(variables::HOST_PROTOCOL, HOST_PROTOCOL.to_string())
            .spawn()
            .unwrap();
        let stream = listener.accept().await.unwrap();
        let (sender, mut incoming) = Connection::<WorkerToHost, HostToWorker>::start(stream, Options::default());
        let word = loop {
            match incoming.next().await.expect("a word before the end") {
                Event::Message(HostToWorker::Ready { process, .. }) => break Ok(process),
                Event::Message(HostToWorker::Unfit(failure)) => break Err(failure),
                Event::Message(_) => {}
                Event::Request(_, responder) => responder.refuse("no"),
                Event::Closed(reason) => panic!("closed: {reason:?}"),
            }
        };
        let _ = sender.send(WorkerToHost::Shutdown);
        if word.is_err() {
            drop((sender, incoming));
        } else {
            while !matches!(incoming.next().await, None | Some(Event::Closed(_))) {}
        }
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
        assert!(word.as_ref().is_ok_and(|said| *said == process) || word.is_err());
        (word, status.code().unwrap())
    })
}

fn a_plan_is_written_and_nothing_runs(directory: &Path) {
    let job = JobId::random();
    let request = PlanRequest {
        job: Some(job),
        name: Some("renamed".to_owned()),
        entry: Some("com.example.Main".to_owned()),
        configuration: [("pipeline.max-parallelism".to_owned(), "64".to_owned())].into(),
    };
    let graph = plan(directory, "sound", &request).unwrap();
    assert_eq!((graph.job_id, graph.name.as_str()), (job, "renamed"));
    assert_eq!(graph.program.arguments, ["program", "sound"]);
    assert_eq!(graph.program.entry.as_deref(), Some("com.example.Main"));
    let executable = fs::read(env::current_exe().unwrap()).unwrap();
    assert_eq!((graph.program.digest, graph.program.size), (Digest::of(&executable), executable.len() as u64));
    assert_eq!(graph.configuration.get("pipeline.max-parallelism").map(String::as_str), Some("64"));
    assert_eq!(graph.vertices[0].max_parallelism, Some(64));
    assert!(!directory.join("relative").exists());
}

fn a_plan_that_is_no_job_is_told(directory: &Path) {
    let error = plan(directory, "no-sink", &PlanRequest::default()).unwrap_err();
    assert!(error.contains("the job \"a job\" has no sinks"), "{error}");
    let unknown =
        PlanRequest { configuration: [("pipeline.nam".to_owned(), "x".to_owned())].into(), ..PlanRequest::default() };
    let error = plan(directory, "sound", &unknown).unwrap_err();
    assert!(error.contains("did you mean \"pipeline.name\"?"), "{error}");
}

fn a_program_that_never_executes_writes_nothing(directory: &Path) {
    let error = plan(directory, "silent", &PlanRequest::default()).unwrap_err();
    assert!(error.contains("No such file"), "{error}");
}

fn a_second_execute_is_an_error(directory: &Path) {
    for what in ["twice", "collects-twice"] {
        let error = plan(directory, what, &PlanRequest::default()).unwrap_err();
        assert_eq!(error, "executed twice ");
    }
    let output = started(directory, "twice", &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("`execute` was called twice"));
}

fn what_comes_after_execute_does_not_happen_when_it_is_planned(directory: &Path) {
    for what in
        ["writes", "connects", "starts", "spins", "panics", "exits", "aborts"].map(|what| format!("{what}-after"))
    {
        let graph = plan(directory, &what, &PlanRequest::default()).unwrap();
        assert_eq!(graph.name, "a job", "{what}");
        assert!(!directory.join("after").exists(), "{what}");
    }
}

fn a_program_runs_by_itself(directory: &Path) {
    let output = started(directory, "sound", &[("FLOTT_PARALLELISM__DEFAULT", "1")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = fs::read_to_string(directory.join("relative/out/part-0")).unwrap();
    assert_eq!(lines, (2..=11).map(|n| format!("{n}\n")).collect::<String>());
}

fn the_same_plan_is_hosted_from_any_directory(directory: &Path) {
    let graph = plan(directory, "sound", &PlanRequest::default()).unwrap();
    let (word, code) = host(directory, "sound", &graph);
    assert!(word.is_ok(), "{word:?}");
    assert_eq!(code, 0);
    let request = PlanRequest {
        configuration: [("pipeline.name".to_owned(), "wanted".to_owned())].into(),
        ..PlanRequest::default()
    };
    let graph = plan(directory, "other-mode", &request).unwrap();
    assert!(host(directory, "other-mode", &graph).0.is_ok());
}

fn another_plan_is_refused_with_what_differs(directory: &Path) {
    let graph = plan(directory, "chancy", &PlanRequest::default()).unwrap();
    let (word, code) = host(directory, "chancy", &graph);
    let failure = word.unwrap_err();
    assert_ne!(code, 0);
    assert_eq!(failure.retry, flott_core::failure::Retry::Never);
    assert!(failure.message.contains("not deterministic"), "{failure}");
    assert!(failure.causes[0].starts_with("submitted: ") && failure.causes[0].contains("made by "), "{failure:?}");
    assert!(failure.causes[1].starts_with("planned again: "), "{failure:?}");
}

fn an_unclear_mode_is_told(directory: &Path) {
    for (variable, value, told) in [
        (variables::MODE, "dance", "FLOTT_MODE: \"dance\" is neither"),
        (variables::MODE, "plan", "FLOTT_PLAN_OUTPUT: environment variable not found"),
        (variables::MODE, "host", "FLOTT_HOST_SETUP: environment variable not found"),
    ] {
        let protocol = HOST_PROTOCOL.to_string();
        let output = started(directory, "sound", &[(variable, value), (variables::HOST_PROTOCOL, &protocol)]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(told), "{stderr}");
        assert_eq!(output.status.code(), Some(3));
    }
}

fn another_protocol_is_told(directory: &Path) {
    for (variables, spoken) in [(vec![(variables::HOST_PROTOCOL, "0")], "0"), (Vec::new(), "none that it tells")] {
        let variables: Vec<_> = std::iter::once((variables::MODE, "host")).chain(variables).collect();
        let output = started(directory, "sound", &variables);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(&format!("the TaskManager speaks version {spoken} of the protocol")), "{stderr}");
        assert_eq!(output.status.code(), Some(EXIT_OTHER_PROTOCOL));
    }
}

/// A check by name; it is given a directory of its own.
type Check = (&'static str, fn(&Path));

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, what, ..] = arguments.as_slice()
        && first == "program"
    {
        return program(what);
    }
    let checks: [Check; 10] = [
        ("a_plan_is_written_and_nothing_runs", a_plan_is_written_and_nothing_runs),
        ("a_plan_that_is_no_job_is_told", a_plan_that_is_no_job_is_told),
        ("a_program_that_never_executes_writes_nothing", a_program_that_never_executes_writes_nothing),
        ("a_second_execute_is_an_error", a_second_execute_is_an_error),
        (
            "what_comes_after_execute_does_not_happen_when_it_is_planned",
            what_comes_after_execute_does_not_happen_when_it_is_planned,
        ),
        ("a_program_runs_by_itself", a_program_runs_by_itself),
        ("the_same_plan_is_hosted_from_any_directory", the_same_plan_is_hosted_from_any_directory),
        ("another_plan_is_refused_with_what_differs", another_plan_is_refused_with_what_differs),
        ("an_unclear_mode_is_told", an_unclear_mode_is_told),
        ("another_protocol_is_told", another_protocol_is_told),
    ];
    // As much of the usual harness as tools ask for: a list, and a filter by name.
    let listed = arguments.iter().any(|argument| argument == "--list");
    let ignored_only = arguments.iter().any(|argument| argument == "--ignored");
    let filters: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    for (name, check) in checks {
        if ignored_only || !(filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))) {
            continue;
        }
        if listed {
            println!("{name}: test");
            continue;
        }
        let directory = tempfile::tempdir().unwrap();
        check(directory.path());
        println!("test {name} ... ok");
    }
    ExitCode::SUCCESS
}
