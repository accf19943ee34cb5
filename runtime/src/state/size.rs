//! How much an operator remembers.

use std::{iter::Sum, ops::Add};

/// What operators remember by key, in numbers: for figures, and for tests that look for leaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateSize {
    /// Keys that have something: each counts once for every state that it has something in, and for windows that share
    /// slices once for every slice.
    pub keys: usize,
    /// Timers that are set, in both kinds of time.
    pub timers: usize,
}

impl Add for StateSize {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { keys: self.keys + other.keys, timers: self.timers + other.timers }
    }
}

impl Sum for StateSize {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self::default(), Add::add)
    }
}
