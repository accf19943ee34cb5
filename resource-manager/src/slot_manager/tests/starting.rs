//! Workers from a backend.

use flott_core::id::WorkerId;

use super::bench::{Bench, GIB, job, size};
use crate::{
    WorkerShape,
    backend::{BackendEvent, BackendWorker, LossReason, Rejection, WorkerSpec},
    slot_manager::Event,
};

fn rejected(bench: &mut Bench, worker: &str, message: &str) {
    let worker = WorkerId(worker.into());
    bench.backend.remove(&worker);
    let (rejection, message) = (Rejection::Quota, message.into());
    bench.event(Event::Backend(BackendEvent::Rejected { worker, rejection, message }));
}

#[test]
fn what_is_missing_is_started_and_no_more() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 3);
    bench.need(1, 3);
    assert_eq!(bench.log, ["start taskmanager-1-1", "start taskmanager-1-2"]);
    bench.check_pending(1, &["3: waiting for 2 workers that are starting"]);
    bench.need(2, 1);
    assert_eq!(bench.log.len(), 2, "the fourth slot that is coming serves job 2");
    let census = bench.core.census();
    assert_eq!((census.registered.len(), census.pending, census.stopping), (0, 2, 0));
    bench.register_started();
    let census = bench.core.census();
    assert_eq!((census.registered.len(), census.pending, census.stopping), (2, 0, 0));
    assert_eq!((bench.count_of(1), bench.count_of(2)), (3, 1));
    bench.check_pending(1, &[]);
}

#[test]
fn bounds_are_kept_and_named() {
    let mut bench = Bench::starting(|options| options.workers_max = Some(2));
    bench.need(1, 5);
    assert!(bench.log.is_empty(), "four slots would not help");
    bench.check_pending(1, &["5: no TaskManager is registered; at most 2 workers of 2 slots are allowed"]);
    bench.need(2, 2);
    bench.need(3, 4);
    assert_eq!(bench.log.len(), 2);
    bench.register_started();
    assert_eq!((bench.count_of(2), bench.count_of(3)), (2, 0));
    bench.check_pending(
        3,
        &["4: waiting for slots that other jobs use; 2 TaskManagers with 4 slots are registered, 2 free"],
    );

    let mut bench = Bench::starting(|options| options.slots_max = 3);
    bench.need(1, 3);
    bench.check_pending(
        1,
        &["3: no TaskManager is registered; slotmanager.number-of-slots.max allows 3 slots, and a worker has 2"],
    );
    assert!(bench.core.pending(&job(1))[0].unattainable);
    bench.need(1, 2);
    bench.need(2, 2);
    bench.check_pending(2, &["2: waiting for 1 worker that is starting"]);
    bench.register_started();
    assert!(!bench.core.pending(&job(2))[0].unattainable, "another job will end");
    let mut bench = Bench::starting(|_| {});
    bench.declare(1, 1, &[(size(4 * GIB), 1)]);
    bench.check_pending(1, &["1: no slot is that big: the largest is 0.000 cores, 512 MiB"]);
    assert!(bench.log.is_empty());
}

#[test]
fn the_fewest_workers_are_started_at_once_and_kept() {
    let mut bench = Bench::starting(|options| {
        options.workers_min = 2;
        options.workers_max = Some(2);
    });
    bench.event(Event::Found(Vec::new()));
    assert_eq!(bench.log.len(), 2);
    bench.register_started();
    bench.pass_ms(100_000);
    assert_eq!(bench.log.len(), 2);
    bench.crash("taskmanager-1-1", LossReason::Killed { signal: 9 });
    assert_eq!(bench.log.last().unwrap(), "start taskmanager-1-3");
}

#[test]
fn the_fewest_are_asked_for_together_however_many_they_are() {
    let mut bench = Bench::starting(|options| options.workers_min = 100);
    bench.event(Event::Found(Vec::new()));
    assert_eq!(bench.log.len(), 100);
}

#[test]
fn idle_workers_are_released_unless_someone_waits() {
    let mut bench = Bench::starting(|options| options.workers_max = Some(2));
    bench.register("external", &[size(GIB)]);
    bench.need(1, 3);
    bench.register_started();
    bench.declare(1, 1, &[]);
    bench.pass_ms(29_000);
    assert_eq!(bench.workers.len(), 2);
    bench.pass_ms(1000);
    let names: Vec<_> = bench.workers.keys().map(|worker| worker.0.as_str()).collect();
    assert_eq!(names, ["external"]);
    assert_eq!(bench.log.last().unwrap(), "stop taskmanager-1-1: released after 30 s without a job");
    assert_eq!(bench.core.started_workers(), 0);
}

