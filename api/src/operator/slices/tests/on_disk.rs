//! Where slices are that are too large for memory.

use flott_runtime::state::BackendTable;

use super::*;
use crate::operator::stand::{on_disk, task_with};

/// Windows without any memory, with a record of each of some keys at 0.
fn filled(shape: Shape, lateness_ms: i64) -> (Sliced, Kept<(u8, i64, i64, u64)>) {
    let (domain, late) = (TimeDomain::Event, Late::default());
    let spec = SliceSpec { shape, domain, lateness_ms, fold: summing(), emit: WithBounds, late };
    let (mut operator, mut out) = (of(spec, &task_with(Clock::System, on_disk(0))), Kept::default());
    let mut batch = Batch::default();
    (0..100).for_each(|key| batch.push_with((key, u64::from(key)), Some(0)));
    operator.process(&mut batch, &mut out).unwrap();
    (operator, out)
}

/// Passes a watermark, and gives the results.
fn fire(operator: &mut Sliced, at: i64, out: &mut Kept<(u8, i64, i64, u64)>) -> Vec<(u8, u64)> {
    operator.event(Event::Watermark(at), out).unwrap();
    while operator.resume(out).unwrap() == Drained::Some {}
    let mut results: Vec<_> = out.records().into_iter().map(|((key, _, _, sum), _)| (key, sum)).collect();
    results.sort_unstable();
    results
}

#[test]
fn slices_are_on_disk_and_give_results_from_there() {
    let expected: Vec<_> = (0..100).map(|key| (key, u64::from(key))).collect();
    for shape in [Shape::tumbling(10, 0), Shape::sliding(20, 10, 0), Shape::cumulating(10, 20, 0)] {
        for lateness_ms in [0, 50] {
            let (mut operator, mut out) = filled(shape, lateness_ms);
            assert!(operator.slices.open.iter_mut().all(|slice| slice.table.in_memory().is_none()), "{shape:?}");
            assert!(matches!(operator.slices.closed.table, BackendTable::Elsewhere(_)));
            assert_eq!(fire(&mut operator, 9, &mut out), expected, "{shape:?}");
            assert!(operator.slices.kept.iter_mut().all(|slice| slice.table.in_memory().is_none()));
            assert_eq!(operator.slices.kept.is_empty(), lateness_ms == 0);
            fire(&mut operator, 200, &mut out);
            assert_eq!(operator.kept(), 0, "{shape:?}");
        }
    }
}
