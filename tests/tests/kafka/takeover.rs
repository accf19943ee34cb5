//! Transactions that are open, or wait for their commit, when a JobManager dies.

use flott_tests::{
    eventually::{PATIENCE, eventually},
    sandbox::processes::Role,
};

use crate::stand::{PAUSE_US, RECORDS, Run, Stand, check, until_results};

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
