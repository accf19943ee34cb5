//! Transactions that are open, or wait for their commit, when a JobManager dies or a job is started from a savepoint.

use flott_snapshot::{S3Options, Snapshot};
use flott_tests::{
    eventually::{PATIENCE, eventually},
    sandbox::processes::Role,
};

use crate::stand::{PAUSE_US, RECORDS, Run, Stand, check, until_results};

/// Names of the sink's transactions begin so.
const PREFIX: &[u8] = b"kafka-program";

#[test]
fn tasks_run_on_with_their_transactions_open_until_the_next_job_manager_commits_them() {
    let Some(stand) = Stand::new("taking over from Kafka to Kafka") else { return };
    let mut run = stand.start(stand.sandbox.session(&[]), &["-p", "2"], PAUSE_US, false);
    // Before that, its splits may not have been handed out.
    until_results(&stand, 1);
    let processes = stand.sandbox.running(Role::JobProcess);
    for _ in 0..3 {
        run.until_checkpoint();
        run.kill(Role::JobManager);
        stand.sandbox.until_running(Role::JobManager, 0);
        // Nobody completes a checkpoint now. (The last time there may be nothing left to write.)
        eventually("records that readers of committed ones do not see, or all of them", PATIENCE, || {
            let (shown, written) = (stand.results().len(), stand.written().len());
            if written > shown || shown as u64 == RECORDS { Ok(()) } else { Err(written) }
        });
        let session = stand.sandbox.session(&[]);
        session.until_all_run(&run.job);
        run = Run { session, ..run };
    }
    assert_eq!(stand.sandbox.running(Role::JobProcess), processes);
    assert!(run.session.attempts(&run.job).iter().all(|attempt| *attempt == 0), "a task was started again");
    until_results(&stand, RECORDS);
    stand.sandbox.flott(["stop", &run.job, "-p", &stand.sandbox.at("savepoints")]).success();
    check(&stand, RECORDS);
    run.session.stop();
}

#[test]
fn transactions_that_a_savepoint_holds_are_committed_by_the_job_that_starts_from_it() {
    let Some(stand) = Stand::new("a savepoint with transactions pending") else { return };
    // No checkpoint comes before the savepoint, so that all that was written waits for it.
    let options = ["-p", "2", "-D", "execution.checkpointing.interval=10 min"];
    let run = stand.start(stand.sandbox.session(&[]), &options, PAUSE_US, false);
    stand.until_written();
    let directory = stand.sandbox.at("savepoints");
    let taken = stand.sandbox.flott(["cancel", "-s", &directory, &run.job, "--json"]).success().json();
    let savepoint = taken["location"].as_str().unwrap_or_else(|| panic!("{taken}")).to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let held = runtime.block_on(Snapshot::load(&savepoint, &S3Options::default())).unwrap();
    // Those of the source say how far it has come.
    let of_sink = |data: &[u8]| data.windows(PREFIX.len()).any(|part| part == PREFIX);
    let pending = held.manifest.committables.iter().filter(|committable| of_sink(&committable.data)).count();
    assert!(pending > 0, "the savepoint holds no transaction: {:?}", held.manifest.committables);
    assert_eq!(stand.results(), [""; 0]);

    let run = stand.start(run.session, &["-s", &savepoint, "-p", "3"], PAUSE_US, false);
    // Whoever is asked to commit them next may have done so already.
    run.kill(Role::JobProcess);
    run.session.until_all_run(&run.job);
    until_results(&stand, RECORDS);
    stand.sandbox.flott(["stop", &run.job, "-p", &directory]).success();
    check(&stand, RECORDS);
    run.session.stop();
}
