//! Whose a snapshot is that a job starts from: with `CLAIM` the job removes it as it would a checkpoint of its own.

use std::path::Path;

use flott_tests::{
    eventually::{PATIENCE, eventually},
    plain::{PlainJob, RECORDS, records_read},
    sandbox::{
        Sandbox,
        processes::{Process, Role},
    },
};

/// Checkpoints are only taken when they are asked for, and each takes the place of the one before.
const ONE: &str = "execution.checkpointing.interval: 0 ms\nexecution.checkpointing.num-retained: 1";

/// Takes a checkpoint of a job, and says where.
#[track_caller]
fn checkpoint(sandbox: &Sandbox, job: &str) -> String {
    let taken = sandbox.flott(["checkpoint", job, "--json"]).success().json();
    taken["location"].as_str().unwrap().to_owned()
}

fn is_there(snapshot: &str) -> bool {
    Path::new(snapshot).join("_metadata").exists()
}

#[track_caller]
fn until_gone(snapshot: &str) {
    eventually("the snapshot to be removed", PATIENCE, || if is_there(snapshot) { Err(snapshot) } else { Ok(()) });
}

#[test]
fn a_claimed_savepoint_goes_behind_a_checkpoint_of_the_job_and_one_that_is_not_stays() {
    let sandbox = Sandbox::with(ONE);
    let job = PlainJob::start(&sandbox);
    let stopped = sandbox.flott(["stop", "-p", &sandbox.at("savepoints"), &job.job, "--json"]).success().json();
    let savepoint = stopped["location"].as_str().unwrap();

    let guest = job.begin_from(savepoint, "NO_CLAIM");
    checkpoint(&sandbox, &guest);
    checkpoint(&sandbox, &guest);
    job.session.cancel(&guest);
    assert!(is_there(savepoint));

    let owner = job.begin_from(savepoint, "CLAIM");
    assert!(is_there(savepoint), "the job starts from it again if it has to");
    let own = checkpoint(&sandbox, &owner);
    until_gone(savepoint);
    assert!(!Path::new(savepoint).exists());
    Process::kill_all(&sandbox.running(Role::JobProcess));
    eventually("the job to start over", PATIENCE, || {
        let restored = job.session.get(&format!("/v1/jobs/{owner}/checkpoints"))["latest"]["restored"].clone();
        if restored["external_path"] == own.as_str() { Ok(()) } else { Err(restored) }
    });
    job.release();
    job.session.finished(&owner);
    assert!(records_read(&job.session, &owner) <= RECORDS / 2, "what was read before the savepoint is not read again");
    // What is gone is named to who starts from it.
    job.run(savepoint, "CLAIM").expect(1).says(&[savepoint, "no checkpoint or savepoint there"]);
    job.session.stop();
}

#[test]
fn a_claimed_checkpoint_goes_with_the_job_and_is_not_taken_from_one_that_goes_on() {
    let sandbox = Sandbox::with(ONE);
    let job = PlainJob::start(&sandbox);
    let retained = checkpoint(&sandbox, &job.job);
    job.run(&retained, "CLAIM").expect(2).says(&["claim-mode", &job.job, "goes on and needs it"]);
    job.session.cancel(&job.job);
    assert!(is_there(&retained));

    // A job that is cancelled leaves what it has claimed, as it leaves its checkpoints.
    let cancelled = job.begin_from(&retained, "CLAIM");
    job.session.cancel(&cancelled);
    assert!(is_there(&retained));
    let owner = job.begin_from(&retained, "CLAIM");
    job.release();
    job.session.finished(&owner);
    until_gone(&retained);
    job.session.stop();
}
