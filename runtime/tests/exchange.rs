//! Nothing is lost, doubled or sent astray between tasks, in one process and across several.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use flott_core::{codec, id::EdgeIndex, job_graph::ShipStrategy};
use flott_runtime::{
    batch::BATCH_RECORDS,
    channel::Partitioner,
    task::{OneInputHead, SourceHead, TaskWiring},
};
use proptest::prelude::*;

#[path = "harness/cluster.rs"]
mod cluster;
#[path = "harness/parts.rs"]
mod parts;

use cluster::{BuiltBy, Cluster, graph, vertex_id};
use parts::{Gather, Gathered, Numbered, operator};

/// A number, and text whose length varies.
type Record = (u64, String);

#[derive(Debug, Clone)]
struct Case {
    hosts: usize,
    slots: u32,
    producers: u32,
    consumers: u32,
    ship: ShipStrategy,
    keys: u64,
    /// Text is this long at most.
    text: u64,
    /// First, number after the last, records in a batch.
    splits: Vec<(u64, u64, u64)>,
}

fn partitioner(ship: ShipStrategy, keys: u64) -> Partitioner<Record> {
    match ship {
        ShipStrategy::Forward | ShipStrategy::Global => Partitioner::single(),
        ShipStrategy::Hash => Partitioner::hash(move |record: &Record| record.0 % keys),
        ShipStrategy::Rebalance | ShipStrategy::Rescale => Partitioner::round_robin(),
        ShipStrategy::Broadcast => Partitioner::broadcast(),
        ShipStrategy::Shuffle => Partitioner::random(),
        ShipStrategy::Custom => Partitioner::custom(|record: &Record, channels| (record.0 % 3) as u32 % channels),
    }
}

#[track_caller]
fn check(case: &Case) {
    let Case { ship, keys, text, .. } = *case;
    let gathered = Gathered::<Record>::default();
    let all = gathered.clone();
    let program = BuiltBy(move |mut wiring: TaskWiring| {
        if wiring.info().vertex == vertex_id(1) {
            let out = wiring.writer(EdgeIndex(0), partitioner(ship, keys))?;
            let make = move |number| (number, "x".repeat((number * 7919 % (text + 1)) as usize));
            SourceHead::new(Arc::new(Numbered(make)), operator(1, "numbers"), None, out, &mut wiring)
        } else {
            let gate = wiring.input_gate::<Record>(0)?;
            let out = Box::new(Gather { subtask: wiring.info().subtask(), all: all.clone() });
            Ok(OneInputHead::new(gate, out, &mut wiring))
        }
    });
    let graph = graph(&[("numbers", case.producers), ("gather", case.consumers)], &[(1, 2, ship)]);
    let cluster = Cluster::with_slots(case.hosts, case.slots, &graph, Arc::new(program));
    cluster.deploy(0);
    let ended = cluster.finish(case.splits.iter().map(|split| Bytes::from(codec::to_vec(split).unwrap())));

    let copies = if ship == ShipStrategy::Broadcast { case.consumers as usize } else { 1 };
    let numbers = case.splits.iter().flat_map(|(start, end, _)| *start..*end);
    let mut expected: Vec<_> = numbers.flat_map(|number| std::iter::repeat_n(number, copies)).collect();
    expected.sort_unstable();
    let gathered = std::mem::take(&mut *gathered.lock().unwrap());
    let mut found: Vec<_> = gathered.iter().map(|(_, record)| record.0).collect();
    found.sort_unstable();
    assert!(found == expected, "{} of {} records arrived", found.len(), expected.len());
    assert!(gathered.iter().all(|(_, (number, x))| x.len() as u64 == number * 7919 % (text + 1)));
    match ship {
        ShipStrategy::Global => assert!(gathered.iter().all(|(subtask, _)| *subtask == 0)),
        ShipStrategy::Hash => {
            let mut homes = BTreeMap::new();
            for (subtask, (number, _)) in &gathered {
                assert_eq!(homes.entry(number % keys).or_insert(subtask), &subtask, "a key is in two places");
            }
        }
        _ => {}
    }
    let sum = |vertex, figure: fn(&flott_core::view::TaskMetrics) -> u64| {
        let of = ended.iter().filter(|change| change.attempt.vertex == vertex_id(vertex));
        of.map(|change| figure(&change.metrics)).sum::<u64>()
    };
    let sent = expected.len() as u64 / copies as u64;
    assert_eq!(sum(1, |figures| figures.records_read), sent);
    assert_eq!(sum(1, |figures| figures.records_out), sent);
    assert_eq!(sum(2, |figures| figures.records_in), expected.len() as u64);
    assert_eq!(sum(1, |figures| figures.bytes_out), sum(2, |figures| figures.bytes_in));
    assert_eq!(ended.iter().map(|change| change.committables.len()).sum::<usize>(), case.consumers as usize);
}

fn ship() -> impl Strategy<Value = ShipStrategy> {
    use ShipStrategy::*;
    proptest::sample::select(vec![Hash, Hash, Rebalance, Rescale, Broadcast, Shuffle, Global, Custom])
}

fn splits() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let split = (0..1_000_000_u64, 0..6_000_u64, 1..=BATCH_RECORDS as u64);
    let split = split.prop_map(|(start, count, batch)| (start, start + count, batch.min(count / 10 + 1).max(1)));
    proptest::collection::vec(split, 0..8)
}

fn cases() -> impl Strategy<Value = Case> {
    let text = prop_oneof![4 => Just(0_u64), 2 => Just(100), 1 => Just(20_000)];
    (1..4_usize, 1..3_u32, 1..4_u32, 1..5_u32, ship(), 1..2_000_u64, text, splits()).prop_map(
        |(hosts, slots, producers, consumers, ship, keys, text, mut splits)| {
            if text > 1_000 {
                // Records of ten kilobytes: a few hundred will do.
                splits.iter_mut().for_each(|(start, end, _)| *end = *start + (*end - *start) / 20);
            }
            Case { hosts, slots, producers, consumers, ship, keys, text, splits }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_exchange_delivers_each_record_once(case in cases()) {
        check(&case);
    }
}

fn plain(hosts: usize, splits: Vec<(u64, u64, u64)>) -> Case {
    Case { hosts, slots: 1, producers: 2, consumers: 2, ship: ShipStrategy::Hash, keys: 1_000, text: 0, splits }
}

#[test]
fn records_of_a_key_meet_within_a_process() {
    check(&plain(1, vec![(0, 100_000, 1024), (100_000, 100_001, 1), (100_001, 300_000, 500)]));
}

#[test]
fn records_of_a_key_meet_across_processes() {
    check(&plain(2, vec![(0, 100_000, 1024), (100_000, 100_001, 1), (100_001, 300_000, 500)]));
}

#[test]
fn empty_input_ends_everywhere() {
    check(&plain(2, Vec::new()));
    check(&plain(1, vec![(5, 5, 1)]));
}

#[test]
fn global_exchanges_end_at_consumers_that_get_nothing() {
    check(&Case { ship: ShipStrategy::Global, consumers: 3, ..plain(2, vec![(0, 5_000, 1024)]) });
}

/// The first records are small, so that the guess at the size of a batch is wrong by a factor of a thousand.
#[test]
fn batches_of_large_records_are_sent_in_pieces() {
    check(&Case { text: 60_000, ship: ShipStrategy::Rebalance, ..plain(2, vec![(0, 1_000, 1024)]) });
}
