//! Jobs that go on from a checkpoint or savepoint: what was read before is not read again.

use std::{fs, path::Path};

use flott_tests::{
    book::{Counts, lines_in},
    eventually::{PATIENCE, eventually},
    plain::{PlainJob, RECORDS, records_read},
    program::{counts, test_program},
    rest::Rest,
    sandbox::{
        Sandbox,
        processes::{Process, Role},
    },
};

/// Checkpoints are only taken when they are asked for.
const ON_REQUEST: &str = "execution.checkpointing.interval: 0 ms";

/// Another job starts from `path`, and reads what is left.
#[track_caller]
fn check_goes_on(job: &PlainJob<'_>, path: &str, is_savepoint: bool) {
    let next = job.run_from(path);
    let restored = job.session.get(&format!("/v1/jobs/{next}/checkpoints"))["latest"]["restored"].clone();
    assert_eq!((&restored["external_path"], &restored["is_savepoint"]), (&path.into(), &is_savepoint.into()));
    assert_eq!(records_read(&job.session, &next), RECORDS / 2, "splits are read from where they were cut");
}

#[test]
fn a_stopped_job_goes_on_from_its_savepoint() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    let dir = sandbox.at("savepoints");
    let stopped = sandbox.flott(["stop", "-p", &dir, &job.job, "--json"]).success().json();
    assert_eq!(stopped["status"], "FINISHED");
    assert_eq!(job.session.state(&job.job), "FINISHED");
    let location = stopped["location"].as_str().unwrap();
    assert_eq!(Path::new(location).parent(), Some(Path::new(&dir)));
    assert_eq!(job.checkpoints()["latest"]["savepoint"]["external_path"], location);
    assert_eq!(records_read(&job.session, &job.job), RECORDS / 2);
    check_goes_on(&job, location, true);
    job.session.stop();
}

#[test]
fn a_job_runs_on_behind_its_savepoint_and_another_starts_from_there() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    let taken = sandbox.flott(["savepoint", &job.job, &sandbox.at("savepoints"), "--json"]).success().json();
    assert_eq!(job.session.state(&job.job), "RUNNING");
    check_goes_on(&job, taken["location"].as_str().unwrap(), true);
    job.session.finished(&job.job);
    assert_eq!(records_read(&job.session, &job.job), RECORDS);
    job.session.stop();
}

#[test]
fn a_drained_job_is_finished() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    let dir = sandbox.at("savepoints");
    sandbox.flott(["stop", "--drain", "-p", &dir, &job.job]).success().prints(&["Draining job", "Path: ", &dir]);
    job.session.finished(&job.job);
    assert_eq!(records_read(&job.session, &job.job), RECORDS / 2);
    job.session.stop();
}

#[test]
fn a_cancelled_job_goes_on_from_its_latest_checkpoint_and_says_where_that_is() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    sandbox.flott(["checkpoint", &job.job]).success().prints(&["Checkpoint ", "completed.", "Path: "]);
    let completed = job.checkpoints()["latest"]["completed"].clone();
    let path = completed["external_path"].as_str().unwrap().to_owned();
    job.session.cancel(&job.job);
    sandbox.flott(["list", "-a"]).success().prints(&[&format!("latest state: {path}")]);
    let waited = sandbox.flott(["jobs", "wait", &job.job, "--json"]).expect(4).json();
    assert_eq!(waited["checkpoint"], path);
    sandbox.flott(["jobs", "wait", &job.job]).expect(4).says(&[&format!("flott run -s {path}")]);
    check_goes_on(&job, &path, false);
    job.session.stop();
}

#[test]
fn checkpoints_that_are_not_retained_are_not_named() {
    let sandbox = Sandbox::with(&format!(
        "{ON_REQUEST}\nexecution.checkpointing.externalized-checkpoint-retention: DELETE_ON_CANCELLATION"
    ));
    let job = PlainJob::start(&sandbox);
    let taken = sandbox.flott(["checkpoint", &job.job, "--json"]).success().json();
    let path = taken["location"].as_str().unwrap().to_owned();
    assert!(Path::new(&path).exists());
    job.session.cancel(&job.job);
    assert_eq!(job.checkpoints()["latest"]["completed"]["discarded"], true);
    let waited = sandbox.flott(["jobs", "wait", &job.job, "--json"]).expect(4).json();
    assert!(waited["checkpoint"].is_null(), "{waited}");
    eventually("the checkpoint to be removed", PATIENCE, || {
        if Path::new(&path).join("_metadata").exists() { Err(path.as_str()) } else { Ok(()) }
    });
    job.session.stop();
}

