//! A job with next to no records.

use flott::Environment;

/// Ten numbers, a map, discard, in one task.
pub fn plan(env: &Environment) {
    env.sequence(1, 10).map(|number| number + 1).discard();
}
