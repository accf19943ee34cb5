//! What handles of each kind do besides what the model covers.

use super::*;

#[derive(Clone)]
struct Mean;

impl Aggregate for Mean {
    type In = u64;
    type Accumulator = (u64, u64);
    type Out = f64;

    fn create(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (u64, u64), value: u64) {
        *sum += value;
        *count += 1;
    }

    fn result(&self, (sum, count): &(u64, u64)) -> f64 {
        *sum as f64 / *count as f64
    }

    fn merge(&self, into: &mut (u64, u64), other: (u64, u64)) {
        into.0 += other.0;
        into.1 += other.1;
    }
}

#[test]
pub(super) fn an_aggregation_without_values_has_no_result() {
    let mut states = new_states();
    let mean = states.aggregating("mean", Mean).unwrap();
    with_key(&mut states, 1u8);
    assert_eq!(mean.get(&mut states).unwrap(), None);
    mean.add(&mut states, 1).unwrap();
    mean.add(&mut states, 2).unwrap();
    assert_eq!(mean.get(&mut states).unwrap(), Some(1.5));
    mean.merge(&mut states, (9, 1)).unwrap();
    assert_eq!(mean.get(&mut states).unwrap(), Some(4.0));
    assert_eq!(mean.get(with_key(&mut states, 2)).unwrap(), None);
    mean.merge(&mut states, (5, 1)).unwrap();
    assert_eq!(mean.take(&mut states).unwrap(), Some((5, 1)));
    assert_eq!(held(&states), 1);
}

#[test]
pub(super) fn the_first_item_of_a_reduction_is_its_value() {
    let mut states = new_states();
    let longest = states
        .reducing::<String>("longest", |longest, word| {
            if word.len() > longest.len() {
                *longest = word;
            }
        })
        .unwrap();
    with_key(&mut states, 1u8);
    for word in ["to", "be", "or", "not"] {
        longest.add(&mut states, word.to_owned()).unwrap();
    }
    assert_eq!(longest.get(&mut states).unwrap().map(String::as_str), Some("not"));
    longest.clear(&mut states).unwrap();
    assert_eq!(longest.get(&mut states).unwrap(), None);
    longest.add_all(&mut states, ["that".to_owned(), "is".to_owned()]).unwrap();
    assert_eq!(longest.take(&mut states).unwrap().as_deref(), Some("that"));
}

#[test]
pub(super) fn nothing_added_to_a_list_or_map_leaves_no_trace() {
    let mut states = new_states();
    let ttl = StateTtl::new(std::time::Duration::from_secs(1));
    let (list, lives) = (states.list::<u8>("list").unwrap(), states.state("lives").ttl(ttl).list::<u8>().unwrap());
    let (map, dies) = (states.map::<u8, u8>("map").unwrap(), states.state("dies").ttl(ttl).map::<u8, u8>().unwrap());
    with_key(&mut states, 1u8);
    list.add_all(&mut states, []).unwrap();
    lives.add_all(&mut states, []).unwrap();
    map.insert_all(&mut states, []).unwrap();
    dies.insert_all(&mut states, []).unwrap();
    map.retain(&mut states, |_, _| false).unwrap();
    dies.retain(&mut states, |_, _| false).unwrap();
    assert_eq!(held(&states), 0);
}

#[test]
pub(super) fn entries_of_a_map_have_a_known_number() {
    let mut states = new_states();
    let map = states.map::<u8, u8>("map").unwrap();
    with_key(&mut states, 1u8);
    assert_eq!(map.entries(&mut states).unwrap().len(), 0);
    map.insert_all(&mut states, [(1, 10), (2, 20)]).unwrap();
    assert_eq!(map.keys(&mut states).unwrap().len(), 2);
    assert_eq!(map.values(&mut states).unwrap().map(|value| u32::from(*value)).sum::<u32>(), 30);
}

#[test]
pub(super) fn handles_that_are_not_bound_say_so() {
    let mut states = new_states();
    with_key(&mut states, 1u8);
    let check = |error: Box<flott_core::failure::Failure>| assert!(error.message.contains("not bound"), "{error}");
    check(ReducingState::<u8>::default().add(&mut states, 1).unwrap_err());
    check(AggregatingState::<Mean>::default().add(&mut states, 1).unwrap_err());
    check(AggregatingState::<Mean>::default().get(&mut states).unwrap_err());
    check(ListState::<u8>::default().add(&mut states, 1).unwrap_err());
    check(MapState::<u8, u8>::default().len(&mut states).unwrap_err());
}

#[test]
pub(super) fn kinds_that_are_stored_alike_are_told_apart() {
    let mut states = new_states::<u8>();
    states.aggregating("mean", Mean).unwrap();
    let error = states.value::<(u64, u64)>("mean").unwrap_err().message;
    assert!(error.starts_with("keyed state \"mean\" is an aggregation by "), "{error}");
    assert!(error.ends_with("kinds::Mean, and cannot be a value of (u64, u64) too"), "{error}");

    let stored = StateMeta { name: "mean".into(), kind: StateKind::Value, expires: false, schema: None };
    let error = states.restore(&stored, Content::Values, 0, &[]).unwrap_err();
    assert_eq!(error.message, "keyed state \"mean\" was stored as value state, and is aggregating state now");
    assert_eq!(error.retry, flott_core::failure::Retry::Never);
    let stored = StateMeta { name: "median".into(), ..stored };
    let error = states.restore(&stored, Content::Values, 0, &[]).unwrap_err();
    assert_eq!(error.message, "the program has no keyed state \"median\"");
}

#[test]
pub(super) fn every_kind_knows_the_keys_that_have_something() {
    #[track_caller]
    fn check(states: &mut KeyedStates<u8>, handle: &impl KeyedHandle, expected: &[u8]) {
        let mut keys = handle.held_keys(states).unwrap();
        keys.sort_unstable();
        assert_eq!(keys, expected);
    }
    let mut states = new_states::<u8>();
    let ttl = StateTtl::new(std::time::Duration::from_secs(1));
    let value = states.value::<u8>("value").unwrap();
    let list = states.state("list").ttl(ttl).list::<u8>().unwrap();
    let map = states.map::<u8, u8>("map").unwrap();
    let sum = states.reducing::<u8>("sum", |sum, more| *sum += more).unwrap();
    for key in 1..=3 {
        with_key(&mut states, key);
        value.set(&mut states, 1).unwrap();
        list.add(&mut states, 1).unwrap();
        map.insert(&mut states, &1, 1).unwrap();
    }
    map.clear(&mut states).unwrap();
    sum.add(with_key(&mut states, 9), 1).unwrap();
    check(&mut states, &value, &[1, 2, 3]);
    check(&mut states, &list, &[1, 2, 3]);
    check(&mut states, &map, &[1, 2]);
    check(&mut states, &sum, &[9]);
    assert!(ValueState::<u8>::default().held_keys(&mut states).is_err());
}