/// Whether the checkpoint of a job that has failed is removed with `retention`.
#[track_caller]
fn check_failed(retention: &str, removed: bool) {
    let key = "execution.checkpointing.externalized-checkpoint-retention";
    let sandbox = Sandbox::with(&format!("{ON_REQUEST}\nrestart-strategy.type: none\n{key}: {retention}"));
    let job = PlainJob::start(&sandbox);
    let taken = sandbox.flott(["checkpoint", &job.job, "--json"]).success().json();
    let path = taken["location"].as_str().unwrap().to_owned();
    Process::kill_all(&sandbox.running(Role::JobProcess));
    let waited = sandbox.flott(["jobs", "wait", &job.job, "--json"]).expect(2).json();
    assert_eq!(waited["status"], "FAILED", "{waited}");
    assert_eq!(waited["checkpoint"].is_null(), removed, "{retention}: {waited}");
    assert_eq!(job.checkpoints()["latest"]["completed"]["discarded"], removed, "{retention}");
    let is_there = || Path::new(&path).join("_metadata").exists();
    if removed {
        eventually("the checkpoint to be removed", PATIENCE, || if is_there() { Err(path.as_str()) } else { Ok(()) });
    } else {
        assert!(is_there(), "{retention}: {path} is gone");
    }
    job.session.stop();
}

#[test]
fn a_failed_job_leaves_its_checkpoint_unless_none_are_to_be_left() {
    check_failed("DELETE_ON_CANCELLATION", false);
    check_failed("NO_EXTERNALIZED_CHECKPOINTS", true);
}

#[test]
fn as_many_checkpoints_are_left_as_are_to_be_kept() {
    let sandbox = Sandbox::with(&format!("{ON_REQUEST}\nexecution.checkpointing.num-retained: 3"));
    let job = PlainJob::start(&sandbox);
    let taken: Vec<_> = (0..5)
        .map(|_| {
            let taken = sandbox.flott(["checkpoint", &job.job, "--json"]).success().json();
            taken["location"].as_str().unwrap().to_owned()
        })
        .collect();
    // They are removed once the next one is known to be complete.
    eventually("older checkpoints to be removed", PATIENCE, || {
        let is_there = |path: &&String| Path::new(path).join("_metadata").exists();
        let left: Vec<_> = taken.iter().filter(is_there).cloned().collect();
        if left == taken[2..] { Ok(()) } else { Err(left.join(" and ") + " are left") }
    });
    job.session.cancel(&job.job);
    check_goes_on(&job, &taken[2], false);
    job.session.stop();
}

#[test]
fn a_job_whose_process_is_killed_goes_on_from_its_checkpoint() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let job = PlainJob::start(&sandbox);
    let taken = sandbox.flott(["checkpoint", &job.job, "--json"]).success().json();
    assert_eq!(job.checkpoints()["counts"]["restored"], 0);
    let killed = sandbox.running(Role::JobProcess);
    Process::kill_all(&killed);
    eventually("the job to be restored", PATIENCE, || {
        let counts = job.checkpoints()["counts"].clone();
        if counts["restored"].as_u64() > Some(0) { Ok(()) } else { Err(counts) }
    });
    let restored = job.checkpoints()["latest"]["restored"].clone();
    assert_eq!((&restored["id"], &restored["is_savepoint"]), (&taken["checkpoint"], &false.into()), "{restored}");
    job.release();
    job.session.finished(&job.job);
    let read = records_read(&job.session, &job.job);
    assert_eq!(read, RECORDS / 2, "splits are read from where the checkpoint cuts them");
    job.session.stop();
}

#[test]
fn a_job_goes_on_from_its_checkpoint_with_another_job_manager() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let PlainJob { session, job, .. } = PlainJob::start(&sandbox);
    let taken = sandbox.flott(["checkpoint", &job, "--json"]).success().json();
    Process::kill_all(&sandbox.running(Role::JobManager));
    sandbox.until_running(Role::JobManager, 0);
    // Else they would be taken over as they are.
    Process::kill_all(&sandbox.running(Role::JobProcess));
    drop(session);
    let session = sandbox.session(&[]);
    session.until_all_run(&job);
    let restored = session.get(&format!("/v1/jobs/{job}/checkpoints"))["latest"]["restored"].clone();
    assert_eq!(restored["external_path"], taken["location"]);
    fs::write(sandbox.at("hold"), "").unwrap();
    session.finished(&job);
    assert_eq!(records_read(&session, &job), RECORDS / 2, "splits are read from where the checkpoint cuts them");
    session.stop();
}

