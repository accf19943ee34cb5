//! Random sequences, one for each event: wyrand (<https://github.com/wangyi-fudan/wyhash>), which is one product per 64
//! bits, begun at a place that is mixed from seed and number.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of splitmix64.
#[inline]
pub(super) const fn mix(number: u64) -> u64 {
    let mut z = number;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// What all sequences of a seed have in common.
pub(super) const fn key(seed: u64) -> u64 {
    mix(seed.wrapping_add(GAMMA))
}

/// A number below `bound`, which is below 2^32, from 32 random bits.
#[inline]
pub(super) const fn scale(bits: u32, bound: u64) -> u64 {
    (bits as u64 * bound) >> 32
}

/// A random sequence.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of event `number`.
    #[inline]
    pub fn new(key: u64, number: u64) -> Self {
        Self(mix(key ^ number.wrapping_mul(GAMMA)))
    }

    /// 64 random bits.
    #[inline]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0xA076_1D64_78BD_642F);
        let product = u128::from(self.0) * u128::from(self.0 ^ 0xE703_7ED1_A0B4_28DB);
        (product >> 64) as u64 ^ product as u64
    }

    /// A number below `bound`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// One of `choices`.
    #[inline]
    pub fn one_of<'a, T: ?Sized, const N: usize>(&mut self, choices: &[&'a T; N]) -> &'a T {
        choices[self.below(N as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let mut counts = [0; 7];
        let mut random = Random::new(key(1), 5);
        (0..70_000).for_each(|_| counts[random.below(7) as usize] += 1);
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(random.below(1), 0);
    }
}
