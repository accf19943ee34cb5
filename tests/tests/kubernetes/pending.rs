//! Why TaskManagers do not come and how they end, as whoever waits for them hears it.

use std::time::Duration;

use crate::{told, world::World};

/// An aim of a second, on a machine that may be busy with much else.
const SOON: Duration = Duration::from_secs(10);

#[track_caller]
fn check(what: &str, delays: &[Duration]) {
    println!("from the API server's word to REST, {what}: {delays:.1?}");
    assert!(delays.iter().all(|delay| *delay < SOON), "{what}: {delays:?}");
}

#[test]
fn why_taskmanagers_do_not_come_and_how_they_end_is_told_soon_by_rest_and_in_the_list() {
    let test = "why_taskmanagers_do_not_come_and_how_they_end_is_told_soon_by_rest_and_in_the_list";
    let Some(world) = World::new(test, "pending", "") else { return };
    check("unschedulable", &told::unschedulable(&world, 1));
    check("image", &told::image_missing(&world, 1));
    check("exit code", &told::exit_code(&world, 1));
    if world.limits_memory(test) {
        check("out of memory", &told::out_of_memory(&world, 1));
    }
}
