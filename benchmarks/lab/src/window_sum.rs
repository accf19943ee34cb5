//! A sum per key and window of event time.

use std::time::Duration;

use flott::{Environment, GeneratorSource, SlidingEventTimeWindows, WatermarkStrategy};

use crate::mix::mix;

/// What is summed, and over which windows.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Records.
    pub records: u64,
    /// Keys; not 0.
    pub keys: u64,
    /// Records in a millisecond of event time; not 0.
    pub per_ms: u64,
    /// Of a window.
    pub size: Duration,
    /// From the beginning of a window to that of the next.
    pub slide: Duration,
}

/// Generator of (key, value, time), by the key, sum of the values in each window, discard.
pub fn plan(env: &Environment, options: Options) {
    let Options { records, keys, per_ms, size, slide } = options;
    let generator = move |number: u64| (mix(number) % keys, number & 0xFFFF, (number / per_ms) as i64);
    let watermarks =
        WatermarkStrategy::for_monotonous_timestamps().with_timestamp_assigner(|(_, _, at): &(u64, u64, i64)| *at);
    env.generator(GeneratorSource::new(records, generator).interleaved())
        .assign_timestamps_and_watermarks(watermarks)
        .key_by(|(key, _, _)| *key)
        .window(SlidingEventTimeWindows::of(size, slide))
        .reduce(|sum, (_, value, at)| {
            sum.1 = sum.1.wrapping_add(value);
            sum.2 = sum.2.max(at);
        })
        .name("sum")
        .discard();
}
