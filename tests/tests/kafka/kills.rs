//! Processes that are killed.

use flott_tests::sandbox::processes::Role;

use crate::stand::{PAUSE_US, Stand};

#[test]
fn kills_of_workers_at_any_moment_leave_each_count_there_once() {
    let Some(stand) = Stand::new("Kafka to Kafka over kills of workers") else { return };
    let run = stand.start(stand.sandbox.session(&[]), &["-p", "2"], PAUSE_US, true);
    for role in [Role::JobProcess, Role::TaskManager, Role::JobProcess] {
        run.until_checkpoint();
        run.kill(role);
        run.session.until_all_run(&run.job);
    }
    // Before there is a checkpoint of the new attempt.
    run.kill(Role::JobProcess);
    run.check();
}

#[test]
fn a_killed_job_manager_costs_nothing() {
    let Some(stand) = Stand::new("Kafka to Kafka over a kill of the JobManager") else { return };
    let run = stand.start(stand.sandbox.session(&[]), &["-p", "2"], PAUSE_US, true);
    run.until_checkpoint();
    run.kill(Role::JobManager);
    stand.sandbox.until_running(Role::JobManager, 0);
    run.kill(Role::JobProcess);
    let session = stand.sandbox.session(&[]);
    session.until_all_run(&run.job);
    crate::stand::Run { session, ..run }.check();
}
