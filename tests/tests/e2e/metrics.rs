//! Metrics of real clusters: what is collected is what REST says.

use flott_tests::{
    eventually::{PATIENCE, eventually},
    metrics::Collected,
    program::test_program,
    rest::Rest,
    sandbox::{Sandbox, Session, processes::Role},
};
use nix::sys::signal::Signal;
use serde_json::Value;

const TOKEN: &str = "0123456789abcdef-of-this-test";
const METRICS_TOKEN: &str = "for-metrics-alone-of-this-test";
const RECORDS: u32 = 5000;
/// Figures of subtasks that stand still while the source waits, as they are called and as REST calls them.
const OF_TASKS: [(&str, &str); 5] = [
    ("numRecordsIn", "read-records"),
    ("numRecordsOut", "write-records"),
    ("numBytesIn", "read-bytes"),
    ("numBytesOut", "write-bytes"),
    ("accumulateBackPressuredTimeMs", "accumulated-backpressured-time"),
];

/// Waits until what REST says before and after is what is collected in between. Both are lists of names and numbers.
#[track_caller]
fn agree(
    session: &Session<'_>,
    of_rest: impl Fn() -> Vec<(String, f64)>,
    of: impl Fn(&Collected, &str) -> Option<f64>,
) {
    eventually("what is collected to be what REST says", PATIENCE, || {
        let (before, collected, after) = (of_rest(), Collected::of(session), of_rest());
        let found: Vec<_> =
            before.iter().map(|(name, _)| (name.clone(), of(&collected, name).unwrap_or(-1.0))).collect();
        if before == after && before == found { Ok(()) } else { Err(format!("{before:?}\n{found:?}\n{after:?}")) }
    });
}

