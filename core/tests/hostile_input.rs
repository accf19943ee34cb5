//! The checks of the fuzz targets on their seeds and on mutations of them, without a fuzzer.

use std::{env, fs, path::PathBuf};

use flott_core::{id::Digest, message::HOST_PROTOCOL};

#[path = "../../fuzz/entry/control.rs"]
mod control;
#[path = "../../fuzz/entry/job_graph.rs"]
mod job_graph;
#[path = "hostile_input/messages.rs"]
mod messages;
#[path = "hostile_input/mutation.rs"]
mod mutation;

use mutation::Mutator;

const MUTATIONS_PER_SEED: u32 = 1000;

fn seeds_dir(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "fuzz", "seeds", target].iter().collect()
}

/// The seeds of a target by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = seeds_dir(target);
    let mut seeds: Vec<_> = fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} is empty", dir.display());
    seeds
}

fn mutate(target: &str, run: fn(&[u8])) {
    let seeds = seeds(target);
    for (at, (name, seed)) in (0..).zip(&seeds) {
        run(seed);
        let (_, other) = &seeds[(at as usize + 1) % seeds.len()];
        for number in 0..MUTATIONS_PER_SEED {
            let mutated = Mutator::new(at, number).mutate(seed, other);
            if std::panic::catch_unwind(|| run(&mutated)).is_err() {
                let kept = env::temp_dir().join(format!("flott-{target}-{}-{number}", std::process::id()));
                fs::write(&kept, &mutated).unwrap();
                panic!("mutation {number} of seed {name} fails; it is kept in {}", kept.display());
            }
        }
    }
}

#[test]
fn hostile_job_graphs_are_refused_without_a_panic() {
    mutate("job_graph", job_graph::run);
}

#[test]
fn hostile_control_messages_are_refused_without_a_panic() {
    mutate("control", control::run);
}

#[test]
fn seeds_of_job_graphs_are_documents_or_graphs() {
    for (name, seed) in seeds("job_graph") {
        let read = flott_core::job_graph::document::read(&seed);
        assert_eq!(read.is_ok(), name.starts_with("document"), "{name}: {read:?}");
        let graph = serde_json::from_slice::<flott_core::job_graph::JobGraph>(&seed);
        assert_eq!(graph.is_ok(), name.starts_with("graph"), "{name}: {graph:?}");
    }
}

/// The number of the protocol and, beside it, what its messages look like: who changes these raises that.
#[test]
fn other_messages_to_job_processes_are_another_protocol() {
    let file = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", "host_protocol.txt"].iter().collect::<PathBuf>();
    let recorded = fs::read_to_string(&file).unwrap_or_default();
    let known: Option<u32> = recorded.split(' ').next().and_then(|number| number.parse().ok());
    let all: Vec<u8> = messages::hosts::encoded().into_iter().flat_map(|(_, bytes)| bytes).collect();
    let current = format!("{HOST_PROTOCOL} {}\n", Digest::of(&all));
    if env::var_os("FLOTT_UPDATE_GOLDENS").is_some() && known.is_none_or(|known| known < HOST_PROTOCOL) {
        fs::write(&file, &current).unwrap();
        return;
    }
    assert_eq!(
        recorded, current,
        "messages between job processes and TaskManagers are others: raise HOST_PROTOCOL, and run this with FLOTT_UPDATE_GOLDENS=1"
    );
}

#[test]
fn seeds_of_control_messages_are_current() {
    let expected = messages::encoded();
    let dir = seeds_dir("control");
    if env::var_os("FLOTT_UPDATE_GOLDENS").is_some() {
        fs::create_dir_all(&dir).unwrap();
        for (name, bytes) in &expected {
            fs::write(dir.join(name), bytes).unwrap();
        }
    }
    for (name, bytes) in expected {
        let found = fs::read(dir.join(&name)).unwrap_or_default();
        assert!(found == bytes, "seed {name} is not current; run this test with FLOTT_UPDATE_GOLDENS=1");
    }
}
