//! A JobManager that is killed while jobs run: the next one takes the tasks over as they are, once it has their checkpoints.

use std::{fs, path::Path, time::Duration};

use flott_tests::{
    book::nothing_hidden_in,
    copy,
    eventually::{PATIENCE, eventually},
    program::{check_output, test_program},
    sandbox::{
        Sandbox, Session,
        processes::{Process, Role},
    },
};
use nix::sys::signal::Signal;
use serde_json::Value;

const RECORDS: u64 = 40_000;
const SPLITS: u64 = 4000;
const KEYS: u64 = 20;

/// Kills the JobManager, lets the tasks be alone for a while, and starts another one.
#[track_caller]
fn replace<'a>(sandbox: &'a Sandbox, session: Session<'a>, alone: Duration) -> Session<'a> {
    replace_after(sandbox, session, || std::thread::sleep(alone))
}

/// The same, and this is done while there is none.
#[track_caller]
fn replace_after<'a>(sandbox: &'a Sandbox, session: Session<'a>, act: impl FnOnce()) -> Session<'a> {
    Process::kill_all(&sandbox.running(Role::JobManager));
    sandbox.until_running(Role::JobManager, 0);
    drop(session);
    act();
    sandbox.session(&[])
}

#[track_caller]
fn start(session: &Session<'_>, hold: &str, out: &str, interval: &str) -> String {
    let arguments = [
        "held".to_owned(),
        format!("records={RECORDS}"),
        format!("splits={SPLITS}"),
        format!("keys={KEYS}"),
        format!("hold={hold}"),
        format!("output={out}"),
    ];
    let interval = format!("execution.checkpointing.interval={interval}");
    let job = session.run(&["-d", "-p", "2", "-D", &interval], &test_program(), arguments).success().job();
    session.until_all_run(&job);
    job
}

