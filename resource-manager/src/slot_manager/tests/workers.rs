//! Workers come, break off, come back, are lost.

use flott_core::{
    id::{AllocationId, InstanceId, JobMasterEpoch, LeaderEpoch, SlotIndex, WorkerId},
    message::{FromWorker, SlotGrant, ToWorker},
    resource::ResourceProfile,
};

use super::bench::{Bench, job};
use crate::{
    Declaration,
    backend::LossReason,
    slot_manager::{Action, Event, SlotManager},
    time::Time,
};

const ANY: ResourceProfile = ResourceProfile::ANY;

#[test]
fn a_worker_that_comes_back_within_the_grace_was_never_gone() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 1);
    let before: Vec<_> = bench.worker("a").allocated.keys().copied().collect();
    bench.disconnect("a");
    bench.need(2, 1);
    bench.pass_ms(250);
    bench.connect("a");
    bench.pass_ms(5000);
    assert!(bench.lost.is_empty());
    assert_eq!((bench.count_of(1), bench.count_of(2)), (1, 1));
    assert!(before.iter().all(|allocation| bench.worker("a").allocated.contains_key(allocation)));
}

#[test]
fn the_loss_of_a_connection_that_was_replaced_is_no_loss() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY]);
    let (key, old) = (bench.worker("a").key.clone(), bench.worker("a").connection);
    bench.connect("a");
    bench.event(Event::ConnectionLost { worker: key, connection: old, reason: "reset".into() });
    bench.pass_ms(5000);
    assert!(bench.lost.is_empty());
}

#[test]
fn a_worker_that_stays_away_is_lost_once_and_its_slots_are_replaced() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY]);
    bench.need(1, 1);
    bench.register("b", &[ANY]);
    bench.disconnect("a");
    bench.pass_ms(60_000);
    assert_eq!(bench.lost.len(), 1);
    assert_eq!(bench.log, ["lost a: TaskManager lost: its connection was lost: reset"]);
    assert_eq!(bench.slots_of(1), [("b", 1)].into());
}

#[test]
fn a_silent_worker_is_lost() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY]);
    bench.worker("a").deaf = true;
    bench.pass_ms(7900);
    assert!(bench.lost.is_empty());
    bench.pass_ms(200);
    assert_eq!(bench.log, ["lost a: TaskManager lost: no heartbeat for 8.0 s"]);
    assert!(bench.core.overview().is_empty());
}

#[test]
fn a_started_worker_that_is_silent_is_stopped_too() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 1);
    bench.register_started();
    bench.pass_ms(20_000);
    bench.worker("taskmanager-1-1").deaf = true;
    bench.pass_ms(9000);
    assert_eq!(
        bench.log[1..3],
        [
            "lost taskmanager-1-1: TaskManager lost: no heartbeat for 8.0 s",
            "stop taskmanager-1-1: no heartbeat for 8.0 s",
        ]
    );
    assert_eq!(bench.log[3], "start taskmanager-1-2");
}

#[test]
fn the_backend_knows_best_how_a_worker_ended() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 1);
    bench.register_started();
    bench.disconnect("taskmanager-1-1");
    bench.crash("taskmanager-1-1", LossReason::Killed { signal: 9 });
    assert_eq!(bench.log[1], "lost taskmanager-1-1: TaskManager lost: killed by signal 9 (SIGKILL)");
    bench.pass_ms(10_000);
    assert_eq!(bench.lost.len(), 1);
}

#[test]
fn a_new_life_replaces_the_old_one_whose_messages_are_dropped() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 2);
    let old = bench.worker("a").key.clone();
    let allocation = *bench.worker("a").allocated.keys().next().unwrap();
    bench.pass_ms(10);
    bench.register("a", &[ANY; 2]);
    assert_eq!(bench.lost, std::slice::from_ref(&old));
    assert_eq!(bench.count_of(1), 2);
    let message = Box::new(FromWorker::SlotFreed(allocation));
    bench.event(Event::FromWorker { worker: old.clone(), message });
    let goodbye = Box::new(FromWorker::Goodbye { reason: "late".into() });
    bench.event(Event::FromWorker { worker: old, message: goodbye });
    assert_eq!((bench.lost.len(), bench.count_of(1)), (1, 2));
}

#[test]
fn an_older_life_does_not_displace_a_newer_one() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY]);
    let mut older = bench.worker("a").key.clone();
    let newer = older.clone();
    older.instance = InstanceId::from_bytes([99; 16]);
    bench.now.0 -= 5000;
    let (worker, connection) = (super::bench::registration(bench.worker("a")), crate::ConnectionNumber(50));
    bench.now.0 += 5000;
    let registration = flott_core::message::Registration { instance: older.instance, started_at: 0, ..worker };
    bench.event(Event::Registered { registration: Box::new(registration), connection });
    assert_eq!(bench.core.worker(&newer.worker), Some(&newer));
    assert!(bench.lost.is_empty());
}