#[test]
fn a_worker_that_never_registers_is_stopped_and_replaced_after_a_pause() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 1);
    bench.pass_ms(60_000);
    assert_eq!(
        bench.log,
        ["start taskmanager-1-1", "stop taskmanager-1-1: taskmanager-1-1 did not register within 60 s"]
    );
    bench.check_pending(
        1,
        &["1: starting a worker failed, it is tried again: taskmanager-1-1 did not register within 60 s"],
    );
    bench.pass_ms(250);
    assert_eq!(bench.log.last().unwrap(), "start taskmanager-1-2");
}

#[test]
fn workers_that_die_at_once_are_not_started_as_fast_as_they_die() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 8);
    let mut starts = 0;
    for _ in 0..600 {
        let dying: Vec<_> = bench.backend.keys().cloned().collect();
        starts += dying.len();
        for worker in dying {
            bench.crash(&worker.0, LossReason::Exited { code: 1 });
        }
        bench.pass_ms(100);
    }
    assert!((4..30).contains(&starts), "{starts} starts in a minute");
    bench.register_started();
    bench.pass_ms(30_000);
    bench.register_started();
    bench.pass_ms(15_000);
    bench.register_started();
    assert_eq!(bench.count_of(1), 8, "a worker that lives ends the pauses");
}

#[test]
fn rejections_are_told_and_tried_again() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 1);
    rejected(&mut bench, "taskmanager-1-1", "4 of 4 pods are used");
    bench.check_pending(1, &["1: starting a worker failed, it is tried again: quota: 4 of 4 pods are used"]);
    bench.pass_ms(250);
    rejected(&mut bench, "taskmanager-1-2", "4 of 4 pods are used");
    bench.check_pending(1, &["1: starting a worker failed 2 times, it is tried again: quota: 4 of 4 pods are used"]);
    bench.pass_ms(500);
    bench.register_started();
    assert_eq!(bench.count_of(1), 1);
}

#[test]
fn workers_of_a_former_leader_are_waited_for_before_others_are_started() {
    let mut bench = Bench::starting(|_| {});
    let shape = WorkerShape { slots: 2, memory: GIB, cpu_millicores: 0 };
    let specs = ["taskmanager-0-1", "taskmanager-0-2"].map(|name| WorkerSpec::new(WorkerId(name.into()), shape));
    bench.backend.extend(specs.clone().map(|spec| (spec.worker.clone(), spec)));
    bench.event(Event::Found(specs.map(|spec| BackendWorker { spec }).to_vec()));
    bench.need(1, 2);
    assert!(bench.log.is_empty());
    bench.register("taskmanager-0-1", &[size(GIB); 2]);
    assert_eq!(bench.count_of(1), 2);
    bench.pass_ms(60_000);
    assert_eq!(bench.log, ["stop taskmanager-0-2: taskmanager-0-2 did not register within 60 s"]);
    assert_eq!(bench.core.started_workers(), 1);
}

#[test]
fn workers_that_another_one_has_started_are_ended_where_they_are_the_clusters() {
    let mut bench = Bench::starting(|options| options.keeps_all = true);
    bench.register("idle", &[size(GIB)]);
    bench.pass_ms(60_000);
    assert!(bench.workers.is_empty());
    bench.register("another", &[size(GIB)]);
    bench.event(Event::StopWorkers { reason: "the session ends".into() });
    assert!(bench.workers.is_empty());
}

#[test]
fn stopping_all_stops_what_was_started_and_starts_no_more() {
    let mut bench = Bench::starting(|_| {});
    bench.register("external", &[size(GIB)]);
    bench.need(1, 3);
    bench.register_started();
    bench.need(2, 2);
    bench.event(Event::StopWorkers { reason: "the session ends".into() });
    assert_eq!(bench.core.started_workers(), 0);
    assert!(bench.backend.is_empty());
    assert_eq!(bench.workers.len(), 1);
    bench.check_pending(2, &["2: the cluster is stopping: the session ends"]);
    bench.pass_ms(60_000);
    assert!(bench.backend.is_empty());
}

#[test]
fn workers_are_started_for_wishes_and_not_for_what_is_welcome() {
    let mut bench = Bench::starting(|options| options.workers_max = Some(12));
    bench.wish(1, 2, 2, 50);
    for _ in 0..5 {
        bench.register_started();
        bench.pass_ms(1000);
    }
    let slots = bench.core.overview().iter().map(|worker| worker.slots.len() as u32).sum::<u32>();
    let each = bench.core.overview()[0].slots.len() as u32;
    assert_eq!(slots, 4_u32.next_multiple_of(each));
    // What is more than wished for was started anyway.
    assert_eq!(bench.count_of(1), slots as usize);
}
