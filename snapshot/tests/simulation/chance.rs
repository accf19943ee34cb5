//! Chance, repeatable by a seed.

use std::sync::{Arc, Mutex};

#[derive(Debug)]
struct State {
    drawn: u64,
    /// Faults among a thousand requests.
    faults: u64,
}

#[derive(Debug, Clone)]
pub struct Chance(Arc<Mutex<State>>);

impl Chance {
    pub fn new(seed: u64, faults: u64) -> Self {
        Self(Arc::new(Mutex::new(State { drawn: seed << 32, faults })))
    }

    /// A number below `bound`.
    pub fn below(&self, bound: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        state.drawn = state.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state.drawn ^ state.drawn >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound
    }

    pub fn fault(&self) -> bool {
        let faults = self.0.lock().unwrap().faults;
        self.below(1000) < faults
    }
}
