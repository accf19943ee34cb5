//! Declarations and grants.

use flott_core::{
    id::{AllocationId, JobMasterEpoch, SlotIndex},
    message::{FromWorker, SlotGrant},
    resource::ResourceProfile,
};

use super::bench::{Bench, GIB, job, size};

const ANY: ResourceProfile = ResourceProfile::ANY;

#[test]
fn needs_are_granted_when_declared_and_when_workers_come() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 2);
    assert_eq!(bench.count_of(1), 2);
    bench.need(2, 3);
    assert_eq!(bench.count_of(2), 0);
    bench.register("b", &[ANY; 2]);
    assert_eq!(bench.count_of(2), 0, "two of three would be of no use");
    bench.register("c", &[ANY; 1]);
    assert_eq!(bench.count_of(2), 3);
    bench.check_pending(2, &[]);
}

#[test]
fn repeating_a_declaration_changes_nothing() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 4]);
    bench.need(1, 2);
    bench.need(1, 2);
    assert_eq!(bench.count_of(1), 2);
    bench.need(1, 3);
    assert_eq!(bench.count_of(1), 3);
}

#[test]
fn a_withdrawn_job_loses_its_slots_and_others_get_them() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 2);
    bench.need(2, 2);
    bench.declare(1, 1, &[]);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (0, 2));
    bench.check_pending(2, &[]);
}

#[test]
fn slots_that_a_job_frees_go_to_the_next_and_not_back_to_it() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 3]);
    bench.need(1, 3);
    bench.need(2, 1);
    bench.need(1, 2);
    assert_eq!(bench.count_of(1), 3, "which slot it gives back is for the job to say");
    bench.job_frees(1, 1);
    assert_eq!((bench.count_of(1), bench.count_of(2)), (2, 1));
}

#[test]
fn older_jobmasters_are_not_heard_and_a_newer_one_begins_afresh() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 4]);
    bench.declare(1, 5, &[(ANY, 2)]);
    bench.declare(1, 4, &[(ANY, 4)]);
    bench.declare(1, 4, &[]);
    assert_eq!(bench.count_of(1), 2);
    let old: Vec<_> = bench.worker("a").allocated.keys().copied().collect();
    bench.declare(1, 6, &[(ANY, 2)]);
    assert_eq!(bench.count_of(1), 2);
    let worker = bench.worker("a");
    assert!(worker.allocated.keys().all(|allocation| !old.contains(allocation)));
    assert!(worker.allocated.values().all(|grant| grant.epoch == JobMasterEpoch(6)));
    bench.declare(1, 6, &[]);
    bench.declare(1, 5, &[(ANY, 1)]);
    assert_eq!(bench.count_of(1), 0, "an older one does not come back after the withdrawal");
}

#[test]
fn sizes_are_respected_and_great_slots_left_to_great_demands() {
    let mut bench = Bench::standalone();
    bench.register("a", &[size(4 * GIB), size(GIB), size(GIB)]);
    bench.declare(1, 1, &[(ANY, 2), (size(2 * GIB), 1)]);
    assert_eq!(bench.count_of(1), 3);
    bench.declare(2, 1, &[(size(8 * GIB), 1)]);
    bench.check_pending(2, &["1: no slot is that big: the largest is 0.000 cores, 4096 MiB"]);
}

#[test]
fn an_unanswered_request_is_sent_again() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 1]);
    bench.worker("a").deaf = true;
    bench.need(1, 1);
    assert_eq!(bench.count_of(1), 0);
    bench.worker("a").deaf = false;
    bench.pass_ms(3000);
    assert_eq!(bench.count_of(1), 1);
}

#[test]
fn a_refused_slot_is_left_alone_for_a_while_and_another_is_used() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 1]);
    bench.worker("a").refuses = true;
    bench.need(1, 1);
    assert_eq!(bench.count_of(1), 0);
    bench.register("b", &[ANY; 1]);
    assert_eq!(bench.slots_of(1), [("b", 1)].into());
    bench.worker("a").refuses = false;
    bench.need(2, 1);
    assert_eq!(bench.count_of(2), 0);
    bench.pass_ms(1000);
    assert_eq!(bench.slots_of(2), [("a", 1)].into());
}

#[test]
fn a_slot_that_the_worker_forgot_is_noticed_by_heartbeat_and_replaced() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 2]);
    bench.need(1, 1);
    bench.worker("a").allocated.clear();
    bench.pass_ms(1000);
    assert_eq!(bench.count_of(1), 0, "a heartbeat may be older than the grant");
    bench.pass_ms(4000);
    assert_eq!(bench.count_of(1), 1);
}

#[test]
fn an_allocation_that_nobody_knows_is_freed() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 1]);
    let allocation = AllocationId::from_bytes([9; 16]);
    let grant = SlotGrant { slot: SlotIndex(0), allocation, job: job(9), epoch: JobMasterEpoch(1), profile: ANY };
    bench.worker("a").allocated.insert(allocation, grant);
    bench.need(1, 1);
    bench.pass_ms(5000);
    assert_eq!((bench.count_of(9), bench.count_of(1)), (0, 1));
}

#[test]
fn a_late_confirmation_of_a_slot_that_is_not_wanted_frees_it() {
    let mut bench = Bench::standalone();
    bench.register("a", &[ANY; 1]);
    bench.tell("a", FromWorker::SlotAllocated(AllocationId::from_bytes([9; 16])));
    bench.need(1, 1);
    assert_eq!(bench.count_of(1), 1);
}

#[test]
fn a_job_is_packed_or_spread() {
    for (spread, expected) in [(false, vec![("a", 3)]), (true, vec![("a", 1), ("b", 1), ("c", 1)])] {
        let options = crate::SlotManagerOptions { spread, ..Default::default() };
        let mut bench = Bench::new(options, Default::default());
        for worker in ["a", "b", "c"] {
            bench.register(worker, &[ANY; 3]);
        }
        bench.need(1, 3);
        assert_eq!(bench.slots_of(1), expected.into_iter().collect());
    }
}