#[test]
fn a_goodbye_is_a_loss_without_a_grace() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY]);
    bench.need(1, 1);
    bench.tell("a", FromWorker::Goodbye { reason: "terminated".into() });
    assert_eq!(bench.log, ["lost a: TaskManager lost: it ended in order: terminated"]);
    assert_eq!(bench.core.is_served(&job(1)), Some(false));
}

#[test]
fn who_has_asked_for_the_end_of_a_worker_is_told_with_its_loss() {
    let mut bench = Bench::standalone();
    for worker in ["a", "b", "c"] {
        bench.register(worker, &[ANY]);
        bench.leave(worker, LossReason::Evicted("drained".into()));
    }
    assert!(bench.log.is_empty(), "they run on until then: {:?}", bench.log);
    bench.tell("a", FromWorker::Goodbye { reason: "terminated".into() });
    bench.crash("b", LossReason::Deleted);
    bench.worker("c").deaf = true;
    bench.pass_ms(9000);
    let lost = [
        "a: TaskManager lost: evicted: drained; it ended in order: terminated",
        "b: TaskManager lost: deleted by somebody",
    ];
    assert_eq!(bench.log[..2], lost.map(|lost| format!("lost {lost}")));
    assert!(bench.log[2].starts_with("lost c: TaskManager lost: evicted: drained; no heartbeat"), "{:?}", bench.log);
}

#[test]
fn nobody_is_given_slots_of_a_worker_that_is_about_to_end() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 1);
    bench.register_started();
    let reason = LossReason::Evicted("drained".into());
    for _ in 0..2 {
        bench.leave("taskmanager-1-1", reason.clone());
    }
    bench.need(2, 1);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (1, 0), "what is held is held");
    assert_eq!(bench.log.last().map(String::as_str), Some("start taskmanager-1-2"));
    bench.register_started();
    assert_eq!(bench.slots_of(2), [("taskmanager-1-2", 1)].into());
    bench.disconnect("taskmanager-1-1");
    bench.connect("taskmanager-1-1");
    bench.need(1, 0);
    bench.need(3, 1);
    assert_eq!(bench.slots_of(3), [("taskmanager-1-2", 1)].into(), "nor what it has given back");
    bench.tell("taskmanager-1-1", FromWorker::Goodbye { reason: "terminated".into() });
    bench.core.audit().unwrap();
}

#[track_caller]
fn check_leave(end: impl FnOnce(&mut Bench), reason: &str) {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 1);
    bench.register_started();
    bench.pass_ms(20_000);
    bench.tell("taskmanager-1-1", FromWorker::Goodbye { reason: "terminated".into() });
    assert!(bench.lost.is_empty(), "what for is not known yet");
    assert_eq!(bench.log.last().map(String::as_str), Some("start taskmanager-1-2"), "another is asked for at once");
    end(&mut bench);
    assert_eq!(bench.lost.len(), 1);
    let told = format!("lost taskmanager-1-1: TaskManager lost: {reason}");
    assert!(bench.log.contains(&told), "{:?}", bench.log);
    bench.pass_ms(60_000);
    assert_eq!(bench.lost.iter().filter(|worker| worker.worker.0 == "taskmanager-1-1").count(), 1, "{:?}", bench.log);
}

#[test]
fn what_a_started_worker_takes_leave_for_is_waited_for() {
    let leaving = |bench: &mut Bench| bench.leave("taskmanager-1-1", LossReason::Evicted("drained".into()));
    check_leave(leaving, "evicted: drained; it ended in order: terminated");
    let deleted = |bench: &mut Bench| bench.crash("taskmanager-1-1", LossReason::Deleted);
    check_leave(deleted, "deleted by somebody; it ended in order: terminated");
    // These say nothing that it has not said itself.
    let ended = |bench: &mut Bench| bench.crash("taskmanager-1-1", LossReason::Exited { code: 0 });
    check_leave(ended, "it ended in order: terminated");
    check_leave(|bench| bench.pass_ms(1100), "it ended in order: terminated");
}

#[test]
fn what_became_of_a_worker_that_was_given_up_is_told_when_it_is_known() {
    let check = |loss: LossReason, told: &[&str]| {
        let mut bench = Bench::starting(|_| {});
        bench.need(1, 1);
        bench.register_started();
        bench.pass_ms(20_000);
        // The backend does not hear that it ends.
        bench.backend.remove(&WorkerId("taskmanager-1-1".into()));
        bench.disconnect("taskmanager-1-1");
        bench.pass_ms(60_000);
        // Told twice to stop, and remembered all the same.
        bench.crash("taskmanager-1-1", loss);
        bench.pass_ms(60_000);
        let log = bench.log.iter().filter_map(|line| line.strip_prefix("lost taskmanager-1-1: TaskManager lost: "));
        assert_eq!(log.collect::<Vec<_>>(), told, "{:?}", bench.log);
    };
    let given_up = "its connection was lost: reset";
    let node = "lost with its node: node n; it was given up before: its connection was lost: reset";
    check(LossReason::NodeLost("node n".into()), &[given_up, node]);
    check(LossReason::Stopped, &[given_up]);
    check(LossReason::Killed { signal: 9 }, &[given_up]);
}

