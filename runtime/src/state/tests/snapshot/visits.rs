//! Visits of whole tables, and what snapshots have of it.

use super::*;

/// Visits all there is, once each; what `n` divides goes.
pub(super) fn visit(table: &mut dyn StateTable<u16, u32>, places: u16, n: u32, chain: &mut Chain) {
    let (mut cursor, mut seen) = (Cursor::default(), Vec::new());
    let mut look = |key: &u16, value: &mut u32| {
        seen.push((*key, *value));
        Ok(!value.is_multiple_of(n))
    };
    while table.visit(&mut cursor, places.into(), &mut look).unwrap() == Progress::More {}
    seen.sort_unstable();
    assert!(seen.into_iter().eq(chain.entries()));
    chain.update_where(|_, value| value.is_multiple_of(n), |_| None);
}

/// What a visit makes of values, and takes out, while a snapshot is being given, is not in that.
pub(super) fn check_visited_while_given(table: &mut dyn StateTable<u16, u32>, extent: Extent) {
    for key in 0..200u16 {
        table.insert(hash(key), &key, key.into()).unwrap();
    }
    table.begin(extent, all(4)).unwrap();
    let mut visit = |key: &u16, value: &mut u32| {
        *value += 1_000;
        Ok(!key.is_multiple_of(5))
    };
    let (mut cursor, mut given) = (Cursor::default(), Vec::new());
    while table.visit(&mut cursor, 64, &mut visit).unwrap() == Progress::More {
        assert_ne!(table.advance(10, &mut kept(&mut given)).unwrap(), Progress::Done);
    }
    while table.advance(1_000, &mut kept(&mut given)).unwrap() != Progress::Done {}
    let mut given: Vec<(u16, u32)> = given.iter().flat_map(Run::decode).collect();
    given.sort_unstable();
    assert!(given.into_iter().eq((0..200).map(|key| (key, key.into()))));
    assert_eq!(table.keys(), 160);
}

#[test]
fn what_a_visit_makes_of_a_heap_table_is_in_no_earlier_snapshot() {
    check_visited_while_given(&mut HeapTable::default(), Extent::Whole);
}
