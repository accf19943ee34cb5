use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::quantity::{Scale, UnitError, largest_exact};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

const SCALE: Scale = Scale {
    spellings: &[
        ("b", 1),
        ("byte", 1),
        ("bytes", 1),
        ("k", KIB),
        ("kb", KIB),
        ("kib", KIB),
        ("kibibytes", KIB),
        ("m", MIB),
        ("mb", MIB),
        ("mib", MIB),
        ("mebibytes", MIB),
        ("g", GIB),
        ("gb", GIB),
        ("gib", GIB),
        ("gibibytes", GIB),
        ("t", TIB),
        ("tb", TIB),
        ("tib", TIB),
        ("tebibytes", TIB),
    ],
    bare: 1,
    known: "b, kb, mb, gb, tb (powers of 1024)",
    example: "512m, 4 gb or a number of bytes",
    max: "16777215 tb",
};

const SHOWN: [(&str, u64); 5] = [("tb", TIB), ("gb", GIB), ("mb", MIB), ("kb", KIB), ("bytes", 1)];

/// A number of bytes. Units are powers of 1024, under short, SI-like and IEC spellings alike, in any case; a bare
/// number is bytes.
///
/// ```
/// use flott_core::units::ByteSize;
///
/// let size: ByteSize = "1728m".parse()?;
/// assert_eq!(size.bytes(), 1728 << 20);
/// assert_eq!(ByteSize::from_mebibytes(4096).to_string(), "4 gb");
/// # Ok::<(), flott_core::units::UnitError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size in bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// A size in units of 1,048,576 bytes; what cannot be counted becomes the largest size.
    pub const fn from_mebibytes(mebibytes: u64) -> Self {
        Self(mebibytes.saturating_mul(MIB))
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in whole units of 1,048,576 bytes, rounded down.
    pub const fn mebibytes(self) -> u64 {
        self.0 / MIB
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        SCALE.parse(text).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = largest_exact(self.0, &SHOWN);
        write!(f, "{number} {unit}")
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| D::Error::custom(format_args!("byte size {error}")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        let got = text.parse::<ByteSize>().map(ByteSize::bytes).map_err(|error| error.to_string());
        match expected {
            Ok(bytes) => assert_eq!(got, Ok(bytes), "{text:?}"),
            Err(part) => {
                let message = got.expect_err(text);
                assert!(message.contains(part), "{text:?}: {message}");
            }
        }
    }

    #[test]
    fn flinks_spellings_are_read() {
        check("1024", Ok(1024));
        check("1 gb", Ok(1 << 30));
        check("512m", Ok(512 << 20));
        check("4096 MB", Ok(4 << 30));
        check("16kb", Ok(16 << 10));
        check("16 KiB", Ok(16 << 10));
        check(" 2t ", Ok(2 << 40));
        check("7 bytes", Ok(7));
        check("0", Ok(0));
        check("18446744073709551615", Ok(u64::MAX));
    }

    #[test]
    fn what_is_no_size_is_said_clearly() {
        check("", Err("empty"));
        check("   ", Err("empty"));
        check("-1 gb", Err("negative"));
        check("1.5 gb", Err("fraction"));
        check("gb", Err("does not begin with a number"));
        check("1 elephant", Err("unknown unit \"elephant\""));
        check("1 gb 2", Err("unknown unit \"gb 2\""));
        check("18446744073709551616", Err("too large"));
        check("99999999999999 tb", Err("too large"));
        check("١ gb", Err("does not begin with a number"));
    }

    #[test]
    fn the_largest_exact_unit_is_shown() {
        let show = |bytes| ByteSize::from_bytes(bytes).to_string();
        assert_eq!(show(0), "0 bytes");
        assert_eq!(show(1025), "1025 bytes");
        assert_eq!(show(1536 << 20), "1536 mb");
        assert_eq!(show(3 << 40), "3 tb");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<ByteSize>();
        }

        #[test]
        fn near_misses_are_read_or_refused(text in "-?[0-9]{0,25}[ .]{0,2}[a-zA-Zµ]{0,4}") {
            let _ = text.parse::<ByteSize>();
        }

        #[test]
        fn shown_sizes_read_back(bytes in any::<u64>(), shift in 0u32..50) {
            let size = ByteSize::from_bytes((bytes >> shift) << shift);
            prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }
    }
}
