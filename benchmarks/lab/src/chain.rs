//! A stateless chain: nothing but the engine's own work per record is left to measure.

use flott::Environment;

use crate::mix::mix;

/// Generator, map, filter (three of four records pass), map, discard, all in one task.
pub fn plan(env: &Environment, records: u64) {
    env.generate(records, |number| (number, mix(number)))
        .map(|(number, hash)| (number, hash.wrapping_mul(31).wrapping_add(7)))
        .filter(|(_, hash)| hash & 3 != 0)
        .map(|(number, hash)| (number.wrapping_add(1), hash ^ number))
        .discard();
}
