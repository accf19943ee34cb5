//! Numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014), the same on every machine.

use std::ops::RangeInclusive;

#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in the range. The bias of the remainder is far below what a simulation could notice.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let width = range.end() - range.start();
        range.start() + if width == u64::MAX { self.next() } else { self.next() % (width + 1) }
    }

    /// True that many times in a thousand.
    pub fn per_mille(&mut self, share: u32) -> bool {
        self.within(0..=999) < u64::from(share)
    }

    /// One of the things, if there is any.
    pub fn choose<T: Clone>(&mut self, things: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let count = things.len();
        if count == 0 {
            return None;
        }
        let place = self.within(0..=count as u64 - 1) as usize;
        things.into_iter().nth(place)
    }

    pub fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next().to_le_bytes());
        bytes
    }
}
