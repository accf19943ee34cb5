use thiserror::Error;

/// Why a text is not a byte size or a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// Nothing but blanks.
    #[error("empty; write {example}")]
    Empty {
        /// What a right value looks like.
        example: &'static str,
    },
    /// A leading minus.
    #[error("is negative; write {example}")]
    Negative {
        /// What a right value looks like.
        example: &'static str,
    },
    /// A fraction such as `1.5 gb`.
    #[error("has a fraction; write a whole number of a smaller unit, like {example}")]
    Fraction {
        /// What a right value looks like.
        example: &'static str,
    },
    /// No digits in front.
    #[error("does not begin with a number; write {example}")]
    NoNumber {
        /// What a right value looks like.
        example: &'static str,
    },
    /// Digits followed by something that is no unit.
    #[error("has the unknown unit {unit:?}; units are {known}")]
    UnknownUnit {
        /// What stood in the unit's place, shortened.
        unit: String,
        /// The units there are.
        known: &'static str,
    },
    /// More than can be counted.
    #[error("is too large; the most is {max}")]
    TooLarge {
        /// The largest value.
        max: &'static str,
    },
}

/// What the parser of one kind of quantity needs to know.
pub(super) struct Scale {
    /// Spellings in lower case, and what one of them is worth in the base unit.
    pub spellings: &'static [(&'static str, u64)],
    /// Worth of a bare number.
    pub bare: u64,
    /// The units, for people.
    pub known: &'static str,
    /// A right value, for people.
    pub example: &'static str,
    /// The largest value, for people.
    pub max: &'static str,
}

impl Scale {
    /// Reads a whole number and a unit into base units.
    pub fn parse(&self, text: &str) -> Result<u64, UnitError> {
        self.parse_with_bare(text, self.bare)
    }

    /// Like [`parse`](Self::parse), with another worth for a bare number.
    pub fn parse_with_bare(&self, text: &str, bare: u64) -> Result<u64, UnitError> {
        let example = self.example;
        let text = text.trim();
        if text.is_empty() {
            return Err(UnitError::Empty { example });
        }
        if text.starts_with('-') {
            return Err(UnitError::Negative { example });
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = text.split_at(digits);
        if number.is_empty() {
            return Err(UnitError::NoNumber { example });
        }
        if rest.starts_with(['.', ',']) {
            return Err(UnitError::Fraction { example });
        }
        let unit = rest.trim_start();
        let worth = if unit.is_empty() { bare } else { self.worth(unit)? };
        // Only digits are left, so what fails here is their number.
        let number: u64 = number.parse().map_err(|_| UnitError::TooLarge { max: self.max })?;
        number.checked_mul(worth).ok_or(UnitError::TooLarge { max: self.max })
    }

    fn worth(&self, unit: &str) -> Result<u64, UnitError> {
        let lower = unit.to_lowercase();
        self.spellings
            .iter()
            .find(|(spelling, _)| *spelling == lower)
            .map(|(_, worth)| *worth)
            .ok_or_else(|| UnitError::UnknownUnit { unit: unit.chars().take(20).collect(), known: self.known })
    }
}

/// Splits `value` by the largest of `units` (descending) that divides it; `units` ends with a worth of 1.
pub(super) fn largest_exact(value: u64, units: &[(&'static str, u64)]) -> (u64, &'static str) {
    let exact = units.iter().find(|(_, worth)| value != 0 && value.is_multiple_of(*worth)).or(units.last());
    exact.map_or((value, ""), |(name, worth)| (value / worth, name))
}