#[test]
fn a_cluster_of_one_job_leaves_what_its_job_can_be_taken_up_from() {
    let sandbox = Sandbox::with(ON_REQUEST);
    let (program, hold) = (test_program(), format!("hold={}", sandbox.at("hold")));
    let start = || {
        let submitted = sandbox.flott(["run", "-m", "cluster", "-d", &program, "held", "plain=true", &hold]).success();
        Rest::new(&submitted.address()).until_all_run(&submitted.job());
        submitted.job()
    };
    let cancelled = start();
    let taken = sandbox.flott(["checkpoint", &cancelled, "--json"]).success().json();
    let path = taken["location"].as_str().unwrap();
    sandbox.flott(["cancel", &cancelled]).success();
    sandbox.until_empty();
    sandbox.flott(["list", "-a"]).success().prints(&[&format!("latest state: {path}")]);
    sandbox.flott(["jobs", "wait", &cancelled]).expect(4).says(&[path]);

    let stopped = start();
    sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &stopped]).success().prints(&["Savepoint completed."]);
    sandbox.until_empty();
    fs::write(sandbox.at("hold"), "").unwrap();
    let locations = fs::read_dir(sandbox.at("savepoints")).unwrap().map(|entry| entry.unwrap().path());
    let paths = locations.map(|path| path.to_str().unwrap().to_owned()).chain([path.to_owned()]);
    for path in paths {
        sandbox.flott(["run", "-m", "cluster", "-s", &path, &program, "held", "plain=true", &hold]).success();
        sandbox.flott(["run", "-m", "local", "-s", &path, &program, "held", "plain=true", &hold]).success();
    }
    sandbox.until_empty();
}

#[test]
fn whose_a_savepoint_is_may_be_said() {
    let sandbox = Sandbox::new();
    let run = |option: &str, mode: &str| {
        let program = test_program();
        sandbox.flott(["run", "-m", "local", option, mode, &program, "counts"])
    };
    run("--claimMode", "NO_CLAIM").success();
    run("-rm", "claim").success();
    for option in ["-cm", "-claim", "-restoreMode"] {
        run(option, "legacy").refused(1, &["execution.state-recovery.claim-mode", "neither NO_CLAIM nor CLAIM"]);
    }
}

/// Each holds what had been counted when it was taken, and where its readers were then.
#[test]
fn a_job_can_be_started_from_each_of_the_checkpoints_that_are_left() {
    let dir = "checkpoints";
    let sandbox = Sandbox::new();
    sandbox.configure(&format!(
        "{ON_REQUEST}\nexecution.checkpointing.num-retained: 4\nexecution.checkpointing.dir: {}",
        sandbox.at(dir)
    ));
    let session = sandbox.session(&[]);
    let hold = sandbox.at("hold");
    let arguments = |output: &str| {
        ["held", "keys=7", "splits=20", "pace=2"].map(str::to_owned).into_iter().chain([
            format!("records={RECORDS}"),
            format!("hold={hold}"),
            format!("output={}", sandbox.at(output)),
        ])
    };
    let job = session.run(&["-d", "-p", "2"], &test_program(), arguments("out")).success().job();
    session.until_all_run(&job);
    let mut paths = Vec::new();
    for _ in 0..6 {
        let before = records_read(&session, &job);
        eventually("more records to be read", PATIENCE, || {
            let read = records_read(&session, &job);
            if read > before { Ok(()) } else { Err(read) }
        });
        let taken = sandbox.flott(["checkpoint", &job, "--json"]).success().json();
        paths.push(taken["location"].as_str().unwrap().to_owned());
    }
    session.cancel(&job);
    fs::write(&hold, "").unwrap();
    let mut left = Vec::new();
    for (number, path) in paths[2..].iter().enumerate() {
        let out = format!("out-{number}");
        // Each is started at another parallelism than the one before.
        let parallelism = (number + 1).to_string();
        let options = ["-d", "-p", &parallelism, "-s", path];
        let next = session.run(&options, &test_program(), arguments(&out)).success().job();
        session.finished(&next);
        let lines = lines_in(&sandbox.at(&out));
        assert_eq!(lines.len() as u64, records_read(&session, &next));
        check_rest(&lines, &counts(RECORDS, 7));
        left.push(lines.len());
    }
    assert!(left.is_sorted_by(|one, next| one > next), "the newer, the less is left: {left:?}");
    session.stop();
}

/// Wants running counts to go on to the last of each key, and none to be left out after the first.
#[track_caller]
fn check_rest(lines: &[String], all: &Counts) {
    for (word, &last) in all {
        let mut counts: Vec<u64> = lines
            .iter()
            .filter_map(|line| line.split_once(' '))
            .filter(|(key, _)| key == word)
            .map(|(_, count)| count.parse().unwrap())
            .collect();
        counts.sort_unstable();
        let first = counts.first().copied().unwrap_or(last + 1);
        assert!(counts.iter().copied().eq(first..=last), "{word}: {first} to {last}, but {} lines", counts.len());
    }
}