/// The sum over the subtasks of a vertex.
fn of_vertex(collected: &Collected, name: &str, vertex: &str) -> f64 {
    collected.sum(&format!("taskmanager_job_task_{name}"), &[("task_id", vertex)])
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

#[test]
fn what_is_collected_is_what_rest_says() {
    let sandbox = Sandbox::with("execution.checkpointing.interval: 300 ms\n");
    sandbox.configure(&format!(
        "execution.checkpointing.interval: 300 ms\nexecution.checkpointing.dir: {}",
        sandbox.at("checkpoints")
    ));
    let session = sandbox.session(&["taskmanager.numberOfTaskSlots=2"]);
    let hold = format!("hold={}", sandbox.at("never"));
    let arguments = ["a \"quoted\" name", &format!("records={RECORDS}"), "timed=true", &hold];
    let job = session.run(&["-d", "-p", "2"], &test_program(), arguments).success().job();
    session.until_all_run(&job);
    session.until_checkpoint(&job);
    let of_job = [("job_id", job.as_str()), ("job_name", "a \"quoted\" name")];

    let overview = || {
        let overview = session.get("/overview");
        let pairs = [
            ("numRegisteredTaskManagers", "taskmanagers"),
            ("taskSlotsTotal", "slots-total"),
            ("taskSlotsAvailable", "slots-available"),
            ("numRunningJobs", "jobs-running"),
        ];
        pairs.map(|(name, key)| (format!("jobmanager_{name}"), number(&overview[key]))).to_vec()
    };
    agree(&session, overview, |collected, name| collected.value(name, &[]));
    assert_eq!(overview()[1].1, 2.0, "{:?}", overview());

    let vertices: Vec<_> = session.get(&format!("/jobs/{job}"))["vertices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vertex| (vertex["id"].as_str().unwrap().to_owned(), vertex["name"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(vertices.len(), 2);
    let tasks = || {
        let mut all = Vec::new();
        for (vertex, _) in &vertices {
            let details = session.get(&format!("/jobs/{job}/vertices/{vertex}"));
            for subtask in details["subtasks"].as_array().unwrap() {
                let key = |name| {
                    format!("{vertex} {} {} {name}", subtask["subtask"], subtask["taskmanager-id"].as_str().unwrap())
                };
                all.extend(OF_TASKS.map(|(name, of_rest)| (key(name), number(&subtask["metrics"][of_rest]))));
            }
        }
        all
    };
    let of_task = |collected: &Collected, key: &str| {
        let parts: Vec<_> = key.split(' ').collect();
        let labels = [of_job[0], of_job[1], ("task_id", parts[0]), ("subtask_index", parts[1]), ("tm_id", parts[2])];
        collected.value(&format!("taskmanager_job_task_{}", parts[3]), &labels)
    };
    // The first half, and then it waits.
    let collected = eventually("records to be counted", PATIENCE, || {
        let collected = Collected::of(&session);
        let count = |name: &str, vertex: usize| of_vertex(&collected, name, &vertices[vertex].0);
        let counts = (count("numRecordsIn", 0), count("numRecordsOut", 0), count("numRecordsIn", 1));
        let half = f64::from(RECORDS / 2);
        if counts == (half, half, half) { Ok(collected) } else { Err(format!("{counts:?}")) }
    });
    agree(&session, tasks, of_task);
    assert!(of_vertex(&collected, "accumulateIdleTimeMs", &vertices[1].0) > 0.0);
    let names =
        collected.series("taskmanager_job_task_numRecordsIn", &[]).map(|sample| sample.label("task_name").unwrap());
    assert!(names.into_iter().all(|name| vertices.iter().any(|(_, of_rest)| of_rest == name)));

    let watermarks = || {
        let of_one = |vertex: &String| {
            let found = session.get(&format!("/jobs/{job}/vertices/{vertex}/watermarks"));
            let pair = |one: &Value| {
                let (index, name) = one["id"].as_str().unwrap().split_once('.').unwrap();
                (format!("{vertex} {index} {name}"), one["value"].as_str().unwrap().parse().unwrap())
            };
            found.as_array().unwrap().iter().map(pair).collect::<Vec<_>>()
        };
        vertices.iter().flat_map(|(vertex, _)| of_one(vertex)).collect::<Vec<_>>()
    };
    agree(&session, watermarks, |collected, key| {
        let parts: Vec<_> = key.split(' ').collect();
        collected
            .value(&format!("taskmanager_job_task_{}", parts[2]), &[("task_id", parts[0]), ("subtask_index", parts[1])])
    });
    assert_eq!(watermarks().len(), 4);

    let checkpoints = || {
        let found = session.get(&format!("/jobs/{job}/checkpoints"));
        let (counts, latest) = (&found["counts"], &found["latest"]["completed"]);
        [
            ("numberOfCompletedCheckpoints", &counts["completed"]),
            ("numberOfFailedCheckpoints", &counts["failed"]),
            ("numberOfInProgressCheckpoints", &counts["in_progress"]),
            ("totalNumberOfCheckpoints", &counts["total"]),
            ("lastCompletedCheckpointId", &latest["id"]),
            ("lastCheckpointDuration", &latest["end_to_end_duration"]),
            ("lastCheckpointSize", &latest["checkpointed_size"]),
            ("lastCheckpointFullSize", &latest["state_size"]),
            ("lastCheckpointProcessedData", &latest["processed_data"]),
        ]
        .map(|(name, value)| (name.to_owned(), number(value)))
        .to_vec()
    };
    let of_checkpoint = |collected: &Collected, name: &str| collected.value(&format!("jobmanager_job_{name}"), &of_job);
    agree(&session, checkpoints, of_checkpoint);

    // It falls, and stands up again.
    let restart = |collected: &Collected| collected.value("jobmanager_job_numRestarts", &of_job);
    let before = Collected::of(&session);
    assert_eq!(
        (restart(&before), before.value("jobmanager_job_lastCheckpointRestoreTimestamp", &of_job)),
        (Some(0.0), None)
    );
    sandbox.until_running(Role::JobProcess, 1)[0].signal(Signal::SIGKILL);
    eventually("the restart to be counted", PATIENCE, || {
        let collected = Collected::of(&session);
        let again = collected.series("taskmanager_job_task_numRecordsIn", &[("task_attempt_num", "1")]).count();
        if restart(&collected) == Some(1.0) && again == 4 { Ok(()) } else { Err(format!("{collected:?}")) }
    });
    let restored = || {
        let found = session.get(&format!("/jobs/{job}/checkpoints"));
        vec![("lastCheckpointRestoreTimestamp".to_owned(), number(&found["latest"]["restored"]["restore_timestamp"]))]
    };
    agree(&session, restored, of_checkpoint);
    let collected = Collected::of(&session);
    assert!(collected.value("jobmanager_job_uptime", &of_job).is_some_and(|uptime| uptime > 0.0));
    assert_eq!(collected.value("jobmanager_job_status", &[of_job[0], ("status", "RUNNING")]), Some(1.0));
    assert_eq!(collected.value("jobmanager_job_numTasks", &[of_job[0], ("status", "RUNNING")]), Some(4.0));

    // Of a job that has ended, only its number is left.
    session.cancel(&job);
    let collected = Collected::of(&session);
    assert_eq!(collected.value("jobmanager_numJobs", &[("status", "CANCELED")]), Some(1.0));
    assert!(collected.names().all(|name| !name.contains("_job_")), "{collected:?}");
    session.stop();
}

#[test]
fn what_processes_take_is_told() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let hold = format!("hold={}", sandbox.at("never"));
    let job = session.submit(&test_program(), ["a", &hold]);
    session.until_all_run(&job);
    eventually("a heartbeat that tells of the job process", PATIENCE, || {
        let collected = Collected::of(&session);
        let mib = |name: &str| collected.value(name, &[]).unwrap_or(0.0) / f64::from(1 << 20);
        let memory = ["jobmanager_Status_Process", "taskmanager_Status_Process", "taskmanager_Status_JobProcesses"]
            .map(|whose| mib(&format!("{whose}_Memory_Resident")));
        let processes = collected.value("taskmanager_Status_JobProcesses_Count", &[]);
        let limit = mib("taskmanager_Status_Process_Memory_Limit");
        if processes == Some(1.0) && memory.iter().all(|mib| (1.0..500.0).contains(mib)) && limit == 512.0 {
            Ok(())
        } else {
            Err(format!("{processes:?} {memory:?} {limit}"))
        }
    });
    session.cancel(&job);
    session.stop();
}

/// Where a TaskManager says that it serves its metrics.
#[track_caller]
fn endpoint_of_worker(rest: &Rest) -> String {
    eventually("a TaskManager that serves metrics", PATIENCE, || {
        let workers = rest.get("/taskmanagers");
        let Some(id) = workers["taskmanagers"][0]["id"].as_str() else { return Err(workers) };
        let log = rest.get(&format!("/taskmanagers/{id}/log"));
        let address = log.as_str().and_then(|log| {
            let line = log.lines().find(|line| line.contains("metrics are served"))?;
            line.split("address=").nth(1)?.split_whitespace().next().map(str::to_owned)
        });
        address.ok_or(log)
    })
}

#[test]
fn a_task_manager_with_a_port_tells_what_the_job_manager_then_leaves_out() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&["taskmanager.metrics.port=0"]);
    let hold = format!("hold={}", sandbox.at("never"));
    let job = session.submit(&test_program(), ["a", &hold]);
    session.until_all_run(&job);
    let worker = Rest::new(&endpoint_of_worker(&session));
    let own = Collected::of(&worker);
    for (name, value) in [
        ("taskmanager_registered", 1.0),
        ("taskmanager_taskSlotsTotal", 1.0),
        ("taskmanager_taskSlotsAvailable", 0.0),
        ("taskmanager_Status_JobProcesses_Count", 1.0),
    ] {
        assert_eq!(own.value(name, &[]), Some(value), "{name}");
    }
    let resident = own.value("taskmanager_job_Process_Memory_Resident", &[("job_id", &job)]);
    assert!(resident.is_some_and(|bytes| bytes > 1e6), "{resident:?}");
    assert_eq!(own.value("taskmanager_Status_JobProcesses_Memory_Resident", &[]), resident);
    let id = session.get("/taskmanagers")["taskmanagers"][0]["id"].as_str().unwrap().to_owned();
    assert!(own.value("taskmanager_Status_Process_CPU_Seconds", &[("tm_id", &id)]).is_some());

    let of_leader = Collected::of(&session);
    let both: Vec<_> = own.names().filter(|name| of_leader.names().any(|other| other == *name)).collect();
    assert_eq!(both, Vec::<&str>::new(), "each figure comes from one place");
    assert_eq!(of_leader.value("jobmanager_taskmanager_taskSlotsTotal", &[("tm_id", &id)]), Some(1.0));
    let metrics = worker.request(reqwest::Method::POST, "/metrics", |request| request);
    assert_eq!((metrics.status, worker.try_get("/").status), (405, 404));
    session.cancel(&job);
    session.stop();
}

