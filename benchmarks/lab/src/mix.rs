//! The generators' hash.

/// The finaliser of splitmix64: spreads numbers in order over all 64 bits.
#[inline]
#[must_use]
pub const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A record of the keyed workloads: a key below `keys`, which must not be 0, and a small value.
#[inline]
#[must_use]
pub const fn keyed(number: u64, keys: u64) -> (u64, u64) {
    (mix(number) % keys, number & 0xFFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_numbers_of_splitmix64_come_out() {
        // The published sequence for seed 0: number n is the mix of n increments.
        let increment = 0x9E37_79B9_7F4A_7C15_u64;
        let first: Vec<u64> = (0..3).map(|n| mix(increment.wrapping_mul(n))).collect();
        assert_eq!(first, [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    }

    #[test]
    fn keys_stay_below_their_number() {
        assert!((0..1000).all(|number| keyed(number, 7).0 < 7));
        assert_eq!(keyed(0x1_2345, 10).1, 0x2345);
    }
}
