use std::{fmt, time::Duration};

use super::quantity::{Scale, UnitError, largest_exact};

const US: u64 = 1_000;
const MS: u64 = 1_000 * US;
const S: u64 = 1_000 * MS;
const MIN: u64 = 60 * S;
const H: u64 = 60 * MIN;
const D: u64 = 24 * H;

const SCALE: Scale = Scale {
    spellings: &[
        ("ns", 1),
        ("nano", 1),
        ("nanos", 1),
        ("nanosecond", 1),
        ("nanoseconds", 1),
        // Both code points for micro: the sign on keyboards and the Greek letter.
        ("\u{b5}s", US),
        ("\u{3bc}s", US),
        ("us", US),
        ("micro", US),
        ("micros", US),
        ("microsecond", US),
        ("microseconds", US),
        ("ms", MS),
        ("milli", MS),
        ("millis", MS),
        ("millisecond", MS),
        ("milliseconds", MS),
        ("s", S),
        ("sec", S),
        ("secs", S),
        ("second", S),
        ("seconds", S),
        ("m", MIN),
        ("min", MIN),
        ("minute", MIN),
        ("minutes", MIN),
        ("h", H),
        ("hour", H),
        ("hours", H),
        ("d", D),
        ("day", D),
        ("days", D),
    ],
    bare: MS,
    known: "ms, s, min, h, d (also \u{b5}s and ns)",
    example: "500 ms, 10 s, 5 min or 1 h",
    max: "213503 d",
};

const SHOWN: [(&str, u64); 7] = [("d", D), ("h", H), ("min", MIN), ("s", S), ("ms", MS), ("\u{b5}s", US), ("ns", 1)];

/// Reads a duration: a whole number and a unit from nanoseconds to days, in any case; a bare number is milliseconds.
///
/// # Errors
/// [`UnitError`] for everything else, and for what exceeds 2^64 nanoseconds (213,503 days).
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    SCALE.parse(text).map(Duration::from_nanos)
}

/// Like [`parse_duration`], but a bare number is seconds: a few of Flink's keys count so.
pub(crate) fn parse_duration_bare_seconds(text: &str) -> Result<Duration, UnitError> {
    SCALE.parse_with_bare(text, S).map(Duration::from_nanos)
}

/// Shows a duration so that [`parse_duration`] reads it back: `DurationText(Duration::from_secs(90))` is `90 s`.
///
/// What exceeds 2^64 nanoseconds is shown as that much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX);
        if nanos == 0 {
            return f.write_str("0 ms");
        }
        let (number, unit) = largest_exact(nanos, &SHOWN);
        write!(f, "{number} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Duration, &str>) {
        let got = parse_duration(text).map_err(|error| error.to_string());
        match expected {
            Ok(duration) => assert_eq!(got, Ok(duration), "{text:?}"),
            Err(part) => {
                let message = got.expect_err(text);
                assert!(message.contains(part), "{text:?}: {message}");
            }
        }
    }

    #[test]
    fn flinks_spellings_are_read() {
        check("10 s", Ok(Duration::from_secs(10)));
        check("1min", Ok(Duration::from_secs(60)));
        check("1 m", Ok(Duration::from_secs(60)));
        check("500 ms", Ok(Duration::from_millis(500)));
        check("1 h", Ok(Duration::from_secs(3600)));
        check("2 Days", Ok(Duration::from_secs(172_800)));
        check("3 µs", Ok(Duration::from_micros(3)));
        check("3 μs", Ok(Duration::from_micros(3)));
        check("40ns", Ok(Duration::from_nanos(40)));
        check("2500", Ok(Duration::from_millis(2500)));
        check("0", Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_said_clearly() {
        check("", Err("empty"));
        check("-5 s", Err("negative"));
        check("0.5 s", Err("fraction"));
        check("soon", Err("does not begin with a number"));
        check("5 fortnights", Err("unknown unit \"fortnights\""));
        check("1 min 30 s", Err("unknown unit \"min 30 s\""));
        check("300000 d", Err("too large"));
        check("99999999999999999999", Err("too large"));
    }

    #[test]
    fn the_largest_exact_unit_is_shown() {
        let show = |duration| DurationText(duration).to_string();
        assert_eq!(show(Duration::ZERO), "0 ms");
        assert_eq!(show(Duration::from_secs(90)), "90 s");
        assert_eq!(show(Duration::from_secs(86_400)), "1 d");
        assert_eq!(show(Duration::from_micros(1500)), "1500 µs");
        assert_eq!(show(Duration::MAX), "18446744073709551615 ns");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn near_misses_are_read_or_refused(text in "-?[0-9]{0,25}[ .]{0,2}[a-zA-Zµ]{0,4}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn shown_durations_read_back(count in any::<u64>(), unit in 0usize..SHOWN.len()) {
            let nanos = count / SHOWN[unit].1 * SHOWN[unit].1;
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&DurationText(duration).to_string()), Ok(duration));
        }
    }
}
