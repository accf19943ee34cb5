//! Needs, offers, and slots that do not come.

use std::collections::BTreeMap;

use flott_core::{
    id::{AllocationId, InstanceId, JobId, JobMasterEpoch, SlotIndex, WorkerId, WorkerKey},
    message::SlotGrant,
    resource::ResourceProfile,
    view::PendingReason,
};

use super::*;
use crate::{
    core::Event,
    execution_graph::Resolved,
    index::SharedSlotIndex,
    slot_pool::{Answer, SlotPool, SlotSharing},
    time::Millis,
};

fn profile(memory: u64) -> ResourceProfile {
    ResourceProfile { cpu_millicores: 100, memory_bytes: memory }
}

fn pool(graph: TestGraph) -> SlotPool {
    SlotPool::new(SlotSharing::new(&Resolved::new(&graph.build(), 2).unwrap()))
}

fn two_groups() -> TestGraph {
    TestGraph::new("groups")
        .vertex_in("small", profile(10), "a", Parallelism::Fixed(3), OperatorKind::Source)
        .vertex_in("small", profile(20), "b", Parallelism::Fixed(1), OperatorKind::Operator)
        .vertex_in("large", profile(100), "c", Parallelism::Fixed(2), OperatorKind::Sink)
}

fn grant(number: u8, profile: ResourceProfile) -> SlotGrant {
    SlotGrant {
        slot: SlotIndex(0),
        allocation: AllocationId::from_bytes([number; 16]),
        job: JobId::from_bytes([7; 16]),
        epoch: JobMasterEpoch(1),
        profile,
    }
}

fn worker(number: u8) -> WorkerKey {
    WorkerKey { worker: WorkerId(format!("tm-{number}")), instance: InstanceId::from_bytes([number; 16]) }
}

#[test]
fn a_group_needs_as_many_slots_as_its_widest_vertex_and_as_large_as_all_together() {
    let mut pool = pool(two_groups());
    assert_eq!(pool.sharing().len(), 5);
    for slot in pool.sharing().keys().collect::<Vec<_>>() {
        pool.want(slot, Millis(0));
    }
    let small = profile(10).saturating_add(&profile(20));
    assert_eq!(*pool.needs(), BTreeMap::from([(profile(100), 2), (small, 3)]));
}

#[test]
fn subtask_i_of_each_vertex_shares_slot_i() {
    let pool = pool(two_groups());
    let shared: Vec<Vec<u32>> =
        pool.sharing().keys().map(|slot| pool.sharing().slot(slot).executions.iter().map(|e| e.0).collect()).collect();
    let expected: [Vec<u32>; 5] = [vec![0, 3], vec![1], vec![2], vec![4], vec![5]];
    assert_eq!(shared, expected);
}

#[test]
fn an_offer_is_taken_once_and_answered_as_often_as_it_comes() {
    let mut pool = pool(word_count());
    let slots: Vec<_> = pool.sharing().keys().collect();
    pool.want(slots[0], Millis(5));
    assert_eq!(pool.missing_since(), Some(Millis(5)));
    let (one, two) = (grant(1, ResourceProfile::ANY), grant(2, ResourceProfile::ANY));
    assert_eq!(pool.offer(&worker(1), &one), Answer::Accepted(slots[0]));
    assert_eq!(pool.offer(&worker(1), &one), Answer::Known);
    assert_eq!(pool.offer(&worker(2), &one), Answer::Rejected, "not from somebody else");
    assert_eq!(pool.offer(&worker(1), &two), Answer::Rejected, "nothing is missing");
    assert_eq!((pool.missing_since(), pool.missing().count()), (None, 0));
    // Lost, and wanted again: the old allocation does not come back.
    assert_eq!(pool.lose(slots[0], true, Millis(9)).unwrap().allocation, one.allocation);
    assert_eq!(pool.offer(&worker(1), &one), Answer::Rejected);
    assert_eq!(pool.offer(&worker(1), &two), Answer::Rejected, "it was refused before");
    assert_eq!(pool.offer(&worker(1), &grant(3, profile(1))), Answer::Accepted(slots[0]));
}

#[test]
fn what_another_division_of_the_job_has_counts_as_needed_though_its_turn_has_not_come() {
    let mut pool = pool(word_count());
    let slots: Vec<_> = pool.sharing().keys().collect();
    for (number, slot) in (1..).zip(&slots) {
        pool.want(*slot, Millis(0));
        assert_eq!(pool.offer(&worker(number), &grant(number, ResourceProfile::ANY)), Answer::Accepted(*slot));
    }
    let all = pool.needs().clone();
    pool.reshare(pool.sharing().clone(), |_| true);
    assert_eq!(*pool.needs(), all);
    // One is wanted again and then lost: another takes its place, though there is one that nobody has come to want.
    pool.want(slots[0], Millis(5));
    pool.lose(slots[0], true, Millis(6));
    assert_eq!((pool.needs(), pool.missing().count()), (&all, 1));
    assert_eq!(pool.check(), Ok(()));
}

#[test]
fn an_offer_serves_what_asked_for_it_or_else_the_largest_that_fits() {
    let mut pool = pool(two_groups());
    for slot in pool.sharing().keys().collect::<Vec<_>>() {
        pool.want(slot, Millis(0));
    }
    let small = profile(10).saturating_add(&profile(20));
    assert_eq!(pool.offer(&worker(1), &grant(1, small)), Answer::Accepted(SharedSlotIndex(0)));
    assert_eq!(pool.offer(&worker(1), &grant(2, profile(100))), Answer::Accepted(SharedSlotIndex(3)));
    let huge = ResourceProfile { cpu_millicores: 1000, memory_bytes: 1000 };
    assert_eq!(pool.offer(&worker(1), &grant(3, huge)), Answer::Accepted(SharedSlotIndex(1)), "the most cores first");
    assert_eq!(pool.offer(&worker(1), &grant(4, profile(1))), Answer::Rejected, "too small for anyone");
}

