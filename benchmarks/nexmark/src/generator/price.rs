//! Prices: 100 times ten to the power of six times a number that is uniform between 0 and 1.
//!
//! A power costs some thirty nanoseconds, as much as half an event may. So it is taken apart: the number's first byte and
//! its second each choose a power from a table, and what is left is so small that three terms of the series are exact to
//! 12 digits. The tables are made by roots and products alone, which all machines round alike, where powers differ in the
//! last bit; an event must be the same everywhere.

/// Entries per table.
const ENTRIES: usize = 256;
/// Ten to the sixth.
const RANGE: f64 = 1e6;

#[derive(Debug)]
pub(super) struct Prices {
    /// 100 times powers of the 256th root of the range.
    coarse: [f64; ENTRIES],
    /// Powers of the 65,536th root.
    fine: [f64; ENTRIES],
}

impl Prices {
    pub fn new() -> Self {
        let root = |of: f64| (0..ENTRIES.ilog2()).fold(of, |root, _| root.sqrt());
        let (coarse, fine) = (root(RANGE), root(root(RANGE)));
        Self { coarse: powers(100.0, coarse), fine: powers(1.0, fine) }
    }

    /// The price in cents for 64 random bits.
    #[inline]
    pub fn price(&self, bits: u64) -> u64 {
        let (coarse, fine) = ((bits >> 56) as u8, (bits >> 48) as u8);
        // The rest of the number, times the logarithm of the range.
        let rest = (bits & 0xFFFF_FFFF_FFFF) as f64 * (LOG_RANGE / (1_u64 << 48) as f64 / 65_536.0);
        let power = 1.0 + rest + rest * rest * 0.5;
        // Rounded; a call of `round` takes longer than all of this.
        (self.coarse[usize::from(coarse)] * self.fine[usize::from(fine)] * power + 0.5) as u64
    }
}

/// The natural logarithm of the range.
const LOG_RANGE: f64 = 6.0 * std::f64::consts::LN_10;

fn powers(first: f64, root: f64) -> [f64; ENTRIES] {
    let mut powers = [first; ENTRIES];
    for place in 1..ENTRIES {
        powers[place] = powers[place - 1] * root;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_powers() {
        let prices = Prices::new();
        for number in 0..10_000_u64 {
            let bits = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let exact = 1e2 * 1e6_f64.powf(bits as f64 / 2_f64.powi(64));
            let price = prices.price(bits) as f64;
            assert!((price - exact).abs() < 0.5 + exact * 1e-10, "{bits:#x}: {price} and not {exact}");
        }
        assert_eq!((prices.price(0), prices.price(u64::MAX)), (100, 100_000_000));
    }
}
