//! Generated events: each follows from its number, its source and the seed.

use std::time::Duration;

use flott::{Environment, GeneratorSource, Stream, WatermarkStrategy};
use serde::{Deserialize, Serialize};

use crate::arguments::Arguments;

/// Event time from one event of a source to the next, but for the disorder.
const STEP_MS: i64 = 1;
/// How much earlier than its place an event may be, in milliseconds.
const DISORDER_MS: u64 = 40;
/// How many keys there are.
pub const KEYS: u64 = 37;

/// An event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Which one of its source.
    pub number: u64,
    pub key: u64,
    /// Event time in milliseconds.
    pub at: i64,
    pub amount: u64,
}

impl Event {
    /// Of one of the sources of a job.
    pub fn new(number: u64, source: u64, seed: u64) -> Self {
        let drawn = mixed(mixed(seed ^ source.rotate_left(32)) ^ number);
        // Squared, so that some keys are frequent and others rare.
        let place = (drawn >> 20) % KEYS;
        Self {
            number,
            key: place * place / KEYS,
            at: number as i64 * STEP_MS - (drawn % DISORDER_MS) as i64,
            amount: (drawn >> 40) % 1000,
        }
    }
}

/// The finisher of SplitMix64 (Steele, Lea, Flood 2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The events of a source with one subtask, none of which is late.
pub fn in_order(env: &Environment, arguments: &Arguments, source: u64, name: &str) -> Stream<Event> {
    let seed = arguments.seed;
    let mut generator = GeneratorSource::new(arguments.records, move |number| Event::new(number, source, seed));
    if let Some(rate) = arguments.rate() {
        generator = generator.rate(rate);
    }
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(Duration::from_millis(DISORDER_MS))
        .with_timestamp_assigner(|event: &Event| event.at);
    env.from_source_with_watermarks(generator, strategy, name).parallelism(1).uid(name)
}
