//! Connections that break, and come back from the same JobManager or another.

use super::*;

#[test]
fn new_leader_finds_an_empty_worker() {
    let (mut worker, process) = Worker::running();
    worker.on(Event::Disconnected);
    assert_eq!(
        worker.on(Event::Registered { leader: LeaderEpoch(2) }),
        [freed(1), Action::End { process, how: Ending::Terminate }]
    );
    assert_eq!(worker.state.leader(), Some(LeaderEpoch(2)));
}

#[test]
fn older_leader_is_not_followed() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Registered { leader: LeaderEpoch(3) });
    let reason = "JobManager has leader epoch 2, which is older than 3".to_owned();
    assert_eq!(worker.state.follows(LeaderEpoch(2)), Err(reason));
    worker.on(Event::Registered { leader: LeaderEpoch(2) });
    assert_eq!(worker.state.leader(), Some(LeaderEpoch(3)));
}

#[test]
fn torn_connection_changes_nothing_for_processes() {
    let (mut worker, process) = Worker::running();
    worker.host(process, deploy());
    worker.on(Event::Disconnected);
    assert!(!worker.state.is_registered());
    let message = ended(attempt());
    let said = [to_job(1, 1, WorkerToJob::Host { process, message: message.clone() })];
    assert_eq!(worker.on(Event::Host { process, message }), said);
    assert_eq!(worker.on(Event::Resumed), []);
    assert!(worker.state.is_registered());
    assert_eq!(reported(&worker.ends(process), process).message, "exit");
}

#[test]
fn unanswered_slots_are_offered_again_when_there_is_a_connection() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Allocate(grant(0, 1, 1, 1)));
    worker.on(Event::Disconnected);
    assert_eq!(worker.state.deadline(), None);
    assert_eq!(worker.after(10 * SECOND), []);
    assert_eq!(worker.on(Event::Resumed), [offer(1, 1, vec![grant(0, 1, 1, 1)])]);
}

#[test]
fn before_it_is_registered_nothing_is_said() {
    let (mut worker, process) = Worker::running();
    worker.on(Event::Begun);
    assert_eq!(worker.ends(process), []);
    assert_eq!(worker.on(Event::Allocate(grant(1, 2, 1, 1))), []);
}

#[test]
fn message_to_a_lost_process_is_answered_with_its_loss() {
    let (mut worker, process) = Worker::running();
    reported(&worker.ends(process), process);
    assert_eq!(reported(&worker.host(process, deploy()), process).message, "exit");
    worker.starts(1, 1);
    assert_eq!(reported(&worker.host(process, deploy()), process).message, "exit");
}

#[test]
fn message_to_a_worker_that_has_forgotten_the_job_is_answered_with_the_loss() {
    let (mut worker, process) = Worker::running();
    worker.on(Event::FreeSlot { allocation: allocation(1), reason: "unknown".into() });
    assert_eq!(worker.host(process, deploy()), [], "the end is still to come");
    reported(&worker.ends(process), process);
    reported(&worker.host(process, deploy()), process);
    assert_eq!(worker.state.deadline(), None);
}

#[test]
fn end_of_a_forgotten_process_is_reported_to_who_speaks_to_it() {
    let (mut worker, process) = Worker::running();
    worker.says(1, 1, JobToWorker::Forget);
    assert_eq!(worker.host(process, deploy()), []);
    reported(&worker.ends(process), process);
}
