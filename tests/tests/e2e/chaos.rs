//! A few plans of the chaos runner; `cargo xtask chaos` runs more of them.

use flott_tests::chaos::{Plan, run};

/// A TaskManager, a job process and the JobManager stand still, checkpoints cannot be written, and the job goes on from a savepoint.
#[test]
fn windows_are_whole_though_processes_stand_still() {
    println!("{}", run(&Plan::plain(8)));
}

/// JobManagers are killed between savepoints, of which one stops the job.
#[test]
fn sessions_are_whole_though_job_managers_are_killed() {
    println!("{}", run(&Plan::plain(110)));
}

/// Between one and four subtasks, as TaskManagers, job processes and JobManagers are killed.
#[test]
fn splits_are_counted_once_though_slots_come_and_go() {
    println!("{}", run(&Plan::local(7)));
}

/// Two stand by; job processes, TaskManagers and JobManagers are killed, TaskManagers are cut off, and there is no room for results for a while.
#[test]
fn windows_are_whole_though_one_job_manager_leads_after_another() {
    println!("{}", run(&Plan::all(36)));
}
