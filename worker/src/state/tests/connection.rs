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
fn older_leader_is_left() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Registered { leader: LeaderEpoch(3) });
    worker.on(Event::Disconnected);
    let reason = "JobManager has leader epoch 2, which is older than 3".to_owned();
    assert_eq!(worker.on(Event::Registered { leader: LeaderEpoch(2) }), [Action::Disconnect { reason }]);
    assert!(!worker.state.is_registered());
}

#[test]
fn resumed_connection_offers_again_and_repeats_what_is_ready() {
    let (mut worker, process) = Worker::running();
    worker.on(Event::Disconnected);
    assert_eq!(
        worker.on(Event::Registered { leader: LeaderEpoch(1) }),
        [to_job(1, 1, WorkerToJob::ProcessReady(location(process))), offer(1, 1, vec![grant(0, 1, 1, 1)])]
    );
}

#[test]
fn process_with_work_does_not_survive_a_torn_connection() {
    let (mut worker, process) = Worker::running();
    worker.host(process, deploy());
    worker.on(Event::Disconnected);
    let actions = worker.on(Event::Registered { leader: LeaderEpoch(1) });
    assert_eq!(actions[0], Action::End { process, how: Ending::Kill });
    let failure = reported(&worker.ends(process), process);
    assert_eq!(failure.message, "the connection between TaskManager and JobManager was interrupted");
}

#[test]
fn loss_without_a_connection_is_told_later() {
    let (mut worker, process) = Worker::running();
    worker.on(Event::Disconnected);
    assert_eq!(worker.ends(process), []);
    let actions = worker.on(Event::Registered { leader: LeaderEpoch(1) });
    reported(&actions[..1], process);
}

#[test]
fn loss_told_on_a_broken_connection_is_repeated() {
    let (mut worker, process) = Worker::running();
    reported(&worker.ends(process), process);
    worker.on(Event::Disconnected);
    let actions = worker.on(Event::Registered { leader: LeaderEpoch(1) });
    assert_eq!(reported(&actions[..1], process).message, "exit");
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
