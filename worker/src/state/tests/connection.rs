//! Connections that break, and come back from the same JobManager or another.

use super::*;

#[test]
fn new_leader_finds_nothing_that_does_not_run() {
    let mut worker = Worker::registered(1);
    worker.on(Event::Allocate(grant(0, 1, 1, 1)));
    let process = worker.starts(1, 1);
    worker.on(Event::Begun);
    assert_eq!(
        worker.on(Event::Registered { leader: LeaderEpoch(2) }),
        [freed(1), Action::End { process, how: Ending::Terminate }]
    );
    assert_eq!(worker.state.leader(), Some(LeaderEpoch(2)));
}

/// A process with a task that runs, has one split and wants another, whose JobMaster is gone.
fn orphan() -> (Worker, ProcessId) {
    let (mut worker, process) = Worker::running();
    let source = OperatorId::from_uid("source");
    let task = TaskDeployment {
        attempt: attempt(),
        allocation: allocation(1),
        parallelism: 1,
        max_parallelism: 1,
        restore: None,
    };
    let deployment =
        Deployment { epoch: JobMasterEpoch(1), tasks: vec![task], edges: Vec::new(), processes: [].into() };
    worker.host(process, JobToHost::Deploy(Box::new(deployment)));
    worker.host(process, JobToHost::EnumerateSplits { attempt: attempt(), source, parallelism: 1 });
    let list = HostToJob::SplitsEnumerated { attempt: attempt(), source, result: Ok(vec!["a".into(), "b".into()]) };
    let request = HostToJob::RequestSplit { attempt: attempt(), source };
    for message in [list, request.clone()] {
        worker.on(Event::Host { process, message });
    }
    worker.says(1, 1, JobToWorker::Completed { checkpoint: CheckpointId(4) });
    let split = JobToHost::AssignSplit { attempt: attempt(), source, split: Some("a".into()), share: 2 };
    worker.host(process, split);
    worker.on(Event::Disconnected);
    worker.on(Event::Begun);
    let location = location(process);
    let tasks = vec![FoundTask { attempt: attempt(), parallelism: 1, origin: None }];
    let configuration = setup(1).configuration_digest();
    let (secret, completed, slots) = (JobSecret::from_bytes([0; 16]), CheckpointId(4), vec![allocation(1)]);
    let found = Found { location, secret, configuration, tasks, completed, slots };
    assert_eq!(
        worker.on(Event::Registered { leader: LeaderEpoch(2) }),
        [to_job(1, 1, WorkerToJob::Found(Box::new(found)))]
    );
    assert_eq!(worker.on(Event::Host { process, message: request }), [], "it is noted");
    (worker, process)
}

#[test]
fn new_job_master_takes_a_process_over_with_its_journal() {
    let (mut worker, process) = orphan();
    let actions = worker.says(1, 2, JobToWorker::Adopt { process });
    let [Action::Send(FromWorker::Job { epoch, message: WorkerToJob::Adopted(journal), .. })] = &actions[..] else {
        panic!("{actions:?}")
    };
    let source = OperatorId::from_uid("source");
    assert_eq!(*epoch, JobMasterEpoch(2));
    let [task] = &journal.tasks().collect::<Vec<_>>()[..] else { panic!("{journal:?}") };
    assert_eq!((task.attempt, task.allocation), (attempt(), allocation(1)));
    let reader = &task.readers[&source];
    let given: Vec<_> = reader.given.values().flatten().copied().collect();
    assert_eq!((given, reader.is_dismissed, reader.unanswered), (vec![SplitMark::of(b"a")], false, 1));
    let [(listed, listing)] = &journal.listings().collect::<Vec<_>>()[..] else { panic!("{journal:?}") };
    assert_eq!((*listed, &listing.splits), (source, &Some(vec!["a".into(), "b".into()])));
    assert_eq!(worker.state.allocated(), [grant(0, 1, 1, 2)]);
    assert_eq!(worker.says(1, 1, JobToWorker::Forget), [], "the older one is not heard any more");
    let message = ended(attempt());
    let said = [to_job(1, 2, WorkerToJob::Host { process, message: message.clone() })];
    assert_eq!(worker.on(Event::Host { process, message }), said);
}

#[test]
fn new_job_master_hears_of_slots_that_were_taken_back_before_it_spoke() {
    let (mut worker, process) = Worker::running();
    worker.on(Event::Allocate(grant(1, 2, 1, 1)));
    worker.host(process, deploy());
    worker.on(Event::Begun);
    worker.on(Event::Registered { leader: LeaderEpoch(2) });
    let reason = "nobody knows of it".to_owned();
    let taken = worker.on(Event::FreeSlot { allocation: allocation(2), reason: reason.clone() });
    assert_eq!(taken, [freed(2)], "there is nobody to be told");
    let actions = worker.says(1, 2, JobToWorker::Adopt { process });
    assert_eq!(actions[1..], [to_job(1, 2, WorkerToJob::SlotLost { allocation: allocation(2), reason })]);
    assert_eq!(worker.says(1, 2, JobToWorker::Adopt { process })[1..], [], "once");
}

#[test]
fn new_job_master_that_does_not_want_a_process_sweeps_it_out() {
    let free = JobToWorker::FreeSlots(vec![allocation(1)]);
    for message in [JobToWorker::Forget, free, JobToWorker::StartProcess(setup(1))] {
        let (mut worker, process) = orphan();
        let actions = worker.says(1, 2, message);
        assert_eq!(actions[..2], [freed(1), Action::End { process, how: Ending::Terminate }]);
    }
}

#[test]
fn new_job_master_that_lets_a_process_go_keeps_the_slot_that_it_was_given_before() {
    let (mut worker, process) = orphan();
    let given = worker.on(Event::Allocate(grant(0, 2, 1, 2)));
    assert_eq!(given[..2], [freed(1), Action::End { process, how: Ending::Terminate }]);
    assert_eq!(worker.says(1, 2, JobToWorker::FreeSlots(vec![allocation(1)])), []);
    assert_eq!(worker.state.allocated(), [grant(0, 2, 1, 2)]);
    assert_eq!(worker.says(1, 2, JobToWorker::AcceptSlots(vec![allocation(2)])), []);
    assert_eq!(worker.says(1, 2, JobToWorker::StartProcess(setup(1))), [Action::End { process, how: Ending::Kill }]);
    assert!(matches!(worker.ends(process)[..], [Action::Start { .. }]));
}

#[test]
fn orphan_that_has_ended_cannot_be_taken_over() {
    let (mut worker, process) = orphan();
    assert_eq!(worker.ends(process), []);
    let actions = worker.says(1, 2, JobToWorker::Adopt { process });
    reported(&actions[1..], process);
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
