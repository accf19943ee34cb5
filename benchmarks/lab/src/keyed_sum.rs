//! A running sum per key.

use flott::Environment;

use crate::mix::keyed;

/// Generator, key by the first number, running sum of the second, discard.
pub fn plan(env: &Environment, records: u64, keys: u64) {
    env.generate(records, move |number| keyed(number, keys))
        .key_by(|(key, _)| *key)
        .reduce(|sum, (_, value)| sum.1 = sum.1.wrapping_add(value))
        .name("sum")
        .discard();
}
