//! Random sequences, one for each event: splitmix64, begun at a place that is mixed from seed and number.

/// The increment of splitmix64.
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
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
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
    fn the_published_sequence_comes_out() {
        let mut random = Random(0);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(first, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    }

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let mut counts = [0; 7];
        let mut random = Random::new(key(1), 5);
        (0..70_000).for_each(|_| counts[random.below(7) as usize] += 1);
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert_eq!(random.below(1), 0);
    }
}
