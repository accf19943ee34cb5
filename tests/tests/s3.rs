//! Jobs with their checkpoints in an S3-compatible store, on real clusters: moto's server, on a network that tears. `make test`
//! says aloud when it leaves this out.

use std::fs;

use flott_core::id::JobId;
use flott_snapshot::{Checkpoints, Directory, S3Options};
use flott_tests::{
    book::{check_running, lines_in},
    chaos::{self, Plan},
    eventually::{PATIENCE, eventually},
    moto::Moto,
    program::{check_output, counts, test_program},
    proxy::Proxy,
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};

const RECORDS: u64 = 40_000;
const SPLITS: u64 = 400;
const KEYS: u64 = 50;

/// A sandbox whose clusters keep their checkpoints in a bucket at `endpoint`.
fn sandbox(endpoint: &str) -> Sandbox {
    Sandbox::with(&format!(
        "execution.checkpointing.dir: s3://flott/checkpoints\nexecution.checkpointing.interval: 100 ms\ns3.endpoint: \
         {endpoint}\ns3.region: us-east-1\ns3.access-key: key\ns3.secret-key: hush-hush"
    ))
}

/// The same, of which also the jobs are remembered there.
fn remembered(endpoint: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!(
        "high-availability.type: storage\nhigh-availability.storageDir: s3://flott/clusters\n\
         high-availability.leader-election.lease-duration: 2 s\nhigh-availability.leader-election.renew-deadline: 1500 ms\n\
         high-availability.leader-election.retry-period: 200 ms\nexecution.checkpointing.interval: 100 ms\n\
         s3.endpoint: {endpoint}\ns3.region: us-east-1\ns3.access-key: key\ns3.secret-key: hush-hush"
    ));
    sandbox
}

fn arguments(sandbox: &Sandbox) -> Vec<String> {
    let numbers = [("records", RECORDS), ("splits", SPLITS), ("keys", KEYS)];
    let mut arguments = vec!["held".to_owned()];
    arguments.extend(numbers.map(|(name, number)| format!("{name}={number}")));
    arguments.extend([format!("hold={}", sandbox.at("hold")), format!("output={}", sandbox.at("out"))]);
    arguments
}

#[track_caller]
fn start(sandbox: &Sandbox, session: &Session<'_>, options: &[&str]) -> String {
    let options = [&["-d", "-p", "2"], options].concat();
    let job = session.run(&options, &test_program(), arguments(sandbox)).success().job();
    session.until_all_run(&job);
    job
}

fn kill(sandbox: &Sandbox, role: Role) {
    Process::kill_all(&sandbox.running(role));
}

#[test]
fn a_job_goes_on_from_checkpoints_in_a_bucket_whatever_dies() {
    let moto = Moto::start();
    moto.bucket("flott");
    let sandbox = sandbox(&moto.url());
    let session = sandbox.session(&[]);
    let job = start(&sandbox, &session, &[]);
    session.until_checkpoint(&job);
    kill(&sandbox, Role::JobProcess);
    session.until_all_run(&job);
    session.until_checkpoint(&job);
    let details = session.get(&format!("/v1/jobs/{job}/checkpoints"));
    let restored = &details["latest"]["restored"]["external_path"];
    assert!(restored.as_str().is_some_and(|path| path.starts_with("s3://flott/checkpoints/")), "{details}");

    let masters = sandbox.running(Role::JobManager);
    Process::kill_all(&masters);
    eventually("the end of the JobManager", PATIENCE, || {
        if masters.iter().all(Process::is_gone) { Ok(()) } else { Err("it is still there") }
    });
    drop(session);
    let session = sandbox.session(&[]);
    session.until_all_run(&job);
    session.until_checkpoint(&job);
    // The key is in no answer, and in no log.
    let shown =
        session.get(&format!("/v1/jobs/{job}/config")).to_string() + &session.get("/v1/jobmanager/config").to_string();
    assert!(shown.contains("s3.endpoint") && !(shown + &sandbox.logs()).contains("hush-hush"));
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    session.stop();
}