#[test]
fn a_wait_is_as_long_as_the_first_of_its_asking() {
    let mut pool = pool(word_count());
    let slot = SharedSlotIndex(0);
    pool.want(slot, Millis(5));
    pool.want(slot, Millis(50));
    assert_eq!(pool.missing_since(), Some(Millis(5)));
    pool.offer(&worker(1), &grant(1, ResourceProfile::ANY));
    pool.lose(slot, true, Millis(60));
    assert_eq!(pool.missing_since(), Some(Millis(5)), "nothing ran in it: the same wait");
    pool.offer(&worker(1), &grant(2, ResourceProfile::ANY));
    pool.settle(slot);
    pool.lose(slot, true, Millis(70));
    assert_eq!(pool.missing_since(), Some(Millis(70)), "something ran: a new wait");
}

#[test]
fn slots_that_do_not_come_fail_the_job_by_name() {
    let mut cluster = cluster(spec_of(word_count(), OFTEN));
    cluster.add_worker(1);
    cluster.settle();
    let reason = PendingReason {
        slots_missing: 1,
        profile: ResourceProfile::ANY,
        since: 1000,
        reason: "no backend can start workers".to_owned(),
        unattainable: false,
    };
    assert_eq!(cluster.core.view().pending[0].reason, "asked of the ResourceManager");
    cluster.tell(Event::Pending(vec![reason.clone()]));
    assert_eq!(cluster.core.view().pending, [reason]);
    cluster.pass(299_999);
    assert_eq!(cluster.core.status(), JobStatus::Created);
    cluster.pass(1);
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(
        cluster.ended[0].failure.as_ref().unwrap().report(),
        "not enough slots within 300000 ms (slot.request.timeout): asked for 2 of any size; given 1 (1 on tm-1); still missing 1 of any size\n\
         Caused by: 1 slot of any size is missing: no backend can start workers"
    );
}

#[test]
fn slots_that_the_cluster_may_not_have_are_not_waited_for() {
    let mut cluster = cluster(spec_of(word_count(), OFTEN));
    let reason = PendingReason {
        slots_missing: 2,
        profile: ResourceProfile::ANY,
        since: 1000,
        reason: "slotmanager.number-of-slots.max allows 1 slot".to_owned(),
        unattainable: true,
    };
    cluster.tell(Event::Pending(vec![reason]));
    cluster.pass(9_999);
    assert_eq!(cluster.core.status(), JobStatus::Created);
    cluster.pass(1);
    check_ended(&mut cluster, JobStatus::Failed);
    assert_eq!(
        cluster.ended[0].failure.as_ref().unwrap().report(),
        "the cluster may not have enough slots: asked for 2 of any size; given none; still missing 2 of any size\n\
         Caused by: 2 slots of any size are missing: slotmanager.number-of-slots.max allows 1 slot"
    );
}

#[test]
fn slots_are_idle_while_others_are_missing_and_nothing_runs() {
    let mut waiting = cluster(spec_of(word_count(), RestartStrategy::None));
    assert!(!waiting.idle, "there is none");
    waiting.add_worker(1);
    waiting.settle();
    assert!(waiting.idle);
    waiting.add_worker(1);
    waiting.settle();
    assert!(!waiting.idle, "all are there");

    // One region of two runs.
    let mut partly = running(side_by_side(), OFTEN);
    let worker = partly.workers.keys().next().unwrap().clone();
    partly.kill_worker(&worker);
    partly.settle();
    assert_eq!((partly.core.waits().contains(&crate::core::Wait::Slots { missing: 1 }), partly.idle), (true, false));
}

#[test]
fn slots_that_come_in_time_end_the_wait() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    cluster.pass(299_999);
    cluster.add_worker(2);
    start_tasks(&mut cluster);
    cluster.pass(10_000_000);
    assert_eq!(cluster.core.status(), JobStatus::Running);
    assert!(cluster.core.view().pending.is_empty());
}

#[test]
fn offers_that_are_not_ours_are_refused() {
    let mut cluster = cluster(spec_of(word_count(), RestartStrategy::None));
    let worker = cluster.add_worker(0);
    let mut foreign = grant(9, ResourceProfile::ANY);
    foreign.epoch = JobMasterEpoch(7);
    let epoch = cluster.core.spec().epoch;
    cluster.inject(&worker, epoch, flott_core::message::WorkerToJob::OfferSlots(vec![foreign]));
    cluster.settle();
    assert_eq!(cluster.core.waits(), [crate::core::Wait::Slots { missing: 2 }]);
}

#[test]
fn an_offer_to_a_job_that_has_ended_is_answered_with_forget() {
    let mut cluster = running(word_count(), RestartStrategy::None);
    cluster.run_to_end();
    let worker = cluster.workers.keys().next().unwrap().clone();
    let offer = cluster.workers.get_mut(&worker).unwrap().allocate(grant(9, ResourceProfile::ANY));
    cluster.inject(&worker, cluster.core.spec().epoch, offer);
    check_ended(&mut cluster, JobStatus::Finished);
}
