//! Operator state.

use flott_core::{codec, id::SubtaskIndex};

use super::*;

type Stored = Vec<(OperatorStateMeta, Vec<Elements>)>;

/// What the subtasks store, state by state.
fn store(subtasks: &[OperatorStates]) -> Stored {
    let mut all: Stored = Vec::new();
    for states in subtasks {
        let mut sink = |meta: &OperatorStateMeta, elements: Elements| {
            match all.iter_mut().find(|(known, _)| known == meta) {
                Some((_, subtasks)) => subtasks.push(elements),
                None => all.push((meta.clone(), vec![elements])),
            }
            Ok(())
        };
        states.snapshot(&mut sink).unwrap();
    }
    let bytes = codec::to_vec(&all).unwrap();
    assert_eq!(codec::decode::<Stored>(&bytes).unwrap(), all);
    all
}

struct Subtask {
    states: OperatorStates,
    split: ListOperatorState<String>,
    union: ListOperatorState<u32>,
    rules: BroadcastState<u8, String>,
}

impl Subtask {
    fn new() -> Self {
        let mut states = OperatorStates::default();
        let (split, union) = (states.list("split").unwrap(), states.union_list("union").unwrap());
        let rules = states.broadcast("rules").unwrap();
        Self { states, split, union, rules }
    }

    fn restored(stored: &Stored, index: u32, subtasks: u32) -> Self {
        let mut subtask = Self::new();
        for (meta, before) in stored {
            let share = meta.spread.share(before, SubtaskIndex(index), subtasks);
            subtask.states.restore(meta, &share).unwrap();
        }
        subtask
    }

    fn rules(&self) -> BTreeMap<u8, String> {
        self.rules.entries(&self.states.broadcast).unwrap().map(|(key, rule)| (*key, rule.clone())).collect()
    }
}

proptest! {
    #[test]
    fn state_is_spread_over_any_number_of_subtasks(
        lists in prop::collection::vec(prop::collection::vec(0..1000u32, 0..20), 1..6),
        rules in prop::collection::btree_map(any::<u8>(), "[a-z]{0,5}", 0..20),
        parallelisms in prop::collection::vec(1..8u32, 1..4),
    ) {
        let mut subtasks: Vec<_> = lists.iter().map(|list| {
            let mut subtask = Subtask::new();
            subtask.split.add_all(&mut subtask.states, list.iter().map(|n| format!("{n:x}"))).unwrap();
            list.iter().for_each(|n| subtask.union.add(&mut subtask.states, *n).unwrap());
            subtask.rules.insert_all(&mut subtask.states.broadcast, rules.clone()).unwrap();
            subtask
        }).collect();
        let all: Vec<String> = lists.iter().flatten().map(|n| format!("{n:x}")).collect();
        let mut union: Vec<u32> = lists.concat();
        for parallelism in parallelisms {
            let states: Vec<_> = subtasks.into_iter().map(|subtask| subtask.states).collect();
            let before = states.len();
            let stored = store(&states);
            subtasks = (0..parallelism).map(|index| Subtask::restored(&stored, index, parallelism)).collect();

            let split: Vec<&[String]> =
                subtasks.iter().map(|subtask| subtask.split.get(&subtask.states).unwrap()).collect();
            prop_assert_eq!(&split.concat(), &all);
            if before != subtasks.len() {
                let lengths = || split.iter().map(|list| list.len());
                prop_assert!(lengths().max().unwrap() - lengths().min().unwrap() <= 1);
            }
            for subtask in &mut subtasks {
                prop_assert_eq!(subtask.union.get(&subtask.states).unwrap(), &union);
                prop_assert_eq!(&subtask.rules(), &rules);
            }
            // As sources do it: of what all had, each keeps what is its own.
            for (index, subtask) in subtasks.iter_mut().enumerate() {
                let own = union.iter().copied().skip(index).step_by(parallelism as usize).collect();
                subtask.union.set(&mut subtask.states, own).unwrap();
            }
            union = subtasks.iter().flat_map(|subtask| subtask.union.get(&subtask.states).unwrap().to_vec()).collect();
        }
    }

    #[test]
    fn elements_that_are_none_are_refused(ends in prop::collection::vec(0..20u64, 0..5), bytes in any::<Vec<u8>>()) {
        let encoded = codec::to_vec(&(&ends, &bytes)).unwrap();
        if let Ok(elements) = codec::decode::<Elements>(&encoded) {
            prop_assert_eq!(elements.iter().map(<[u8]>::len).sum::<usize>(), bytes.len());
            prop_assert_eq!(elements.len(), ends.len());
        }
    }
}