#[test]
fn a_job_is_remembered_in_a_bucket_when_its_job_manager_has_lost_its_disk() {
    let moto = Moto::start();
    moto.bucket("flott");
    let sandbox = remembered(&moto.url());
    let session = sandbox.session(&[]);
    let job = start(&sandbox, &session, &[]);
    session.until_checkpoint(&job);
    let processes = sandbox.until_running(Role::JobProcess, 2);
    kill(&sandbox, Role::JobManager);
    sandbox.until_running(Role::JobManager, 0);
    drop(session);
    fs::remove_dir_all(sandbox.path().join("state/session/blobs")).unwrap();

    let session = sandbox.session(&[]);
    session.until_all_run(&job);
    assert_eq!(sandbox.running(Role::JobProcess), processes);
    // Another process needs the program.
    kill(&sandbox, Role::TaskManager);
    session.until_all_run(&job);
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    session.stop();
}

#[test]
fn a_savepoint_in_a_bucket_is_one_to_go_on_from_and_to_remove() {
    let moto = Moto::start();
    moto.bucket("flott");
    let sandbox = sandbox(&moto.url());
    let session = sandbox.session(&[]);
    let job = start(&sandbox, &session, &[]);
    session.until_checkpoint(&job);
    let address = session.address().to_owned();
    let stopped = sandbox.flott(["stop", "-m", &address, &job, "-p", "s3://flott/savepoints"]).success();
    let savepoint = stopped.out.lines().find_map(|line| Some(line[line.find("s3://")?..].trim().to_owned())).unwrap();
    assert!(savepoint.starts_with("s3://flott/savepoints/savepoint-"), "{savepoint}");
    fs::write(sandbox.at("hold"), "").unwrap();
    // It writes to another directory; a sink would refuse one in which there is something.
    let arguments = arguments(&sandbox).into_iter().chain([format!("output={}", sandbox.at("more"))]);
    let next = session.run(&["-d", "-p", "3", "-s", &savepoint], &test_program(), arguments).success().job();
    session.finished(&next);
    let lines: Vec<_> = lines_in(&sandbox.at("out")).into_iter().chain(lines_in(&sandbox.at("more"))).collect();
    check_running(&lines, &counts(RECORDS, KEYS));
    sandbox.flott(["savepoint", "-m", &address, "-d", &savepoint]).success();
    let again = sandbox.flott(["savepoint", "-m", &address, "-d", &savepoint]);
    assert!(again.err.contains(&savepoint), "{}", again.err);
    session.stop();
}

#[test]
fn a_store_behind_a_network_that_tears_costs_no_result() {
    let moto = Moto::start();
    moto.bucket("flott");
    let proxy = Proxy::tearing(moto.address(), 7, 20_000);
    let sandbox = sandbox(&format!("http://{}", proxy.address()));
    let session = sandbox.session(&[]);
    let job = start(&sandbox, &session, &[]);
    session.until_checkpoint(&job);
    kill(&sandbox, Role::JobProcess);
    session.until_all_run(&job);
    session.until_checkpoint(&job);
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    session.stop();
}

/// State files of a job below its newest complete checkpoint that no checkpoint of it names.
async fn orphans(checkpoints: &Checkpoints) -> Result<Vec<String>, flott_snapshot::Error> {
    // In this order: what a checkpoint names is there before.
    let files = checkpoints.directory().list("shared").await?;
    let (mut named, mut newest) = (Vec::new(), 0);
    for entry in checkpoints.list().await? {
        if let Ok(flott_snapshot::manifest::document::Document::Manifest(manifest)) = &entry.document {
            newest = newest.max(entry.checkpoint.0);
            named.extend(manifest.files().map(|file| file.path.as_str().to_owned()));
        }
    }
    let number = |path: &str| path.strip_prefix("shared/")?.split('_').next()?.parse::<u64>().ok();
    let is_old = |path: &String| number(path).is_none_or(|number| number < newest);
    Ok(files.into_iter().map(|file| file.path).filter(|path| !named.contains(path) && is_old(path)).collect())
}

