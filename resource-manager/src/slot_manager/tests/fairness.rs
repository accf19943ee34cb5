//! Several jobs and too few slots.

use flott_core::{id::JobMasterEpoch, resource::ResourceProfile};

use super::bench::{Bench, GIB, job, size};
use crate::{Declaration, slot_manager::Event};

const ANY: ResourceProfile = ResourceProfile::ANY;

#[test]
fn a_later_job_runs_when_the_earlier_one_cannot_use_what_is_free() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 4]);
    bench.need(1, 6);
    bench.need(2, 3);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (0, 3));
    bench.check_pending(
        1,
        &["6: 1 TaskManager with 4 slots is registered, 1 free; no backend can start workers: \
                              start one with `flott taskmanager --jobmanager localhost:8081`"],
    );
}

#[test]
fn no_job_is_overtaken_for_ever() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 4]);
    bench.need(1, 2);
    bench.need(2, 4);
    bench.need(3, 1);
    assert_eq!((bench.count_of(2), bench.count_of(3)), (0, 1));
    bench.pass_ms(10_000);
    bench.need(4, 1);
    assert_eq!(bench.count_of(4), 0, "the last slot is kept for job 2 now");
    bench.check_pending(
        4,
        &[&format!(
            "1: free slots are kept for job {}, which waits longer; 1 TaskManager with 4 slots is registered, 1 free",
            job(2)
        )],
    );
    bench.declare(1, 1, &[]);
    assert_eq!(bench.count_of(4), 0);
    bench.declare(3, 1, &[]);
    assert_eq!((bench.count_of(2), bench.count_of(4)), (4, 0));
    bench.declare(2, 1, &[]);
    assert_eq!(bench.count_of(4), 1);
}

#[test]
fn slots_are_not_kept_for_a_job_that_cannot_run_with_what_there_is() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 4]);
    bench.need(1, 5);
    bench.pass_ms(20_000);
    bench.need(2, 4);
    assert_eq!(bench.count_of(2), 4);
}

#[test]
fn two_jobs_that_fit_only_one_at_a_time_run_one_after_the_other() {
    let mut bench = Bench::standalone();
    bench.need(1, 4);
    bench.need(2, 4);
    for worker in ["a", "b", "c"] {
        bench.register(worker, &[ANY; 2]);
    }
    assert_eq!((bench.count_of(1), bench.count_of(2)), (4, 0));
    bench.declare(1, 1, &[]);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (0, 4));
}

#[test]
fn idle_halves_are_taken_back_for_a_job_that_they_let_run() {
    let mut bench = Bench::standalone();
    for worker in ["a", "b", "c", "d"] {
        bench.register(worker, &[ANY; 2]);
    }
    bench.need(1, 4);
    bench.need(2, 4);
    for worker in ["b", "d"] {
        bench.tell(worker, flott_core::message::FromWorker::Goodbye { reason: "switched off".into() });
    }
    assert_eq!((bench.count_of(1), bench.count_of(2)), (2, 2));
    bench.pass_ms(11_000);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (4, 0));
}

#[test]
fn great_slots_of_small_demands_are_taken_back_where_only_small_slots_can_be_had_anew() {
    let mut bench = Bench::starting(|_| {});
    bench.register("a", &[size(GIB); 3]);
    bench.need(1, 2);
    bench.declare(1, 1, &[(ANY, 2), (size(GIB), 2)]);
    for _ in 0..10 {
        bench.register_started();
        bench.pass_ms(3000);
    }
    assert_eq!(bench.count_of(1), 4);
    assert_eq!(bench.core.is_served(&job(1)), Some(true));
}

#[test]
fn slots_in_use_are_never_taken_back() {
    let mut bench = Bench::standalone();
    for worker in ["a", "b"] {
        bench.register(worker, &[ANY; 2]);
    }
    bench.need(1, 4);
    bench.tell("b", flott_core::message::FromWorker::Goodbye { reason: "switched off".into() });
    bench.event(Event::Declared(Declaration::new(job(1), JobMasterEpoch(1), [(ANY, 4)].into())));
    bench.need(2, 1);
    bench.pass_ms(60_000);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (2, 0));
    bench.need(1, 4);
    bench.pass_ms(1000);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (0, 1));
}

#[test]
fn a_job_of_parts_gets_what_lets_a_part_go_on() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 3]);
    let needs = Declaration::new(job(1), JobMasterEpoch(1), [(ANY, 6)].into());
    bench.event(Event::Declared(needs.clone().useful_from(4)));
    assert_eq!(bench.count_of(1), 0);
    bench.event(Event::Declared(needs.useful_from(2)));
    assert_eq!(bench.count_of(1), 3);
}

#[test]
fn free_slots_that_nobody_needs_go_to_who_could_use_them() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.wish(1, 2, 0, 100);
    assert_eq!(bench.count_of(1), 2);
    bench.register("b", &[ANY; 3]);
    assert_eq!(bench.count_of(1), 5);
    // Who needs slots comes before who could use them.
    bench.job_frees(1, 2);
    assert_eq!(bench.count_of(1), 5, "they are free again, and nobody else is there");
    bench.need(2, 3);
    assert_eq!(bench.count_of(2), 0);
    bench.register("c", &[ANY; 2]);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (5, 0), "they are left for the job that waits for three");
    bench.register("d", &[ANY; 2]);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (6, 3));
}

#[test]
fn wishes_that_become_fewer_leave_what_is_held_to_the_job() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 4]);
    bench.wish(1, 1, 1, 2);
    assert_eq!(bench.count_of(1), 4);
    bench.wish(1, 1, 0, 1);
    assert_eq!(bench.count_of(1), 4, "only the job knows which of them it uses");
    bench.job_frees(1, 3);
    assert_eq!(bench.count_of(1), 2);
}

#[test]
fn wishes_leave_slots_to_a_job_that_has_just_begun_to_wait_for_more_than_there_are() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 1]);
    bench.wish(1, 1, 0, 100);
    bench.need(2, 4);
    // TaskManagers come one by one.
    bench.register("b", &[ANY; 3]);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (1, 0));
    bench.register("c", &[ANY; 1]);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (1, 4));
    // What nobody can serve is not waited for without end.
    bench.need(3, 9);
    bench.register("d", &[ANY; 2]);
    assert_eq!(bench.count_of(1), 1);
    bench.pass_ms(11_000);
    assert_eq!(bench.count_of(1), 3);
}