#[test]
fn slots_of_a_former_leader_are_freed_and_given_anew() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 2);
    let allocated = bench.worker("a").allocated.clone();

    let mut successor = Bench::standalone();
    successor.register("a", &[ANY; 2]);
    successor.worker("a").allocated = allocated;
    let key = successor.worker("a").key.clone();
    let connection = successor.worker("a").connection;
    successor.event(Event::ConnectionLost { worker: key, connection, reason: "reset".into() });
    successor.declare(1, 2, &[(ANY, 2)]);
    successor.connect("a");
    assert_eq!(successor.count_of(1), 2);
    assert!(successor.worker("a").allocated.values().all(|grant| grant.epoch.0 == 2));
}

#[test]
fn a_worker_without_slots_or_name_is_refused() {
    let mut bench = Bench::standalone();
    bench.register("a", &[]);
    assert!(bench.core.overview().is_empty());
    bench.register("", &[ANY]);
    bench.register(&"x".repeat(300), &[ANY]);
    assert!(bench.core.overview().is_empty());
}

#[test]
fn the_overview_shows_slots_and_who_has_them() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 1);
    let [view] = &bench.core.overview()[..] else { panic!("one worker") };
    assert_eq!((view.slots.len(), view.allocated.as_slice()), (2, &[(job(1), ANY)][..]));
    bench.tell("a", FromWorker::SlotFreed(AllocationId::from_bytes([1; 16])));
    assert_eq!(bench.core.overview()[0].allocated.len(), 1);
}

#[test]
fn a_life_that_registers_twice_is_over() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY]);
    bench.need(1, 1);
    let key = bench.worker("a").key.clone();
    let registration = Box::new(super::bench::registration(bench.worker("a")));
    bench.event(Event::Registered { registration, connection: crate::ConnectionNumber(99) });
    assert_eq!(bench.lost, std::slice::from_ref(&key));
    bench.event(Event::Resumed { worker: key.clone(), connection: crate::ConnectionNumber(100) });
    assert_eq!((bench.lost, bench.core.worker(&key.worker)), (vec![key], None));
}

#[test]
fn a_job_that_reconciles_keeps_the_slots_that_it_had_and_gets_no_others() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 1);
    let (registration, worker) = (super::bench::registration(bench.worker("a")), bench.worker("a").key.worker.clone());
    let old = registration.allocated[0].clone();
    let mut next = SlotManager::new(crate::Options::new(LeaderEpoch(2), "jobmanager"), Default::default());
    let needs = [(ANY, 2)].into();
    let declaration = Declaration::new(old.job, JobMasterEpoch(old.epoch.0 + 1), needs).reconciling(true);
    let registered = |next: &mut SlotManager| {
        let (registration, connection) = (Box::new(registration.clone()), crate::ConnectionNumber(1));
        next.handle(Time(1), Event::Registered { registration, connection })
    };
    next.handle(Time(1), Event::Declared(declaration.clone()));
    let actions = registered(&mut next);
    let kept = |action: &Action| !matches!(action, Action::Send { message, .. } if !matches!(message, ToWorker::Registered { .. }));
    assert!(actions.iter().all(kept), "{actions:?}");
    next.audit().unwrap();
    // Nobody but its JobMaster knows which of them it uses, so it keeps more than it needs, too.
    let mut modest = SlotManager::new(crate::Options::new(LeaderEpoch(2), "jobmanager"), Default::default());
    let mut held = registration.clone();
    let second = SlotGrant { slot: SlotIndex(1), allocation: AllocationId::from_bytes([9; 16]), ..old.clone() };
    held.allocated.push(second);
    let needs = [(ANY, 1)].into();
    let one = Declaration::new(old.job, JobMasterEpoch(old.epoch.0 + 1), needs).reconciling(true);
    modest.handle(Time(1), Event::Declared(one));
    let connection = crate::ConnectionNumber(1);
    let actions = modest.handle(Time(1), Event::Registered { registration: Box::new(held), connection });
    assert!(actions.iter().all(kept), "{actions:?}");
    modest.audit().unwrap();

    // What is missing is given when it does not reconcile any more.
    let actions = next.handle(Time(2), Event::Declared(declaration.reconciling(false)));
    let asked = |action: &Action| matches!(action, Action::Send { to, message: ToWorker::AllocateSlot(_) } if to.worker == worker);
    assert_eq!(actions.iter().filter(|action| asked(action)).count(), 1, "{actions:?}");
    next.audit().unwrap();

    // Without a declaration it is freed.
    let mut other = SlotManager::new(crate::Options::new(LeaderEpoch(2), "jobmanager"), Default::default());
    let frees = |action: &Action| matches!(action, Action::Send { message: ToWorker::FreeSlot { allocation, .. }, .. } if *allocation == old.allocation);
    assert!(registered(&mut other).iter().any(frees));
}