#[test]
fn a_store_that_hangs_holds_up_neither_records_nor_an_end_and_is_left_tidy() {
    let moto = Moto::start();
    moto.bucket("flott");
    let proxy = Proxy::before(moto.address());
    let sandbox = sandbox(&format!("http://{}", proxy.address()));
    let session = sandbox.session(&[]);
    // Slowly, until it is let go.
    let run = |output: &str| {
        let slowly = ["splits=2".to_owned(), "pace=1".to_owned(), format!("output={}", sandbox.at(output))];
        let options = ["-d", "-p", "2", "-D", "execution.checkpointing.timeout=2 s"];
        let arguments = arguments(&sandbox).into_iter().chain(slowly);
        let job = session.run(&options, &test_program(), arguments).success().job();
        session.until_all_run(&job);
        job
    };
    let (job, other) = (run("out"), run("other"));
    session.until_checkpoint(&job);
    session.until_checkpoint(&other);
    proxy.swallow();
    let listed = || sandbox.flott(["list"]).success().out;
    eventually("the alarm of both jobs in the list", PATIENCE, || {
        let listed = listed();
        if listed.matches("latest checkpoint: ").count() == 2 { Ok(()) } else { Err(listed) }
    });
    let read = || {
        let vertices = session.get(&format!("/v1/jobs/{job}"))["vertices"].clone();
        let read = |vertex: &serde_json::Value| vertex["metrics"]["read-records"].as_u64().unwrap_or_default();
        vertices.as_array().into_iter().flatten().map(read).sum::<u64>()
    };
    let before = read();
    eventually("records to flow", PATIENCE, || if read() > before + 100 { Ok(()) } else { Err(read()) });
    session.cancel(&other);
    // If the store hangs just when it is to say whether a checkpoint is complete, that is waited for a minute.
    eventually("the end of the other job", 2 * PATIENCE, || match session.state(&other).as_str() {
        "CANCELED" => Ok(()),
        state => Err(state.to_owned()),
    });
    proxy.flow();
    proxy.tear();
    session.until_checkpoint(&job);
    eventually("the list to be quiet", PATIENCE, || {
        let listed = listed();
        if listed.contains("latest checkpoint: ") { Err(listed) } else { Ok(()) }
    });
    assert_eq!(session.attempts(&job), [0; 4]);

    let s3 = S3Options {
        endpoint: Some(moto.url()),
        region: Some("us-east-1".to_owned()),
        access_key: Some("key".to_owned()),
        secret_key: Some("hush-hush".to_owned()),
        path_style: None,
    };
    let root = Directory::open("s3://flott/checkpoints", &s3).unwrap();
    let checkpoints = Checkpoints::new(&root, job.parse::<JobId>().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // It is looked for them once in a minute at most.
    eventually("nothing that no checkpoint names", 2 * PATIENCE, || match runtime.block_on(orphans(&checkpoints)) {
        Ok(orphans) if orphans.is_empty() => Ok(()),
        found => Err(format!("{found:?}")),
    });
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    check_output(&sandbox.at("out"), RECORDS, KEYS);
    assert_eq!(runtime.block_on(checkpoints.directory().list("shared")).unwrap(), []);
    session.stop();
}

#[test]
fn a_bucket_that_is_not_there_is_named() {
    let moto = Moto::start();
    let sandbox = sandbox(&moto.url());
    let session = sandbox.session(&[]);
    let job = session.run(&["-d"], &test_program(), arguments(&sandbox)).success().job();
    assert_eq!(session.end_of(&job), "FAILED");
    let failures = session.exceptions(&job);
    assert!(failures.iter().any(|failure| failure.to_string().contains("s3://flott/checkpoints")), "{failures:?}");
    session.stop();
}

#[test]
fn splits_are_counted_once_though_the_way_to_the_bucket_tears_and_processes_are_killed() {
    println!("{}", chaos::run(&Plan::all(11)));
}
