//! What joins keep of two streams: even and odd numbers.

use std::time::Duration;

use flott::{Stream, TimeDelta, TumblingEventTimeWindows};

use super::key;

pub fn lines(numbers: &Stream<u64>) -> Vec<Stream<String>> {
    let (even, odd) = (numbers.filter(|number| number % 2 == 0), numbers.filter(|number| number % 2 == 1));
    let near = even
        .key_by(key)
        .interval_join(&odd.key_by(key))
        .between(TimeDelta::from_millis(-250), TimeDelta::from_millis(150))
        .map(|even, odd| format!("near {even} {odd}"))
        .uid("interval-join");
    let versions = even
        .key_by(key)
        .temporal_join(&odd.key_by(key))
        .inner(|even, odd| format!("version {even} {odd}"))
        .uid("temporal-join");
    let windows = || TumblingEventTimeWindows::of(Duration::from_millis(500));
    let joined = even
        .join(&odd)
        .where_key(key)
        .equal_to(key)
        .window(windows())
        .apply(|even, odd| format!("joined {even} {odd}"))
        .uid("window-join");
    let grouped = even
        .co_group(&odd)
        .where_key(key)
        .equal_to(key)
        .window(windows())
        .apply_with(|key, window, even, odd, out| {
            // They have come through several subtasks.
            let (even, odd) = (in_order(even), in_order(odd));
            out.emit(format!("grouped {key} {} {even:?} {odd:?}", window.start));
        })
        .uid("co-group");
    vec![near, versions, joined, grouped]
}

fn in_order(numbers: &[u64]) -> Vec<u64> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers
}