#[test]
fn a_token_for_metrics_opens_nothing_else() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[
        &format!("security.token={TOKEN}"),
        &format!("security.metrics-token={METRICS_TOKEN}"),
        "taskmanager.metrics.port=0",
    ]);
    let client = Rest::new(session.address()).with_token(TOKEN);
    let job = sandbox.flott(["run", "-d", &test_program(), "a"]).success().job();
    client.finished(&job);
    let worker = endpoint_of_worker(&client);
    for address in [session.address(), &worker] {
        Collected::of(&Rest::new(address).with_token(METRICS_TOKEN));
        Collected::of(&Rest::new(address).with_token(TOKEN));
        assert_eq!(Rest::new(address).try_get("/metrics").status, 401, "{address}");
        assert_eq!(Rest::new(address).with_token("another").try_get("/metrics").status, 401, "{address}");
    }
    let collector = Rest::new(session.address()).with_token(METRICS_TOKEN);
    collector.try_get("/overview").refused(401, &["token"]);
    collector.try_get(&format!("/jobs/{job}")).refused(401, &["token"]);
    collector.try_get("/v1/metrics").refused(401, &["token"]);
    let shown = format!("{}{}", client.get("/jobmanager/config"), client.get(&format!("/jobs/{job}/config")));
    assert!(!shown.contains(METRICS_TOKEN), "the token is shown: {shown}");
    session.stop();
}
