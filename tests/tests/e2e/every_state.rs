//! Every kind of state, in savepoints that builds of each version of the format wrote.

use flott_snapshot::manifest::document::VERSION;
use flott_tests::{
    binaries::text,
    fixture::{FIRST_VERSION, Fading, Fixture, Undisturbed},
    sandbox::Sandbox,
};
use serde_json::Value;

/// Set to anything, the savepoint of the version that this build writes is made.
const MAKE: &str = "FLOTT_MAKE_FIXTURE";

/// Operators by their uids, and states of theirs of which a savepoint that claims to have every kind must hold something.
const HELD: &[(&str, &str)] = &[
    ("kinds", "value"),
    ("kinds", "list"),
    ("kinds", "map"),
    ("kinds", "reducing"),
    ("kinds", "aggregating"),
    ("kinds", "lasting"),
    ("kinds", "lasting-list"),
    ("kinds", "lasting-map"),
    ("fading", "known"),
    ("timers", "event time"),
    ("timers", "processing time"),
    ("sums", "values"),
    ("sliding", "numbered slices"),
    ("all", "slice 2"),
    ("sessions", "windows"),
    ("gathered", "windows"),
    ("counted", "windows"),
    ("last", "windows"),
    ("evicted", "windows"),
    ("remembered", "window/sizes"),
    ("remembered", "window/often"),
    ("remembered", "window/last"),
    ("interval-join", "interval-join"),
    ("temporal-join", "temporal-join"),
    ("window-join", "windows"),
    ("co-group", "windows"),
    ("lists", "split"),
    ("lists", "union"),
    ("rules", "rules"),
    ("patterns", "partial-matches"),
    ("calls", "calls under way"),
];

/// Wants a savepoint to hold something of all that it is kept for.
#[track_caller]
fn check_whole(sandbox: &Sandbox, fixture: &Fixture) {
    let listed = sandbox.flott(["state", "ls", &text(&fixture.savepoint()), "--json"]).success().json();
    let states = listed["states"].as_array().expect("a list");
    for (operator, name) in HELD {
        let is_it = |state: &&Value| state["uid"] == *operator && state["state"] == *name;
        let written = states.iter().find(is_it).and_then(|state| state["written"].as_u64());
        assert!(written > Some(0), "nothing of {name:?} of {operator:?} is in {}", fixture.savepoint().display());
    }
}

#[test]
fn every_kind_of_state_of_every_version_of_the_format_is_gone_on_from() {
    let sandbox = Sandbox::with("execution.checkpointing.interval: 0 ms");
    if std::env::var_os(MAKE).is_some() {
        Fixture::of(VERSION).make(&sandbox);
    }
    let undisturbed = Undisturbed::run(&sandbox);
    let session = sandbox.session(&[]);
    for fixture in (FIRST_VERSION..=VERSION).map(Fixture::of) {
        check_whole(&sandbox, &fixture);
        fixture.check(&sandbox, &session, &undisturbed, "3", Fading::Gone);
        fixture.check(&sandbox, &session, &undisturbed, "1", Fading::There);
    }
    session.stop();
}
