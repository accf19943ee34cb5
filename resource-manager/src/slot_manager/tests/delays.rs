//! Workers that are on their way and held up.

use flott_core::id::WorkerId;

use super::bench::{Bench, job};
use crate::{
    backend::{BackendEvent, Rejection},
    slot_manager::Event,
};

fn delayed(bench: &mut Bench, worker: &str, message: &str) {
    let (worker, rejection, message) = (WorkerId(worker.into()), Rejection::Unschedulable, message.into());
    bench.event(Event::Backend(BackendEvent::Delayed { worker, rejection, message }));
}

fn started(bench: &mut Bench, worker: &str) {
    bench.event(Event::Backend(BackendEvent::Started(WorkerId(worker.into()))));
}

#[test]
fn jobs_are_told_what_holds_their_workers_up_until_it_does_not() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 4);
    delayed(&mut bench, "taskmanager-1-1", "no room");
    bench.check_pending(1, &["4: waiting for 2 workers that are starting, 1 held up: unschedulable: no room"]);
    delayed(&mut bench, "taskmanager-1-2", "no room");
    bench.check_pending(1, &["4: waiting for 2 workers that are starting: unschedulable: no room"]);
    delayed(&mut bench, "taskmanager-1-2", "less room");
    delayed(&mut bench, "taskmanager-1-1", "less room");
    bench.check_pending(1, &["4: waiting for 2 workers that are starting: unschedulable: less room"]);
    started(&mut bench, "taskmanager-1-1");
    started(&mut bench, "taskmanager-1-2");
    bench.check_pending(1, &["4: waiting for 2 workers that are starting"]);
    delayed(&mut bench, "taskmanager-1-1", "an old story");
    bench.check_pending(1, &["4: waiting for 2 workers that are starting"]);
    bench.register_started();
    assert_eq!(bench.count_of(1), 4);
}

#[test]
fn a_worker_that_is_held_up_is_waited_for_and_has_its_time_to_register_from_when_it_runs() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 1);
    delayed(&mut bench, "taskmanager-1-1", "no room");
    bench.pass_ms(600_000);
    assert_eq!(bench.log, ["start taskmanager-1-1"]);
    started(&mut bench, "taskmanager-1-1");
    bench.pass_ms(30_000);
    started(&mut bench, "taskmanager-1-1");
    bench.pass_ms(29_999);
    assert_eq!(bench.log.len(), 1);
    bench.pass_ms(1);
    assert_eq!(bench.log[1], "stop taskmanager-1-1: taskmanager-1-1 did not register within 60 s");
}

#[test]
fn workers_that_are_held_up_are_given_up_when_nobody_waits_for_them_any_more() {
    let mut bench = Bench::starting(|_| {});
    bench.need(1, 6);
    for worker in ["taskmanager-1-1", "taskmanager-1-2", "taskmanager-1-3"] {
        delayed(&mut bench, worker, "no room");
    }
    assert_eq!(bench.backend.len(), 3);
    bench.need(1, 3);
    let why = "it is held up, and nothing waits for it any more";
    assert_eq!(bench.log.last().unwrap(), &format!("stop taskmanager-1-3: {why}"));
    assert_eq!(bench.backend.len(), 2);
    bench.declare(1, 1, &[]);
    assert!(bench.backend.is_empty());
    assert_eq!(bench.core.started_workers(), 0);
    assert!(bench.core.pending(&job(1)).is_empty());
}

#[test]
fn the_fewest_workers_are_kept_though_held_up_and_unwanted() {
    let mut bench = Bench::starting(|options| options.workers_min = 2);
    bench.event(Event::Found(Vec::new()));
    for worker in ["taskmanager-1-1", "taskmanager-1-2"] {
        delayed(&mut bench, worker, "no room");
    }
    bench.pass_ms(600_000);
    assert_eq!(bench.backend.len(), 2);
    assert_eq!(bench.log.len(), 2);
}

#[test]
fn one_is_tried_beside_those_that_are_held_up_after_several_failures() {
    let mut bench = Bench::starting(|options| options.workers_min = 3);
    bench.event(Event::Found(Vec::new()));
    assert_eq!(bench.log.len(), 3);
    // They are let in together; the third finds no room in a quota.
    delayed(&mut bench, "taskmanager-1-1", "not all are there");
    delayed(&mut bench, "taskmanager-1-2", "not all are there");
    for refused in 3..=8 {
        let worker = WorkerId(format!("taskmanager-1-{refused}"));
        bench.backend.remove(&worker);
        let (rejection, message) = (Rejection::Quota, "used up".into());
        bench.event(Event::Backend(BackendEvent::Rejected { worker, rejection, message }));
        bench.pass_ms(40_000);
        assert_eq!(bench.log.last(), Some(&format!("start taskmanager-1-{}", refused + 1)), "{:?}", bench.log);
    }
}
