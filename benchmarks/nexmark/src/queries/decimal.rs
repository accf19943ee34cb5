//! Prices in another currency.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Euros for 1000 dollars.
const EURO_RATE: u64 = 908;

/// A thousandth of a cent, and how many of them: `DECIMAL(23, 3)`. In JSON a number with a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(pub u64);

impl Decimal {
    /// `0.908 * price`.
    #[inline]
    pub fn euros(price: u64) -> Self {
        Self(price.saturating_mul(EURO_RATE))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            (self.0 as f64 / 1e3).serialize(serializer)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            f64::deserialize(deserializer).map(|number| Self((number * 1e3).round() as u64))
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(price: u64, json: &str) {
        let euros = Decimal::euros(price);
        assert_eq!(serde_json::to_string(&euros).unwrap(), json);
        assert_eq!(serde_json::from_str::<Decimal>(json).unwrap(), euros);
    }

    #[test]
    fn euros_are_exact() {
        check(100, "90.8");
        check(1, "0.908");
        check(99_999_999, "90799999.092");
        check(0, "0.0");
    }
}
