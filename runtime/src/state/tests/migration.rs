//! States whose types have changed.

use std::time::Duration;

use super::*;
use crate::snapshot::{Chunk, Restored, Section};

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Visits {
    count: u32,
}

mod now {
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    pub struct Visits {
        pub count: u64,
        pub page: String,
    }

    pub fn of(then: super::Visits) -> Visits {
        Visits { count: then.count.into(), page: "unknown".to_owned() }
    }
}

fn ttl() -> StateTtl {
    StateTtl::new(Duration::from_secs(1))
}

/// What a snapshot holds of states that `fill` has registered and filled.
#[track_caller]
fn stored(fill: impl FnOnce(&mut KeyedStates<u8>)) -> KeyedStates<u8> {
    let mut states = new_states::<u8>();
    fill(&mut states);
    states.begin_snapshot(Extent::Whole, all(128)).unwrap();
    let restored = Restored::default();
    let mut sink = |meta: &StateMeta, entries: GroupEntries<'_>| {
        let GroupEntries { group, count, bytes, .. } = entries;
        let chunk = Chunk { group: Some(group), removed: false, count, bytes: bytes.to_vec().into() };
        restored.add(Section::of_state(meta)?, flott_core::id::SubtaskIndex(0), chunk);
        Ok(())
    };
    while states.advance_snapshot(1 << 20, &mut sink).unwrap() != Progress::Done {}
    let mut states = new_states::<u8>();
    states.restore_from(&restored).unwrap();
    states
}

fn visits() -> KeyedStates<u8> {
    stored(|states| {
        let visits = states.value::<Visits>("visits").unwrap();
        for key in 0..100 {
            visits.set(with_key(states, key), Visits { count: key.into() }).unwrap();
        }
    })
}

#[test]
pub(super) fn state_of_another_type_is_refused_where_it_differs() {
    let mut states = visits();
    let same = states.value::<Visits>("visits").unwrap();
    assert_eq!(same.get(with_key(&mut states, 7)).unwrap().unwrap().count, 7);

    #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
    struct Wider {
        count: u64,
    }
    let failure = visits().value::<Wider>("visits").unwrap_err();
    assert_eq!(
        failure.message,
        "keyed state \"visits\" cannot be taken up by this program: value.count: u32 was stored, and the program has u64 now. Declare \
         what becomes of it (`migrated_from`), give the state another name to begin it anew, or start with the program that wrote it"
    );
    assert_eq!(failure.retry, flott_core::failure::Retry::Never);
    // A migration from something else is none.
    let mut states = visits();
    let other = states.state("visits").migrated_from(|then: String| Wider { count: then.len() as u64 });
    assert!(other.value::<Wider>().unwrap_err().message.contains("migrated_from"));
}

#[test]
pub(super) fn a_declared_migration_makes_of_each_value_what_it_is_now() {
    let mut states = visits();
    let oldest = |then: u8| now::Visits { count: then.into(), page: "old".to_owned() };
    let visits = states.state("visits").migrated_from(oldest).migrated_from(now::of).value::<now::Visits>().unwrap();
    assert_eq!(held(&states), 100);
    let found = visits.get(with_key(&mut states, 42)).unwrap().unwrap();
    assert_eq!(*found, now::Visits { count: 42, page: "unknown".to_owned() });
    // What is stored from now on is what it is now.
    states.begin_snapshot(Extent::Whole, all(128)).unwrap();
    let mut schemas = Vec::new();
    let mut sink = |meta: &StateMeta, _: GroupEntries<'_>| {
        schemas.push(meta.schema.clone());
        Ok(())
    };
    while states.advance_snapshot(1 << 20, &mut sink).unwrap() != Progress::Done {}
    assert!(
        !schemas.is_empty() && schemas.iter().all(|schema| schema.as_ref().unwrap().contains("page")),
        "{schemas:?}"
    );
}

#[test]
pub(super) fn lists_maps_and_what_expires_are_migrated_by_their_parts() {
    let mut states = stored(|states| {
        let list = states.list::<u16>("list").unwrap();
        let dying = states.state("dying").ttl(ttl()).list::<u16>().unwrap();
        let value = states.state("value").ttl(ttl()).value::<u16>().unwrap();
        let map = states.map::<u8, u16>("map").unwrap();
        let passing = states.state("passing").ttl(ttl()).map::<u8, u16>().unwrap();
        let sum = states.reducing::<u16>("sum", |sum, more| *sum += more).unwrap();
        with_key(states, 1);
        list.add_all(states, [1, 2]).unwrap();
        dying.add_all(states, [3, 4]).unwrap();
        value.set(states, 5).unwrap();
        map.insert_all(states, [(6, 7), (8, 9)]).unwrap();
        passing.insert(states, &10, 11).unwrap();
        sum.add(states, 12).unwrap();
    });
    let text = |then: u16| then.to_string();
    let entry = |key: u8, then: u16| (u32::from(key), then.to_string());
    let list = states.state("list").migrated_from(text).list::<String>().unwrap();
    let dying = states.state("dying").ttl(ttl()).migrated_from(text).list::<String>().unwrap();
    let value = states.state("value").ttl(ttl()).migrated_from(text).value::<String>().unwrap();
    let map = states.state("map").entries_migrated_from(entry).map::<u32, String>().unwrap();
    let passing = states.state("passing").ttl(ttl()).entries_migrated_from(entry).map::<u32, String>().unwrap();
    let sum = states
        .state("sum")
        .migrated_from(|then: u16| u64::from(then))
        .reducing::<u64>(|sum, more| *sum += more)
        .unwrap();
    with_key(&mut states, 1);
    assert_eq!(list.get(&mut states).unwrap(), ["1", "2"]);
    assert_eq!(dying.get(&mut states).unwrap(), ["3", "4"]);
    assert_eq!(value.get(&mut states).unwrap().map(String::as_str), Some("5"));
    assert_eq!(map.get(&mut states, &6).unwrap().map(String::as_str), Some("7"));
    assert_eq!(map.len(&mut states).unwrap(), 2);
    assert_eq!(passing.get(&mut states, &10).unwrap().map(String::as_str), Some("11"));
    assert_eq!(sum.get(&mut states).unwrap(), Some(&12));
    // They expire when they would have.
    states.set_now(5_000).unwrap();
    assert_eq!(value.get(&mut states).unwrap(), None);
    assert_eq!(passing.get(&mut states, &10).unwrap(), None);
}
