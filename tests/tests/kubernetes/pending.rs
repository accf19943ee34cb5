//! Why TaskManagers do not come and how they end, as whoever waits for them hears it.

use std::time::Duration;

use crate::{
    told::{self, Told, Victim},
    world::World,
};

/// An aim of a second, on a machine that may be busy with much else.
const SOON: Duration = Duration::from_secs(2);
/// The same with a command that starts, finds its way to the cluster, and ends.
const LISTED: Duration = Duration::from_secs(6);

/// The event is had once more if it was told late: of a machine that was busy once, that is enough.
#[track_caller]
fn check(what: &str, measure: impl Fn() -> Vec<Told>) {
    let once = || {
        let told = measure();
        println!("from the API server's word, {what}: {told:.1?}");
        if told.iter().all(|told| told.rest < SOON && told.list < LISTED) { Ok(()) } else { Err(told) }
    };
    once().or_else(|_| once()).unwrap_or_else(|told| panic!("{what} is told late, twice: {told:?}"));
}

#[test]
fn why_taskmanagers_do_not_come_and_how_they_end_is_told_soon_by_rest_and_in_the_list() {
    let test = "why_taskmanagers_do_not_come_and_how_they_end_is_told_soon_by_rest_and_in_the_list";
    let Some(world) = World::new(test, "pending", "") else { return };
    check("unschedulable", || told::unschedulable(&world, 1));
    check("image", || told::image_missing(&world, 1));
    check("exit code", || told::exit_code(&world, 1));
    check("quota", || told::quota(&world, 1));
    check("admission", || told::admission(&world, 1));
    let victim = Victim::start(&world);
    check("evicted", || victim.evicted(1));
    check("preempted", || victim.preempted(1));
    if world.limits_memory(test) {
        check("out of memory", || victim.out_of_memory(1));
    }
    victim.end();
}