/// Kills the JobManager again and again, and wants the same processes to do all the work.
#[track_caller]
fn check_outlives(interval: &str, in_between: impl Fn(&Session<'_>, &str)) {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    let job = start(&session, &hold, &out, interval);
    let processes = sandbox.until_running(Role::JobProcess, 2);
    in_between(&session, &job);

    // Every reader holds a split, and nothing is on its way.
    let session = replace(&sandbox, session, Duration::ZERO);
    session.until_all_run(&job);
    assert_eq!(sandbox.running(Role::JobProcess), processes);
    assert_eq!(session.attempts(&job), [0; 4]);
    in_between(&session, &job);

    // Splits are handed out as fast as can be, and some are on their way.
    fs::write(&hold, "").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let session = replace(&sandbox, session, Duration::from_millis(300));
    session.until_one_of(&job, &["RUNNING", "FINISHED"]);
    let running = sandbox.running(Role::JobProcess);
    assert!(running.iter().all(|process| processes.contains(process)), "{running:?} in place of {processes:?}");
    session.finished(&job);
    let exceptions = session.exceptions(&job);
    assert!(exceptions.is_empty(), "{exceptions:?}");
    check_output(&out, RECORDS, KEYS);
    nothing_hidden_in(&out);
    session.stop();
}

#[test]
fn tasks_outlive_their_job_manager_and_no_split_is_lost() {
    check_outlives("0", |_, _| {});
}

#[test]
fn tasks_outlive_their_job_manager_between_checkpoints() {
    check_outlives("100 ms", |session, job| {
        eventually("two more checkpoints", PATIENCE, || {
            let counts = session.get(&format!("/jobs/{job}/checkpoints"))["counts"].clone();
            if counts["completed"].as_u64() >= Some(2) { Ok(()) } else { Err(counts) }
        });
    });
}

#[test]
fn a_barrier_that_is_under_way_when_the_job_manager_dies_stops_nothing() {
    let sandbox = Sandbox::new();
    let session = sandbox.session(&[]);
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    // Nobody asks for another checkpoint.
    let job = start(&session, &hold, &out, "0");
    // The tasks of one process see no barrier before the JobManager is gone.
    let frozen = &sandbox.until_running(Role::JobProcess, 2)[0];
    frozen.signal(Signal::SIGSTOP);
    let session = std::thread::scope(|scope| {
        // It is answered, or not, or fails; whatever it is, the job goes on.
        scope.spawn(|| sandbox.flott(["checkpoint", &job]));
        eventually("a barrier to be under way", PATIENCE, || {
            let counts = session.get(&format!("/jobs/{job}/checkpoints"))["counts"].clone();
            if counts["in_progress"] == 1 { Ok(()) } else { Err(counts) }
        });
        let session = replace(&sandbox, session, Duration::ZERO);
        frozen.signal(Signal::SIGCONT);
        session
    });
    session.until_all_run(&job);
    fs::write(&hold, "").unwrap();
    session.finished(&job);
    check_output(&out, RECORDS, KEYS);
    session.stop();
}

/// A job that takes checkpoints when it is asked to, and has taken `taken`; the next JobManager begins after `act`, which is given where
/// they are and another place. The job waits then, for the reason `why`, and its tasks go on; when `restore` has brought all back, they are
/// taken over.
#[track_caller]
fn check_waits_for_its_checkpoints(
    taken: u32,
    why: &str,
    act: impl FnOnce(&Path, &Path),
    restore: impl FnOnce(&Path, &Path),
) {
    let sandbox = Sandbox::new();
    let (dir, aside) = (sandbox.at("checkpoints"), sandbox.at("aside"));
    let (dir, aside) = (Path::new(&dir), Path::new(&aside));
    sandbox.configure(&format!("execution.checkpointing.dir: {}", dir.display()));
    let session = sandbox.session(&[]);
    let (hold, out) = (sandbox.at("hold"), sandbox.at("out"));
    let job = start(&session, &hold, &out, "0");
    let processes = sandbox.until_running(Role::JobProcess, 2);
    for number in 0..taken {
        sandbox.flott(["checkpoint", &job]).success();
        if number == 0 {
            copy::directory(dir, &sandbox.path().join("older")).unwrap();
        }
    }
    let session = replace_after(&sandbox, session, || act(dir, aside));
    let told = |session: &Session<'_>| Value::from(session.exceptions(&job)).to_string();
    eventually("the job to wait for its checkpoints", PATIENCE, || {
        let (state, told) = (session.state(&job), told(&session));
        if state == "INITIALIZING" && told.contains(why) { Ok(()) } else { Err(format!("{state}: {told}")) }
    });
    // What they have been given they read, meanwhile.
    fs::write(&hold, "").unwrap();
    assert_eq!(sandbox.running(Role::JobProcess), processes);
    restore(dir, aside);
    session.finished(&job);
    assert_eq!(session.attempts(&job), [0; 4], "nothing is started over");
    assert_eq!(session.exceptions(&job), [] as [Value; 0]);
    check_output(&out, RECORDS, KEYS);
    nothing_hidden_in(&out);
    session.stop();
}

#[test]
fn tasks_wait_for_a_job_manager_whose_volume_of_checkpoints_is_not_mounted() {
    let (unmount, mount) = (
        |dir: &Path, aside: &Path| fs::rename(dir, aside).unwrap(),
        |dir: &Path, aside: &Path| {
            assert!(
                fs::read_dir(dir).is_ok_and(|mut all| all.next().is_none()) || !dir.exists(),
                "nothing is written there"
            );
            fs::rename(aside, dir).unwrap();
        },
    );
    check_waits_for_its_checkpoints(1, "is the volume not mounted", unmount, mount);
}

/// When a third one is taken, every process has heard that the second is complete.
#[test]
fn tasks_that_know_a_later_checkpoint_than_there_is_are_left_alone_until_it_is_there() {
    let roll_back = |dir: &Path, aside: &Path| {
        fs::rename(dir, aside).unwrap();
        fs::rename(dir.with_file_name("older"), dir).unwrap();
    };
    let bring_back = |dir: &Path, aside: &Path| {
        fs::rename(dir, dir.with_file_name("older")).unwrap();
        fs::rename(aside, dir).unwrap();
    };
    check_waits_for_its_checkpoints(3, "though the job's tasks know that it is complete", roll_back, bring_back);
}