#[test]
fn the_same_parallelism_moves_no_split_list() {
    let subtasks: Vec<_> = (0..3u32)
        .map(|n| {
            let mut subtask = Subtask::new();
            subtask.split.set(&mut subtask.states, vec!["x".to_owned(); n as usize]).unwrap();
            subtask.states
        })
        .collect();
    let stored = store(&subtasks);
    for n in 0..3 {
        let subtask = Subtask::restored(&stored, n, 3);
        assert_eq!(subtask.split.get(&subtask.states).unwrap().len(), n as usize);
    }
    assert!(Spread::Split.share(&stored[0].1, SubtaskIndex(3), 3).is_empty());
    assert!(Spread::Union.share(&stored[0].1, SubtaskIndex(0), 0).is_empty());
}

#[test]
fn broadcast_state_is_a_map() {
    let mut subtask = Subtask::new();
    let (rules, states) = (&subtask.rules, &mut subtask.states.broadcast);
    rules.insert(states, &1, "one".to_owned()).unwrap();
    rules.get_or_insert_with(states, &2, || "two".to_owned()).unwrap().push('!');
    assert_eq!(rules.get(states, &2).unwrap().map(String::as_str), Some("two!"));
    assert!(rules.contains(states, &1).unwrap());
    assert_eq!(rules.len(states).unwrap(), 2);
    rules.retain(states, |key, _| *key == 2).unwrap();
    assert_eq!(rules.remove(states, &1).unwrap(), None);
    assert_eq!(rules.remove(states, &2).unwrap().as_deref(), Some("two!"));
    rules.insert(states, &3, String::new()).unwrap();
    rules.clear(states).unwrap();
    assert!(rules.is_empty(states).unwrap());
}

#[test]
fn lists_are_taken_and_forgotten() {
    let mut subtask = Subtask::new();
    let (union, states) = (&subtask.union, &mut subtask.states);
    union.add_all(states, [1, 2]).unwrap();
    assert_eq!(union.take(states).unwrap(), [1, 2]);
    union.add(states, 3).unwrap();
    union.clear(states).unwrap();
    assert!(union.get(states).unwrap().is_empty());
}

#[test]
fn misuse_of_operator_state_is_told() {
    let mut states = OperatorStates::default();
    let list = states.list::<u8>("offsets").unwrap();
    states.list::<u8>("offsets").unwrap();
    let check = |error: Box<flott_core::failure::Failure>, is: &str| {
        assert_eq!(error.message, format!("operator state \"offsets\" is a split list of u8, and cannot be {is} too"));
    };
    check(states.list::<u16>("offsets").unwrap_err(), "a split list of u16");
    check(states.union_list::<u8>("offsets").unwrap_err(), "a union list of u8");
    check(states.broadcast::<u8, u16>("offsets").unwrap_err(), "a broadcast map of u8 to u16");
    assert!(ListOperatorState::<u8>::default().get(&states).unwrap_err().message.contains("not bound"));
    assert!(
        BroadcastState::<u8, u8>::default().clear(&mut states.broadcast).unwrap_err().message.contains("not bound")
    );

    let mut elements = Elements::default();
    elements.push(&[1, 2]);
    let stored = OperatorStateMeta { name: "offsets".into(), spread: Spread::Split, schema: None };
    let error = states.restore(&stored, &elements).unwrap_err();
    assert_eq!(error.message, "operator state cannot be decoded");
    assert!(list.get(&states).unwrap().is_empty());
    let error = states.restore(&OperatorStateMeta { spread: Spread::Union, ..stored.clone() }, &elements).unwrap_err();
    assert_eq!(error.message, "operator state \"offsets\" was stored as a union list, and is a split list now");
    let error = states.restore(&OperatorStateMeta { name: "place".into(), ..stored }, &elements).unwrap_err();
    assert_eq!(error.message, "the program has no operator state \"place\"");
}
